"""MIMIC-CXR and MIMIC-CXR-JPG (Johnson et al., Sci Data 2019;6:317).

Layout as published at https://physionet.org/content/mimic-cxr/ and
https://physionet.org/content/mimic-cxr-jpg/ (2.0.0 and 2.1.0):

- films: ``files/p10/p10000032/s50414267/02aa804e-….dcm`` or ``.jpg``: 377,110 films of 227,835
  studies of 65,379 patients (227,827 of them with labels);
- reports: ``files/p10/p10000032/s50414267.txt``, or packed in ``mimic-cxr-reports.zip``; only in
  the DICOM release;
- tables of the JPG release, which the DICOM release needs too: ``mimic-cxr-2.0.0-metadata.csv.gz``
  (dicom_id, subject_id, study_id, ViewPosition, StudyDate, StudyTime and more), ``…-split.csv.gz``
  (dicom_id, study_id, subject_id, split: train, validate, test), ``…-chexpert.csv.gz`` and
  ``…-negbio.csv.gz`` (subject_id, study_id and the 14 observations as 1.0, 0.0, -1.0 or blank), and
  from 2.1.0 on ``mimic-cxr-2.1.0-test-set-labeled.csv`` (study_id and radiologists' labels of the
  observations, in which Lung Opacity is called Airspace Opacity). In release 2.1.0 file names still
  contain 2.0.0.

Notes:

- ViewPosition is AP, PA, LATERAL, LL, AP AXIAL, AP LLD, AP RLD, PA LLD, PA RLD, LAO, RAO, LPO,
  XTABLE LATERAL, SWIMMERS, or blank. Swimmers and blanks are *unknown*.
- StudyTime is a number, so that leading zeros are lost (``83045.5`` is 08:30:45).
- Dates are shifted by the same amount within a patient, so the order of a patient's studies is
  preserved. The prior of a study is the previous one by StudyDate and StudyTime.
- Many reports have no findings: only an impression, or text under no heading. If a report has
  neither section, its text without a heading becomes the findings; MIMIC-CXR's own code takes the
  last paragraph in that case. If a section occurs several times (a wet read, a second study in one
  text), the last one is used, as in that code.
- 53 reports can't be parsed: MIMIC-CXR's own parser (``txt/section_parser.py`` in
  https://github.com/MIT-LCP/mimic-cxr) lists under which heading, or between which characters,
  their description is: :data:`DESCRIBED_UNDER`, :data:`DESCRIBED_AT`. Seven of them have none.
- Removed words stay ``___``.
"""

import zipfile
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plainfilm.core import OBSERVATIONS, DatasetError, InputError, errors_as
from plainfilm.data.dataset import Dataset
from plainfilm.data.prepare import LeftOutError, check_out
from plainfilm.data.sources.collection import (
    MISSING_REPORT,
    Collection,
    Entry,
    Film,
    Options,
    Texts,
    prepare_collection,
)
from plainfilm.data.sources.files import (
    csv_table,
    find_file,
    groups_of,
    in_order,
    number_of,
    one_spaced,
    statuses,
    view_of,
)
from plainfilm.data.sources.mimic_boxes import (
    find_scene_graphs,
    images_to_avoid,
    ms_cxr_boxes,
    scene_graph_boxes,
)
from plainfilm.data.sources.mimic_iv import Studies, Tables
from plainfilm.data.sources.sectioned import sections_of, texts_of_report
from plainfilm.data.splits import SPLITS

INSTITUTION = "Beth Israel Deaconess Medical Center"
FORMATS = ("jpg", "dicom")
_SUFFIXES = {"jpg": ".jpg", "dicom": ".dcm"}
_JPG = "MIMIC-CXR-JPG's folder, with its CSV files (the DICOM release needs them too)"
_METADATA = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
_ZIP = "mimic-cxr-reports.zip"
_LARGEST_REPORT = 2**20

DESCRIBED_UNDER: Mapping[str, str] = {
    study: name
    for name, ids in {
        "recommendation": "50913680 59768032 59067458 59087630 58157373 56482935 58375018",
        "examination": "59363654 53356173 50743547 59215320 55157853",
        "technique": "59279892 53202765 50808053",
        "indication": "57936451 50058765 51966317 55124749 54365831 54654948 51491012",
        "body": "56451190",
    }.items()
    for study in ids.split()
}
"""Study whose description is under another heading → the section that contains it."""

