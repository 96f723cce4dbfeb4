"""Evaluation: a model on the test split, beside the two rows that no table goes without.

"Most common report" answers every film with the report that the training split holds most often;
"nearest training report" copies the report of the training film that looks most alike (cosine of
the films at 32², contrast-normalised). A model that does not beat them has learned to write, not
to see. A test set without a training split takes them from another dataset, or goes without and
says so.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from plainfilm.core import (
    InputError,
    Pixels,
    Report,
    Score,
    UncertaintyPolicy,
    write_atomically,
)
from plainfilm.data import Dataset, Row
from plainfilm.data.examples import frontal_index, readable, target_report
from plainfilm.metrics import align, score
from plainfilm.metrics.error_table import ErrorTable, error_table
from plainfilm.metrics.files import ID_NAMES, RUN_FILE, SCORES_FILE, report_rows
from plainfilm.metrics.outputs import MOST_COMMON, OutputProfile, output_profile, template_answers
from plainfilm.metrics.pairs import Pairs
from plainfilm.pipeline import ReportModel
from plainfilm.vision.preparation import letterbox

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
    """Row → metric → score, each report's own value included."""
    errors: dict[str, ErrorTable]
    """Row → what is wrong with each report."""
    error_shares: dict[str, dict[str, Score]]
    """Row → row of the error table → share of reports."""
    outputs: dict[str, OutputProfile]
    """Row → duplicates and length."""
    reports: dict[str, Report]
    """The model's reports by study id, with statements, evidence and warnings."""
    notes: tuple[str, ...] = ()
    """What is missing from the table, and why."""

    def save(self, folder: Path) -> None:
        """Write everything but the model's reports into ``folder``.

        ``predictions.jsonl`` holds a line a study: its id, the reference, the text of each row;
        ``per_report.jsonl`` a line for each study and row, with the report's own values;
        ``scores.json``, ``errors.json`` and ``outputs.json`` are objects by row.
        """
        save_predictions(folder, self.references, self.predictions)
        scores = {
            row: {
                name: value.model_copy(update={"reports": ()}).to_dict()
                for name, value in values.items()
            }
            for row, values in self.scores.items()
        }
        errors = {row: found.to_dict(self.error_shares[row]) for row, found in self.errors.items()}
        outputs = {row: profile.to_dict() for row, profile in self.outputs.items()}
        for name, values in (
            ("errors.json", errors),
            ("outputs.json", outputs),
        ):
            write_atomically(folder / name, json.dumps(values, indent=1))
        write_atomically(folder / "per_report.jsonl", "".join(self._per_report()))
        # Last, since a table takes it for the mark of a run that is scored.
        write_atomically(folder / SCORES_FILE, json.dumps(scores, indent=1))

    def _per_report(self) -> Iterable[str]:
        words = [len(tokens) for tokens in align(self.references, self.references).tokens[0]]
        for row, scores in self.scores.items():
            for line, length in zip(
                report_rows(row, self.references, scores, list(scores)), words, strict=True
            ):
                defined = {key: None if value != value else value for key, value in line.items()}
                yield json.dumps(defined | {"reference_words": length}, ensure_ascii=False) + "\n"


