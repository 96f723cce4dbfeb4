"""Formats of report files: text, CSV, JSON lines and JSON, read into entries of named cells.

The suffix determines the format, and a CSV's header its separator. The meaning of a cell
(an id, a reference, a prediction) is decided in :mod:`plainfilm.metrics.files`.
"""

import csv
import io
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from plainfilm.core import InputError, write_atomically
from plainfilm.core.spreadsheet import from_cell, to_cell

SUFFIXES = (".txt", ".csv", ".jsonl", ".json")
ID_NAMES = ("id", "study_id", "study", "uid")
"""Possible column names of an id, in order of preference."""

_SEPARATORS = (",", ";", "\t", "|")
_DECLARED = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""The first line with which spreadsheets declare the separator."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN = 6  # maximum number of column names in a message


class Entry(NamedTuple):
    """One entry of a file: a report, or several reports of one study."""

    place: str
    """Position of the entry, for messages: "row 3", "line 2", "id 'a'"."""
    cells: Mapping[str, Any]


def whole_characters(text: str) -> str:
    """Return ``text`` with lone surrogates (halves of a character) replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def read_entries(path: Path) -> list[Entry]:
    """Return the entries of a CSV, JSON or JSON lines file.

    Column names are stripped. The known ones (ids, references, predictions, sections) may contain
    capitals and spaces: "Study ID" is ``study_id``.

    Raises:
        InputError: the file is missing, of another format, empty or malformed; the message names
            the row, line or entry.
    """
    read = {".csv": _read_csv, ".jsonl": _read_json_lines, ".json": _read_json}
    entries = read[path.suffix.lower()](read_text(path), path)
    if not entries:
        raise InputError(f"{path}: holds no report: give at least one")
    return entries


def read_lines(path: Path) -> list[str]:
    """Return the reports of a ``.txt`` file, one per line.

    Raises:
        InputError: the file is missing, empty or not UTF-8.
    """
    return read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")


def check_suffix(path: Path) -> None:
    """Raise InputError if a file's name has no known suffix."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a file of {', '.join(SUFFIXES)}, got {path.suffix!r}")


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file, with or without a byte order mark.

    Raises:
        InputError: the file is missing, empty or not UTF-8.
    """
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


def parse_json(text: str, path: Path, place: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        InputError: the text is not JSON, is nested too deeply, or an object has a duplicate key.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{path}: {place} holds {twice!r} twice: give each id once")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: {place} is not JSON: {error.msg} ({error.pos})") from error
    except RecursionError as error:
        raise InputError(
            f"{path}: {place} is nested too deeply: expected an object of id to text, or a list of "
            f"objects with id and text"
        ) from error


def _read_json_lines(content: str, path: Path) -> list[Entry]:
    lines = [(f"line {n}", line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    return [_object(parse_json(line, path, place), path, place) for place, line in lines]


def _read_json(content: str, path: Path) -> list[Entry]:
    value = parse_json(content, path, "the file")
    if isinstance(value, list):
        return [_object(entry, path, f"entry {number}") for number, entry in enumerate(value, 1)]
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: expected an object of id to text, or a list of objects with id and text, "
            f"got {type(value).__name__}"
        )
    entries = []
    for key, entry in value.items():
        cells = entry if isinstance(entry, dict) else {"text": entry}
        others = {name: cell for name, cell in cells.items() if plain_name(name) != "id"}
        entries.append(_object({"id": key, **others}, path, f"id {key!r}"))
    return entries


def _object(value: Any, path: Path, place: str) -> Entry:
    if not isinstance(value, dict):
        raise InputError(f"{path}: {place} must be an object, got {type(value).__name__}")
    names = [plain_name(name) for name in value]
    _check_once(names, path, place)
    return Entry(place, dict(zip(names, value.values(), strict=True)))


def _read_csv(content: str, path: Path) -> list[Entry]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # do not limit the length of a report
    separator, table = _separator(content)
    try:
        records = list(csv.reader(io.StringIO(table, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not CSV: {error}") from error
    rows = [(number, record) for number, record in enumerate(records, 1) if record]
    while rows and not any(cell.strip() for cell in rows[-1][1]):  # empty rows of a spreadsheet
        rows.pop()
    if not rows:
        return []
    (number, header), *rows = rows
    names = [plain_name(from_cell(name)) for name in header]
    _check_once(names, path, f"row {number}")
    for number, record in rows:
        if len(record) != len(names):
            raise InputError(
                f"{path}: row {number} has {len(record)} cell{'s' * (len(record) != 1)}, and the "
                f"header has {len(names)} "
                f"({_shown(names)}): put a text that holds {_named(separator)} into double quotes"
            )
    return [
        Entry(f"row {number}", dict(zip(names, map(from_cell, record), strict=True)))
        for number, record in rows
    ]


def _separator(content: str) -> tuple[str, str]:
    """Return a CSV's separator, detected from its header, and its content without "sep="."""
    if declared := _DECLARED.match(content):
        return declared[1], content[declared.end() :]
    header = content.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")

    def names(separator: str) -> int:
        cells = [plain_name(cell.strip('" ')) for cell in header.split(separator)]
        return len(cells) if any(cell in ID_NAMES for cell in cells) else 0

    return max(_SEPARATORS, key=names), content


def _named(separator: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(separator, repr(separator))


def _check_once(names: Sequence[str], path: Path, place: str) -> None:
    """Raise an error if a non-empty name occurs twice."""
    if twice := [name for name in dict.fromkeys(names) if name and names.count(name) > 1]:
        raise InputError(
            f"{path}: {place} names {twice[0]!r} {names.count(twice[0])} times ({_shown(names)}): "
            "name each column once"
        )


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


KNOWN_NAMES = frozenset(
    (*ID_NAMES, "reference", "prediction", "model_prediction", "text", "report",
     "section_findings", "section_impression", "findings", "impression")
)  # fmt: skip
"""Column names with a known meaning."""


def plain_name(name: str) -> str:
    """Return a column's name without surrounding space; a known one in its standard spelling."""
    stripped = whole_characters(name).strip()
    known = re.sub(r"[\s\-]+", "_", stripped.lower())
    return known if known in KNOWN_NAMES else stripped


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as ``.csv`` or ``.jsonl``; NaN becomes empty, or null.

    Raises:
        InputError: the file's name has another suffix, or the file cannot be written.
    """
    cells = [
        {name: None if isinstance(cell, float) and math.isnan(cell) else cell
         for name, cell in row.items()}
        for row in rows
    ]  # fmt: skip
    if path.suffix.lower() == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in cells)
        write_content(path, "".join(lines))
    elif path.suffix.lower() == ".csv":
        table = io.StringIO(newline="")
        # csv quotes cells with its own line terminator, but not those with a carriage return, which
        # also ends a line.
        odd = any("\r" in str(cell) for row in cells for cell in row.values())
        writer = csv.DictWriter(
            table,
            list(rows[0]),
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC if odd else csv.QUOTE_MINIMAL,
        )
        writer.writerow({name: to_cell(name) for name in rows[0]})
        writer.writerows({name: to_cell(cell) for name, cell in row.items()} for row in cells)
        write_content(path, table.getvalue())
    else:
        raise InputError(f"{path}: expected a file of .csv or .jsonl, got {path.suffix!r}")


def write_content(path: Path, content: str) -> None:
    """Write a file atomically.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        write_atomically(path, whole_characters(content))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
