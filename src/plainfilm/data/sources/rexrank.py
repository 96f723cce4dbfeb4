"""ReXrank's evaluation sets (https://rexrank.ai): JSON files for other collections' films.

Layout as published at https://github.com/rajpurkarlab/ReXrank (``data/``):
``ReXRank_MIMICCXR_test.json``, ``ReXRank_IUXray_test.json``, ``ReXRank_IUXray_valid.json``,
``ReXRank_CheXpertPlus.json``: an object of study id → image_path (a list), key_image_path (the
frontal one), frontal_lateral (a list), context (``Age:82.0.Gender:F.Indication:… Comparison:….``),
section_findings, section_impression. Films come with the collections: MIMIC-CXR-JPG's ``files/``,
CheXpert Plus' ``PNG/``, IU X-ray's.

Notes: these sets are for evaluation, so the split is *test* (*validate* for a file named valid).
The key image comes first. The patient is taken from the path if that contains one; otherwise each
study counts as a patient.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plainfilm.core import DatasetError, Study, View
from plainfilm.data.dataset import Dataset
from plainfilm.data.films.reader import read_image
from plainfilm.data.sources.collection import (
    Collection,
    Entry,
    Film,
    Options,
    find_root,
    prepare_collection,
)
from plainfilm.data.sources.files import age_of, find_file, one_spaced, read_json, sex_of

_EXPECTED = "a file of ReXrank's, such as ReXRank_MIMICCXR_test.json, or the folder of one"
_CONTEXT = re.compile(
    r"Age:(?P<age>.*?)\.?\s*Gender:(?P<sex>.*?)\.\s*Indication:(?P<indication>.*?)"
    r"\s*Comparison:(?P<comparison>.*)",
    re.DOTALL,
)
_PATIENT = re.compile(r"(?:^|/)(p\d{8}|patient\d+)/")
_REQUIRED = {"image_path", "section_findings", "section_impression"}


def prepare_rexrank(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare one of ReXrank's evaluation sets into the dataset directory ``out``.

    Args:
        source: the JSON file, or a folder with one.
        out: the dataset directory to create.
        films: the folder that its paths are relative to; default: that of the JSON file.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    path = source if source.is_file() else find_file([source], ["ReXRank_*.json"], _EXPECTED)
    studies = read_json(path, _EXPECTED)
    if not isinstance(studies, dict) or not studies:
        raise DatasetError(f"{path}: must be an object of study id to study; expected {_EXPECTED}")
    for study_id, study in studies.items():
        if not isinstance(study, dict) or not study.keys() >= _REQUIRED:
            raise DatasetError(f"{path}: study {study_id[:60]!r} lacks some of "
                               f"{', '.join(sorted(_REQUIRED))}; expected {_EXPECTED}")  # fmt: skip
    split = "validate" if "valid" in path.stem.lower() else "test"
    names = [film for study in list(studies.values())[:20] for film in study["image_path"]]
    folder = films or path.parent
    root = find_root([folder, folder / "files", folder / "images"], names, "its films: --films")
    for study_id, study in studies.items():
        patient = _PATIENT.search(study["image_path"][0] if study["image_path"] else "")
        table, texts = _context(study.get("context"))
        texts |= {"findings": one_spaced(study["section_findings"]),
                  "impression": one_spaced(study["section_impression"])}  # fmt: skip
        entries.add(
            study_id,
            Entry(
                patient[1] if patient else study_id,
                split,
                _films(study),
                texts={name: words for name, words in texts.items() if words},
                table=table,
            ),
        )
    return prepare_collection(
        out, Collection("rexrank", root, entries, {"file": path.name}), options
    )


def rexrank_study(study_id: str, entry: Mapping[str, Any], films: Path) -> Study:
    """Return a study of a file in ReXrank's form, to be drafted; its sections need not be there.

    Args:
        study_id: its key.
        entry: its value, with ``image_path`` and perhaps ``key_image_path``, ``frontal_lateral``
            and ``context``.
        films: the folder that its paths are relative to.

    Raises:
        DatasetError: it has no ``image_path``.
        ImageError: a film is missing or can't be read.
    """
    paths = entry.get("image_path") if isinstance(entry, Mapping) else None
    if not isinstance(paths, list) or not paths:
        raise DatasetError(f"study {study_id[:60]!r} has no image_path, a list of films")
    table, texts = _context(entry.get("context"))
    images = []
    for film in _films({**entry, "image_path": paths}):
        image = read_image(films / film.path)
        if film.view is not None:
            image = image.model_copy(update={"view": View(film.view)})
        images.append(image)
    words = {name: text or None for name, text in texts.items()}
    return Study(id=study_id, images=tuple(images), table=table, **words)


def _films(study: dict[str, Any]) -> tuple[Film, ...]:
    views = study.get("frontal_lateral")
    views = views if isinstance(views, list) else [None] * len(study["image_path"])
    films = [
        Film(name, "lateral" if str(view).strip().lower() == "lateral" else None)
        for name, view in zip(study["image_path"], views, strict=False)
    ]
    return tuple(sorted(films, key=lambda film: film.path != study.get("key_image_path")))


def _context(text: Any) -> tuple[dict[str, float | str | None], dict[str, str]]:
    found = _CONTEXT.fullmatch(one_spaced(text))
    if found is None:
        return {}, {}
    indication = one_spaced(found["indication"].strip(" ."))
    comparison = one_spaced(found["comparison"].strip(" ."))
    table = {"age_years": age_of(found["age"]), "sex": sex_of(found["sex"])}
    return table, {"indication": indication, "comparison": comparison}
