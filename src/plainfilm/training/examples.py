"""Training examples: rows of a dataset directory as the tensors of a model."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset as TorchDataset

from plainfilm.core import OBSERVATIONS, Image, Report, UncertaintyPolicy, View, binarize
from plainfilm.data import Dataset, Row
from plainfilm.text import labels


class Examples(TorchDataset[dict[str, Any]]):
    """The rows of one split, as (film, indication, report, observation labels).

    The labels are read from the true report by the reader (seed paper: "clinical labels are
    extracted from the ground truth reports") and train the classifier only; an uncertain mention
    counts as positive.
    """

    def __init__(self, dataset: Dataset, rows: Sequence[Row], target: str) -> None:
        self.dataset = dataset
        self.rows = rows
        self.reports = [target_report(row, target) for row in rows]
        self.labels = torch.tensor(
            [
                binarize(labels(report.text), UncertaintyPolicy.POSITIVE, OBSERVATIONS)
                for report in self.reports
            ]
        ).float()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        return {
            "image": self.dataset.image(row, frontal_index(row)),
            "indication": row.indication,
            "report": self.reports[index],
            "observation_labels": self.labels[index],
        }


def target_report(row: Row, target: str) -> Report:
    """Return the part of a row's report that is learned and scored.

    Args:
        row: a row of a dataset.
        target: ``findings`` or ``findings+impression``.
    """
    impression = row.impression if target == "findings+impression" else ""
    return Report(findings=row.findings, impression=impression)


def frontal_index(row: Row) -> int:
    """Return which of a row's images is its frontal film; the first where no view is known."""
    views = [View(view) for view in row.views]
    return next((index for index, view in enumerate(views) if view.frontal), 0)


class Collate:
    """Turns examples into a batch, with a model's processor."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return the model's inputs, targets included."""
        images: list[Image] = [example["image"] for example in examples]
        batch = self.processor(
            images,
            [example["indication"] for example in examples],
            [example["report"] for example in examples],
        )
        observation_labels = torch.stack([example["observation_labels"] for example in examples])
        return {**batch, "observation_labels": observation_labels}