DESCRIBED_AT: Mapping[str, tuple[int, int]] = {
    "50525523": (201, 349), "57564132": (233, 554), "59982525": (313, 717),
    "53488209": (149, 475), "54875119": (234, 988), "50196495": (59, 399),
    "56579911": (59, 218), "52648681": (292, 631), "59889364": (172, 453),
    "53514462": (73, 377), "59505494": (59, 450), "53182247": (59, 412),
    "51410602": (47, 320), "56412866": (522, 822), "54986978": (59, 306),
    "59003148": (262, 505), "57150433": (61, 394), "56760320": (219, 457),
    "59562049": (158, 348), "52674888": (145, 296), "55258338": (192, 568),
    "59330497": (140, 655), "52119491": (179, 454), "58235663": (0, 0),
    "50798377": (0, 0), "54168089": (0, 0), "53071062": (0, 0),
    "56724958": (0, 0), "54231141": (0, 0), "53607029": (0, 0),
}  # fmt: skip
"""Study → first and last character of its description in the text; 0, 0 if it has none."""


def prepare_mimic_cxr(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    tables: Path | None = None,
    reports: Path | None = None,
    ed: Path | None = None,
    hosp: Path | None = None,
    ms_cxr: Path | None = None,
    imagenome: Path | None = None,
    film_format: str | None = None,
    options: Options = Options(),  # noqa: B008 - a NamedTuple
) -> Dataset:
    """Prepare MIMIC-CXR into the dataset directory ``out``.

    Args:
        source: the release's folder, the default for the other folders.
        out: the dataset directory to create.
        films: the folder with ``files/`` of the DICOM or the JPG release.
        tables: the folder with the CSV files of the JPG release.
        reports: the folder with ``files/`` of the reports, or ``mimic-cxr-reports.zip``.
        ed: MIMIC-IV-ED's folder; its triage goes into the clinical table.
        hosp: MIMIC-IV's folder; age, sex and laboratory values go into the clinical table.
        ms_cxr: MS-CXR's folder; its boxes are added.
        imagenome: Chest ImaGenome's folder; the boxes of its scene graphs are added, and films of
            its gold set's patients are removed from the training split.
        film_format: ``jpg`` or ``dicom``; default: whichever exists.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
        InputError: an option is invalid.
        OutputError: ``out`` cannot be written.
    """
    if film_format is not None and film_format not in FORMATS:
        raise InputError(f"format must be {' or '.join(FORMATS)}, got {film_format!r}")
    entries = options.entries()
    check_out(out)
    folder = tables or source
    table = _metadata(folder)
    root = _with_files(films or source)
    first = [_film(values) for values in table.slice(0, 50).to_pylist()]
    suffix = _suffix(root, first, film_format)
    texts, packed = _reports(reports, [source, root, folder], table)
    splits = _splits(folder)
    labels = _Labels(folder)
    structured = None if ed is None and hosp is None else Tables(_studies(table), ed, hosp)
    marks = {} if packed is None else _marks(packed)
    boxes = {} if ms_cxr is None else ms_cxr_boxes(ms_cxr)
    graphs = None if imagenome is None else find_scene_graphs(imagenome)
    avoided = set() if imagenome is None else images_to_avoid(imagenome)
    before: tuple[str, str] | None = None
    for place, films_of in enumerate(groups_of(table, "study_id")):
        one = films_of[0]
        patient, study = f"p{one['subject_id']}", str(one["study_id"])
        split = splits.get(one["study_id"])
        if split is None:
            entries.skip(patient, "not in the split file")
            continue
        if split == "train" and any(film["dicom_id"] in avoided for film in films_of):
            entries.skip(patient, "in Chest ImaGenome's images to avoid")
            continue
        report = f"files/p{patient[1:3]}/{patient}/s{study}.txt"
        entries.add(
            f"s{study}",
            Entry(
                patient,
                split,
                tuple(
                    Film(_film(film) + suffix, view_of(film["ViewPosition"]), _size(film))
                    for film in films_of
                ),
                boxes=tuple(
                    {**box, "image": at}
                    for at, film in enumerate(films_of)
                    for box in boxes.get(film["dicom_id"], ())
                ),
                report=report,
                mark=marks.get(report, ""),
                institution=INSTITUTION,
                table={} if structured is None else structured.of(place),
                labels=labels.of(one["study_id"]),
                prior=before[1] if before is not None and before[0] == patient else None,
            ),
        )
        before = patient, f"s{study}"
    collection = Collection(
        "mimic-cxr",
        root,
        entries,
        {
            "format": suffix[1:],
            "joined": [
                name
                for name, folder in (
                    ("ed", ed),
                    ("hosp", hosp),
                    ("ms-cxr", ms_cxr),
                    ("imagenome", imagenome),
                )
                if folder is not None
            ],
        },
        texts_of=partial(_texts, texts, packed),
        reports=texts,
        boxes_of=None if graphs is None else partial(_graph_boxes, graphs),
    )
    return prepare_collection(out, collection, options)


