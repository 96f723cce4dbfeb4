"""Reading published files: CSV and JSON, folders, and publishers' words for views and values."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from plainfilm.core import DatasetError, View, errors_as

_BLOCK = 16 * 2**20
"""Bytes of a CSV file read at once; lines must be shorter."""
_HEADER = 2**16

_VIEWS: Mapping[View, frozenset[str]] = {
    View.PA: frozenset({"PA", "PA LLD", "PA RLD", "POSTEROANTERIOR", "POSTERO ANTERIOR"}),
    View.AP: frozenset({"AP", "AP AXIAL", "AP LLD", "AP RLD", "AP HORIZONTAL", "ANTEROPOSTERIOR",
                        "ANTERO POSTERIOR"}),
    View.LATERAL: frozenset({"LATERAL", "LL", "RL", "L", "LAT", "LLAT", "RLAT", "XTABLE LATERAL",
                             "LEFT LATERAL", "RIGHT LATERAL"}),
    View.OBLIQUE: frozenset({"LAO", "RAO", "LPO", "RPO", "OBLIQUE", "LEFT OBLIQUE",
                             "RIGHT OBLIQUE"}),
}  # fmt: skip
_STATUS = {"1": "present", "0": "absent", "-1": "uncertain", "": None, "nan": None, "none": None}


def view_of(text: str | None) -> View | None:
    """Return the view for a collection's word; None if the word is not a view."""
    word = " ".join((text or "").upper().replace("_", " ").replace("-", " ").split())
    return next((view for view, words in _VIEWS.items() if word in words), None)


