"""References and predictions from plain files.

``.txt`` holds one report per line, paired by order. The other formats hold an id and a text for
each report. One file may hold both references and predictions (ReXrank's does, with
``model_prediction`` beside the reference's sections), or several systems: the ``predictions.jsonl``
that ``plainfilm evaluate --output`` writes has a key for each row of its table.

Which columns hold references and which predictions is decided once for a whole file, by their names
alone, and never entry by entry: an entry without its prediction lacks one, whatever else it holds.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from plainfilm.core import InputError, PlainfilmError, Score
from plainfilm.metrics.columns import Column, Source, are_sections
from plainfilm.metrics.formats import (
    ID_NAMES,
    check_suffix,
    parse_json,
    read_text,
    write_content,
    write_rows,
)
from plainfilm.metrics.sections import check_section, section_of

__all__ = [
    "ID_NAMES", "RUN_FILE", "SCORES_FILE", "STUDIES_FILE", "Missing", "ReportSet", "Reports",
    "Side", "read_column", "read_pairs", "read_report_set", "read_reports", "read_run",
    "read_scores", "read_systems", "report_rows", "write_pairs", "write_rows",
]  # fmt: skip

Side = Literal["references", "predictions"]
Missing = Literal["refuse", "empty"]
"""Treatment of an entry without its prediction: an error, or an empty report."""
Reports = list[str] | dict[str, str]
"""Texts in order (from a ``.txt``), or by id."""

RUN_FILE = "predictions.jsonl"
"""The file of a run folder that holds the references and the reports of every row."""
SCORES_FILE = "scores.json"
"""The file of a run folder that holds the scores of every row."""

STUDIES_FILE = "studies.jsonl"
"""The file of a run folder that describes its studies by id: institution, view and so on."""

_NAMED = 3  # maximum number of entries named in a message


@dataclass(frozen=True)
class ReportSet:
    """References, and the predictions of each system for the same studies."""

    references: Reports
    systems: dict[str, Reports]
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """The other columns of the references' file, each with a value for each reference."""
    notes: tuple[str, ...] = ()
    """Notes for the reader of the scores: which columns were used, and what was missing."""


def read_report_set(
    references: Path,
    predictions: Path | None = None,
    *,
    row: str | None = None,
    section: str | None = None,
    missing: Missing = "refuse",
    language: str = "en",
    beside: Sequence[str] = (),
) -> ReportSet:
    """Return the references and the predictions from two files, or from one that holds both.

    Args:
        references: a file, or a run folder.
        predictions: the other file; None if the first holds both.
        row: the column of the predictions; default: all systems that the file holds beside
            ``reference``.
        section: the section of every text to read: the column of that name, or the text under its
            heading; default: the whole text. Predictions without any heading are taken whole.
        missing: treatment of an entry without its prediction.
        language: language of the reports, for their headings.
        beside: columns that are not reports, and so are not taken as systems.

    Raises:
        InputError: a file is missing, of unknown format, empty, not UTF-8 or malformed; lacks an
            id, a text, the column or the section; has a duplicate id; or holds only references or
            only predictions.
    """
    check_section(section)
    truth = Source.read(_file(references))
    if predictions is None and truth.lines is not None:
        raise InputError(
            f"{truth.path}: a .txt file holds one side only: give the predictions' file as well, "
            f"or a run folder, CSV or JSON with both"
        )
    said = truth if predictions is None else Source.read(_file(predictions))
    columns = truth.reference_columns(section)
    systems = said.prediction_columns(
        row, section, beside=beside, references=columns if predictions is None else None
    )
    notes = [
        f"references: {truth.described([columns])}; predictions: {said.described(systems.values())}"
    ]
    one_text = columns in systems.values() or truth.lines is not None
    if one_text and truth.path.samefile(said.path):
        notes.append(f"{truth.path.name} is given for both sides: its texts are scored against "
                     "themselves")  # fmt: skip
    chosen = _Choice(section, language, missing, notes)
    found = chosen.select(truth, columns, "references")
    ids = list(found) if isinstance(found, dict) else []
    read = {name: chosen.select(said, one, "predictions", ids) for name, one in systems.items()}
    used = {name for one in (columns, *systems.values()) for column in one for name in column}
    return ReportSet(found, read, truth.others(used | {*ID_NAMES}), tuple(notes))


