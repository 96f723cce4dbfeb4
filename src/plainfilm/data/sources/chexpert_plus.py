"""CheXpert Plus (Chambon et al., arXiv:2405.19538): Stanford's films with their reports.

Layout as published at https://aimi.stanford.edu/datasets/chexpert-plus:

- ``df_chexpert_plus_240401.csv``: one film per line: path_to_image
  (``train/patient42142/study5/view1_frontal.jpg``), path_to_dcm, frontal_lateral, ap_pa,
  deid_patient_id, patient_report_date_order, report, section_narrative, section_clinical_history,
  section_history, section_comparison, section_technique, section_findings, section_impression and
  more, age, sex, split (train, valid). Texts contain line breaks.
- films: ``PNG/`` (``train/…/view1_frontal.png``; unpacked chunks may lie in ``PNG/PNG/``) or
  ``DICOM/Uncompressed/`` (``….dcm``); CheXpert's own JPEGs have the same names.
- labels: ``chexbert_labels/`` with ``report_fixed.json``, ``findings_fixed.json`` and
  ``impression_fixed.json``: one object per line, with path_to_image and the 14 observations as 1,
  0, -1 or null. (They may also lie beside the CSV.)

Notes:

- path_to_image says ``.jpg`` although the release has ``.png``.
- There is no test split. The literature and ReXrank test on the valid split, 200 studies: it is
  *test* here, and 2 % of the training patients, by a hash of their id, become *validate*.
- About half of the reports have only an impression. If both section columns are blank, the sections
  are parsed from the whole report.
- patient_report_date_order counts a patient's studies: the prior is the previous one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from plainfilm.core import OBSERVATIONS, DatasetError
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
    csv_table,
    find_file,
    groups_of,
    in_order,
    json_lines,
    one_spaced,
    sex_of,
    statuses,
    view_of,
)
from plainfilm.data.sources.sectioned import texts_of_report
from plainfilm.data.splits import split_of

_EXPECTED = "CheXpert Plus' folder, with df_chexpert_plus_240401.csv"
_INSIDE = ("", "PNG", "PNG/PNG", "DICOM/Uncompressed", "DICOM", "CheXpert-v1.0")
_SUFFIXES = (".png", ".jpg", ".dcm")
_SHARES = {"train": 0.98, "validate": 0.02}
_TEXTS = {
    "findings": "section_findings",
    "impression": "section_impression",
    "comparison": "section_comparison",
    "technique": "section_technique",
}
_HISTORY = ("section_clinical_history", "section_history")
_COLUMNS = (
    "path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "patient_report_date_order",
    "age", "sex", "split", *_TEXTS.values(), *_HISTORY,
)  # fmt: skip
_LABELS = {"chexbert-report": "report_fixed.json", "chexbert-findings": "findings_fixed.json",
           "chexbert-impression": "impression_fixed.json"}  # fmt: skip


def prepare_chexpert_plus(
    source: Path,
    out: Path,
    *,
    films: Path | None = None,
    options: Options = Options(),  # noqa: B008
) -> Dataset:
    """Prepare CheXpert Plus into the dataset directory ``out``.

    Args:
        source: the folder with the CSV file.
        out: the dataset directory to create.
        films: the folder with ``train/`` and ``valid/``, if that is elsewhere.
        options: options shared by all collections.

    Raises:
        DatasetError: a file is missing or has another layout.
    """
    entries = options.entries()
    path = find_file([source], ["df_chexpert_plus_*.csv"], _EXPECTED)
    table = csv_table(
        path, _COLUMNS, _EXPECTED, types={"patient_report_date_order": pa.float64()}, multiline=True
    )
    names = [str(Path(name).with_suffix("")) for name in table["path_to_image"].to_pylist()]
    table = table.append_column("film", pa.array(names))
    table = table.append_column("study", pa.array([name.rpartition("/")[0] for name in names]))
    table = in_order(table, "deid_patient_id", "patient_report_date_order", "study", "film")
    root, suffix = _root(films or source, names)
    labels = _labels(source)
    whole = _whole_reports(path, table)
    before: dict[str, Any] | None = None
    for group in groups_of(table, "study"):
        one = group[0]
        parts = one["study"].split("/")
        if len(parts) < 3:
            raise DatasetError(f"{path}: path_to_image must be like train/patient1/study1/view1_"
                               f"frontal.jpg, got {one['path_to_image'][:80]!r}")  # fmt: skip
        study_id, patient = "-".join(parts[1:3]), one["deid_patient_id"]
        split = "test" if one["split"] == "valid" else split_of(patient, _SHARES)
        texts = {name: one_spaced(one[column]) for name, column in _TEXTS.items()}
        texts["indication"] = next((one_spaced(one[n]) for n in _HISTORY if one_spaced(one[n])), "")
        if not texts["findings"] and not texts["impression"]:
            texts |= texts_of_report(whole.get(one["path_to_image"], ""))
        earlier = before is not None and before["deid_patient_id"] == patient
        entries.add(
            study_id,
            Entry(
                patient,
                split,
                tuple(Film(film["film"] + suffix, _view(film)) for film in group),
                texts={name: text for name, text in texts.items() if text},
                institution="Stanford Hospital",
                table={"age_years": age_of(one["age"]), "sex": sex_of(one["sex"])},
                labels={name: told[one["film"]] for name, told in labels.items()
                        if one["film"] in told},
                prior=_id(before) if before is not None and earlier else None,
            ),
        )  # fmt: skip
        before = one
    collection = Collection("chexpert-plus", root, entries, {"films": suffix[1:]})
    return prepare_collection(out, collection, options)


def _id(film: dict[str, Any]) -> str:
    return "-".join(film["study"].split("/")[1:3])


def _view(film: dict[str, Any]) -> str | None:
    if film["frontal_lateral"].lower() == "lateral":
        return "lateral"
    view = view_of(film["ap_pa"])
    return None if view is None else str(view)


def _root(folder: Path, names: list[str]) -> tuple[Path, str]:
    roots = [folder / inside for inside in _INSIDE]
    films = [f"{name}{suffix}" for name in names[:6] for suffix in _SUFFIXES]
    root = find_root(roots, films, "or in PNG or DICOM/Uncompressed below it")
    return root, next(Path(film).suffix for film in films if (root / film).is_file())


def _labels(source: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Return labeller → film → observation → status; empty if the optional files are missing."""
    found = {}
    for name, file in _LABELS.items():
        for path in (source / "chexbert_labels" / file, source / file):
            if path.is_file():
                found[name] = dict(_labelled(path))
                break
    return found


def _labelled(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for values in json_lines(path, "CheXbert's labels of CheXpert Plus, an object a line"):
        if "path_to_image" not in values:
            raise DatasetError(f"{path}: an object lacks path_to_image; expected CheXbert's labels "
                               "of CheXpert Plus")  # fmt: skip
        film = str(Path(values["path_to_image"]).with_suffix(""))
        yield film, statuses(values, map(str, OBSERVATIONS))


def _whole_reports(path: Path, table: pa.Table) -> dict[str, str]:
    """Return film → report, for reports whose section columns are both blank."""
    columns = zip(
        *(table[name].to_pylist() for name in ("path_to_image", *list(_TEXTS.values())[:2])),
        strict=True,
    )
    blank = {film for film, *texts in columns if not any(map(one_spaced, texts))}
    wanted = ["path_to_image", "report"]
    if not blank:
        return {}
    rows = csv_rows(path, wanted, _EXPECTED, multiline=True)
    return {row["path_to_image"]: row["report"] for row in rows if row["path_to_image"] in blank}
