"""The one layout on disk that every source is prepared into.

    manifest.parquet   a row a study (see Row)
    card.json          what it is, from where, under which licence, how many, its fingerprint
    images/            the films, as the source has them
    masks/             where known: bits packed, a file a film
    structures/        where asked for: masks in the 212-class table, in the same way
    refused.jsonl      the studies that could not be made, a line each with the reason

A dataset directory appears whole or not at all (see ``prepare``), and is not changed afterwards.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from plainfilm.core import (
    DatasetError,
    Finding,
    Image,
    InputError,
    Provenance,
    Report,
    Study,
    View,
    Word,
    errors_as,
    one_line,
)
from plainfilm.data.films.reader import read_image
from plainfilm.data.masks import Mask, read_masks
from plainfilm.data.splits import SPLITS

_INSIDE = re.compile(r"[^/\\\x00-\x1f][^\\\x00-\x1f]*")
"""A relative path of the manifest; ``..`` is looked for besides."""
_MOST_ROWS = 20_000_000
"""Of a manifest; the largest public sets have a few hundred thousand studies."""
MANIFEST, CARD, REFUSED = "manifest.parquet", "card.json", "refused.jsonl"

SCHEMA = pa.schema(
    [
        pa.field("study_id", pa.string(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("institution", pa.string()),
        pa.field("images", pa.list_(pa.string()), nullable=False),
        pa.field("views", pa.list_(pa.string()), nullable=False),
        pa.field("indication", pa.string()),
        pa.field("comparison", pa.string()),
        pa.field("technique", pa.string()),
        pa.field("findings", pa.string(), nullable=False),
        pa.field("impression", pa.string(), nullable=False),
        pa.field("table", pa.string(), nullable=False),
        pa.field("statements", pa.string()),
        pa.field("masks", pa.string()),
        pa.field("prior_study_id", pa.string()),
        pa.field("truth", pa.string()),
        pa.field("measures", pa.string()),
        pa.field("structures", pa.string()),
        pa.field("lateral_masks", pa.string()),
        pa.field("style", pa.string()),
    ]
)
"""Columns of the manifest; ``table``, ``statements``, ``truth`` and ``measures`` are JSON."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A study in the manifest; paths are relative to the dataset directory."""

    study_id: str
    patient_id: str
    split: str
    images: tuple[str, ...]
    views: tuple[str, ...]
    findings: str = ""
    impression: str = ""
    institution: str | None = None
    indication: str | None = None
    comparison: str | None = None
    technique: str | None = None
    table: Mapping[str, float | str | None] = field(default_factory=dict)
    statements: tuple[Finding, ...] | None = None
    """What the report says, where it is known apart from the text."""
    masks: str | None = None
    """File of the frontal film's masks."""
    prior_study_id: str | None = None
    truth: tuple[Finding, ...] | None = None
    """What the film shows, said or not, where that is known (the phantom)."""
    measures: Mapping[str, float] | None = None
    """Name, with side and unit, to the true size, where that is known."""
    structures: str | None = None
    """File of masks in the 212 classes of ``plainfilm.core.classes``, on the frontal film."""
    lateral_masks: str | None = None
    """File of the lateral film's masks."""
    style: str | None = None
    """How the institution reports, in words for a prompt."""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise DatasetError(
                f"study {self.study_id}: split must be one of {', '.join(SPLITS)}, "
                f"got {self.split!r}"
            )
        if not self.images or len(self.views) != len(self.images):
            raise DatasetError(
                f"study {self.study_id}: expected one view for each of at least one image, got "
                f"{len(self.images)} images and {len(self.views)} views"
            )
        for file in files_of(self):
            if not _INSIDE.fullmatch(file) or ".." in file.split("/"):
                raise DatasetError(
                    f"study {self.study_id}: {file[:60]!r} is no file inside the dataset directory"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the manifest's columns."""
        values = {name: getattr(self, name) for name in SCHEMA.names}
        values["images"], values["views"] = list(self.images), list(self.views)
        values["table"] = json.dumps(dict(self.table), ensure_ascii=False)
        for name in ("statements", "truth"):
            if values[name] is not None:
                findings = [finding.to_dict() for finding in values[name]]
                values[name] = json.dumps(findings, ensure_ascii=False)
        if self.measures is not None:
            values["measures"] = json.dumps(dict(self.measures))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Row":
        """Return the row of a manifest's column values."""
        changed = dict(values)
        changed["images"], changed["views"] = tuple(values["images"]), tuple(values["views"])
        changed["table"] = json.loads(values["table"])
        for name in ("statements", "truth"):
            if values.get(name) is not None:
                found = json.loads(values[name])
                changed[name] = tuple(Finding.from_dict(finding) for finding in found)
        if values.get("measures") is not None:
            changed["measures"] = json.loads(values["measures"])
        for name in ("table", "measures"):
            if not isinstance(changed.get(name), dict | None):
                raise DatasetError(f"study {values['study_id']}: {name} is no JSON object")
        return cls(**changed)


class DataCard(Word):
    """What a dataset is, and how it was made."""

    source: dict[str, Any]
    """The kind of source and its settings: enough to make the same dataset again."""
    description: str
    licence: str
    simulated: bool
    language: str = "en"
    """Of the reports."""
    plainfilm: str
    """The version that prepared it."""
    studies: dict[str, int]
    """How many, by split."""
    skipped: dict[str, int]
    """How many studies of the source were left out, by reason."""
    fingerprint: str
    """SHA-256 over all rows and all files."""


class Dataset:
    """A prepared dataset directory, opened for reading.

    Raises:
        DatasetError: the directory, its manifest or card is missing or malformed, a file is
            missing, or a patient lies in two splits.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.card = _read_card(self.path)
        self.rows = _read_manifest(self.path)
        _check_files(self.path, self.rows)
        self._by_id = {row.study_id: row for row in self.rows}
        if len(self._by_id) < len(self.rows):
            twice = Counter(row.study_id for row in self.rows).most_common(1)[0][0]
            raise DatasetError(f"{self.path / MANIFEST} holds study {twice} more than once")
        check_patients(self.rows)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all rows and all files, from when it was prepared."""
        return self.card.fingerprint

    def split(self, name: str) -> Sequence[Row]:
        """Return the studies of a split: ``train``, ``validate`` or ``test``."""
        if name not in SPLITS:
            raise DatasetError(f"no split {name!r}: choose one of {', '.join(SPLITS)}")
        return [row for row in self.rows if row.split == name]

    def image(self, row: Row, index: int = 0) -> Image:
        """Return one film of a study."""
        provenance = Provenance.SIMULATED if self.card.simulated else Provenance.REAL
        return read_image(self.path / row.images[index], provenance=provenance)

    def masks(self, row: Row, index: int = 0) -> dict[str, Mask]:
        """Return one film's masks by name, ``(height, width)`` each; empty where there are none."""
        lateral = row.views[index] == View.LATERAL
        file = row.lateral_masks if lateral else row.masks
        return {} if file is None else read_masks(self.path / file)

    def structures(self, row: Row) -> dict[str, Mask]:
        """Return a study's masks by class of the 212, unions with them; empty without any."""
        from plainfilm.phantom.film.structures import with_unions

        return {} if row.structures is None else with_unions(read_masks(self.path / row.structures))

    def study(self, row: Row) -> Study:
        """Return a study with its films and its true report.

        Its ``prior`` is the study that ``prior_study_id`` names, without a prior of its own.
        """
        before = None if row.prior_study_id is None else self._by_id[row.prior_study_id]
        return self._study(row, None if before is None else self._study(before, None))

    def _study(self, row: Row, prior: Study | None) -> Study:
        return Study(
            id=row.study_id,
            images=tuple(self.image(row, index) for index in range(len(row.images))),
            indication=row.indication,
            comparison=row.comparison,
            technique=row.technique,
            style=row.style,
            table=dict(row.table),
            prior=prior,
            report=Report(
                findings=row.findings,
                impression=row.impression,
                statements=row.statements or (),
            ),
        )


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    """Write ``rows`` as the manifest of the directory ``path``."""
    table = pa.Table.from_pylist([row.to_dict() for row in rows], schema=SCHEMA)
    pq.write_table(table, path / MANIFEST)


def fingerprint(rows: Iterable[Row], digests: Mapping[str, str]) -> str:
    """Return the SHA-256 over ``rows`` and the files that they name.

    Args:
        rows: of the manifest.
        digests: name of each file → its SHA-256, hexadecimal.
    """
    total = hashlib.sha256()
    for row in rows:
        total.update(json.dumps(row.to_dict(), sort_keys=True).encode())
        for file in files_of(row):
            total.update(bytes.fromhex(digests[file]))
    return total.hexdigest()


def check_patients(rows: Sequence[Row]) -> None:
    """Raise DatasetError where one patient's studies lie in two splits, or a prior is no other
    study of the same patient."""
    splits: dict[str, str] = {}
    patients = {row.study_id: row.patient_id for row in rows}
    for row in rows:
        if splits.setdefault(row.patient_id, row.split) != row.split:
            raise DatasetError(
                f"study {row.study_id} is in {row.split}, another of the same patient in "
                f"{splits[row.patient_id]}: a patient must lie in one split"
            )
        prior = row.prior_study_id
        if prior is not None and (prior == row.study_id or patients.get(prior) != row.patient_id):
            raise DatasetError(
                f"study {row.study_id}: prior_study_id {prior!r} is no other study of its patient"
            )


def files_of(row: Row) -> tuple[str, ...]:
    """Return the files that a row names."""
    others = (row.masks, row.structures, row.lateral_masks)
    return (*row.images, *(file for file in others if file is not None))


def _read_card(path: Path) -> DataCard:
    if not path.is_dir():
        raise DatasetError(f"no dataset at {path}: expected a directory that plainfilm data wrote")
    if not (path / CARD).is_file():
        raise DatasetError(f"{path} is no dataset directory: {CARD} is missing")
    try:
        return DataCard.from_json((path / CARD).read_bytes())
    except (OSError, InputError) as error:
        raise DatasetError(f"cannot read {path / CARD}: {one_line(error)}") from error


def _check_files(path: Path, rows: Sequence[Row]) -> None:
    """Raise DatasetError where a file is missing; looks into each folder once, not at each file."""
    patients: dict[str, str] = {}
    for row in rows:
        for file in files_of(row):
            if patients.setdefault(file, row.patient_id) != row.patient_id:
                raise DatasetError(f"{path / MANIFEST}: two patients' studies have the file {file}")
    files = patients.keys()
    there: set[str] = set()
    for folder in {file.rpartition("/")[0] for file in files}:
        try:
            with os.scandir(path / folder) as entries:
                there.update(f"{folder}/{entry.name}" if folder else entry.name
                             for entry in entries)  # fmt: skip
        except OSError:
            continue  # its files are missing
    if missing := sorted(files - there):
        raise DatasetError(
            f"{path} lacks {len(missing)} of its {len(files)} files, {missing[0]} for one: prepare "
            "it again"
        )


def _read_manifest(path: Path) -> list[Row]:
    with errors_as(DatasetError, f"cannot read {path / MANIFEST}", "prepare the dataset again"):
        with pq.ParquetFile(path / MANIFEST) as file:
            if file.metadata.num_rows > _MOST_ROWS:
                raise ValueError(f"it says that it has {file.metadata.num_rows} rows")
            table = file.read()
        columns = set(table.column_names)
    known = [name for name in SCHEMA.names if name in columns]
    missing = [field.name for field in SCHEMA if not field.nullable and field.name not in known]
    if missing:
        raise DatasetError(f"{path / MANIFEST} lacks the columns {', '.join(missing)}")
    try:
        with errors_as(DatasetError, f"{path / MANIFEST} is damaged", "prepare the dataset again"):
            table = table.select(known).cast(pa.schema([SCHEMA.field(name) for name in known]))
            return [Row.from_dict(values) for values in table.to_pylist()]
    except InputError as error:
        raise DatasetError(f"{path / MANIFEST}: {error}") from error
