"""PadChest-GR (Castro et al., arXiv:2411.05085): sentences in two languages with bounding boxes.

Layout as published by BIMCV (https://bimcv.cipf.es/bimcv-projects/padchest-gr/):

- ``grounded_reports_20240819.json``: a list of studies, each with StudyID, ImageID,
  PreviousStudyID, PreviousImageID and findings: sentence_en, sentence_es, abnormal, boxes and
  extra_boxes (by the second annotator; [x1, y1, x2, y2] as fractions), labels, locations,
  progression.
- ``master_table.csv`` (published as a zip: unpack it): one sentence per line: StudyID, PatientID,
  split (train, validation, test), PatientAge, PatientSex_DICOM and more.
- films: 16-bit PNG in ``Padchest_GR_files/PadChest_GR/`` or ``Padchest_GR_files/``.

Notes:

- The list of sentences is the report; without sections, all of it is taken as findings.
- One frontal film per study. The films of earlier studies are a separate download without reports;
  a study has a prior only if that is in the collection itself.
"""

from pathlib import Path
from typing import Any

from plainfilm.core import DatasetError, InputError
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
    csv_rows,
    find_file,
    one_spaced,
    read_json,
    sex_of,
)

LANGUAGES = ("es", "en")
_EXPECTED = "PadChest-GR's folder, with grounded_reports_20240819.json and master_table.csv"
_SPLITS = {"train": "train", "validation": "validate", "test": "test"}


def prepare_padchest_gr(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    language: str = "es",
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare PadChest-GR into the dataset directory ``out``.

    Args:
        source: the folder with the JSON file and the table.
        out: the dataset directory to create.
        films: the folder with the films, if that is elsewhere.
        language: language of the reports to use: ``es`` (as written) or ``en``.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
        InputError: the language is neither of them.
    """
    if language not in LANGUAGES:
        raise InputError(f"language must be {' or '.join(LANGUAGES)}, got {language!r}")
    entries = options.entries()
    path = find_file([source], ["grounded_reports_*.json"], _EXPECTED)
    table = find_file([source], ["master_table.csv"], _EXPECTED)
    columns = ["StudyID", "PatientID", "split", "PatientAge", "PatientSex_DICOM"]
    people = {row["StudyID"]: row for row in csv_rows(table, columns, _EXPECTED, multiline=True)}
    studies = read_json(path, _EXPECTED)
    if not isinstance(studies, list) or not all(
        isinstance(study, dict) and {"StudyID", "ImageID", "findings"} <= study.keys()
        for study in studies
    ):
        raise DatasetError(f"{path}: must be a list of studies with StudyID, ImageID and findings; "
                           f"expected {_EXPECTED}")  # fmt: skip
    folder = films or source
    inside = ("Padchest_GR_files/PadChest_GR", "Padchest_GR_files", "PadChest_GR", "")
    names = [study["ImageID"] for study in studies[:20]]
    root = find_root([folder / one for one in inside], names, _EXPECTED)
    for study in studies:
        study_id = study["StudyID"]
        person = people.get(study_id)
        if person is None:
            entries.skip(study_id, "not in the master table")
            continue
        if person["split"] not in _SPLITS:
            raise DatasetError(
                f"{table}: split must be {', '.join(_SPLITS)}, got {person['split']!r}"
            )
        before = people.get(study.get("PreviousStudyID") or "")
        same = before is not None and before["PatientID"] == person["PatientID"]
        findings = study["findings"]
        texts = [one_spaced(finding[f"sentence_{language}"]) for finding in findings]
        entries.add(
            study_id,
            Entry(
                person["PatientID"],
                _SPLITS[person["split"]],
                (Film(study["ImageID"]),),
                texts={"findings": " ".join(text for text in texts if text)},
                institution="Hospital San Juan, Alicante",
                table={"age_years": age_of(person["PatientAge"]),
                       "sex": sex_of(person["PatientSex_DICOM"])},
                labels={"padchest-gr": _labels(findings)},
                boxes=tuple(box for finding, text in zip(findings, texts, strict=True)
                            for box in _boxes(finding, text)),
                prior=study["PreviousStudyID"] if same else None,
            ),
        )  # fmt: skip
    settings = {"language": language}
    collection = Collection("padchest-gr", root, entries, settings, language=language)
    return prepare_collection(out, collection, options)


def _labels(findings: list[dict[str, Any]]) -> dict[str, str]:
    """Return label → present or absent from the sentences; present takes precedence."""
    told: dict[str, str] = {}
    for finding in findings:
        for name in finding.get("labels") or ():
            if finding.get("abnormal"):
                told[name] = "present"
            else:
                told.setdefault(name, "absent" if name.lower() != "normal" else "present")
    return told


def _boxes(finding: dict[str, Any], text: str) -> list[dict[str, Any]]:
    name = ", ".join(finding.get("labels") or ()) or "finding"
    readers = {"first": finding.get("boxes"), "second": finding.get("extra_boxes")}
    return [
        dict(zip(("left", "top", "right", "bottom"), map(float, box), strict=True))
        | {"name": name, "phrase": text, "reader": reader}
        for reader, boxes in readers.items()
        for box in boxes or ()
        if len(box) == 4
    ]
