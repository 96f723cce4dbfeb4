"""The dataset directory: the layout on disk that every source is prepared into.

    manifest.parquet   one row per study (see Row)
    card.json          source, licence, counts, fingerprint
    images/            the films; absent if they stay with the source (card: linked)
    masks/             if known: masks as packed bits, one file per film
    structures/        on request: masks in the 212-class table, in the same format
    refused.jsonl      studies that could not be prepared, one per line with the reason

A dataset directory appears whole or not at all (see ``prepare``), and is not changed afterwards.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
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
from plainfilm.core.study import films_to_read
from plainfilm.data.boxes import Box
from plainfilm.data.films.reader import read_image
from plainfilm.data.masks import Mask, read_masks
from plainfilm.data.splits import SPLITS

_INSIDE = re.compile(r"[^/\\\x00-\x1f][^\\\x00-\x1f]*")
"""A valid relative path in a manifest; ``..`` is checked separately."""
_MOST_ROWS = 20_000_000
"""Maximum number of rows; the largest public datasets have a few hundred thousand studies."""
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
        pa.field("labels", pa.string()),
        pa.field("boxes", pa.string()),
    ]
)
"""Columns of the manifest; ``table``, ``statements``, ``truth``, ``measures``, ``labels`` and
``boxes`` are JSON."""

_LATER = ("labels", "boxes")
"""Columns added later, which enter a fingerprint only if they are not empty."""
_BATCH = 1024
"""Number of rows made from the table at once."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One study of the manifest; paths are relative to the dataset directory."""

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
    """The report's findings, if known independently of the text."""
    masks: str | None = None
    """File of the frontal film's masks."""
    prior_study_id: str | None = None
    truth: tuple[Finding, ...] | None = None
    """All findings on the film, reported or not, if known (the phantom)."""
    measures: Mapping[str, float] | None = None
    """Name, with side and unit → true size, if known (the phantom)."""
    structures: str | None = None
    """File of the frontal film's masks in the 212 classes of ``plainfilm.core.classes``."""
    lateral_masks: str | None = None
    """File of the lateral film's masks."""
    style: str | None = None
    """The institution's reporting style, described in words for a prompt."""
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The source's own labels: labeller → name → present, absent or uncertain."""
    boxes: tuple[Box, ...] = ()
    """The source's bounding boxes."""

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
        values["labels"] = json.dumps(self.labels, ensure_ascii=False) if self.labels else None
        boxes = [box.to_dict() for box in self.boxes]
        values["boxes"] = json.dumps(boxes, ensure_ascii=False) if boxes else None
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Row":
        """Return the row from the values of the manifest's columns."""
        changed = dict(values)
        changed["images"], changed["views"] = tuple(values["images"]), tuple(values["views"])
        changed["table"] = json.loads(values["table"])
        for name in ("statements", "truth"):
            if values.get(name) is not None:
                found = json.loads(values[name])
                changed[name] = tuple(Finding.from_dict(finding) for finding in found)
        for name in ("measures", "labels", "boxes"):
            if values.get(name) is not None:
                changed[name] = json.loads(values[name])
        for name in ("table", "measures", "labels"):
            if not isinstance(changed.get(name), dict | None):
                raise DatasetError(f"study {values['study_id']}: {name} is no JSON object")
        changed["labels"] = changed.get("labels") or {}
        changed["boxes"] = tuple(Box.from_dict(box) for box in changed.get("boxes") or ())
        return cls(**changed)


class DataCard(Word):
    """Description of a dataset and its origin."""

    source: dict[str, Any]
    """The kind of source and its settings, from which the dataset can be made again."""
    description: str
    licence: str
    simulated: bool
    language: str = "en"
    """Language of the reports."""
    plainfilm: str
    """Version of plainfilm that prepared the dataset."""
    studies: dict[str, int]
    """Number of studies by split."""
    skipped: dict[str, int]
    """Number of studies left out of the dataset, by reason."""
    fingerprint: str
    """SHA-256 over all rows and files; for linked films, over their names and sizes."""
    linked: str | None = None
    """If the films stay with their source: the folder that the rows' images are relative to."""


