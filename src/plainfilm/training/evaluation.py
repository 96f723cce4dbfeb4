"""Evaluation: a model on the test split, beside the two rows that no table goes without.

"Most common report" answers every film with the report that the training split holds most often;
"nearest training report" copies the report of the training film that looks most alike (cosine of
the films at 32², contrast-normalised). A model that does not beat them has learned to write, not
to see.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from plainfilm.core import InputError, Pixels, Report, Score, write_atomically
from plainfilm.data import Dataset, Row
from plainfilm.metrics import score
from plainfilm.pipeline import ReportModel
from plainfilm.training.examples import frontal_index, target_report
from plainfilm.vision.preparation import letterbox

MOST_COMMON = "most common report"
NEAREST = "nearest training report"

_THUMBNAIL = 32


@dataclass(frozen=True)
class Evaluation:
    """What was asked, what was answered, and the scores, by name of the row."""

    references: dict[str, str]
    """Study id → the true report's target text."""
    predictions: dict[str, dict[str, str]]
    """Row → study id → text."""
    scores: dict[str, dict[str, Score]]
    """Row → metric → score."""
    reports: dict[str, Report]
    """The model's reports by study id, with statements, evidence and warnings."""

    def save(self, folder: Path) -> None:
        """Write ``predictions.jsonl`` (a line a study) and ``scores.json`` into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps(
                {"study_id": study_id, "reference": reference}
                | {name: texts[study_id] for name, texts in self.predictions.items()},
                ensure_ascii=False,
            )
            for study_id, reference in self.references.items()
        ]
        scores = {
            row: {name: value.to_dict() for name, value in values.items()}
            for row, values in self.scores.items()
        }
        write_atomically(folder / "predictions.jsonl", "\n".join(lines) + "\n")
        write_atomically(folder / "scores.json", json.dumps(scores, indent=1))


def evaluate(
    model: ReportModel,
    dataset: Dataset,
    *,
    split: str = "test",
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    progress: bool = True,
) -> Evaluation:
    """Draft a report for every study of ``split`` and score it beside the template rows.

    Args:
        model: the model.
        dataset: a prepared dataset; its training split feeds the template rows.
        split: which split to score.
        limit: only the first so many studies.
        metrics: names of metrics; the default set where left out.
        progress: whether to show a progress bar.

    Raises:
        InputError: the split, or the training split, is empty.
    """
    rows = dataset.split(split)[:limit]
    training = dataset.split("train")
    for name, found in ((split, rows), ("train", training)):
        if not found:
            raise InputError(f"{dataset.path} has no studies in its {name} split")
    references = {row.study_id: target_report(row, model.card.target).text for row in rows}
    drafted = track(
        model.reports(dataset.study(row) for row in rows),
        total=len(rows),
        description=f"reports by {model.card.name}",
        disable=not progress,
        transient=True,
    )
    reports = {row.study_id: report for row, report in zip(rows, drafted, strict=True)}
    predictions = {
        model.card.name: {study_id: report.text for study_id, report in reports.items()},
        **template_rows(dataset, training, rows, model.card.target, progress=progress),
    }
    scores = {
        name: score(
            references, texts, metrics, intervals=True, split=split, section=model.card.target
        )
        for name, texts in predictions.items()
    }
    return Evaluation(references, predictions, scores, reports)


def template_rows(
    dataset: Dataset,
    training: Sequence[Row],
    rows: Sequence[Row],
    target: str,
    *,
    progress: bool = False,
) -> dict[str, dict[str, str]]:
    """Return the answers of the two template rows: name → study id → text."""
    texts = [target_report(row, target).text for row in training]
    common = Counter(texts).most_common(1)[0][0]
    known = _thumbnails(dataset, training, "training films", progress)
    asked = _thumbnails(dataset, rows, "test films", progress)
    nearest = (asked @ known.T).argmax(axis=1)
    return {
        MOST_COMMON: {row.study_id: common for row in rows},
        NEAREST: {row.study_id: texts[index] for row, index in zip(rows, nearest, strict=True)},
    }


def _thumbnails(dataset: Dataset, rows: Sequence[Row], what: str, progress: bool) -> Pixels:
    """Return the films as unit vectors, ``(rows, 1024)``."""
    films: Iterable[Row] = track(
        rows, description=f"looking at the {what}", disable=not progress, transient=True
    )
    vectors: Pixels = np.stack(
        [
            letterbox(dataset.image(row, frontal_index(row)).pixels, _THUMBNAIL).ravel()
            for row in films
        ]
    )
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors
