"""R2Gen's distributions of IU X-ray and MIMIC-CXR (Chen et al., EMNLP 2020), which are widely used.

Layout as described at https://github.com/zhjohnchan/R2Gen: ``annotation.json``, an object with
train, val and test, lists of entries with id, report, image_path (a list) and split, for MIMIC-CXR
also study_id and subject_id; and ``images/`` (IU: ``CXR2384_IM-0942/0.png``; MIMIC:
``p10/p10000032/s50414267/….jpg``).

Notes:

- The report is the FINDINGS section with single spaces, without the truncation and lower-casing
  that R2Gen applies in training. There is no other section.
- The test key is empty in one published copy of IU X-ray: the split is taken from each entry.
- In MIMIC-CXR an entry is a film, so that a study may have several: their films are combined.
- Views are not given.
"""

from pathlib import Path
from typing import Any

from plainfilm.core import DatasetError
from plainfilm.data.dataset import Dataset
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    find_root,
    prepare_collection,
)
from plainfilm.data.sources.files import find_file, one_spaced, read_json

_EXPECTED = "R2Gen's folder, with annotation.json and images/"
_SPLITS = {"train": "train", "val": "validate", "validate": "validate", "test": "test"}


def prepare_r2gen(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare a collection in R2Gen's layout into the dataset directory ``out``.

    Args:
        source: the folder with ``annotation.json``.
        out: the dataset directory to create.
        films: the folder that image paths are relative to, if it is not ``images/`` in ``source``.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    path = find_file([source], ["annotation.json", "*annotation*.json"], _EXPECTED)
    groups = read_json(path, _EXPECTED)
    if not isinstance(groups, dict) or not all(isinstance(one, list) for one in groups.values()):
        raise DatasetError(f"{path}: must be an object of lists of studies; expected {_EXPECTED}")
    studies: dict[str, dict[str, Any]] = {}
    for entry in (entry for group in groups.values() for entry in group):
        _check(path, entry)
        study_id = _study(entry)
        known = studies.setdefault(study_id, {**entry, "image_path": []})
        known["image_path"] += [one for one in entry["image_path"]
                                if one not in known["image_path"]]  # fmt: skip
    names = [name for study in list(studies.values())[:20] for name in study["image_path"]]
    folder = films or source
    root = find_root([folder / "images", folder, folder / "files"], names, _EXPECTED)
    for study_id, study in studies.items():
        subject = study.get("subject_id")
        entries.add(
            study_id,
            Entry(
                study_id if subject is None else f"p{subject}",
                _SPLITS[study["split"]],
                tuple(Film(name) for name in study["image_path"]),
                texts={"findings": one_spaced(study["report"])},
            ),
        )
    return prepare_collection(out, Collection("r2gen", root, entries), options)


def _study(entry: dict[str, Any]) -> str:
    """Return a study's id; in IU X-ray the entry's id also contains the film's number."""
    if entry.get("study_id") is not None:
        return f"s{entry['study_id']}"
    return str(entry["id"]).partition("_")[0]


def _check(path: Path, entry: Any) -> None:
    if (
        not isinstance(entry, dict)
        or not {"id", "report", "image_path", "split"} <= entry.keys()
        or entry["split"] not in _SPLITS
        or not isinstance(entry["image_path"], list)
    ):
        raise DatasetError(
            f"{path}: an entry needs id, report, image_path (a list) and split (train, val, test), "
            f"got {str(entry)[:80]!r}"
        )
