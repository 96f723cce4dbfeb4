"""Evaluation: a model on the test split, beside the baseline rows of every table.

:mod:`plainfilm.evaluation.references` says what those rows are. A test set without a training split
takes them from another dataset, or goes without and says so. Further rows draft each study once
more with something changed (:mod:`plainfilm.evaluation.conditions`).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plainfilm.core import (
    InputError,
    Report,
    Score,
    Study,
    UncertaintyPolicy,
    write_atomically,
)
from plainfilm.core.processes import processes
from plainfilm.data import Dataset, Row
from plainfilm.data.examples import frontal_index, readable, target_report, teachable
from plainfilm.evaluation.conditions import (
    CONDITIONS,
    DECODING,
    Mover,
    by_value,
    changed_study,
    changes,
)
from plainfilm.evaluation.consistency import Consistency, consistency
from plainfilm.evaluation.drafting import draft_all, mixed_contexts
from plainfilm.evaluation.references import NAMES, NEAREST, reference_rows
from plainfilm.metrics import align, score
from plainfilm.metrics.breakdown import score_by
from plainfilm.metrics.error_table import ErrorTable, error_table
from plainfilm.metrics.files import ID_NAMES, RUN_FILE, SCORES_FILE, STUDIES_FILE, report_rows
from plainfilm.metrics.outputs import MOST_COMMON, OutputProfile, output_profile
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.registry import resolve
from plainfilm.pipeline import ReportModel

__all__ = ["MOST_COMMON", "NEAREST", "Evaluation", "evaluate", "save_predictions"]

CONSISTENCY_FILE, CONDITIONS_FILE = "consistency.json", "conditions.json"


@dataclass(frozen=True)
class Evaluation:
    """References, predictions and scores, by name of the table's row."""

    references: dict[str, str]
    """Study id → target text of the true report."""
    predictions: dict[str, dict[str, str]]
    """Row → study id → text."""
    scores: dict[str, dict[str, Score]]
    """Row → metric → score, including each report's value."""
    errors: dict[str, ErrorTable]
    """Row → errors of each report."""
    error_shares: dict[str, dict[str, Score]]
    """Row → kind of error → share of reports."""
    outputs: dict[str, OutputProfile]
    """Row → duplicates, repetition and length."""
    reports: dict[str, Report]
    """The model's reports by study id, with statements, probabilities and warnings."""
    studies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Study id → columns by which scores can be broken down: institution, view, sex, whether there
    is an earlier study."""
    groups: dict[str, dict[str, dict[str, Score]]] = field(default_factory=dict)
    """Row → group → metric → score, if a breakdown was requested."""
    conditions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Condition → ``observations``, what it changed by observation; of ``moved-value`` also
    ``values``, by the value that moved and where it went."""
    consistency: Consistency | None = None
    """How the model's classifier and its text agree, where it classifies."""
    notes: tuple[str, ...] = ()
    """Notes on what is missing from the table, and why."""

    def save(self, folder: Path) -> None:
        """Write everything but the model's reports into ``folder``.

        ``predictions.jsonl`` has one line per study: its id, the reference, the text of each row;
        ``per_report.jsonl`` one line per study and row, with the report's values;
        ``studies.jsonl`` one line per study, with the columns by which scores can be broken down;
        ``scores.json``, ``errors.json`` and ``outputs.json`` are objects by row. Where there is
        something to tell, ``consistency.json`` and ``conditions.json`` hold it.
        """
        save_predictions(folder, self.references, self.predictions)
        lines = (
            json.dumps({"study_id": key} | values, ensure_ascii=False) + "\n"
            for key, values in self.studies.items()
        )
        write_atomically(folder / STUDIES_FILE, "".join(lines))
        scores = {
            row: {
                name: value.model_copy(update={"reports": ()}).to_dict()
                for name, value in values.items()
            }
            for row, values in self.scores.items()
        }
        errors = {row: found.to_dict(self.error_shares[row]) for row, found in self.errors.items()}
        outputs = {row: profile.to_dict() for row, profile in self.outputs.items()}
        agreed = None if self.consistency is None else self.consistency.to_dict()
        for name, values in (
            ("errors.json", errors),
            ("outputs.json", outputs),
            (CONSISTENCY_FILE, agreed),
            (CONDITIONS_FILE, self.conditions),
        ):
            if values:
                write_atomically(folder / name, json.dumps(values, indent=1))
        write_atomically(folder / "per_report.jsonl", "".join(self._per_report()))
        # Written last, since tables recognise a scored run by this file.
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
    """Write ``predictions.jsonl`` into ``folder``, one line per study."""
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
    conditions: Sequence[str] = (),
    by: str | None = None,
    output: Path | None = None,
    progress: bool = True,
) -> Evaluation:
    """Draft a report for every study of ``split``, and score the drafts beside baseline rows.

    Under torchrun the processes share the drafting; only the first one scores and writes, and the
    others return the drafts.

    Args:
        model: the model.
        dataset: a prepared dataset.
        split: the split to score.
        limit: maximum number of studies, taken from the beginning.
        metrics: names of metrics; default: the default set.
        policy: how an uncertain mention counts in label metrics.
        models: as for :func:`plainfilm.score`.
        training: the dataset whose training split feeds the rows without a model, where it is not
            ``dataset``.
        templates: whether to add the rows without a model.
        conditions: under which every study is drafted once more
            (:data:`plainfilm.evaluation.conditions.CONDITIONS`).
        by: what scores are broken down by: ``institution``, ``view``, ``prior``, or a column of the
            studies' tables.
        output: a folder, where everything is saved: the drafts before they are scored.
        progress: whether to show a progress bar.

    Raises:
        InputError: the split or the training split of ``training`` is empty, or there is no column
            ``by``.
        MetricError: a metric is unknown, or needs something that is missing; raised before
            drafting.
    """
    options: dict[str, Any] = {
        "policy": policy,
        "models": models,
        "language": dataset.card.language,
    }
    target = model.card.target
    rows, source, known = _studies(model, dataset, split, limit, training)
    unknown = [one for one in conditions if one not in CONDITIONS]
    if unknown:
        raise InputError(f"no condition {', '.join(unknown)}: choose from {', '.join(CONDITIONS)}")
    if "agreement" in conditions and not model.family.ranks_beams(model.model):
        raise InputError(
            f"{model.card.name} has no classification head whose agreement could rank its beams: "
            "leave the condition agreement out"
        )
    columns = {row.study_id: _columns(row, by) for row in rows}
    if by is not None and not any(by in values for values in columns.values()):
        there = sorted({name for values in columns.values() for name in values})
        raise InputError(
            f"{dataset.path}: no column {by!r} to break scores down by: choose from "
            f"{', '.join(there)}, or a name of the studies' tables"
        )
    # Score one pair before hours of drafting, so that a metric that can't be computed fails now.
    score(["No effusion."], ["No effusion."], metrics, **options)
    references = {row.study_id: target_report(row, target).text for row in rows}

    def study(index: int) -> Study:
        found = dataset.study(rows[index], derived=model.family.reads(model.processor))
        return found.model_copy(update={"report": None})

    name = model.card.name

    def drafts(change: Callable[[int], Study], **generation: Any) -> dict[str, Report]:
        drafted = draft_all(model, change, len(rows), progress=progress, **generation)
        return {row.study_id: report for row, report in zip(rows, drafted, strict=True)}

    reports = drafts(study)
    predictions = {name: {key: report.text for key, report in reports.items()}}
    given = mixed_contexts([row.study_id for row in rows], [row.patient_id for row in rows])
    tables = {row.study_id: row.table for row in rows} if "moved-value" in conditions else {}
    mover = Mover(list(tables.values()))
    told: dict[str, dict[str, Any]] = {}
    for condition in conditions:

        def changed(index: int, condition: str = condition) -> Study:
            own = study(index)
            other = study(given[index]) if condition.startswith("other-") else own
            return changed_study(condition, own, other, mover)

        after = drafts(changed, **DECODING.get(condition, {}))
        predictions[f"{name}, {CONDITIONS[condition]}"] = {
            key: report.text for key, report in after.items()
        }
        language = dataset.card.language
        told[condition] = {"observations": changes(reports, after, language)}
        if condition == "moved-value":
            found = {key: mover.move(key, table) for key, table in tables.items()}
            moves = {key: moved[1] for key, moved in found.items() if moved is not None}
            told[condition]["values"] = by_value(moves, reports, after, language)
    if processes()[0] > 0:
        return Evaluation(references, predictions, {}, {}, {}, {}, reports)
    if output is not None:
        save_predictions(output, references, predictions)
    notes = _left_out(dataset.split(split)[:], target)
    if known and templates:
        predictions |= reference_rows(dataset, rows, source, known, target, progress=progress)
    elif templates:
        notes += (
            f"no rows {MOST_COMMON!r} and {NEAREST!r}: {dataset.path} has no training split; "
            "name a dataset that has one (--training)",
        )
    result = _scored(references, predictions, metrics, reports, notes, options, split, target)
    groups = {} if by is None else _grouped(result, metrics, options, columns, by)
    pairs = align(references, predictions[name], section=target, split=split, **options)
    agreed = consistency(pairs, [reports[key] for key in references])
    result = replace(result, studies=columns, groups=groups, conditions=told, consistency=agreed)
    if output is not None:
        result.save(output)
    return result


