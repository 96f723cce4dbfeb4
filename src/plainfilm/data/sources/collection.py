"""The common part of all published collections, after their own layout has been read.

A source's module turns its layout into entries, one per study; this module turns entries into a
dataset directory: with films re-encoded at a given size or linked in place; whole or as a shard.
"""

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image

from plainfilm.core import DatasetError, Image, InputError, View, errors_as
from plainfilm.data.boxes import Box, box_of
from plainfilm.data.dataset import Dataset, Row
from plainfilm.data.films.own_png import image_png
from plainfilm.data.films.prepared import LONGEST_SIDE
from plainfilm.data.films.reader import read_image, sniff
from plainfilm.data.prepare import LeftOutError, check_out, prepare
from plainfilm.data.sources.registry import SOURCES
from plainfilm.data.splits import Shard, read_shard
from plainfilm.data.study import frontal_first

TARGETS = ("findings", "findings+impression", "any")
"""Sections of which a study must have text; with ``any`` it needs none."""
TWICE = "its study id stands twice in the source"
MISSING_FILM, MISSING_REPORT, UNREADABLE = (
    "a film is missing",
    "the report is missing",
    "a film cannot be read",
)
_FIRST = 20
"""Number of first studies whose films are checked before all others."""

Texts = Mapping[str, str]
"""``findings``, ``impression``, ``indication``, ``comparison`` and ``technique``, if present."""
BoxReader = Callable[["Entry"], Sequence[Mapping[str, Any]]]
"""Entry → boxes like ``Entry.boxes``, for collections with boxes in separate files."""
Reader = Callable[[str, "Entry"], Texts]
"""(study id, entry) → the study's texts, for collections with reports in separate files."""


class Film(NamedTuple):
    """A film: its path within the collection's folder, and its view if the source states it."""

    path: str
    view: str | None = None
    size: tuple[float, float] | None = None
    """Width and height to which boxes refer; default: the file's own."""


class Entry(NamedTuple):
    """A source's information about one study; all of it can be stored as JSON."""

    patient_id: str
    split: str
    films: tuple[Film, ...]
    texts: Texts = {}  # noqa: RUF012 - of a NamedTuple, never changed
    report: str | None = None
    """The report's file, if texts are read when the study is prepared."""
    mark: str = ""
    """Identifies the report's content, to notice changes, if it is not a file of its own."""
    institution: str | None = None
    table: Mapping[str, float | str | None] = {}
    labels: Mapping[str, Mapping[str, str]] = {}
    boxes: tuple[Mapping[str, Any], ...] = ()
    """Boxes as in :meth:`Box.to_dict`; ``image`` is an index into ``films``. ``edges`` (left, top,
    right, bottom, in the film's pixels) may be given instead of the four fractions."""
    prior: str | None = None


class Entries(Mapping[str, Entry]):
    """The entries of one shard, stored in a temporary file: only their ids stay in memory.

    Args:
        shard: the shard, to which entries are restricted; default: all.
    """

    def __init__(self, shard: Shard | None = None) -> None:
        self.shard = shard
        self.skipped: Counter[str] = Counter()
        """Number of the shard's studies that were left out, by reason."""
        self.places: dict[str, int] = {}
        """Study id → index among the entries of all shards."""
        self._starts: dict[str, int] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._end = self._added = 0

    def add(self, study_id: str, entry: Entry) -> None:
        """Add a study; one with a duplicate id is left out and counted.

        Raises:
            DatasetError: a film lies outside the collection's folder.
        """
        self._added += 1
        for film in entry.films:
            parts = film.path.split("/")
            if not all(parts) or ".." in parts or "\\" in film.path or "\0" in film.path:
                raise DatasetError(f"study {study_id}: film {film.path[:80]!r} leads outside")
        if self.shard is not None and not self.shard.has(entry.patient_id):
            return
        if study_id in self._starts:
            self.skipped[TWICE] += 1
            return
        line = json.dumps(entry).encode() + b"\n"
        self._file.seek(self._end)
        self._file.write(line)
        self._starts[study_id], self.places[study_id] = self._end, self._added
        self._end += len(line)

    def skip(self, patient_id: str, reason: str) -> None:
        """Count a study that is left out."""
        if self.shard is None or self.shard.has(patient_id):
            self.skipped[reason] += 1

    def __getitem__(self, study_id: str) -> Entry:
        self._file.seek(self._starts[study_id])
        entry = Entry(*json.loads(self._file.readline()))
        return entry._replace(
            films=tuple(Film(*film) for film in entry.films), boxes=tuple(entry.boxes)
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._starts)

    def __len__(self) -> int:
        return len(self._starts)