def _metadata(folder: Path) -> pa.Table:
    """Return one film per row, sorted by patient, time of the study, study and film.

    ``earliest`` is a study's earliest time as a number from year to second: 21800506213014.
    """
    path = find_file([folder], ["mimic-cxr-*-metadata.csv"], _JPG)
    types = {"subject_id": pa.int64(), "study_id": pa.int64(), "StudyTime": pa.float64()}
    types |= {"StudyDate": pa.int64()}
    table = csv_table(path, _METADATA, _JPG, types=types, optional=["Rows", "Columns"])
    days = pc.fill_null(table.column("StudyDate"), 0).to_numpy()
    clock = pc.fill_null(table.column("StudyTime"), 0.0).to_numpy().astype(np.int64)
    table = table.drop_columns(["StudyDate", "StudyTime"])
    table = table.append_column("film_when", pa.array(days * 1_000_000 + clock))
    return in_order(table, "subject_id", "film_when", "study_id", "dicom_id")


def _film(values: Mapping[str, Any]) -> str:
    patient = f"p{values['subject_id']}"
    return f"files/{patient[:3]}/{patient}/s{values['study_id']}/{values['dicom_id']}"


def _size(film: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return a film's width and height, to which boxes refer."""
    sides = number_of(film.get("Columns")), number_of(film.get("Rows"))
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])


def _graph_boxes(graphs: Path, entry: Entry) -> list[dict[str, Any]]:
    return [
        {**box, "image": at}
        for at, film in enumerate(entry.films)
        for box in scene_graph_boxes(graphs, Path(film.path).stem)
    ]


def _with_files(folder: Path) -> Path:
    if (folder / "files").is_dir():
        return folder
    if folder.name == "files" and folder.is_dir():
        return folder.parent
    raise DatasetError(
        f"{folder}: has no folder files (with p10 to p19 in it); expected the films' folder of "
        "MIMIC-CXR or MIMIC-CXR-JPG"
    )


def _suffix(root: Path, films: list[str], film_format: str | None) -> str:
    """Return the suffix of the films that exist."""
    choices = FORMATS if film_format is None else (film_format,)
    for film in films:
        for choice in choices:
            if (root / f"{film}{_SUFFIXES[choice]}").is_file():
                return _SUFFIXES[choice]
    expected = " or ".join(str(root / f"{films[0]}{_SUFFIXES[choice]}") for choice in choices)
    raise DatasetError(
        f"{root}: none of the first {len(films)} films is there; expected {expected}"
    )


def _reports(
    given: Path | None, folders: list[Path], table: pa.Table
) -> tuple[Path | None, Path | None]:
    """Return the folder of the report files, or else the archive that contains them."""
    first = table.slice(0, 1).to_pylist()[0]
    patient = f"p{first['subject_id']}"
    expected = f"files/{patient[:3]}/{patient}/s{first['study_id']}.txt"
    for folder in folders if given is None else [given]:
        if folder.suffix == ".zip" and folder.is_file():
            return None, folder
        if (folder / _ZIP).is_file():
            return None, folder / _ZIP
        root = folder.parent if folder.name == "files" else folder
        patients = {
            f"files/p{str(one)[:2]}/p{one}" for one in table["subject_id"][:500].to_pylist()
        }
        if any(next((root / one).glob("s*.txt"), None) for one in patients):
            return root, None
    looked = ", ".join(dict.fromkeys(str(folder) for folder in folders if given is None)) or given
    raise DatasetError(
        f"{looked}: no reports; expected {expected} or {_ZIP}, which come with MIMIC-CXR (the JPG "
        "release has none): name their folder with --reports"
    )


def _splits(folder: Path) -> dict[int, str]:
    path = find_file([folder], ["mimic-cxr-*-split.csv"], _JPG)
    table = csv_table(path, ["study_id", "split"], _JPG, types={"study_id": pa.int64()})
    names = {name: name for name in SPLITS}
    found: dict[int, str] = {}
    columns = (table.column(name).to_pylist() for name in ("study_id", "split"))
    for study, split in zip(*columns, strict=True):
        if split not in names:
            raise DatasetError(f"{path}: split must be {', '.join(SPLITS)}, got {split!r}")
        found[study] = names[split]
    return found