def _left_out(rows: Sequence[Row], target: str) -> tuple[str, ...]:
    """Return notes on how many studies of a split can't be scored, and why."""
    seen = readable(rows)
    blind, empty = len(rows) - len(seen), len(seen) - len(teachable(seen, target))
    notes = []
    if blind:
        notes.append(f"{blind} studies without a frontal film are left out")
    if empty:
        what = target.replace("+", " or ")
        notes.append(f"{empty} studies whose report has no {what} are left out")
    return tuple(notes)


def _columns(row: Row, by: str | None) -> dict[str, Any]:
    """Return the columns by which a study's scores can be broken down."""
    found: dict[str, Any] = {
        "institution": row.institution,
        "view": row.views[frontal_index(row)],
        "prior": "with an earlier study" if row.prior_study_id else "without",
    }
    for name in ("sex", by):
        if name is not None and name in row.table and name not in found:
            found[name] = row.table[name]
    return found


def _with_tables(model: ReportModel, dataset: Dataset, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows with the clinical tables that the model reads, where these lie beside."""
    from plainfilm.data.derived import Derived

    reads = model.family.reads(model.processor)
    source = next((one for one in reads if one.startswith("tables/")), None)
    if source is None:
        return rows
    kept = Derived(dataset.path, source)
    return [replace(row, table=kept.clinical(row.study_id)) for row in rows]


def _grouped(
    result: Evaluation,
    metrics: Sequence[str] | None,
    options: dict[str, Any],
    columns: Mapping[str, Mapping[str, Any]],
    by: str,
) -> dict[str, dict[str, dict[str, Score]]]:
    values = [columns[key].get(by) for key in result.references]
    chosen = resolve(metrics)
    return {
        name: score_by(align(result.references, texts, **options), chosen, values, intervals=True)
        for name, texts in result.predictions.items()
    }


def _studies(
    model: ReportModel, dataset: Dataset, split: str, limit: int | None, training: Dataset | None
) -> tuple[Sequence[Row], Dataset, Sequence[Row]]:
    """Return the studies to draft, and the dataset and training studies for the baselines."""
    target = model.card.target
    rows = teachable(dataset.split(split), target)[:limit]
    source = training or dataset
    known = teachable(source.split("train"), target)
    if not rows:
        raise InputError(
            f"{dataset.path} has no studies with a frontal film and {target.replace('+', ' or ')} "
            f"in its {split} split"
        )
    if training is not None and not known:
        raise InputError(f"{training.path} has no studies in its train split")
    if model.card.name in (*ID_NAMES, "reference", *NAMES):
        raise InputError(
            f"a model cannot be called {model.card.name!r}, which names another column of "
            f"{RUN_FILE}: change the name in its card.json"
        )
    return _with_tables(model, dataset, rows), source, _with_tables(model, source, known)


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
    """Return the evaluation of every row; each text is read only once for the error tables."""
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