class Options(NamedTuple):
    """Options for preparing a collection."""

    target: str = "findings"
    """Sections of which a study must have text: see :data:`TARGETS`."""
    size: int = LONGEST_SIDE
    """Longest side of re-encoded films, in pixels."""
    link: bool = False
    """Whether to leave the films in place."""
    shard: str | None = None
    """``3/16``: the third of sixteen shards, split by patient."""
    workers: int | None = None
    """Number of processes; default: one per core."""
    progress: bool = True

    def entries(self) -> Entries:
        """Check the options, and return empty entries for the shard.

        Raises:
            InputError: an option is invalid.
        """
        if self.target not in TARGETS:
            raise InputError(f"target must be {', '.join(TARGETS)}, got {self.target!r}")
        return Entries(None if self.shard is None else read_shard(self.shard))


class Collection(NamedTuple):
    """A collection whose layout has been read."""

    kind: str
    """Its name in ``SOURCES``."""
    root: Path
    """The folder that the films' paths are relative to."""
    entries: Entries
    settings: Mapping[str, Any] = {}
    """Other settings that determine the dataset, as JSON values."""
    language: str = "en"
    texts_of: Reader | None = None
    """Reads the report files; a top-level function or a partial of one."""
    reports: Path | None = None
    """The folder of the report files."""
    boxes_of: BoxReader | None = None
    """Reads boxes when a study is prepared; a top-level function or a partial of one."""
    film_of: Callable[[str], bytes] | None = None
    """Returns the bytes of a film by its path, for films embedded in other files."""
    licence: str | None = None
    """The licence, if it differs from that in ``SOURCES``."""


def prepare_collection(out: Path, collection: Collection, options: Options) -> Dataset:
    """Prepare a collection into the dataset directory ``out``.

    Raises:
        DatasetError: its films are not where they are expected, or for the reasons of ``prepare``.
        OutputError: ``out`` cannot be written.
    """
    check_out(out)
    kind, root, entries = (
        collection.kind,
        Path(os.path.realpath(collection.root)),
        collection.entries,
    )
    source = SOURCES[kind]
    if not entries:
        left_out = ", ".join(f"{count} {why}" for why, count in entries.skipped.most_common(3))
        raise DatasetError(
            f"{root}: no usable study of {source.title} ({left_out or 'none there'})"
        )
    if collection.film_of is None:
        _check_films(root, collection)
    elif options.link:
        raise InputError(f"the films of {root} are no files of their own: --link can't be had")
    settings = {"kind": kind, "target": options.target, **collection.settings}
    settings |= {"linked": True} if options.link else {"size": options.size}
    how = "films where they are" if options.link else f"films up to {options.size} pixels"
    return prepare(
        out,
        entries,
        partial(
            _build, root, options, collection.texts_of, collection.boxes_of, collection.film_of
        ),
        source=settings,
        description=f"{source.title}, studies with {options.target} text, {how}",
        licence=collection.licence or source.licence,
        language=collection.language,
        skipped=entries.skipped,
        inputs=None if collection.film_of else partial(_inputs, root, collection.reports),
        facts=_facts,
        linked=root if options.link else None,
        prior=_prior,
        shard=options.shard,
        places=entries.places,
        workers=options.workers or (1 if len(entries) < 100 else os.cpu_count() or 1),
        progress=options.progress,
    )


def _check_films(root: Path, collection: Collection) -> None:
    """Raise DatasetError if none of the first studies has its films, as in a wrong folder."""
    first: list[str] = []
    for study_id in collection.entries:
        paths = [film.path for film in collection.entries[study_id].films]
        if all((root / path).is_file() for path in paths):
            return
        first += paths
        if len(first) >= _FIRST:
            break
    raise DatasetError(
        f"{root}: none of the first {len(first)} films that the source names is there; expected "
        f"{root / first[0]}"
    )


def _inputs(root: Path, reports: Path | None, entry: Entry) -> list[str]:
    files = [f"{root}/{film.path}" for film in entry.films]
    return files + ([f"{reports}/{entry.report}"] if reports and entry.report else [])


def _facts(entry: Entry) -> list[object]:
    return list(entry)


def _prior(entry: Entry) -> str | None:
    return entry.prior