class _Labels:
    """Labels of both labellers, and the radiologists' labels of the test set."""

    def __init__(self, folder: Path) -> None:
        self._tables: dict[str, tuple[pa.Table, dict[int, int]]] = {}
        patterns = {"chexpert": "mimic-cxr-*-chexpert.csv", "negbio": "mimic-cxr-*-negbio.csv",
                    "radiologist": "mimic-cxr-*-test-set-labeled.csv"}  # fmt: skip
        for name, pattern in patterns.items():
            if not [*folder.glob(pattern), *folder.glob(f"{pattern}.gz")]:
                if name == "chexpert":
                    find_file([folder], [pattern], _JPG)  # raises the error
                continue
            path = find_file([folder], [pattern], _JPG)
            observations = [str(one) for one in OBSERVATIONS]
            optional = [*observations, "Airspace Opacity"]
            table = csv_table(
                path, ["study_id"], _JPG, optional=optional, types={"study_id": pa.int64()}
            )
            if "Airspace Opacity" in table.column_names:
                table = table.rename_columns(
                    [name if name != "Airspace Opacity" else "Lung Opacity"
                     for name in table.column_names]
                )  # fmt: skip
            if not set(observations) & set(table.column_names):
                raise DatasetError(f"{path}: has none of CheXpert's observations; expected {_JPG}")
            ids = table.column("study_id").to_pylist()
            self._tables[name] = table, {study: place for place, study in enumerate(ids)}

    def of(self, study_id: int) -> dict[str, dict[str, str]]:
        """Return labeller → observation → status of a study."""
        found = {}
        for name, (table, places) in self._tables.items():
            place = places.get(study_id)
            if place is not None:
                values = table.slice(place, 1).to_pylist()[0]
                found[name] = statuses(values, [str(one) for one in OBSERVATIONS])
        return found


def _studies(table: pa.Table) -> Studies:
    """Return patients and times of all studies, in the order of the films' rows."""
    ids = table.column("study_id").to_numpy()
    first = np.flatnonzero(np.diff(ids, prepend=-1))
    when = table.column("earliest").to_numpy()[first]
    day, clock = when // 1_000_000, when % 1_000_000
    with errors_as(DatasetError, "StudyDate of the metadata is no date", f"expected {_JPG}"):
        dates = np.array([f"{one // 10_000:04d}-{one // 100 % 100:02d}-{one % 100:02d}"
                          for one in day.tolist()], "datetime64[s]")  # fmt: skip
    seconds = clock // 10_000 * 3600 + clock // 100 % 100 * 60 + clock % 100
    subjects = table.column("subject_id").to_numpy()[first]
    return Studies(ids[first], subjects, dates.astype(np.int64) + seconds)


def _marks(packed: Path) -> dict[str, str]:
    """Return report → a value that identifies its content."""
    return {member.filename: f"{member.CRC:08x}" for member in _archive(packed).infolist()}


@lru_cache(maxsize=1)
def _archive(packed: Path) -> zipfile.ZipFile:
    with errors_as(DatasetError, f"{packed}: cannot be read", f"expected {_ZIP}"):
        return zipfile.ZipFile(packed)


def _texts(folder: Path | None, packed: Path | None, study_id: str, entry: Entry) -> Texts:
    """Return the sections of a study's report."""
    report = entry.report or ""
    try:
        if packed is not None:
            archive = _archive(packed)
            if archive.getinfo(report).file_size > _LARGEST_REPORT:
                raise LeftOutError(MISSING_REPORT, f"{report} in {packed} is no report")
            content = archive.read(report)
        else:
            content = ((folder or Path()) / report).read_bytes()[:_LARGEST_REPORT]
    except (OSError, KeyError) as error:
        raise LeftOutError(MISSING_REPORT, f"expected {packed or folder}/{report}") from error
    return report_texts(study_id, content.decode("utf-8", "replace"))


def report_texts(study_id: str, text: str) -> Texts:
    """Return the sections of a MIMIC-CXR report, with single spaces.

    Args:
        study_id: such as ``s50414267``; identifies the reports that can't be parsed.
        text: content of the report's file.
    """
    number = study_id.removeprefix("s")
    if number in DESCRIBED_AT:
        start, end = DESCRIBED_AT[number]
        return {"findings": one_spaced(text[start:end])}
    if number in DESCRIBED_UNDER:
        found = sections_of(text)
        return {"findings": found.get(DESCRIBED_UNDER[number]) or found.get("body", "")}
    return texts_of_report(text)