def read_reports(path: Path, side: Side, *, row: str | None = None) -> Reports:
    """Return the references or the predictions of a file: a list from ``.txt``, else id → text.

    Args:
        path: the file, or a run folder.
        side: which of the two to return, if the file holds both.
        row: the column of the predictions, if the file holds several systems; default: the first.

    Raises:
        InputError: as for :func:`read_report_set`.
    """
    source = Source.read(_file(path))
    if side == "references":
        columns = source.reference_columns(None)
    else:
        columns = next(iter(source.prediction_columns(row).values()))
    return _Choice().select(source, columns, side)


def read_pairs(
    references: Path, predictions: Path | None = None, *, row: str | None = None
) -> tuple[Reports, Reports]:
    """Return the references and the predictions of one system, by default the first.

    Arguments and errors as for :func:`read_report_set`.
    """
    found = read_report_set(references, predictions, row=row)
    return found.references, next(iter(found.systems.values()))


def read_systems(
    references: Path, predictions: Path | None = None, *, row: str | None = None
) -> tuple[Reports, dict[str, Reports]]:
    """Return the references, and the predictions of each system by its name.

    Arguments and errors as for :func:`read_report_set`.
    """
    found = read_report_set(references, predictions, row=row)
    return found.references, found.systems


def read_run(path: Path, row: str | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the references and the predictions of one run, each by study id.

    Raises:
        InputError: as for :func:`read_pairs`.
    """
    return cast(tuple[dict[str, str], dict[str, str]], read_pairs(path, row=row))


def read_column(path: Path, column: str, ids: Iterable[str]) -> list[Any]:
    """Return the values of a column for the given ids, from CSV, JSON or JSON lines.

    Raises:
        InputError: the file cannot be read, has no such column, or lacks an id.
    """
    source = Source.read(path)
    if column not in source.names:
        raise InputError(f"{path}: no column {column!r}: choose from {', '.join(source.names)}")
    values = {
        key: entry.cells.get(column)
        for entry, (_, key, _) in zip(source.entries, source.texts([]), strict=True)
    }
    ids = list(ids)
    if gone := [key for key in ids if key not in values]:
        raise InputError(f"{path}: lacks {len(gone)} of {len(ids)} studies: {_listed(gone)}")
    return [values[key] for key in ids]


def read_scores(folder: Path) -> dict[str, dict[str, Score]]:
    """Return the scores in a run folder: row → metric → score.

    Raises:
        InputError: there is no ``scores.json``, or ``plainfilm evaluate`` did not write it.
    """
    path = folder / SCORES_FILE
    stored = parse_json(read_text(path), path, "the file")
    try:
        return {
            row: {metric: Score.from_dict(value) for metric, value in scores.items()}
            for row, scores in stored.items()
        }
    except (AttributeError, PlainfilmError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: holds no scores of plainfilm evaluate: {reason}") from error


def write_pairs(path: Path, references: Mapping[str, str], predictions: Mapping[str, str]) -> None:
    """Write references and predictions into one file that :func:`read_pairs` reads back.

    ``.csv`` and ``.jsonl`` hold id, reference and prediction. ``.json`` is ReXrank's format: an
    object of id to ``section_findings``, ``section_impression`` and ``model_prediction``, with the
    unchanged reference as ``report``. A reference without the heading "Impression:" goes entirely
    into ``section_findings``.

    Raises:
        InputError: the file's name has another suffix, or the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        studies = {
            key: _rexrank_sections(text) | {"report": text, "model_prediction": predictions[key]}
            for key, text in references.items()
        }
        write_content(path, json.dumps(studies, indent=1, ensure_ascii=False) + "\n")
        return
    rows = [
        {"id": key, "reference": text, "prediction": predictions[key]}
        for key, text in references.items()
    ]
    write_rows(path, rows)


