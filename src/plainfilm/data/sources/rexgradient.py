"""ReXGradient-160K (Zhang et al., arXiv:2505.00228): reports of 79 sites of three health systems.

Layout as published at https://huggingface.co/datasets/rajpurkarlab/ReXGradient-160K:

- ``metadata/{train,valid,test}_metadata_view_position.json``: an object of study key → PatientID,
  StudyInstanceUid, PatientSex, PatientAge (``045Y``), StudyDate, Indication, Comparison, Findings,
  Impression, and the parallel lists ImagePath (``../deid_png/GRDN…/….png``, relative to the
  metadata's folder) and ImageViewPosition. 140,000, 10,000 and 10,000 studies.
  (``*_metadata.csv`` lists no films and is not read.)
- films: ``deid_png/``, from the concatenated and unpacked ``deid_png.part*``.

Notes:

- ImageViewPosition is PA, AP, LATERAL, LL, POSTERO_ANTERIOR, LAO, RAO, UNKNOWN, N/A or null.
- Films have a quarter of their original size.
- The files do not state the site of a study, so the institution is blank.
- The split is by patient, and StudyDate orders a patient's studies.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from plainfilm.core import DatasetError, errors_as
from plainfilm.data.dataset import Dataset
from plainfilm.data.prepare import usable_id
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    find_root,
    prepare_collection,
)
from plainfilm.data.sources.files import age_of, find_file, one_spaced, sex_of, view_of

SPLITS = {"train": "train", "valid": "validate", "test": "test"}
_EXPECTED = "ReXGradient-160K's folder, with metadata/ and deid_png/"
_REQUIRED = ("PatientID", "ImagePath", "Findings", "Impression")
_TEXTS = ("findings", "impression", "indication", "comparison")


class _Place(NamedTuple):
    """Position of a study in its file; sorts by patient and date."""

    patient: str
    date: str
    key: str
    split: str
    start: int


def prepare_rexgradient(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare ReXGradient-160K into the dataset directory ``out``.

    Args:
        source: the folder with ``metadata/``; missing splits are left out.
        out: the dataset directory to create.
        films: the folder with ``deid_png/``, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    folders = [folder for folder in (source / "metadata", source / "download/metadata", source)
               if folder.is_dir()] or [source]  # fmt: skip
    find_file(folders, ["*_metadata_view_position.json"], _EXPECTED)
    places: list[_Place] = []
    texts: dict[str, str] = {}
    for split in SPLITS:
        name = f"{split}_metadata_view_position.json"
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is not None:
            texts[split] = _text(path)
            places += _places(path, texts[split], split)
    first = [film for place in places[:6] for film in _films(_study(texts, place))]
    root = find_root([films or source, source], first, _EXPECTED)
    before: _Place | None = None
    for place in sorted(places):
        study = _study(texts, place)
        paths, views = _films(study), study.get("ImageViewPosition") or []
        patient = place.patient
        if not paths:
            entries.skip(patient, "no film in the metadata")
            continue
        entries.add(
            place.key,
            Entry(
                patient,
                SPLITS[place.split],
                tuple(
                    Film(film, view_of(views[at] if at < len(views) else None))
                    for at, film in enumerate(paths)
                ),
                texts={
                    name: words
                    for name in _TEXTS
                    if (words := one_spaced(study.get(name.capitalize())))
                },
                table={"age_years": age_of(study.get("PatientAge")),
                       "sex": sex_of(study.get("PatientSex"))},
                prior=before.key if before is not None and before.patient == patient else None,
            ),
        )  # fmt: skip
        before = place
    return prepare_collection(out, Collection("rexgradient", root, entries), options)


def _text(path: Path) -> str:
    with errors_as(DatasetError, f"{path}: cannot be read as JSON", f"expected {_EXPECTED}"):
        return path.read_text(encoding="utf-8")


def _places(path: Path, text: str, split: str) -> Iterator[_Place]:
    """Yield the position of each study, since the objects themselves would fill the memory."""
    decoder = json.JSONDecoder()
    with errors_as(DatasetError, f"{path}: cannot be read as JSON", f"expected {_EXPECTED}"):
        at = _after(text, 0, "{")
        while text[at] != "}":
            key, at = decoder.raw_decode(text, at)
            at = start = _after(text, at, ":")
            study, at = decoder.raw_decode(text, at)
            missing = [name for name in _REQUIRED if name not in study]
            if missing:
                raise ValueError(f"study {key} lacks {', '.join(missing)}")
            name = key if usable_id(key) else str(study.get("StudyInstanceUid"))
            date = str(study.get("StudyDate") or "")
            yield _Place(str(study["PatientID"]), date, name, split, start)
            at = _blank(text, at)
            if text[at] == ",":
                at = _blank(text, at + 1)


def _blank(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at


def _after(text: str, at: int, mark: str) -> int:
    at = _blank(text, at)
    if text[at] != mark:
        raise ValueError(f"expected {mark} at character {at}")
    return _blank(text, at + 1)


def _study(texts: dict[str, str], place: _Place) -> dict[str, Any]:
    study: dict[str, Any] = json.JSONDecoder().raw_decode(texts[place.split], place.start)[0]
    return study


def _films(study: dict[str, Any]) -> list[str]:
    """Return the paths relative to the folder that contains ``deid_png``."""
    return [str(path).removeprefix("../") for path in study.get("ImagePath") or []]
