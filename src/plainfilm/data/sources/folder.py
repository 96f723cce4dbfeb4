"""The user's own films and reports, described by a CSV file.

Each row is a film; rows with the same ``study_id`` form a study. :data:`COLUMNS` lists the columns
of the CSV. All its mistakes are listed at once, before anything is written.
"""

import csv
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from plainfilm.core import DatasetError, View
from plainfilm.data.dataset import Dataset, Row
from plainfilm.data.films.prepared import LONGEST_SIDE, prepared_films
from plainfilm.data.films.reader import sniff
from plainfilm.data.prepare import check_out, prepare, usable_id
from plainfilm.data.splits import SPLITS, split_of

COLUMNS: Mapping[str, str] = {
    "image": "the film's file, from the CSV's folder or absolute; required",
    "patient_id": "whose film it is, so that no patient lies in two splits; required",
    "study_id": "films with the same one are one study; the file's name if left out",
    "view": "PA, AP, lateral, oblique or unknown; where blank, the file's header counts",
    "split": "train, validate or test; without the column 80, 10 and 10 % of the patients",
    "findings": "the FINDINGS section",
    "impression": "the IMPRESSION section",
    "indication": "why the film was taken",
    "comparison": "the earlier film that the report compares with",
    "technique": "how the film was taken",
    "institution": "where it was taken",
    "prior_study_id": "the patient's earlier study in the same CSV",
}
"""Columns of the CSV. In addition each ``table.NAME`` is a clinical value; blank = not measured."""

_TABLE = "table."
_SHOWN = 100
"""Maximum number of mistakes in a message; a wrong folder makes every line one."""
_REQUIRED = ("image", "patient_id")
_PER_FILM = {"image", "view", "study_id"}


class _Study(NamedTuple):
    paths: tuple[Path, ...]
    views: tuple[View | None, ...]
    split: str
    values: Mapping[str, str]
    """Column → value, for columns of the whole study, without blank ones."""


def _paths(study: _Study) -> tuple[Path, ...]:
    return study.paths


def _facts(study: _Study) -> list[object]:
    """Return the CSV's information about a study, except the paths of its films."""
    values = {name: text for name, text in study.values.items() if name != "image"}
    return [study.views, study.split, values]


def prepare_folder(
    table: Path,
    out: Path,
    *,
    description: str | None = None,
    licence: str = "not said",
    language: str = "en",
    size: int = LONGEST_SIDE,
    workers: int | None = None,
    progress: bool = True,
) -> Dataset:
    """Prepare the films that the CSV file ``table`` names into the dataset directory ``out``.

    Args:
        table: the CSV, UTF-8, with a header line of :data:`COLUMNS`.
        out: the dataset directory to create.
        description: one line for the card.
        licence: licence of the films and reports, for the card.
        language: language of the reports, for the reader.
        size: longest side of the prepared films.
        workers: number of processes; default: one per core.
        progress: whether to show a progress bar.

    A study with a film that can't be read is left out, with its reason in ``refused.jsonl``.

    Raises:
        DatasetError: the CSV is missing or has mistakes; all are listed.
        OutputError: ``out`` cannot be written.
    """
    check_out(out)
    studies = read_table(table)
    return prepare(
        out,
        studies,
        partial(_build, size),
        source={"kind": "folder", "size": size},
        description=description or f"{len(studies)} studies from {table.name}",
        licence=licence,
        language=language,
        inputs=_paths,
        facts=_facts,
        workers=workers or (1 if len(studies) < 100 else os.cpu_count() or 1),
        progress=progress,
    )


