"""Examples of special stages: matching and mismatched pairs, and locations of observations."""

from copy import copy
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from plainfilm.core import OBSERVATIONS
from plainfilm.data.examples import Example, Examples, frontal_index
from plainfilm.data.masks import observation_places


class PairedExamples(Examples):
    """Studies of which half have another study's report with different labels; frontal films
    only."""

    def __init__(self, examples: Examples) -> None:
        self.__dict__.update(copy(examples).__dict__)
        self.views = 1

    def __getitem__(self, index: int) -> Example:
        rng = self.rng(index)
        told = self.another(index, rng) if rng.random() < 0.5 else index
        own = super().__getitem__(index)
        return replace(own, report=self.reports[told], rng=rng, matched=told == index)


class PlacedExamples(Examples):
    """Studies with the locations of their observations, from the dataset's masks.

    Args:
        examples: the studies.
        side: cells along each side of the letterboxed film.
    """

    def __init__(self, examples: Examples, side: int) -> None:
        self.__dict__.update(copy(examples).__dict__)
        self.side = side
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}

    def __getitem__(self, index: int) -> Example:
        if index not in self._kept:
            row = self.rows[index]
            masks = self.dataset.masks(row, frontal_index(row))
            self._kept[index] = np.packbits(observation_places(masks, OBSERVATIONS, self.side))
        shape = (len(OBSERVATIONS), self.side, self.side)
        cells = np.unpackbits(self._kept[index], count=int(np.prod(shape))).reshape(shape)
        return replace(super().__getitem__(index), places=torch.from_numpy(cells.astype(bool)))
