"""IU X-ray (Open-i, Indiana University): its XML reports and PNG or DICOM films.

Layout as published at https://openi.nlm.nih.gov/faq: ``NLMCXR_reports.tgz`` has one XML file per
study, whose AbstractText elements are the sections and whose parentImage elements name the films
(``CXR2384_IM-0942-1001``); ``NLMCXR_png.tgz`` has them as ``CXR2384_IM-0942-1001.png``, and
``NLMCXR_dcm.tgz`` as ``2384_IM-0942-1001.dcm``. Source: Demner-Fushman et al., J Am Med Inform
Assoc 2016;23:304-310; one study per patient.

The literature uses the split in R2Gen's annotation file (Chen et al., EMNLP 2020). Its test key is
empty in one published copy, so the split is taken from each entry.
"""

import gzip
import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from plainfilm.core import DatasetError, InputError, errors_as
from plainfilm.data.dataset import Dataset, Row
from plainfilm.data.films.prepared import LONGEST_SIDE, prepared_films
from plainfilm.data.prepare import check_out, prepare
from plainfilm.data.splits import split_of

TARGETS = ("findings", "findings+impression")

_LARGEST_REPORT, _LARGEST_ARCHIVE = 2**20, 2**29
"""Maximum bytes of one report and of all; Open-i's have at most 20 kB, and 35 MB together."""
_SUFFIXES = {".png", ".dcm", ".jpg", ".jpeg", ".tif", ".tiff"}
_NAME = re.compile(r"^(?:CXR)?(?P<study>\d+)_(?:(?P=study)_)?(?=IM-)")
_SPLITS = {"train": "train", "val": "validate", "validate": "validate", "test": "test"}


class IuReport(NamedTuple):
    """The content of one study's XML."""

    study_id: str
    sections: Mapping[str, str]
    """Name in lower case → text with single spaces, without empty sections."""
    images: tuple[str, ...]
    """Names of the study's films, without suffix."""


class _Item(NamedTuple):
    report: IuReport
    paths: tuple[Path, ...]
    split: str