def read_table(table: Path) -> dict[str, _Study]:
    """Return study id → study of a CSV file.

    Raises:
        DatasetError: the CSV is missing, or has mistakes; all are listed.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or ())
            lines = [(reader.line_num, values) for values in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table}: cannot be read as a UTF-8 CSV file ({error})") from error
    mistakes = _column_mistakes(columns)
    if not mistakes and not lines:
        mistakes = ["has no line below its header"]
    groups: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    if not mistakes:
        for line, raw in lines:
            values = {name: (raw[name] or "").strip() for name in columns if name}
            found = _line_mistakes(table.parent, values, overlong=None in raw)
            mistakes += [f"line {line}: {mistake}" for mistake in found]
            groups[values.get("study_id") or Path(values["image"]).stem].append((line, values))
        for study_id, group in groups.items():
            mistakes += _study_mistakes(study_id, group, groups)
        mistakes += _split_mistakes(groups)
    if mistakes:
        more = f"; and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
        raise DatasetError(f"{table}: {'; '.join(mistakes[:_SHOWN])}{more}")
    return {key: _study(table.parent, [values for _, values in group])
            for key, group in groups.items()}  # fmt: skip


_Group = Sequence[tuple[int, Mapping[str, str]]]


def _column_mistakes(columns: Sequence[str]) -> list[str]:
    mistakes = [f"column {name} is missing" for name in _REQUIRED if name not in columns]
    known = [*COLUMNS, f"{_TABLE}NAME"]
    mistakes += [
        f"column {name!r} is unknown: choose from {', '.join(known)}"
        for name in columns
        if name not in COLUMNS and not (name.startswith(_TABLE) and name != _TABLE)
    ]
    return mistakes + [
        f"column {name!r} stands twice" for name in sorted(set(columns)) if columns.count(name) > 1
    ]


def _line_mistakes(folder: Path, values: Mapping[str, str], overlong: bool) -> list[str]:
    mistakes = [f"{name} is blank" for name in _REQUIRED if not values[name]]
    if overlong:
        mistakes.append("has more values than columns (quote texts that hold commas)")
    if any("\0" in value for value in values.values()):
        return [*mistakes, "holds a NUL character"]
    study_id = values.get("study_id") or Path(values["image"]).stem
    if study_id and not usable_id(study_id):
        mistakes.append(f"study_id {study_id[:60]!r} cannot be a file name")
    path = folder / values["image"]
    try:
        if values["image"] and not path.is_file():
            mistakes.append(f"there is no file {values['image'][:200]}")
        elif values["image"] and sniff(path) is None:
            mistakes.append(f"{values['image']} is no DICOM, PNG, JPEG or TIFF file")
    except OSError as error:
        mistakes.append(f"{values['image'][:200]} cannot be read ({error.strerror})")
    for name, choices in (("view", [str(view) for view in View]), ("split", SPLITS)):
        if values.get(name) and values[name] not in choices:
            mistakes.append(f"{name} must be one of {', '.join(choices)}, got {values[name]!r}")
    if values.get("split") == "" and "split" in values:
        mistakes.append("split is blank: give all lines one, or leave the column out")
    return mistakes


def _study_mistakes(study_id: str, group: _Group, studies: Mapping[str, _Group]) -> list[str]:
    """Return the contradictions and dangling references in the lines of one study."""
    line = group[0][0]
    mistakes = []
    for name in group[0][1]:
        said = {values[name] for _, values in group if values[name]}
        if name not in _PER_FILM and len(said) > 1:
            mistakes.append(f"line {line}: the lines of study {study_id} differ in {name}")
    images = [values["image"] for _, values in group]
    if len(set(images)) < len(images):
        mistakes.append(f"line {line}: study {study_id} names one film twice")
    if not any(values.get(name) for _, values in group for name in ("findings", "impression")):
        mistakes.append(f"line {line}: study {study_id} has neither findings nor impression")
    prior = next(
        (values["prior_study_id"] for _, values in group if values.get("prior_study_id")), ""
    )
    if prior and (prior not in studies or prior == study_id):
        mistakes.append(f"line {line}: prior_study_id {prior!r} is no other study of the CSV")
    elif prior and studies[prior][0][1]["patient_id"] != group[0][1]["patient_id"]:
        mistakes.append(f"line {line}: prior_study_id {prior!r} is of another patient")
    return mistakes


def _split_mistakes(studies: Mapping[str, _Group]) -> list[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for group in studies.values():
        for _, values in group:
            if values.get("split"):
                splits[values["patient_id"]].add(values["split"])
    return [
        f"patient {patient} lies in the splits {', '.join(sorted(said))}: choose one"
        for patient, said in splits.items()
        if len(said) > 1
    ]


def _study(folder: Path, films: Sequence[Mapping[str, str]]) -> _Study:
    values = {name: text for film in films for name, text in film.items() if text}
    return _Study(
        paths=tuple(folder / film["image"] for film in films),
        views=tuple(View(film["view"]) if film.get("view") else None for film in films),
        split=values.get("split") or split_of(values["patient_id"]),
        values=values
        | {name: "" for name in films[0] if name.startswith(_TABLE) and name not in values},
    )


def _build(size: int, study_id: str, study: _Study) -> tuple[Row, dict[str, bytes]]:
    names, views, files = prepared_films(study_id, study.paths, study.views, size)
    values = study.values
    row = Row(
        study_id=study_id,
        patient_id=values["patient_id"],
        split=study.split,
        images=names,
        views=views,
        findings=values.get("findings", ""),
        impression=values.get("impression", ""),
        institution=values.get("institution"),
        indication=values.get("indication"),
        comparison=values.get("comparison"),
        technique=values.get("technique"),
        table={
            name.removeprefix(_TABLE): _clinical(text)
            for name, text in values.items()
            if name.startswith(_TABLE)
        },
        prior_study_id=values.get("prior_study_id"),
    )
    return row, files


def _clinical(text: str) -> float | str | None:
    """Return a clinical value: a number, a word, or None if it was not measured."""
    try:
        number = float(text)
    except ValueError:
        return text or None
    return number if math.isfinite(number) else None
