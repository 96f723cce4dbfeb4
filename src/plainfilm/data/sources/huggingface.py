"""Any folder of Hugging Face ``datasets``, given the meaning of its columns.

Layouts as written by ``datasets`` (https://huggingface.co/docs/datasets):

- ``save_to_disk``: ``dataset_dict.json`` and one folder per split, each with ``state.json`` and
  ``data-00000-of-00002.arrow`` and so on; or one such folder alone;
- a repository with Parquet files: ``data/train-00000-of-00001.parquet``, ``train/….parquet``, ….

Each row is a study. The films are a column of images (each ``{bytes, path}``), of lists of images,
or of paths relative to the folder. Files are read with pyarrow, one row group at a time; no script
of the repository is run.

Splits: train; validation, val, valid or dev; test. Without splits, by a hash of the patient's id.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plainfilm.core import DatasetError, ImageError, InputError, errors_as
from plainfilm.data.dataset import Dataset
from plainfilm.data.prepare import usable_id
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    prepare_collection,
)
from plainfilm.data.sources.files import number_of, one_spaced, view_of
from plainfilm.data.sources.sectioned import texts_of_report
from plainfilm.data.splits import split_of

FIELDS: Mapping[str, str] = {
    "image": "the film or films; required",
    "report": "the whole report, whose sections are looked for",
    "findings": "the FINDINGS section",
    "impression": "the IMPRESSION section",
    "indication": "why the film was taken",
    "comparison": "the earlier film that the report compares with",
    "technique": "how the film was taken",
    "patient_id": "whose film it is; without it each row is a patient",
    "study_id": "the row's number where left out",
    "view": "of the film, or a list",
    "institution": "where it was taken",
}
"""Fields that a column can be mapped to; in addition ``table.NAME`` for each clinical value."""

_TEXTS = ("findings", "impression", "indication", "comparison", "technique")
_TABLE = "table."
_SPLITS = {"train": "train", "validation": "validate", "validate": "validate", "valid": "validate",
           "val": "validate", "dev": "validate", "test": "test"}  # fmt: skip
_EXPECTED = "a folder that datasets.save_to_disk wrote, or one with Parquet files"
_ROWS = 256


def prepare_huggingface(
    source: Path,
    out: Path,
    *,
    columns: Mapping[str, str],
    licence: str = "not said",
    language: str = "en",
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare a folder of ``datasets`` into the dataset directory ``out``.

    Args:
        source: the folder.
        out: the dataset directory to create.
        columns: field (:data:`FIELDS`, ``table.NAME``) → name of the folder's column.
        licence: licence of the films and reports, for the card.
        language: language of the reports.
        options: options shared by all collections.

    Raises:
        InputError: a field is unknown, or no column is mapped to ``image``.
        DatasetError: the folder has another layout, or lacks a column.
    """
    entries = options.entries()
    unknown = [name for name in columns if name not in FIELDS and not name.startswith(_TABLE)]
    if unknown or "image" not in columns:
        raise InputError(
            f"columns must be named as some of {', '.join(FIELDS)}, {_TABLE}NAME, with image; "
            f"got {', '.join(unknown or columns) or 'none'}"
        )
    embedded = False
    number = 0
    for file, split in _files(source):
        name = file.relative_to(source).as_posix()
        for start, rows in _batches(file, columns):
            for at, row in enumerate(rows, start):
                films, inside = _films(name, at, row)
                embedded |= inside
                number += 1
                study_id = one_spaced(row.get("study_id")) or f"row-{number}"
                patient = one_spaced(row.get("patient_id")) or study_id
                if not usable_id(study_id):
                    raise DatasetError(f"{file}: study id {study_id[:60]!r} cannot be a file name")
                if not films:
                    entries.skip(patient, "no film in the row")
                    continue
                entries.add(
                    study_id,
                    Entry(
                        patient,
                        split or split_of(patient),
                        films,
                        texts=_texts(row, language),
                        institution=one_spaced(row.get("institution")) or None,
                        table={key.removeprefix(_TABLE): _clinical(value)
                               for key, value in row.items() if key.startswith(_TABLE)},
                    ),
                )  # fmt: skip
    collection = Collection(
        "huggingface",
        source,
        entries,
        {"columns": dict(sorted(columns.items()))},
        language=language,
        film_of=partial(_film, source, columns["image"]) if embedded else None,
        licence=licence,
    )
    return prepare_collection(out, collection, options)


