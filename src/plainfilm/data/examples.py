"""Training examples: rows of a dataset directory as the tensors of a model."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from plainfilm.core import (
    OBSERVATIONS,
    Pixels,
    Report,
    UncertaintyPolicy,
    View,
    binarize,
)
from plainfilm.data import Dataset, Row
from plainfilm.text import labels
from plainfilm.vision.preparation import letterbox, views_to_read

_KEPT_BYTES = 2**30


class Films:
    """The films of a dataset at the size that a model sees, read from disk once where they fit.

    Args:
        dataset: the dataset.
        size: side of the square that a film is fitted into, in pixels.
        kept_bytes: how much memory to fill; films beyond it are read every time.
    """

    def __init__(self, dataset: Dataset, size: int, *, kept_bytes: int = _KEPT_BYTES) -> None:
        self.dataset = dataset
        self.size = size
        self._room = kept_bytes // (4 * size**2)
        self._kept: dict[tuple[str, int], Pixels] = {}

    def film(self, row: Row, index: int) -> Pixels:
        """Return one film of a study, ``(size, size)``."""
        key = (row.study_id, index)
        if key in self._kept:
            return self._kept[key]
        pixels = letterbox(self.dataset.image(row, index).pixels, self.size)
        if len(self._kept) < self._room:
            self._kept[key] = pixels
        return pixels


class Examples(TorchDataset[dict[str, Any]]):
    """The rows of one split, as (film, indication, report, observation labels, draws).

    The labels are read from the true report by the reader (seed paper: "clinical labels are
    extracted from the ground truth reports") and train the classifier only; an uncertain mention
    counts as positive. Whatever is random about an example (which tokens of it are hidden) comes
    from its ``draws``, a generator made from seed, epoch and place: the same whatever the batch,
    the process, or the step that training was resumed at.

    Args:
        dataset: the dataset.
        rows: its studies.
        target: the part of the report to learn (see :func:`target_report`).
        films: where the films come from, at the model's size.
        seed: of the draws.
        views: how many films of a study are read, at most.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[Row],
        target: str,
        films: Films,
        seed: int = 0,
        views: int = 1,
    ) -> None:
        self.dataset = dataset
        self.films = films
        self.rows = rows
        self.seed = seed
        self.views = views
        self.matching = False
        self.epoch = 0
        self.reports = [target_report(row, target) for row in rows]
        self.labels = torch.tensor(
            [
                binarize(
                    labels(report.text, language=dataset.card.language),
                    UncertaintyPolicy.POSITIVE,
                    OBSERVATIONS,
                )
                for report in self.reports
            ]
        ).float()

    def set_epoch(self, epoch: int) -> None:
        """Let what is drawn for each example be another's than in other epochs."""
        self.epoch = epoch

    def for_matching(self) -> "Examples":
        """Return the same films, half of them with another study's report, whose labels differ."""
        paired = copy(self)
        paired.matching, paired.views = True, 1
        return paired

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        draws = np.random.default_rng([self.seed, self.epoch, index])
        told = self._other(index, draws) if self.matching and draws.random() < 0.5 else index
        return {
            "image": self._image(row),
            "indication": row.indication,
            "report": self.reports[told],
            "observation_labels": self.labels[index],
            "matched": int(told == index),
            "draws": draws,
        }

    def _image(self, row: Row) -> Pixels | list[Pixels]:
        if self.views == 1:
            return self.films.film(row, frontal_index(row))
        chosen = views_to_read([View(view) for view in row.views], self.views)
        return [self.films.film(row, index) for index in chosen or [0]]

    def _other(self, index: int, draws: np.random.Generator) -> int:
        """Return a study whose labels differ; itself where there is none."""
        differ = (self.labels != self.labels[index]).any(dim=1).nonzero().flatten()
        return int(differ[draws.integers(len(differ))]) if len(differ) else index


def readable(rows: Sequence[Row]) -> list[Row]:
    """Return the studies with a film that is, or may be, a frontal one: models read no other."""
    return [row for row in rows if views_to_read([View(view) for view in row.views], 1)]


def target_report(row: Row, target: str) -> Report:
    """Return the part of a row's report that is learned and scored.

    Args:
        row: a row of a dataset.
        target: ``findings`` or ``findings+impression``.
    """
    impression = row.impression if target == "findings+impression" else ""
    return Report(findings=row.findings, impression=impression)


def frontal_index(row: Row) -> int:
    """Return which of a row's images is its frontal film; one of unknown view where there is none.

    Args:
        row: a row that is :func:`readable`.
    """
    return views_to_read([View(view) for view in row.views], 1)[0]


class Collate:
    """Turns examples into a batch, with a model's processor."""

    def __init__(self, processor: Any, mask_share: float = 0.15) -> None:
        self.processor = processor
        self.mask_share = mask_share

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return the model's inputs, targets included."""
        images = [example["image"] for example in examples]
        batch = self.processor(
            images,
            [example["indication"] for example in examples],
            [example["report"] for example in examples],
            draws=[example["draws"] for example in examples],
            mask_share=self.mask_share,
        )
        observation_labels = torch.stack([example["observation_labels"] for example in examples])
        return {**batch, "observation_labels": observation_labels}