def _build(
    root: Path,
    options: Options,
    texts_of: Reader | None,
    boxes_of: BoxReader | None,
    film_of: Callable[[str], bytes] | None,
    study_id: str,
    entry: Entry,
) -> tuple[Row, dict[str, bytes]]:
    texts = entry.texts if texts_of is None else texts_of(study_id, entry)
    wanted = options.target.split("+")
    if options.target != "any" and not any(texts.get(section) for section in wanted):
        has = ", ".join(name for name in ("findings", "impression") if texts.get(name))
        raise LeftOutError(f"no text for the target {options.target}", f"it has {has or 'neither'}")
    for film in entry.films:
        if film_of is None and not os.path.isfile(f"{root}/{film.path}"):  # noqa: PTH113 - speed
            raise LeftOutError(MISSING_FILM, f"expected {root / film.path}")
    told = [*entry.boxes, *(boxes_of(entry) if boxes_of else ())]
    sizes = {at: _size_of(root, entry.films[at])
             for at in {box.get("image", 0) for box in told if "edges" in box}}  # fmt: skip
    order, names, views, files = (
        _linked(root, entry)
        if options.link
        else _encoded(root, study_id, entry, options.size, film_of)
    )
    placed = [_placed(box, sizes, order) for box in told]
    row = Row(
        study_id=study_id,
        patient_id=entry.patient_id,
        split=entry.split,
        images=names,
        views=views,
        findings=texts.get("findings", ""),
        impression=texts.get("impression", ""),
        institution=entry.institution,
        indication=texts.get("indication") or None,
        comparison=texts.get("comparison") or None,
        technique=texts.get("technique") or None,
        table=dict(entry.table),
        labels=entry.labels,
        boxes=tuple(box for box in placed if box is not None),
        prior_study_id=entry.prior,
    )
    return row, files


def _placed(
    told: Mapping[str, Any], sizes: Mapping[int, tuple[float, float]], order: list[int]
) -> Box | None:
    """Return a box with the row's index of its film; None if it has no area on the film."""
    values = dict(told)
    image = values.pop("image", 0)
    name, place = values.pop("name"), order.index(image)
    if "edges" in values:
        return box_of(name, tuple(values.pop("edges")), sizes[image], image=place, **values)
    edges = tuple(values.pop(edge) for edge in ("left", "top", "right", "bottom"))
    return box_of(name, edges, (1, 1), image=place, **values)


def _size_of(root: Path, film: Film) -> tuple[float, float]:
    """Return a film's width and height, from the source or from the file's header."""
    if film.size is not None:
        return film.size
    path = root / film.path
    with errors_as(DatasetError, f"{path}: its size cannot be read", "get it again"):
        if sniff(path) == "dicom":
            import pydicom

            tags = ["Rows", "Columns"]
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
            return float(header.Columns), float(header.Rows)
        with PIL.Image.open(path) as picture:
            return picture.size


_Films = tuple[list[int], tuple[str, ...], tuple[str, ...], dict[str, bytes]]
"""Order of the entry's films, and the films' names, views and files."""


def _linked(root: Path, entry: Entry) -> _Films:
    views = [View(film.view or View.UNKNOWN) for film in entry.films]
    order = sorted(
        range(len(views)), key=lambda at: 0 if views[at].frontal else 1 + (views[at] != "unknown")
    )
    for film in entry.films:
        if sniff(root / film.path) is None:
            raise LeftOutError(UNREADABLE, f"{root / film.path} is no DICOM, PNG, JPEG or TIFF")
    names = tuple(entry.films[at].path for at in order)
    return order, names, tuple(str(views[at]) for at in order), {}


def _encoded(
    root: Path,
    study_id: str,
    entry: Entry,
    size: int,
    film_of: Callable[[str], bytes] | None,
) -> _Films:
    films: list[Image] = []
    for film in entry.films:
        image = read_image(root / film.path) if film_of is None else _read(film_of(film.path))
        films.append(image.model_copy(update={"view": View(film.view)}) if film.view else image)
    ordered = frontal_first(films)
    order = [next(at for at, film in enumerate(films) if film is one) for one in ordered]
    folder = f"images/{hashlib.sha256(study_id.encode()).hexdigest()[:2]}"  # of 256: none is huge
    names = tuple(f"{folder}/{study_id}-{number}.png" for number in range(len(ordered)))
    files = {name: image_png(image, size) for name, image in zip(names, ordered, strict=True)}
    return order, names, tuple(str(image.view) for image in ordered), files


def _read(content: bytes) -> Image:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return read_image(file.name)


def find_root(folders: Sequence[Path], films: Sequence[str], expected: str) -> Path:
    """Return the first of ``folders`` that contains any of a source's first films.

    Raises:
        DatasetError: none does; the message says where films were ``expected``.
    """
    for folder in folders:
        if any((folder / film).is_file() for film in films[:_FIRST]):
            return folder
    looked = " or ".join(str(folder / films[0]) for folder in folders[:2]) if films else "films"
    raise DatasetError(
        f"{folders[0]}: none of the first {len(films[:_FIRST])} films is there; expected {looked} "
        f"({expected})"
    )
