"""BRAX (Reis et al., Sci Data 2022;9:487): Brazilian films with CheXpert's labels, no reports.

Layout as published at https://physionet.org/content/brax/ (1.1.0):

- ``master_spreadsheet_update.csv`` (``master_spreadsheet.csv`` in some copies): one film per line:
  DicomPath, PngPath, PatientID, PatientSex, PatientAge, AccessionNumber, StudyDate, the 14
  observations (1, 0, -1 or blank), ViewPosition, Rows, Columns, Manufacturer.
- films: ``images/id_…/Study_…/Series_…/image-….png`` and ``Anonymized_DICOMs/…/image-….dcm``.

Notes: the reports, in Portuguese, are not published, so the collection is for classifiers. Ages are
in steps of five years. There is no official split: it is made by a hash of the patient's id.
"""

from pathlib import Path

from plainfilm.core import OBSERVATIONS
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
    age_of,
    csv_table,
    find_file,
    groups_of,
    in_order,
    sex_of,
    statuses,
    view_of,
)
from plainfilm.data.splits import split_of

_EXPECTED = "BRAX's folder, with master_spreadsheet_update.csv"
_NAMES = tuple(map(str, OBSERVATIONS))
_COLUMNS = ("PngPath", "PatientID", "PatientSex", "PatientAge", "AccessionNumber", "StudyDate",
            "ViewPosition", *_NAMES)  # fmt: skip


def prepare_brax(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare BRAX into the dataset directory ``out``; with no reports, the target is ``any``.

    Args:
        source: the folder with the spreadsheet.
        out: the dataset directory to create.
        films: the folder with ``images/`` or ``Anonymized_DICOMs/``, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    options = options._replace(target="any")
    entries = options.entries()
    patterns = ["master_spreadsheet_update.csv", "master_spreadsheet.csv"]
    path = find_file([source], patterns, _EXPECTED)
    table = csv_table(path, _COLUMNS, _EXPECTED, optional=["DicomPath"])
    table = in_order(table, "PatientID", "StudyDate", "AccessionNumber", "PngPath")
    some = table.slice(0, 20).to_pylist()
    columns = [name for name in ("PngPath", "DicomPath") if name in table.column_names]
    root = find_root(
        [films or source], [film[name] for film in some for name in columns], _EXPECTED
    )
    column = next(name for name in columns if any((root / film[name]).is_file() for film in some))
    before: tuple[str, str] | None = None
    for group in groups_of(table, "AccessionNumber"):
        one = group[0]
        patient, study_id = one["PatientID"], one["AccessionNumber"]
        entries.add(
            study_id,
            Entry(
                patient,
                split_of(patient),
                tuple(Film(film[column], view_of(film["ViewPosition"])) for film in group),
                institution="Hospital Israelita Albert Einstein",
                table={"age_years": age_of(one["PatientAge"]), "sex": sex_of(one["PatientSex"])},
                labels={"chexpert": statuses(one, _NAMES)},
                prior=before[1] if before is not None and before[0] == patient else None,
            ),
        )
        before = patient, study_id
    return prepare_collection(out, Collection("brax", root, entries, {"films": column}), options)