def read_reports(path: Path) -> list[IuReport]:
    """Return the reports in ``NLMCXR_reports.tgz``, read straight from the archive.

    Raises:
        DatasetError: the file is missing or not such an archive, a report is damaged or too large,
            or two reports share an id.
    """
    reports: dict[str, IuReport] = {}
    expected = "expected Open-i's NLMCXR_reports.tgz"
    with (
        errors_as(DatasetError, f"{path}: cannot be read", expected),
        path.open("rb") as file,
        _Unpacked(file) as unpacked,
        tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None  # links are skipped
            if content is None or not member.name.endswith(".xml"):
                continue
            place = f"{path}: {member.name}"
            if member.size > _LARGEST_REPORT:
                raise DatasetError(
                    f"{place} has {member.size} bytes; a report has at most {_LARGEST_REPORT}"
                )
            report = _read_report(place, content.read())
            if report.study_id in reports:
                raise DatasetError(f"{place} has the id {report.study_id}, as another report has")
            reports[report.study_id] = report
    if not reports:
        raise DatasetError(f"{path}: holds no .xml report; {expected}")
    return sorted(reports.values(), key=lambda report: int(report.study_id.removeprefix("CXR")))


class _Unpacked(gzip.GzipFile):
    """A gzip file with a size limit, since tarfile reads as much as a header announces."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file, mode="rb")
        self.left = _LARGEST_ARCHIVE

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.left -= len(found)
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {_LARGEST_ARCHIVE >> 20} MiB")
        return found


def _read_report(place: str, content: bytes) -> IuReport:
    with errors_as(DatasetError, f"{place} is no well-formed XML", "get it again"):
        root: Element | None = ElementTree.fromstring(content)
    uid = None if root is None else root.find("uId")
    study_id = "" if uid is None else uid.get("id", "")
    if root is None or not re.fullmatch(r"CXR[0-9]{1,9}", study_id):
        raise DatasetError(f"{place} has no uId such as CXR1: it is no report of Open-i's")
    sections = {
        element.get("Label", "").lower(): " ".join("".join(element.itertext()).split())
        for element in root.iter("AbstractText")
    }
    images = tuple(element.get("id", "") for element in root.iter("parentImage"))
    return IuReport(study_id, {name: text for name, text in sections.items() if text}, images)


class R2GenEntry(NamedTuple):
    """A study in R2Gen's annotation file."""

    split: str
    images: tuple[str, ...]


def read_r2gen_split(path: Path) -> dict[str, R2GenEntry]:
    """Return study id → split and films from R2Gen's ``annotation.json``.

    Raises:
        DatasetError: the file is missing or has another layout; all mistakes are listed.
    """
    with errors_as(DatasetError, f"{path}: cannot be read as JSON", "give R2Gen's annotation.json"):
        groups = json.loads(path.read_bytes())
    lists = list(groups.values()) if isinstance(groups, dict) else []
    if not lists or not all(isinstance(entries, list) for entries in lists):
        raise DatasetError(f"{path}: expected R2Gen's layout, an object of lists of studies")
    found: dict[str, R2GenEntry] = {}
    mistakes = []
    for entry in (entry for entries in lists for entry in entries):
        values: dict[str, Any] = entry if isinstance(entry, dict) else {}
        study_id, said = str(values.get("id", "")).partition("_")[0], str(values.get("split"))
        images = values.get("image_path", [])
        if not study_id or said not in _SPLITS:
            mistakes.append(f"entry {str(entry)[:60]!r} needs an id and a split (train, val, test)")
        elif study_id in found:
            mistakes.append(f"{study_id} stands in it twice")
        elif not isinstance(images, list) or not all(map(_is_inside, images)):
            mistakes.append(f"{study_id}: image_path must list files inside the films' folder")
        else:
            found[study_id] = R2GenEntry(_SPLITS[said], tuple(images))
    _refuse(path, mistakes)
    return found


def _is_inside(name: object) -> bool:
    """Return whether a name is a relative path that stays within its folder."""
    parts = name.split("/") if isinstance(name, str) else [".."]
    return ".." not in parts and bool(parts[0]) and "\0" not in str(name)


def _refuse(path: Path, mistakes: list[str]) -> None:
    if mistakes:
        more = f"; and {len(mistakes) - 5} more" if len(mistakes) > 5 else ""
        raise DatasetError(f"{path}: {'; '.join(mistakes[:5])}{more}")


def prepare_iu_xray(
    out: Path,
    *,
    images: Path,
    reports: Path,
    split: Path | None = None,
    target: str = "findings",
    size: int = LONGEST_SIDE,
    workers: int | None = None,
    progress: bool = True,
) -> Dataset:
    """Prepare IU X-ray into the dataset directory ``out``.

    Args:
        out: the dataset directory to create.
        images: the folder with the films, in any sub-folders: PNG or DICOM with Open-i's names, or
            R2Gen's ``CXR2384_IM-0942/0.png`` (with ``split``).
        reports: ``NLMCXR_reports.tgz``.
        split: R2Gen's ``annotation.json``; studies that it lacks are left out. Default: 80, 10 and
            10 % of the patients.
        target: ``findings`` or ``findings+impression``, the sections to be learned; studies without
            any of them are left out.
        size: longest side of the prepared films.
        workers: number of processes; default: one per core.
        progress: whether to show a progress bar.

    A study with a film that can't be read is left out, with its reason in ``refused.jsonl``.

    Raises:
        DatasetError: a source is missing or malformed, or no study is usable.
        InputError: the target is unknown.
        OutputError: ``out`` cannot be written.
    """
    if target not in TARGETS:
        raise InputError(f"target must be {' or '.join(TARGETS)}, got {target!r}")
    check_out(out)
    all_reports = read_reports(reports)
    entries = None if split is None else read_r2gen_split(split)
    if entries is not None and split is not None:
        unknown = sorted(set(entries) - {report.study_id for report in all_reports})
        _refuse(split, [f"{study_id} has no report in {reports.name}" for study_id in unknown])
    films = _films(images)
    items: dict[str, _Item] = {}
    skipped: Counter[str] = Counter()
    for report in all_reports:
        entry = None if entries is None else entries.get(report.study_id)
        paths = _paths(report, films, images, entry)
        reason = _unusable(report, paths, target, listed=entries is None or entry is not None)
        if reason is None:
            chosen = split_of(report.study_id) if entry is None else entry.split
            items[report.study_id] = _Item(report, paths, chosen)
        else:
            skipped[reason] += 1
    source = {"kind": "iu-xray", "target": target, "size": size}
    if not items:
        raise DatasetError(f"{images}: none of its {len(films)} image files belongs to a report; "
                           "expected Open-i's names, such as CXR2384_IM-0942-1001.png")  # fmt: skip
    return prepare(
        out,
        items,
        partial(_build, size),
        source=source,
        description=f"IU X-ray (Open-i), studies with {target}, films up to {size} pixels",
        licence="CC BY-NC-ND 4.0",
        skipped=skipped,
        inputs=_inputs,
        facts=_facts,
        workers=workers or (1 if len(items) < 100 else os.cpu_count() or 1),
        progress=progress,
    )


def _inputs(item: _Item) -> tuple[Path, ...]:
    return item.paths


def _facts(item: _Item) -> list[object]:
    return [item.report, item.split]


def _films(folder: Path) -> dict[str, Path]:
    """Return a film's name by any of Open-i's spellings (``2384_IM-0942-1001``) → its file."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is no folder; expected the folder with IU X-ray's films")
    found: dict[str, Path] = {}
    twice = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and _NAME.match(path.name):
            name = _spelling(path.name)
            if name in found:
                twice.append(f"{found[name].name} and {path.name} are one film: keep one")
            found[name] = path
    _refuse(folder, twice)
    return found


def _spelling(name: str) -> str:
    name = name.partition(".")[0]  # 1_IM-0001-3001.dcm.png is found too
    return _NAME.sub(r"\g<study>_", name)


def _paths(
    report: IuReport, films: Mapping[str, Path], folder: Path, entry: R2GenEntry | None
) -> tuple[Path, ...]:
    """Return all films of a study, or none if one is missing."""
    named = [films.get(_spelling(image)) for image in report.images]
    if named and None not in named:
        return tuple(path for path in named if path is not None)
    given = tuple(folder / image for image in entry.images) if entry else ()
    return given if all(path.is_file() for path in given) else ()


def _unusable(
    report: IuReport, paths: tuple[Path, ...], target: str, *, listed: bool
) -> str | None:
    """Return why a study is left out; None if it is kept."""
    if not listed:
        return "not in the split file"
    if not any(report.sections.get(section) for section in target.split("+")):
        return f"no text for the target {target}"
    if not report.images:
        return "no image in the report"
    return None if paths else "image files missing"


def _build(size: int, study_id: str, item: _Item) -> tuple[Row, dict[str, bytes]]:
    names, views, files = prepared_films(study_id, item.paths, [None] * len(item.paths), size)
    sections = item.report.sections
    row = Row(
        study_id=study_id,
        patient_id=study_id,
        split=item.split,
        images=names,
        views=views,
        indication=sections.get("indication"),
        comparison=sections.get("comparison"),
        findings=sections.get("findings", ""),
        impression=sections.get("impression", ""),
    )
    return row, files
