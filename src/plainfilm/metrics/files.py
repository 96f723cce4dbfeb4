"""Reports from plain files and into them: text, CSV, JSON lines, JSON, and ReXrank's JSON.

``.txt`` holds one report a line, and its order is what pairs it. The other forms hold an id and a
text for each report. One file may hold both sides (ReXrank's does, where ``model_prediction``
stands beside the reference's sections), or several systems: the ``predictions.jsonl`` that
``plainfilm evaluate --output`` writes has a key for each row of its table.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from plainfilm.core import InputError, PlainfilmError, Score, write_atomically

Side = Literal["references", "predictions"]
Reports = list[str] | dict[str, str]
"""Texts in order (of a ``.txt``), or by id."""
Entries = list[tuple[str, Any]]
"""What a file holds, each with its place for messages."""

RUN_FILE = "predictions.jsonl"
"""The file of a run folder that holds the references and the reports of every row."""
SCORES_FILE = "scores.json"
"""The file of a run folder that holds the scores of every row."""

ID_NAMES = ("id", "study_id", "study", "uid")
_TEXT_NAMES: dict[Side, tuple[str, ...]] = {
    "references": ("reference", "text", "report"),
    "predictions": ("prediction", "model_prediction", "text", "report"),
}
"""The keys under which a text may stand, in order of preference."""
_SECTIONS = {"Findings": ("section_findings", "findings"),
             "Impression": ("section_impression", "impression")}  # fmt: skip
_SUFFIXES = (".txt", ".csv", ".jsonl", ".json")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_reports(path: Path, side: Side, *, row: str | None = None) -> Reports:
    """Return the reports of a file: a list from ``.txt``, otherwise a mapping of id to text.

    Args:
        path: the file, or a run folder.
        side: which texts are asked for, where the file holds both.
        row: the key under which the predictions stand, where the file holds several systems; the
            first one where left out.

    Raises:
        InputError: the file is missing, of another kind, empty, not UTF-8, malformed, lacks an id,
            a text or the row, or holds an id twice.
    """
    path = _file(path)
    if path.suffix.lower() == ".txt":
        if row is not None:
            raise InputError(f"{path}: a .txt file has no row {row!r}: it holds one report a line")
        return _read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    return _collect(_entries(path), path, side, row)


def _file(path: Path) -> Path:
    """Return the file that holds the reports: of a run folder, its predictions."""
    path = path / RUN_FILE if path.is_dir() else path
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: expected a file of {', '.join(_SUFFIXES)}, got {path.suffix!r}")
    return path


def _entries(path: Path) -> Entries:
    read = {".csv": _read_csv, ".jsonl": _read_json_lines, ".json": _read_json}
    entries = read[path.suffix.lower()](_read_text(path), path)
    if not entries:
        raise InputError(f"{path}: holds no report: give at least one")
    return entries


def read_pairs(
    references: Path, predictions: Path | None = None, *, row: str | None = None
) -> tuple[Reports, Reports]:
    """Return the references and the predictions of two files, or of one that holds both.

    Args:
        references: a file, or a run folder.
        predictions: the other file; None where the first holds both sides.
        row: as for :func:`read_reports`.

    Raises:
        InputError: as for :func:`read_reports`; or one ``.txt`` file is given for both sides.
    """
    if predictions is None and references.suffix.lower() == ".txt":
        raise InputError(
            f"{references}: a .txt file holds one side only: give the predictions' file as well, "
            f"or a run folder, CSV or JSON with both"
        )
    return (
        read_reports(references, "references"),
        read_reports(predictions or references, "predictions", row=row),
    )


def read_systems(
    references: Path, predictions: Path | None = None, *, row: str | None = None
) -> tuple[Reports, dict[str, Reports]]:
    """Return the references, and the predictions of each system by its name.

    Arguments and errors as for :func:`read_pairs`. A run folder, or its file, holds several systems
    unless ``row`` names one; anything else holds one, called "predictions".
    """
    if predictions is None and row is None and references.suffix.lower() != ".txt":
        found = read_reports(references, "references")
        rows = _systems(_entries(_file(references))[0][1])
        if rows:
            return found, {name: read_reports(references, "predictions", row=name) for name in rows}
    found, said = read_pairs(references, predictions, row=row)
    return found, {row or "predictions": said}


def read_scores(folder: Path) -> dict[str, dict[str, Score]]:
    """Return the scores that a run folder holds: row → metric → score.

    Raises:
        InputError: there is no ``scores.json``, or it is not as ``plainfilm evaluate`` writes it.
    """
    path = folder / SCORES_FILE
    stored = _parse(_read_text(path), path, "the file")
    try:
        return {
            row: {metric: Score.from_dict(value) for metric, value in scores.items()}
            for row, scores in stored.items()
        }
    except (AttributeError, PlainfilmError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: holds no scores of plainfilm evaluate: {reason}") from error


def read_run(path: Path, row: str | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the references and the predictions of one run, each by study id.

    Raises:
        InputError: as for :func:`read_pairs`.
    """
    return cast(tuple[dict[str, str], dict[str, str]], read_pairs(path, row=row))


