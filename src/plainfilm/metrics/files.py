"""Reports from plain files: text, CSV, JSON lines, JSON, and ReXrank's JSON.

``.txt`` holds one report a line, and its order is what pairs it. The other forms hold an id and a
text for each report. One file may hold both sides, so what is read depends on the side that is
asked for (as in ReXrank's, where ``model_prediction`` stands beside the reference's sections).
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from plainfilm.core import InputError

Side = Literal["references", "predictions"]
Names = tuple[str, ...]
"""The keys under which a text may stand, in order of preference."""

_ID_NAMES = ("id", "study_id", "study", "uid")
_TEXT_NAMES: dict[Side, Names] = {
    "references": ("reference", "text", "report"),
    "predictions": ("prediction", "model_prediction", "text", "report"),
}
_SUFFIXES = (".txt", ".csv", ".jsonl", ".json")


def read_reports(path: Path, side: Side) -> list[str] | dict[str, str]:
    """Return the reports of a file: a list from ``.txt``, otherwise a mapping of id to text.

    Raises:
        InputError: the file is missing, of another kind, empty, not UTF-8, malformed, lacks an id
            or a text, or holds an id twice.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: expected a file of {', '.join(_SUFFIXES)}, got {path.suffix!r}")
    content = _read_text(path)
    if path.suffix.lower() == ".txt":
        return content.replace("\r\n", "\n").removesuffix("\n").split("\n")
    read = {".csv": _read_csv, ".jsonl": _read_json_lines, ".json": _read_json}
    return read[path.suffix.lower()](content, path, _TEXT_NAMES[side])


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x}): "
            f"save it as UTF-8"
        ) from error
    if not content.strip():
        raise InputError(f"{path}: the file is empty: give at least one report")
    return content


def read_run(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the references and the predictions of a run, each by study id.

    ``path`` is a folder that ``plainfilm evaluate --output`` wrote: its ``predictions.jsonl`` holds
    for each study the reference and then the model's report under the model's name. Or it is any
    file that :func:`read_reports` reads and that holds both sides.

    Raises:
        InputError: there is no such file, or it lacks a side.
    """
    if not path.is_dir():
        references, predictions = (
            read_reports(path, "references"),
            read_reports(path, "predictions"),
        )
        if isinstance(references, list) or isinstance(predictions, list):
            raise InputError(f"{path}: a run holds references too: give a folder, CSV or JSON")
        return references, predictions
    file = path / "predictions.jsonl"
    content = _read_text(file)
    model = next(
        (
            name
            for name in _parse(content.split("\n", 1)[0], file, "line 1")
            if name not in (*_ID_NAMES, "reference")
        ),
        None,
    )
    if model is None:
        raise InputError(f"{file}: line 1 holds no prediction beside the id and the reference")
    return (
        _read_json_lines(content, file, ("reference",)),
        _read_json_lines(content, file, (model,)),
    )


def _read_csv(content: str, path: Path, names: Names) -> dict[str, str]:
    try:
        rows = list(csv.DictReader(io.StringIO(content, newline=""), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not CSV: {error}") from error
    return _collect(((f"row {number}", row) for number, row in enumerate(rows, 2)), path, names)


def _read_json_lines(content: str, path: Path, names: Names) -> dict[str, str]:
    lines = [(f"line {n}", line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    return _collect(((place, _parse(line, path, place)) for place, line in lines), path, names)


def _read_json(content: str, path: Path, names: Names) -> dict[str, str]:
    value = _parse(content, path, "the file")
    if isinstance(value, list):
        entries = ((f"entry {number}", entry) for number, entry in enumerate(value, 1))
        return _collect(entries, path, names)
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: expected an object of id to text, or a list of objects with id and text, "
            f"got {type(value).__name__}"
        )
    return _collect(
        (
            (f"id {key!r}", {"id": key, **(entry if isinstance(entry, dict) else {"text": entry})})
            for key, entry in value.items()
        ),
        path,
        names,
    )


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


def _collect(entries: Iterable[tuple[str, Any]], path: Path, names: Names) -> dict[str, str]:
    """Return id → text of entries that hold both, each with its place for messages."""
    reports: dict[str, str] = {}
    for place, entry in entries:
        if not isinstance(entry, dict):
            raise InputError(f"{path}: {place} must be an object, got {type(entry).__name__}")
        key = next((entry[name] for name in _ID_NAMES if entry.get(name) not in (None, "")), None)
        text = _text_of(entry, names)
        if key is None or text is None:
            missing, wanted = ("an id", _ID_NAMES) if key is None else ("a text", names)
            had = ", ".join(str(name) for name in entry) or "nothing"
            raise InputError(
                f"{path}: {place} lacks {missing}: expected one of {', '.join(wanted)}, found {had}"
            )
        if str(key) in reports:
            raise InputError(f"{path}: {place} repeats the id {str(key)!r}: give each id once")
        reports[str(key)] = text
    return reports


def _text_of(entry: Mapping[str, Any], names: Names) -> str | None:
    for name in names:
        if isinstance(entry.get(name), str):
            return str(entry[name])
    if names == _TEXT_NAMES["references"]:  # sections; ReXrank scores them with their headings
        sections = {
            heading: entry.get(f"section_{heading.lower()}", entry.get(heading.lower()))
            for heading in ("Findings", "Impression")
        }
        written = [f"{heading}: {text}" for heading, text in sections.items()
                   if isinstance(text, str) and text.strip()]  # fmt: skip
        return " ".join(written) or None
    return None