class Rows(Sequence[Row]):
    """The rows of a manifest, each created on access.

    The manifest stays in Arrow's memory, so that several hundred thousand studies take little more
    memory than their texts, and opening them takes seconds.

    Args:
        table: the manifest.
        chosen: indices of the selected rows, in order; default: all.
    """

    def __init__(self, table: pa.Table, chosen: npt.NDArray[np.int64] | None = None) -> None:
        self.table = table
        self._chosen = np.arange(table.num_rows) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Row | Rows":
        if isinstance(index, slice):
            return Rows(self.table, self._chosen[index])
        values: dict[str, Any] = self.table.slice(int(self._chosen[index]), 1).to_pylist()[0]
        return Row.from_dict(values)

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), _BATCH):
            some = self.table.take(pa.array(self._chosen[start : start + _BATCH]))
            yield from map(Row.from_dict, some.to_pylist())

    def column(self, name: str) -> list[Any]:
        """Return one column's values without creating the rows."""
        values: list[Any] = self.table.column(name).take(pa.array(self._chosen)).to_pylist()
        return values

    def where(self, name: str, value: str) -> "Rows":
        """Return the rows whose column ``name`` equals ``value``."""
        found = pc.fill_null(pc.equal(self.table.column(name), value), False).to_numpy()
        return Rows(self.table, self._chosen[found[self._chosen]])