def write_pairs(path: Path, references: Mapping[str, str], predictions: Mapping[str, str]) -> None:
    """Write both sides into one file that :func:`read_pairs` gives back.

    ``.csv`` and ``.jsonl`` hold id, reference and prediction. ``.json`` is ReXrank's form: an
    object of id to ``section_findings``, ``section_impression`` and ``model_prediction``; the
    reference as it is stands beside them as ``report``. A reference without a heading
    "Impression:" goes into ``section_findings`` whole.

    Raises:
        InputError: the file's name has another suffix, or it cannot be written.
    """
    if path.suffix.lower() == ".json":
        studies = {
            key: _rexrank_sections(text) | {"report": text, "model_prediction": predictions[key]}
            for key, text in references.items()
        }
        _write(path, json.dumps(studies, indent=1, ensure_ascii=False) + "\n")
        return
    rows = [
        {"id": key, "reference": text, "prediction": predictions[key]}
        for key, text in references.items()
    ]
    write_rows(path, rows)


def write_rows(path: Path, rows: Sequence[Mapping[str, str | float]]) -> None:
    """Write rows with the same keys as ``.csv`` or ``.jsonl``; NaN is left empty, or null.

    Raises:
        InputError: the file's name has another suffix, or it cannot be written.
    """
    cells = [
        {name: None if isinstance(cell, float) and math.isnan(cell) else cell
         for name, cell in row.items()}
        for row in rows
    ]  # fmt: skip
    if path.suffix.lower() == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in cells)
        _write(path, "".join(lines))
    elif path.suffix.lower() == ".csv":
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(cells)
        _write(path, table.getvalue())
    else:
        raise InputError(f"{path}: expected a file of .csv or .jsonl, got {path.suffix!r}")


def report_rows(
    system: str, ids: Iterable[str], scores: Mapping[str, Score], metrics: Sequence[str]
) -> list[dict[str, str | float]]:
    """Return a row for each report: its id, the system, and its own value of each metric.

    ``scores`` were made with ``per_report=True``; without, there is no row.
    """
    values = zip(*(scores[name].reports for name in metrics), strict=True)
    return [
        {"id": key, "system": system, **dict(zip(metrics, row, strict=True))}
        for key, row in zip(ids, values, strict=False)
    ]


def _write(path: Path, content: str) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _rexrank_sections(text: str) -> dict[str, str]:
    """Return the sections of "Findings: … Impression: …"; all is findings without headings."""
    findings, heading, impression = text.partition("Impression:")
    if not heading:
        impression = ""
    return {
        "section_findings": findings.strip().removeprefix("Findings:").strip(),
        "section_impression": impression.strip(),
    }


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        content = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        what = "UTF-16 text, not UTF-8" if raw.startswith(_UTF_16) else (
            f"not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x})"
        )  # fmt: skip
        raise InputError(f"{path}: {what}: save it as UTF-8") from error
    if not content or (not content.strip() and path.suffix.lower() != ".txt"):
        raise InputError(f"{path}: the file is empty: give at least one report")
    return content


