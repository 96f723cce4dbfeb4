"""PadChest (Bustos et al., Med Image Anal 2020;66:101797): Spanish reports, its own labels.

Layout as published by BIMCV (https://bimcv.cipf.es/bimcv-projects/padchest/):

- ``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv`` (or .gz): one film per line: ImageID,
  ImageDir, StudyDate_DICOM, StudyID, PatientID, PatientBirth (a year), PatientSex_DICOM,
  ViewPosition_DICOM, Projection, MethodLabel, ReportID, Report, Labels, Localizations and more.
- films: 16-bit PNG in one folder per zip: ``0/`` to ``50/`` and ``54/`` (unpacked in ``images/``,
  beside the CSV, or all in one folder).

Notes:

- Report is text processed by the authors: lower case, word stems, no stop words, no headings. All
  of it is taken as findings; the reader's Spanish rules were not made for stems.
- Labels and Localizations are Python lists written as text; names may begin with a space. Only
  present ones are listed. 27,593 studies were labelled by physicians, the others by a model, as
  MethodLabel says; the labeller is called padchest-physician or padchest-model accordingly.
- Films with the label ``exclude``, which the authors call unusable, are left out, as are those
  without labels (103 lines).
- Projection (PA, L, AP, AP_horizontal, COSTAL, EXCLUDE) is the verified view; it takes precedence
  over ViewPosition_DICOM.
- There is no official split: it is made by a hash of the patient's id.
"""

import ast
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
from plainfilm.data.sources.files import (
    csv_table,
    find_file,
    groups_of,
    in_order,
    number_of,
    one_spaced,
    sex_of,
    view_of,
)
from plainfilm.data.splits import split_of

_EXPECTED = "PadChest's folder, with PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_COLUMNS = ("ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth",
            "PatientSex_DICOM", "ViewPosition_DICOM", "Projection", "MethodLabel", "Report",
            "Labels", "Localizations")  # fmt: skip
_EXCLUDED = "exclude"


def prepare_padchest(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare PadChest into the dataset directory ``out``.

    Args:
        source: the folder with the CSV file.
        out: the dataset directory to create.
        films: the folder with the films, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    path = find_file([source], ["PADCHEST_chest_x_ray_images_labels_*.csv"], _EXPECTED)
    table = csv_table(path, _COLUMNS, _EXPECTED, multiline=True)
    table = in_order(table, "PatientID", "StudyDate_DICOM", "StudyID", "ImageID")
    root, nested = _root(films or source, table.slice(0, 20).to_pylist())
    before: tuple[str, str] | None = None
    for group in groups_of(table, "StudyID"):
        one = group[0]
        patient, study_id = one["PatientID"], one["StudyID"]
        labels = [_listed(path, film["Labels"]) for film in group]
        kept = [film for film, names in zip(group, labels, strict=True)
                if names and _EXCLUDED not in names]  # fmt: skip
        if not kept:
            excluded = any(_EXCLUDED in names for names in labels)
            entries.skip(patient, "labelled exclude" if excluded else "no labels")
            continue
        names = sorted({name for found in labels for name in found})
        places = sorted({name for film in kept for name in _listed(path, film["Localizations"])})
        physician = one["MethodLabel"].strip().lower() == "physician"
        told = {
            f"padchest-{'physician' if physician else 'model'}": dict.fromkeys(names, "present")
        }
        if places:
            told["padchest-locations"] = dict.fromkeys(places, "present")
        report = one_spaced(one["Report"])
        entries.add(
            study_id,
            Entry(
                patient,
                split_of(patient),
                tuple(Film(_film(film, nested), _view(film)) for film in kept),
                texts={"findings": report} if report else {},
                institution="Hospital San Juan, Alicante",
                table={"age_years": _age(one), "sex": sex_of(one["PatientSex_DICOM"])},
                labels=told,
                prior=before[1] if before is not None and before[0] == patient else None,
            ),
        )
        before = patient, study_id
    return prepare_collection(
        out, Collection("padchest", root, entries, {}, language="es"), options
    )


def _listed(path: Path, text: str) -> list[str]:
    """Return the names of a Python list written as text, without blank ones."""
    if not one_spaced(text):
        return []
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DatasetError(f"{path}: labels must be a list such as ['normal'], got {text[:60]!r}"
                           ) from error  # fmt: skip
    return [words for name in names if (words := one_spaced(name))]


def _film(film: dict[str, Any], nested: bool) -> str:
    folder = film["ImageDir"].removesuffix(".0")
    return f"{folder}/{film['ImageID']}" if nested else str(film["ImageID"])


def _root(folder: Path, films: list[dict[str, Any]]) -> tuple[Path, bool]:
    roots = [folder / "images", folder]
    names = [_film(film, nested) for film in films[:10] for nested in (True, False)]
    root = find_root(roots, names, _EXPECTED)
    return root, any((root / name).is_file() for name in names[::2])


def _view(film: dict[str, Any]) -> str | None:
    view = view_of(film["Projection"]) or view_of(film["ViewPosition_DICOM"])
    return None if view is None else str(view)


def _age(film: dict[str, Any]) -> float | None:
    born, filmed = number_of(film["PatientBirth"]), number_of(film["StudyDate_DICOM"][:4])
    return None if born is None or filmed is None else max(filmed - born, 0.0)
