"""Training examples: the studies of a split, each with its target report and labels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from plainfilm.core import Image, Report, Study, View
from plainfilm.core.study import films_to_read
from plainfilm.data.dataset import Dataset, Row
from plainfilm.data.labels import Statuses, binary_labels, observation_statuses
from plainfilm.data.targets import TARGETS, target_report
from plainfilm.vision.preparation import letterbox

__all__ = [
    "TARGETS", "Example", "Examples", "Films", "frontal_index", "read_films", "readable",
    "target_report", "teachable",
]  # fmt: skip

_KEPT_BYTES = 2**30
_DRAWS = 100
"""Number of random draws of another study before falling back to a search through all."""


@dataclass(frozen=True)
class Example:
    """A training example: a study and its target."""

    study: Study
    """The study without its report, so that the model cannot read its target."""
    report: Report
    """The target report."""
    labels: torch.Tensor
    """``(observations,)``, 1 if the report says present or possible, else 0; NaN if unknown."""
    rng: np.random.Generator
    """Source of all random draws for this example; it does not depend on the batch, the process, or
    the step at which training was resumed."""
    matched: bool = True
    """Whether the report belongs to the study."""
    places: torch.Tensor | None = None
    """``(observations, side, side)``, true where an observation lies on the frontal film; None if
    no stage uses it."""
    statuses: Statuses = field(default_factory=dict)
    """What the report says of the observations that it mentions."""


class Films:
    """The films of a dataset, cached in memory as far as they fit.

    Args:
        dataset: the dataset.
        size: side in pixels of the square to which films are letterboxed; None keeps their size.
        kept_bytes: size of the cache; films beyond it are read every time.
    """

    def __init__(
        self, dataset: Dataset, size: int | None, *, kept_bytes: int = _KEPT_BYTES
    ) -> None:
        self.dataset = dataset
        self.size = size
        self._room = kept_bytes
        self._kept: dict[tuple[str, int], Image] = {}

    def film(self, row: Row, index: int) -> Image:
        """Return one film of a study."""
        key = (row.study_id, index)
        if key in self._kept:
            return self._kept[key]
        image = self.dataset.image(row, index)
        if self.size is not None:
            pixels = letterbox(image.pixels, self.size)
            image = image.model_copy(update={"pixels": pixels, "spacing_mm": None})
        if self._room >= image.pixels.nbytes:
            self._room -= image.pixels.nbytes
            self._kept[key] = image
        return image


class Examples(TorchDataset[Example]):
    """The studies of one split as training examples.

    The reader extracts the labels from the true report (RadScribe's paper: "clinical labels are
    extracted from the ground truth reports"); an uncertain mention counts as positive.

    Args:
        dataset: the dataset.
        rows: the studies of the split.
        target: the part of the report to learn (see :func:`target_report`).
        films: the dataset's films.
        seed: random seed.
        views: maximum number of films of a study to read.
        reads: additional inputs of the model that have to be fetched: ``prior``, ``maps/NAME``,
            ``features/NAME``.
        weights: how often each study is shown, relative to the others; equally if left out.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[Row],
        target: str,
        films: Films,
        seed: int = 0,
        views: int = 1,
        reads: Collection[str] = (),
        weights: Sequence[float] | None = None,
    ) -> None:
        self.weights = torch.tensor(weights or [1.0] * len(rows), dtype=torch.float64)
        self.dataset = dataset
        self.films = films
        self.rows = rows
        self.seed = seed
        self.views = views
        self.reads = reads
        self.epoch = 0
        self.reports = [target_report(row, target) for row in rows]
        self.statuses = observation_statuses(dataset, rows, target)
        self.labels = binary_labels(self.statuses)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, on which the random draws of each example depend."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        rng = self.rng(index)
        return Example(
            self.study(index), self.reports[index], self.labels[index], rng,
            statuses=self.statuses[index],
        )  # fmt: skip

    def rng(self, index: int) -> np.random.Generator:
        """Return the random generator of an example, seeded by seed, epoch and index."""
        return np.random.default_rng([self.seed, self.epoch, index])

    def study(self, index: int) -> Study:
        """Return a study with the films that the model reads, without its report."""
        study = self.dataset.study(
            self.rows[index],
            film=self.films.film,
            views=self.views,
            prior="prior" in self.reads,
            derived=self.reads,
        )
        return study.model_copy(update={"report": None})

    def another(self, index: int, rng: np.random.Generator) -> int:
        """Return the index of a random study with other labels; ``index`` if there is none."""
        for _ in range(_DRAWS):
            chosen = int(rng.integers(len(self)))
            if (self.labels[chosen] != self.labels[index]).any():
                return chosen
        differ = (self.labels != self.labels[index]).any(dim=1).nonzero().flatten()
        return int(differ[rng.integers(len(differ))]) if len(differ) else index


def read_films(row: Row, count: int) -> list[int]:
    """Return the indices of the films to read, at most ``count``, the frontal one first."""
    return films_to_read([View(view) for view in row.views], count)


def readable(rows: Sequence[Row]) -> list[Row]:
    """Return the studies with a film that is or may be frontal, which every model needs."""
    return [row for row in rows if read_films(row, 1)]


def teachable(rows: Sequence[Row], target: str) -> list[Row]:
    """Return the :func:`readable` studies whose report has the target part."""
    return [row for row in readable(rows) if target_report(row, target).text.strip()]


def frontal_index(row: Row) -> int:
    """Return the index of a row's frontal film, or else of one of unknown view.

    Args:
        row: a :func:`readable` row.
    """
    return read_films(row, 1)[0]