class Dataset:
    """A prepared dataset directory, opened for reading.

    Args:
        path: the directory.
        films: for a linked dataset whose films have moved: their present folder.

    Raises:
        DatasetError: the directory, its manifest or card is missing or malformed, a file is
            missing, or a patient is in two splits.
    """

    def __init__(self, path: Path | str, *, films: Path | str | None = None) -> None:
        self.path = Path(path)
        self.card = _read_card(self.path)
        table = _read_manifest(self.path)
        self.rows: Sequence[Row] = Rows(table)
        self.films = self.path if self.card.linked is None else Path(films or self.card.linked)
        check_table(self.path, table)
        _check_files(self.path, table, linked=self.card.linked is not None)
        if self.card.linked is not None and not self.films.is_dir():
            raise DatasetError(
                f"{self.path}: its films lie in {self.films}, which is no folder here: mount it, "
                f"or change linked in {self.path / CARD}"
            )
        self._places: dict[str, int] | None = None
        self._kept: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all rows and files at the time of preparation."""
        return self.card.fingerprint

    @property
    def parts(self) -> tuple["Dataset", ...]:
        """The datasets that this one is joined from (:mod:`.joined`); itself, where it is not."""
        return (self,)

    def split(self, name: str) -> Sequence[Row]:
        """Return the studies of a split: ``train``, ``validate``, ``test``, or ``all``."""
        if name == "all":
            return self.rows
        if name not in SPLITS:
            raise DatasetError(f"no split {name!r}: choose one of {', '.join(SPLITS)}")
        if isinstance(self.rows, Rows):
            return self.rows.where("split", name)
        return [row for row in self.rows if row.split == name]

    def image(self, row: Row, index: int = 0) -> Image:
        """Return one film of a study."""
        provenance = Provenance.SIMULATED if self.card.simulated else Provenance.REAL
        image = read_image(self.films / row.images[index], provenance=provenance)
        view = View(row.views[index])
        if self.card.linked is None or view is View.UNKNOWN:
            return image
        return image.model_copy(update={"view": view})  # the file itself may not state it

    def masks(self, row: Row, index: int = 0) -> dict[str, Mask]:
        """Return one film's masks by name, ``(height, width)`` each; empty if there are none."""
        lateral = row.views[index] == View.LATERAL
        file = row.lateral_masks if lateral else row.masks
        return {} if file is None else read_masks(self.path / file)

    def structures(self, row: Row) -> dict[str, Mask]:
        """Return a study's masks in the 212 classes, including unions; empty if there are none."""
        from plainfilm.phantom.film.structures import with_unions

        return {} if row.structures is None else with_unions(read_masks(self.path / row.structures))

    def study(
        self,
        row: Row,
        *,
        film: Callable[[Row, int], Image] | None = None,
        views: int | None = None,
        prior: bool = True,
        derived: Collection[str] = (),
    ) -> Study:
        """Return a study with its films and its true report.

        Its ``prior`` is the study named by ``prior_study_id``, without a prior of its own.

        Args:
            row: the study's row.
            film: returns a film; default: read from disk.
            views: number of views that the model reads, to load only these films; default: all.
            prior: whether to read the earlier study.
            derived: which maps, features and table to read, ``maps/NAME``, ``features/NAME`` and
                ``tables/NAME`` (:mod:`plainfilm.data.derived`); other words are not looked at.

        Raises:
            DatasetError: the maps or features do not exist.
        """
        before = self._row(row.prior_study_id) if prior and row.prior_study_id else None
        earlier = None if before is None else self._study(before, None, film, views, derived)
        return self._study(row, earlier, film, views, derived)

    def _derived(self, study_id: str, chosen: Sequence[int], names: Collection[str]) -> Any:
        """Return the fields of a study that are stored as derived files.

        Args:
            study_id: id of the study.
            chosen: indices of the films that are read, in order.
            names: names of maps and features to read.
        """
        from plainfilm.data.derived import Derived

        maps, features = [], {}
        fields: dict[str, Any] = {}
        for name in sorted(names):
            kind, _, source = name.partition("/")
            if not source:
                continue
            if name not in self._kept:
                self._kept[name] = Derived(self.path, name, self.fingerprint)
            if kind == "tables":
                fields["table"] = self._kept[name].clinical(study_id)
            if kind == "features" and (feature := self._kept[name].feature(study_id)) is not None:
                features[source] = feature
            if kind == "maps" and (found := self._kept[name].maps(study_id)) is not None:
                image, of_film = found
                if image in chosen:
                    maps.append(of_film.model_copy(update={"image": chosen.index(image)}))
        return fields | {"maps": tuple(maps), "features": features}

    def _row(self, study_id: str) -> Row:
        if self._places is None:
            self._places = {row: place for place, row in enumerate(study_ids(self.rows))}
        return self.rows[self._places[study_id]]

    def _study(
        self,
        row: Row,
        prior: Study | None,
        film: Callable[[Row, int], Image] | None,
        views: int | None,
        derived: Collection[str],
    ) -> Study:
        chosen = list(range(len(row.images)))
        if views is not None:
            chosen = films_to_read([View(view) for view in row.views], views) or chosen[:1]
        return Study(
            id=row.study_id,
            images=tuple((film or self.image)(row, index) for index in chosen),
            indication=row.indication,
            comparison=row.comparison,
            technique=row.technique,
            style=row.style,
            prior=prior,
            **{"table": dict(row.table)} | self._derived(row.study_id, chosen, derived),
            report=Report(
                findings=row.findings,
                impression=row.impression,
                statements=row.statements or (),
            ),
        )