def _files(folder: Path) -> list[tuple[Path, str | None]]:
    """Return the data files, each with its split."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is no folder; expected {_EXPECTED}")
    files = sorted(folder.rglob("*.arrow")) or sorted(folder.rglob("*.parquet"))
    files = [file for file in files if not file.name.startswith("cache-")]
    if not files:
        raise DatasetError(f"{folder}: holds no .arrow and no .parquet file; expected {_EXPECTED}")
    return [(file, _split(file.relative_to(folder))) for file in files]


def _split(file: Path) -> str | None:
    words = [*file.parts[:-1], file.name.partition("-")[0], file.stem]
    return next((_SPLITS[word.lower()] for word in words if word.lower() in _SPLITS), None)


def _batches(file: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield (index of the first row, rows by field), with True in place of embedded films."""
    with errors_as(DatasetError, f"{file}: cannot be read", f"expected {_EXPECTED}"):
        start = 0
        for batch in _read(file, columns):
            missing = [name for name in columns.values() if name not in batch.schema.names]
            if missing:
                raise DatasetError(
                    f"{file}: has no column {', '.join(missing)}; it has "
                    f"{', '.join(batch.schema.names)}"
                )
            told = {key: batch.column(name) for key, name in columns.items()}
            told["image"] = _without_bytes(told["image"])
            lists = {key: column.to_pylist() for key, column in told.items()}
            yield start, [dict(zip(lists, values, strict=True))
                          for values in zip(*lists.values(), strict=True)]  # fmt: skip
            start += batch.num_rows


def _read(file: Path, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as parquet:
            names = [name for name in columns.values() if name in parquet.schema_arrow.names]
            whole = names if len(names) == len(set(columns.values())) else None
            yield from parquet.iter_batches(_ROWS, columns=whole)
    else:
        yield from _arrow(file).to_batches(max_chunksize=_ROWS)


def _without_bytes(column: pa.Array) -> pa.Array:
    """Return the column with True in place of embedded films, to avoid creating Python objects."""
    kind = column.type
    if pa.types.is_struct(kind):
        return pa.array(column.field("bytes").is_valid())
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        flags = column.flatten().field("bytes").is_valid()
        counts = [len(films) if films is not None else 0 for films in column]
        ends = [sum(counts[:at]) for at in range(len(counts) + 1)]
        return pa.array([flags[a:b].to_pylist() for a, b in pairwise(ends)])
    return column


def _films(file: str, row_number: int, row: Mapping[str, Any]) -> tuple[tuple[Film, ...], bool]:
    """Return a row's films, and whether they are embedded in the file."""
    value = row["image"]
    films = value if isinstance(value, list) else [value]
    views = row.get("view")
    views = views if isinstance(views, list) else [views] * len(films)
    found, inside = [], False
    for at, (film, view) in enumerate(zip(films, views, strict=False)):
        known = view_of(str(view)) if view else None
        if isinstance(film, str):
            found.append(Film(film, known))
        elif film:
            inside = True
            found.append(Film(f"{file}#{row_number}#{at}", known))
    return tuple(found), inside


def _film(folder: Path, column: str, address: str) -> bytes:
    """Return an embedded film by its file, row and index within the row."""
    name, row, place = address.rsplit("#", 2)
    file, number = folder / name, int(row)
    with errors_as(ImageError, f"{file}: the film of row {row} cannot be read", "get it again"):
        if file.suffix == ".parquet":
            groups = _group_ends(file)
            group = int(np.searchsorted(groups, number, side="right"))
            number -= 0 if group == 0 else groups[group - 1]
            table = _row_group(file, group, column)
        else:
            table = _arrow(file)
        value = table.column(column)[number].as_py()
        film = value[int(place)] if isinstance(value, list) else value
        content: bytes = film["bytes"]
        return content


@lru_cache(maxsize=64)
def _group_ends(file: Path) -> list[int]:
    with pq.ParquetFile(file) as parquet:
        counts = [parquet.metadata.row_group(at).num_rows for at in range(parquet.num_row_groups)]
    return [int(end) for end in np.cumsum(counts)]


def _texts(row: Mapping[str, Any], language: str) -> dict[str, str]:
    texts = texts_of_report(str(row["report"]), language) if row.get("report") else {}
    own = {name: one_spaced(row[name]) for name in _TEXTS if row.get(name)}
    return texts | {name: text for name, text in own.items() if text}


def _clinical(value: Any) -> float | str | None:
    number = number_of(value)
    return number if number is not None else one_spaced(value) or None


@lru_cache(maxsize=2)
def _arrow(file: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()


@lru_cache(maxsize=2)
def _row_group(file: Path, number: int, column: str) -> pa.Table:
    with pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(number, columns=[column])