def statuses(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return name → present, absent or uncertain from CheXpert's 1, 0, -1, omitting blank ones.

    Raises:
        DatasetError: a value is none of these.
    """
    found = {}
    for name in names:
        text = str("" if values.get(name) is None else values[name]).strip().lower()
        text = text.removesuffix(".0")
        if text not in _STATUS:
            raise DatasetError(f"label {name} must be 1, 0, -1 or blank, got {values[name]!r}")
        status = _STATUS[text]
        if status is not None:
            found[name] = status
    return found


def find_file(folders: Sequence[Path], patterns: Sequence[str], expected: str) -> Path:
    """Return a file in ``folders`` that matches one of the patterns, tried in order.

    The name may end in ``.gz``. Of several matches, the last by name is returned: the newest
    version.

    Raises:
        DatasetError: a folder or the file is missing; the message says what was ``expected``.
    """
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(f"{folder}: is no folder; expected {expected}")
    for pattern in patterns:
        for folder in folders:
            found = sorted(folder.glob(pattern)) or sorted(folder.glob(f"{pattern}.gz"))
            if found:
                return found[-1]
    names = " or ".join(patterns)
    raise DatasetError(f"{', '.join(map(str, folders))}: no {names} (or .gz); expected {expected}")


def _header(path: Path) -> list[str]:
    with errors_as(DatasetError, f"{path}: cannot be read as CSV", "get it again"):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            line = file.readline(_HEADER)
        columns: list[str] = pyarrow.csv.read_csv(
            pa.BufferReader(line.rstrip(b"\r\n") + b"\n")
        ).column_names
        return columns


def check_columns(path: Path, wanted: Iterable[str], expected: str) -> list[str]:
    """Return a CSV file's columns.

    Raises:
        DatasetError: the file can't be read or lacks a ``wanted`` column; the message says what was
            ``expected``.
    """
    columns = _header(path)
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DatasetError(
            f"{path}: lacks the columns {', '.join(missing)} (it has {', '.join(columns[:12])}"
            f"{' …' if len(columns) > 12 else ''}); expected {expected}"
        )
    return columns


def csv_batches(
    path: Path,
    columns: Sequence[str],
    expected: str,
    *,
    optional: Sequence[str] = (),
    types: Mapping[str, pa.DataType] | None = None,
    multiline: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield a CSV file's rows, some megabytes at a time; blank cells are empty texts.

    Args:
        path: the file; ``.gz`` is decompressed.
        columns: required columns to read.
        expected: description of the file, for the message.
        optional: columns that are read if they exist.
        types: types of columns that are not texts.
        multiline: whether texts may contain line breaks.

    Raises:
        DatasetError: the file can't be read or lacks a column.
    """
    there = check_columns(path, columns, expected)
    names = [*columns, *(name for name in optional if name in there)]
    told = dict.fromkeys(names, pa.string()) | dict(types or {})
    with errors_as(DatasetError, f"{path}: cannot be read as CSV", f"expected {expected}"):
        reader = pyarrow.csv.open_csv(
            path,
            pyarrow.csv.ReadOptions(block_size=_BLOCK),
            pyarrow.csv.ParseOptions(newlines_in_values=multiline),
            pyarrow.csv.ConvertOptions(include_columns=names, column_types=told),
        )
        with reader:
            yield from reader


def csv_table(path: Path, columns: Sequence[str], expected: str, **options: Any) -> pa.Table:
    """Return all batches of :func:`csv_batches` as one table."""
    batches = list(csv_batches(path, columns, expected, **options))
    if not batches:
        raise DatasetError(f"{path}: has no line below its header; expected {expected}")
    return pa.Table.from_batches(batches)


def csv_rows(
    path: Path, columns: Sequence[str], expected: str, **options: Any
) -> Iterator[dict[str, Any]]:
    """Yield a CSV file's rows as dictionaries; see :func:`csv_batches`."""
    for batch in csv_batches(path, columns, expected, **options):
        yield from batch.to_pylist()


def read_json(path: Path, expected: str) -> Any:
    """Return the content of a JSON file.

    Raises:
        DatasetError: the file is missing or not JSON; the message says what was ``expected``.
    """
    with errors_as(DatasetError, f"{path}: cannot be read as JSON", f"expected {expected}"):
        return json.loads(path.read_bytes())


def json_lines(path: Path, expected: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file with one JSON object per line."""
    with (
        errors_as(DatasetError, f"{path}: cannot be read as JSON lines", f"expected {expected}"),
        path.open("rb") as file,
    ):
        for line in file:
            if line.strip():
                values = json.loads(line)
                if not isinstance(values, dict):
                    raise ValueError("a line is no object")
                yield values


def one_spaced(text: Any) -> str:
    """Return a text with single spaces; empty for non-texts, ``nan`` and ``None``."""
    words = " ".join(str("" if text is None else text).split())
    return "" if words.lower() in ("nan", "none", "null") else words


def number_of(text: Any) -> float | None:
    """Return a text as a number; None if it is not one."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def groups_of(table: pa.Table, column: str) -> Iterator[list[dict[str, Any]]]:
    """Yield groups of consecutive rows with the same value in ``column``."""
    rows: list[dict[str, Any]] = []
    for batch in table.to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            if rows and row[column] != rows[0][column]:
                yield rows
                rows = []
            rows.append(row)
    if rows:
        yield rows


def age_of(text: Any) -> float | None:
    """Return years from a DICOM age (``045Y``, ``006M``, ``010D``) or a number of years."""
    words = str("" if text is None else text).strip().upper()
    units = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
    number = number_of(words[:-1] if words[-1:] in units else words)
    years = None if number is None else number * units.get(words[-1:], 1.0)
    return years if years is None or 0 <= years <= 120 else None


def sex_of(text: Any) -> str | None:
    """Return M or F from a source's word (``F``, ``Female``); None for any other."""
    letter = str("" if text is None else text).strip()[:1].upper()
    return letter if letter in ("M", "F") else None


def in_order(table: pa.Table, patient: str, when: str, study: str, film: str) -> pa.Table:
    """Return a table of films sorted by patient, the study's earliest time, study and film.

    A study's films stay together, even if their times differ.

    Args:
        table: one film per row.
        patient: name of the column of patients.
        when: column of sortable times.
        study: column of studies.
        film: column of films.
    """
    first = table.select([study, when]).group_by(study).aggregate([(when, "min")])
    first = first.rename_columns({f"{when}_min": "earliest"})
    order = [(name, "ascending") for name in dict.fromkeys((patient, "earliest", study, film))]
    return table.join(first, study).sort_by(order)