def study_ids(rows: Sequence[Row]) -> list[str]:
    """Return the ids of ``rows`` in their order."""
    return rows.column("study_id") if isinstance(rows, Rows) else [row.study_id for row in rows]


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write ``rows`` as the manifest of the directory ``path``."""
    table = pa.Table.from_pylist([row.to_dict() for row in rows], schema=SCHEMA)
    pq.write_table(table, path / MANIFEST)


class ManifestWriter:
    """Writes the manifest of the directory ``path`` row by row, and computes the fingerprint."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path / MANIFEST, SCHEMA)
        self._waiting: list[dict[str, Any]] = []
        self._total = hashlib.sha256()
        self.studies = dict.fromkeys(SPLITS, 0)
        """Number of studies by split."""

    def add(self, row: Row, digests: Mapping[str, str]) -> None:
        """Write a row; ``digests`` maps each of its files to its SHA-256, hexadecimal."""
        values = row.to_dict()
        self._waiting.append(values)
        self.studies[row.split] += 1
        counted = {name: values[name] for name in values
                   if values[name] is not None or name not in _LATER}  # fmt: skip
        self._total.update(json.dumps(counted, sort_keys=True).encode())
        for file in files_of(row):
            self._total.update(bytes.fromhex(digests[file]))
        if len(self._waiting) >= 8 * _BATCH:
            self._flush()

    def close(self) -> str:
        """Finish the manifest; return the fingerprint, SHA-256 over all rows and their files."""
        self._flush()
        self._file.close()
        return self._total.hexdigest()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._waiting, schema=SCHEMA))
        self._waiting.clear()


def check_patients(rows: Iterable[Row]) -> None:
    """Raise DatasetError if one patient's studies are in two splits, or if a prior is not another
    study of the same patient."""
    splits: dict[str, str] = {}
    rows = list(rows)
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
    """Return all files that a row names."""
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


def check_manifest(path: Path) -> None:
    """Raise DatasetError if the manifest in the folder ``path`` is invalid."""
    check_table(path, _read_manifest(path))


def check_table(path: Path, table: pa.Table) -> None:
    """Raise DatasetError if a row of the manifest is invalid, or rows contradict each other.

    Checks whole columns at once, and creates only an invalid row, for the message.
    """
    rows = Rows(table)
    with errors_as(DatasetError, f"{path / MANIFEST} is damaged", "prepare the dataset again"):
        try:
            for place in _wrong_rows(table):
                rows[place]
            _check_json(rows)
        except InputError as error:
            raise DatasetError(f"{path / MANIFEST}: {error}") from error
        study_column = table.column("study_id")
        if pc.count_distinct(study_column).as_py() < len(table):
            twice = Counter(study_column.to_pylist()).most_common(1)[0][0]
            raise DatasetError(f"{path / MANIFEST} holds study {twice} more than once")
        if not _patients_agree(table):
            check_patients(rows)


_JSON: Mapping[str, type] = {"table": dict, "measures": dict, "labels": dict, "boxes": list}
"""JSON column → type of its values."""
_WORDS = ("statements", "truth")
"""JSON columns whose content only Row can check."""


def _check_json(rows: Rows) -> None:
    """Raise DatasetError if a value of a JSON column is damaged."""
    table = rows.table
    if any(name in table.column_names and table.column(name).null_count < len(table)
           for name in _WORDS):  # fmt: skip
        for _ in rows:
            pass
        return
    for name, kind in _JSON.items():
        if name not in table.column_names:
            continue
        for start in range(0, len(table), _BATCH):
            texts = table.column(name).slice(start, _BATCH).to_pylist()
            for place, text in enumerate(texts, start):
                known = text is None or text == "{}"
                if not known and not isinstance(json.loads(text), kind):
                    rows[place]


def _wrong_rows(table: pa.Table) -> list[int]:
    """Return the indices of rows that :class:`Row` refuses."""
    wrong = ~pc.is_in(table.column("split"), pa.array(SPLITS)).to_numpy()
    images, views = table.column("images"), table.column("views")
    counts = pc.list_value_length(images).to_numpy()
    wrong |= (counts == 0) | (counts != pc.list_value_length(views).to_numpy())
    owners = np.repeat(np.arange(len(table)), counts)
    wrong[owners[~_inside(pc.list_flatten(images))]] = True
    for name in ("masks", "structures", "lateral_masks"):
        if name in table.column_names:
            wrong |= ~_inside(pc.fill_null(table.column(name), "x"))
    return [int(place) for place in np.flatnonzero(wrong)]