def report_rows(
    system: str, ids: Iterable[str], scores: Mapping[str, Score], metrics: Sequence[str]
) -> list[dict[str, str | float]]:
    """Return a row for each report: its id, the system, and the report's value of each metric.

    ``scores`` must have been made with ``per_report=True``; otherwise there are no rows.
    """
    values = zip(*(scores[name].reports for name in metrics), strict=True)
    return [
        {"id": key, "system": system, **dict(zip(metrics, row, strict=True))}
        for key, row in zip(ids, values, strict=False)
    ]


def _file(path: Path) -> Path:
    """Return the file with the reports: for a run folder, its predictions file."""
    path = path / RUN_FILE if path.is_dir() else path
    check_suffix(path)
    return path


@dataclass(frozen=True)
class _Choice:
    """Which section to read from each text, and how to treat a missing one."""

    section: str | None = None
    language: str = "en"
    missing: Missing = "refuse"
    notes: list[str] = field(default_factory=list)
    """Collects notes about anything unexpected."""

    def select(
        self, source: Source, columns: Sequence[Column], side: Side, ids: Sequence[str] = ()
    ) -> Reports:
        """Return the references or the predictions; ``ids`` are those of the other."""
        found: list[tuple[str, str, str | None]]
        if source.lines is not None:
            found = [(f"line {n}", str(n), line) for n, line in enumerate(source.lines, 1)]
        else:
            found = list(source.texts(columns))
        by_column = self.section is not None and are_sections(columns, self.section)
        texts: dict[str, str | None] = {}
        for place, key, text in found:
            if self.section is not None and text is not None and not by_column:
                text = section_of(
                    text, self.section, self.language, required=side == "references",
                    where=f"{source.path}: {_named(place, key)}",
                )  # fmt: skip
            if by_column and side == "references" and not (text or "").strip():
                text = None  # a report without that section
            texts[key] = text
        if gone := [_named(place, key) for place, key, _ in found if texts[key] is None]:
            self._complain(source, columns, side, gone)
        if self.missing == "empty" and side == "predictions" and source.lines is None:
            texts |= dict.fromkeys(key for key in ids if key not in texts)
        if empty := [key for key, text in texts.items() if text is None]:
            self.notes.append(
                f"{len(empty)} of {len(texts)} predictions are missing, and scored as empty: "
                f"{_listed(empty)}"
            )
        whole = {key: text or "" for key, text in texts.items()}
        if blank := [key for key, text in texts.items() if text is not None and not text.strip()]:
            self.notes.append(f"{len(blank)} of {len(texts)} {side} are empty: {_listed(blank)}")
        return list(whole.values()) if source.lines is not None else whole

    def _complain(
        self, source: Source, columns: Sequence[Column], side: Side, gone: Sequence[str]
    ) -> None:
        """Raise an error that names the entries without a text, unless they count as empty."""
        if side == "predictions" and self.missing == "empty":
            return
        one = side.removesuffix("s")
        names = " or ".join(repr(name) for column in columns for name in column)
        where = f"under {names}" if names else f"with a section {self.section!r}"
        cure = ", or score it as empty (--missing empty)" if side == "predictions" else ""
        total = len(source.lines if source.lines is not None else source.entries)
        which = (
            f"{gone[0]} lacks"
            if len(gone) == 1
            else f"{len(gone)} of {total} entries ({_listed(gone)}) lack"
        )
        raise InputError(
            f"{source.path}: {which} a {one} {where}: give a text in every entry{cure}"
        )


def _named(place: str, key: str) -> str:
    """Return an entry's position and id, without repeating the id."""
    return place if place.startswith("id ") else f"{place} (id {key!r})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + ("…" if len(names) > _NAMED else "")


def _rexrank_sections(text: str) -> dict[str, str]:
    """Return the sections of "Findings: … Impression: …"; without headings, all is findings."""
    findings, heading, impression = text.partition("Impression:")
    if not heading:
        impression = ""
    return {
        "section_findings": findings.strip().removeprefix("Findings:").strip(),
        "section_impression": impression.strip(),
    }