def save_predictions(
    folder: Path, references: Mapping[str, str], predictions: Mapping[str, Mapping[str, str]]
) -> None:
    """Write ``predictions.jsonl`` into ``folder``: a line a study."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps(
            {"study_id": study_id, "reference": reference}
            | {name: texts[study_id] for name, texts in predictions.items()},
            ensure_ascii=False,
        )
        for study_id, reference in references.items()
    )
    write_atomically(folder / RUN_FILE, "".join(f"{line}\n" for line in lines))


def evaluate(
    model: ReportModel,
    dataset: Dataset,
    *,
    split: str = "test",
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    policy: UncertaintyPolicy = UncertaintyPolicy.POSITIVE,
    models: Mapping[str, Any] | None = None,
    training: Dataset | None = None,
    templates: bool = True,
    output: Path | None = None,
    progress: bool = True,
) -> Evaluation:
    """Draft a report for every study of ``split`` and score it beside the template rows.

    Args:
        model: the model.
        dataset: a prepared dataset.
        split: which split to score.
        limit: only the first so many studies.
        metrics: names of metrics; the default set where left out.
        policy: what an uncertain mention counts as in label metrics.
        models: as for :func:`plainfilm.score`.
        training: the dataset whose training split feeds the template rows, where it is not
            ``dataset``.
        templates: whether to add the template rows.
        output: a folder, where everything is saved: the drafts before they are scored.
        progress: whether to show a progress bar.

    Raises:
        InputError: the split is empty, or the training split of ``training`` is.
        MetricError: a metric is unknown, or needs what is not there; nothing was drafted then.
    """
    options: dict[str, Any] = {
        "policy": policy,
        "models": models,
        "language": dataset.card.language,
    }
    rows, source, known = _studies(model, dataset, split, limit, training)
    # One pair is scored before hours of drafting: a metric that cannot be computed says so now.
    score(["No effusion."], ["No effusion."], metrics, **options)
    references = {row.study_id: target_report(row, model.card.target).text for row in rows}
    drafted = track(
        model.reports(dataset.study(row) for row in rows),
        total=len(rows),
        description=escape(f"reports by {model.card.name}"),
        console=Console(stderr=True),
        disable=not progress,
        transient=True,
    )
    reports = {row.study_id: report for row, report in zip(rows, drafted, strict=True)}
    predictions = {model.card.name: {key: report.text for key, report in reports.items()}}
    if output is not None:
        save_predictions(output, references, predictions)
    left_out = len(dataset.split(split)) - len(readable(dataset.split(split)))
    notes: tuple[str, ...] = ()
    if left_out:
        notes = (f"{left_out} studies of the {split} split have no frontal film: left out",)
    if known and templates:
        predictions |= template_rows(
            dataset, rows, source, known, model.card.target, progress=progress
        )
    elif templates:
        notes += (
            f"no rows {MOST_COMMON!r} and {NEAREST!r}: {dataset.path} has no training split; "
            "name a dataset that has one (--training)",
        )
    result = _scored(
        references, predictions, metrics, reports, notes, options, split, model.card.target
    )
    if output is not None:
        result.save(output)
    return result


def _studies(
    model: ReportModel, dataset: Dataset, split: str, limit: int | None, training: Dataset | None
) -> tuple[Sequence[Row], Dataset, Sequence[Row]]:
    """Return the rows to draft, and the dataset and rows that feed the template rows."""
    rows = readable(dataset.split(split))[:limit]
    source = training or dataset
    known = readable(source.split("train"))
    if not rows:
        raise InputError(f"{dataset.path} has no studies with a frontal film in its {split} split")
    if training is not None and not known:
        raise InputError(f"{training.path} has no studies in its train split")
    if model.card.name in (*ID_NAMES, "reference", MOST_COMMON, NEAREST):
        raise InputError(
            f"a model cannot be called {model.card.name!r}, which names another column of "
            f"{RUN_FILE}: change the name in its card.json"
        )
    return rows, source, known


def _scored(
    references: dict[str, str],
    predictions: dict[str, dict[str, str]],
    metrics: Sequence[str] | None,
    reports: dict[str, Report],
    notes: tuple[str, ...],
    options: dict[str, Any],
    split: str,
    section: str,
) -> Evaluation:
    """Return the evaluation of every row; each text is read once for the error tables."""
    scores = {
        name: score(
            references, texts, metrics, intervals=True, per_report=True,
            split=split, section=section, **options,
        )
        for name, texts in predictions.items()
    }  # fmt: skip
    read: dict[str, dict[str, Any]] = {}
    pairs: dict[str, Pairs] = {
        name: replace(align(references, texts, language=options["language"]), read=read)
        for name, texts in predictions.items()
    }
    errors = {name: error_table(one) for name, one in pairs.items()}
    return Evaluation(
        references=references,
        predictions=predictions,
        scores=scores,
        errors=errors,
        error_shares={
            name: found.scores(pairs[name], section=section, split=split)
            for name, found in errors.items()
        },
        outputs={name: output_profile(one) for name, one in pairs.items()},
        reports=reports,
        notes=notes,
    )


def template_rows(
    dataset: Dataset,
    rows: Sequence[Row],
    source: Dataset,
    training: Sequence[Row],
    target: str,
    *,
    progress: bool = False,
) -> dict[str, dict[str, str]]:
    """Return the answers of the two template rows: name → study id → text.

    Args:
        dataset: the dataset of ``rows``.
        rows: the studies to answer.
        source: the dataset of ``training``.
        training: the studies whose reports are the answers.
        target: the part of the report that is scored.
        progress: whether to show a progress bar.
    """
    texts = [target_report(row, target).text for row in training]
    common = template_answers(texts, len(rows))[MOST_COMMON]
    known = _thumbnails(source, training, "training films", progress)
    asked = _thumbnails(dataset, rows, "test films", progress)
    nearest = (asked @ known.T).argmax(axis=1)
    return {
        MOST_COMMON: {row.study_id: text for row, text in zip(rows, common, strict=True)},
        NEAREST: {row.study_id: texts[index] for row, index in zip(rows, nearest, strict=True)},
    }


def _thumbnails(dataset: Dataset, rows: Sequence[Row], what: str, progress: bool) -> Pixels:
    """Return the films as unit vectors, ``(rows, 1024)``."""
    films: Iterable[Row] = track(
        rows,
        description=f"looking at the {what}",
        console=Console(stderr=True),
        disable=not progress,
        transient=True,
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