def _read_csv(content: str, path: Path) -> Entries:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a report is as long as it is
    try:
        rows = list(csv.DictReader(io.StringIO(content, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not CSV: {error}") from error
    return [(f"row {number}", row) for number, row in enumerate(rows, 2)]


def _read_json_lines(content: str, path: Path) -> Entries:
    lines = [(f"line {n}", line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    return [(place, _parse(line, path, place)) for place, line in lines]


def _read_json(content: str, path: Path) -> Entries:
    value = _parse(content, path, "the file")
    if isinstance(value, list):
        return [(f"entry {number}", entry) for number, entry in enumerate(value, 1)]
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: expected an object of id to text, or a list of objects with id and text, "
            f"got {type(value).__name__}"
        )
    return [
        (f"id {key!r}", {"id": key, **(entry if isinstance(entry, dict) else {"text": entry})})
        for key, entry in value.items()
    ]


def _parse(text: str, path: Path, place: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{path}: {place} holds {twice!r} twice: give each id once")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: {place} is not JSON: {error.msg} ({error.pos})") from error
    except RecursionError as error:
        raise InputError(
            f"{path}: {place} is nested too deeply: expected an object of id to text, or a list of "
            f"objects with id and text"
        ) from error


def _collect(entries: Entries, path: Path, side: Side, row: str | None) -> dict[str, str]:
    """Return id → text of entries that hold both."""
    names = _names(entries[0][1], path, side, row)
    reports: dict[str, str] = {}
    for place, entry in entries:
        if not isinstance(entry, dict):
            raise InputError(f"{path}: {place} must be an object, got {type(entry).__name__}")
        key = next((entry[name] for name in ID_NAMES if entry.get(name) not in (None, "")), None)
        text = _text_of(entry, names)
        if key is None or text is None:
            missing, wanted = ("an id", ID_NAMES) if key is None else ("a text", names)
            had = ", ".join(str(name) for name in entry) or "nothing"
            raise InputError(
                f"{path}: {place} lacks {missing}: expected one of {', '.join(wanted)}, found {had}"
            )
        if str(key) in reports:
            raise InputError(f"{path}: {place} repeats the id {str(key)!r}: give each id once")
        reports[str(key)] = text
    return reports


def _names(first: Any, path: Path, side: Side, row: str | None) -> Iterable[str]:
    """Return the keys under which the texts stand, as the first entry shows."""
    if row is not None:
        keys = [str(name) for name in first if name not in (*ID_NAMES, "reference")]
        if row not in keys:
            raise InputError(f"{path}: no row {row!r}: choose from {', '.join(keys) or 'none'}")
        return (row,)
    systems = _systems(first) if side == "predictions" else []
    return systems[:1] or _TEXT_NAMES[side]


def _systems(first: Any) -> list[str]:
    """Return the names of the systems in an entry of a run: a reference and any other keys."""
    if not isinstance(first, dict) or "reference" not in first:
        return []
    if any(name in first for name in _TEXT_NAMES["predictions"]):
        return []
    return [str(name) for name in first if name not in (*ID_NAMES, "reference")]


def _text_of(entry: Mapping[str, Any], names: Iterable[str]) -> str | None:
    for name in names:
        if isinstance(entry.get(name), str):
            return str(entry[name])
    if names == _TEXT_NAMES["references"]:  # sections; ReXrank scores them with their headings
        sections = {
            heading: next((entry[name] for name in places if name in entry), None)
            for heading, places in _SECTIONS.items()
        }
        written = [f"{heading}: {text}" for heading, text in sections.items()
                   if isinstance(text, str) and text.strip()]  # fmt: skip
        named = any(name in entry for places in _SECTIONS.values() for name in places)
        return " ".join(written) if named else None
    return None