def _inside(names: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return for each name whether it is a relative path within the folder."""
    names = pc.fill_null(names, "")
    fits = pc.match_substring_regex(names, r"\A(?:" + _INSIDE.pattern + r")\z").to_numpy()
    leads = pc.match_substring_regex(names, r"(?:\A|/)\.\.(?:/|\z)").to_numpy()
    return np.asarray(fits & ~leads, dtype=bool)


def _patients_agree(table: pa.Table) -> bool:
    """Return whether the rows satisfy :func:`check_patients`."""
    splits = table.group_by("patient_id").aggregate([("split", "count_distinct")])
    if len(splits) and pc.max(splits.column("split_count_distinct")).as_py() > 1:
        return False
    if "prior_study_id" not in table.column_names:
        return True
    later = table.filter(pc.is_valid(table.column("prior_study_id")))
    ids = table.column("study_id").combine_chunks()
    before = pc.index_in(later.column("prior_study_id"), ids)
    if before.null_count:
        return False
    patients = table.column("patient_id").take(before)
    alone = pc.equal(later.column("prior_study_id"), later.column("study_id"))
    agrees = pc.and_(pc.equal(patients, later.column("patient_id")), pc.invert(alone))
    return bool(pc.all(agrees, min_count=0).as_py())


def _check_files(path: Path, table: pa.Table, *, linked: bool) -> None:
    """Raise DatasetError if a file is missing or belongs to two patients.

    Lists each folder once instead of checking each file; linked films are not checked.
    """
    images = table.column("images")
    counts = pc.list_value_length(images).to_numpy()
    owner = table.column("patient_id")
    flat = pc.list_flatten(images)
    names, owners = [flat], [owner.take(pa.array(np.repeat(np.arange(len(table)), counts)))]
    for name in ("masks", "structures", "lateral_masks"):
        if name in table.column_names:
            there = pc.is_valid(table.column(name))
            names.append(table.column(name).filter(there))
            owners.append(owner.filter(there))
    files, patients = (
        pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=pa.string())
        for parts in (names, owners)
    )
    pairs = pa.table({"file": files, "patient": patients}).group_by("file")
    owned = pairs.aggregate([("patient", "count_distinct")])
    shared = owned.filter(pc.greater(owned.column("patient_count_distinct"), 1))
    if len(shared):
        raise DatasetError(
            f"{path / MANIFEST}: two patients' studies have the file {shared.column('file')[0]}"
        )
    named = set(owned.column("file").to_pylist())
    if linked:
        named -= set(flat.to_pylist())
    found: set[str] = set()
    for folder in {file.rpartition("/")[0] for file in named}:
        try:
            with os.scandir(path / folder) as entries:
                found.update(f"{folder}/{entry.name}" if folder else entry.name
                             for entry in entries)  # fmt: skip
        except OSError:
            continue  # its files are missing
    if missing := sorted(named - found):
        raise DatasetError(
            f"{path} lacks {len(missing)} of its {len(named)} files, {missing[0]} for one: prepare "
            "it again"
        )


def _read_manifest(path: Path) -> pa.Table:
    with errors_as(DatasetError, f"cannot read {path / MANIFEST}", "prepare the dataset again"):
        with pq.ParquetFile(path / MANIFEST) as file:
            if file.metadata.num_rows > _MOST_ROWS:
                raise ValueError(f"it says that it has {file.metadata.num_rows} rows")
            table = file.read()
        table.validate(full=True)  # among others, that its words are UTF-8
        columns = set(table.column_names)
    known = [name for name in SCHEMA.names if name in columns]
    missing = [field.name for field in SCHEMA if not field.nullable and field.name not in known]
    if missing:
        raise DatasetError(f"{path / MANIFEST} lacks the columns {', '.join(missing)}")
    with errors_as(DatasetError, f"{path / MANIFEST} is damaged", "prepare the dataset again"):
        schema = pa.schema([SCHEMA.field(name) for name in known])
        return table.select(known).cast(schema)
