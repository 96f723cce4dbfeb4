"""The clinical table of a MIMIC-CXR study: MIMIC-IV-ED's triage and MIMIC-IV's laboratory values.

Layouts as published:

- MIMIC-IV-ED (https://physionet.org/content/mimic-iv-ed/), folder ``ed``: ``edstays.csv.gz``
  (subject_id, stay_id, intime, outtime, gender) and ``triage.csv.gz`` (stay_id, temperature in
  Fahrenheit, heartrate, resprate, o2sat, sbp, dbp, pain, acuity, chiefcomplaint).
- MIMIC-IV (https://physionet.org/content/mimiciv/), folder ``hosp``: ``labevents.csv.gz``
  (subject_id, itemid, charttime, valuenum, valueuom, ref_range_lower, ref_range_upper; 118 million
  lines in 2.x and more in 3.x, streamed), ``d_labitems.csv.gz`` (itemid, label, fluid) and
  ``patients.csv.gz`` (subject_id, gender, anchor_age, anchor_year).

All three share subject_id and the date shift of each patient with MIMIC-CXR, so that a film's
StudyDate and StudyTime lie within the stay in which it was taken.

A stay's triage applies to each film taken between its intime and outtime. For each test of
:data:`LABS` the latest value in the day before the film is used, never one after it: a model must
not see the future. Values in another unit are ignored. Impossible values (see :data:`VITALS`;
typing errors at the desk) are blank. No date goes into the table.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from plainfilm.core import DatasetError
from plainfilm.data.sources.files import csv_batches, csv_table, find_file, number_of

Value = float | str | None

VITALS: Mapping[str, tuple[str, float, float]] = {
    "temperature": ("temperature_f", 80, 115),
    "heartrate": ("heart_rate_per_min", 10, 300),
    "resprate": ("respiratory_rate_per_min", 2, 90),
    "o2sat": ("oxygen_saturation_percent", 20, 100),
    "sbp": ("systolic_pressure_mmhg", 30, 320),
    "dbp": ("diastolic_pressure_mmhg", 10, 250),
    "acuity": ("acuity_esi", 1, 5),
}
"""Column of triage → name in the table, and smallest and largest possible value."""

LABS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("White Blood Cells", "K/uL"): ("white_blood_cells_k_per_ul", "Blood"),
    ("Hemoglobin", "g/dL"): ("hemoglobin_g_per_dl", "Blood"),
    ("Platelet Count", "K/uL"): ("platelets_k_per_ul", "Blood"),
    ("Sodium", "mEq/L"): ("sodium_meq_per_l", "Blood"),
    ("Potassium", "mEq/L"): ("potassium_meq_per_l", "Blood"),
    ("Bicarbonate", "mEq/L"): ("bicarbonate_meq_per_l", "Blood"),
    ("Creatinine", "mg/dL"): ("creatinine_mg_per_dl", "Blood"),
    ("Urea Nitrogen", "mg/dL"): ("urea_nitrogen_mg_per_dl", "Blood"),
    ("Glucose", "mg/dL"): ("glucose_mg_per_dl", "Blood"),
    ("Albumin", "g/dL"): ("albumin_g_per_dl", "Blood"),
    ("Bilirubin, Total", "mg/dL"): ("bilirubin_mg_per_dl", "Blood"),
    ("Lactate", "mmol/L"): ("lactate_mmol_per_l", "Blood"),
    ("C-Reactive Protein", "mg/L"): ("crp_mg_per_l", "Blood"),
    ("NTproBNP", "pg/mL"): ("nt_pro_bnp_pg_per_ml", "Blood"),
    ("Troponin T", "ng/mL"): ("troponin_t_ng_per_ml", "Blood"),
    ("D-Dimer", "ng/mL"): ("d_dimer_ng_per_ml", "Blood"),
    ("pH", "units"): ("ph", "Blood"),
    ("pO2", "mm Hg"): ("po2_mmhg", "Blood"),
    ("pCO2", "mm Hg"): ("pco2_mmhg", "Blood"),
}
"""Label and unit in MIMIC-IV → name in the table, and the fluid.

A test with another label or unit in another release stays blank. (Labels such as White Blood Cells,
Hemoglobin and Platelet Count were confirmed from code that reads the files; the files themselves
were not available.)
"""

HOURS_BEFORE = 24
"""Maximum age of a laboratory value when the film is taken, in hours."""

_SECONDS = 2**34
"""More than the number of seconds from 1970 to the last shifted date (in the 2200s)."""
_TIME = pa.timestamp("s")


class Studies(NamedTuple):
    """Patients and times of all studies: parallel arrays, sorted by patient and time."""

    ids: npt.NDArray[np.int64]
    subjects: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.int64]
    """Time of each study, in seconds since 1970."""

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """One sortable number for patient and time."""
        return self.subjects * _SECONDS + self.seconds


class Tables:
    """The clinical tables of all studies, stored as one row of numbers each.

    Args:
        studies: patients and times of all studies.
        ed: MIMIC-IV-ED's folder.
        hosp: MIMIC-IV's folder.

    Raises:
        DatasetError: a folder has another layout.
    """

    def __init__(self, studies: Studies, ed: Path | None, hosp: Path | None) -> None:
        self._triage = None if ed is None else _Triage(studies, ed)
        self._labs = None if hosp is None else _Labs(studies, hosp)
        self._people = None if hosp is None else _people(hosp)
        self._studies = studies

    def of(self, place: int) -> dict[str, Value]:
        """Return the table of the study at index ``place``; unmeasured values are None."""
        table: dict[str, Value] = {}
        if self._people is not None:
            year = 1970 + int(self._studies.seconds[place] / 31_556_952)
            sex, age, anchor = self._people.get(int(self._studies.subjects[place]), (None, None, 0))
            table |= {"sex": sex, "age_years": None if age is None else age + year - anchor}
        if self._triage is not None:
            table |= self._triage.of(place)
        if self._labs is not None:
            table |= self._labs.of(place)
        return table


def _folder(given: Path, inside: str, expected: str) -> list[Path]:
    if not given.is_dir():
        raise DatasetError(f"{given}: is no folder; expected {expected}")
    return [folder for folder in (given, given / inside) if folder.is_dir()]


def _people(hosp: Path) -> dict[int, tuple[str | None, float | None, int]]:
    expected = "MIMIC-IV's folder hosp"
    path = find_file(_folder(hosp, "hosp", expected), ["patients.csv"], expected)
    table = csv_table(
        path,
        ["subject_id", "gender", "anchor_age", "anchor_year"],
        expected,
        types={"subject_id": pa.int64(), "anchor_age": pa.float64(), "anchor_year": pa.int64()},
    )
    columns = (table.column(name).to_pylist() for name in table.column_names)
    return {subject: (sex or None, age, year or 0)
            for subject, sex, age, year in zip(*columns, strict=True)}  # fmt: skip


class _Triage:
    """Each study's stay in the emergency department, and the measurements on arrival."""

    def __init__(self, studies: Studies, ed: Path) -> None:
        expected = "MIMIC-IV-ED's folder ed"
        folders = _folder(ed, "ed", expected)
        stays = csv_table(
            find_file(folders, ["edstays.csv"], expected),
            ["subject_id", "stay_id", "intime", "outtime", "gender"],
            expected,
            types={"subject_id": pa.int64(), "stay_id": pa.int64(), "intime": _TIME,
                   "outtime": _TIME},
        ).sort_by([("subject_id", "ascending"), ("intime", "ascending")])  # fmt: skip
        subjects = stays.column("subject_id").to_numpy()
        begin, end = (
            stays.column(name).to_numpy().astype("datetime64[s]").astype(np.int64)
            for name in ("intime", "outtime")
        )
        place = np.searchsorted(subjects * _SECONDS + begin, studies.keys, side="right") - 1
        found = (place >= 0) & (subjects[place] == studies.subjects)
        found &= studies.seconds <= end[place]
        self._sex = stays.column("gender")
        self._stay = np.where(found, place, -1)
        self._stay_ids = stays.column("stay_id").to_numpy()
        wanted = set(self._stay_ids[self._stay[found]].tolist())
        self._told: dict[int, dict[str, Value]] = {}
        columns = ["stay_id", *VITALS, "pain", "chiefcomplaint"]
        path = find_file(folders, ["triage.csv"], expected)
        for batch in csv_batches(
            path, columns, expected, types={"stay_id": pa.int64()}, multiline=True
        ):
            some = batch.filter(pc.is_in(batch.column("stay_id"), pa.array(wanted, pa.int64())))
            for values in some.to_pylist():
                self._told[values["stay_id"]] = _vitals(values)

    def of(self, place: int) -> dict[str, Value]:
        stay = int(self._stay[place])
        if stay < 0:
            return {}
        sex = {"sex": self._sex[stay].as_py() or None}
        return sex | self._told.get(int(self._stay_ids[stay]), {})


def _vitals(values: Mapping[str, str]) -> dict[str, Value]:
    table: dict[str, Value] = {}
    for column, (name, low, high) in VITALS.items():
        number = number_of(values[column])
        table[name] = number if number is not None and low <= number <= high else None
    pain = number_of(values["pain"])  # also "13", "ua" and "Critical"
    table["pain_0_to_10"] = pain if pain is not None and 0 <= pain <= 10 else None
    table["chief_complaint"] = " ".join(values["chiefcomplaint"].split()) or None
    return table


class _Labs:
    """The latest value of each test before each study, with its reference range."""

    def __init__(self, studies: Studies, hosp: Path) -> None:
        expected = "MIMIC-IV's folder hosp"
        folders = _folder(hosp, "hosp", expected)
        self._names = [name for name, _ in LABS.values()]
        columns, units = _items(find_file(folders, ["d_labitems.csv"], expected), expected)
        shape = len(studies.ids), len(LABS)
        self._values, self._low, self._high = (np.full(shape, np.nan, np.float32) for _ in range(3))
        times = np.full(shape, -1, np.int64)
        subjects = pa.array(np.unique(studies.subjects))
        items = pa.array(sorted(columns))
        numbers = ["valuenum", "ref_range_lower", "ref_range_upper"]
        types = {"subject_id": pa.int64(), "itemid": pa.int64(), "charttime": _TIME}
        types |= dict.fromkeys(numbers, pa.float32())
        path = find_file(folders, ["labevents.csv"], expected)
        for batch in csv_batches(
            path,
            ["subject_id", "itemid", "charttime", "valueuom", *numbers],
            expected,
            types=types,
            multiline=True,
        ):
            known = pc.and_(
                pc.and_(pc.is_in(batch.column("itemid"), items), pc.is_valid(batch["charttime"])),
                pc.and_(
                    pc.is_in(batch.column("subject_id"), subjects), pc.is_valid(batch["valuenum"])
                ),
            )
            some = batch.filter(known)
            if some.num_rows:
                self._take(studies, times, some, columns, units)

    def _take(
        self,
        studies: Studies,
        times: npt.NDArray[np.int64],
        batch: pa.RecordBatch,
        columns: Mapping[int, Sequence[int]],
        units: Sequence[str],
    ) -> None:
        taken = batch.column("charttime").to_numpy(zero_copy_only=False)
        seconds = taken.astype("datetime64[s]").astype(np.int64)
        order = np.argsort(seconds, kind="stable")  # the later of two values of a test comes last
        seconds = seconds[order]
        subjects = batch.column("subject_id").to_numpy()[order]
        tests = batch.column("itemid").to_numpy()[order]
        unit = np.array(batch.column("valueuom").to_pylist(), dtype=object)[order]
        numbers = [
            batch.column(name).to_numpy(zero_copy_only=False)[order]
            for name in ("valuenum", "ref_range_lower", "ref_range_upper")
        ]
        first = np.searchsorted(studies.keys, subjects * _SECONDS + seconds)
        for step in range(64):  # an event applies to every film of the day after it
            place = first + step
            there = place < len(studies.ids)
            at = np.where(there, place, 0)
            there &= studies.subjects[at] == subjects
            there &= studies.seconds[at] - seconds <= HOURS_BEFORE * 3600
            if not there.any():
                break
            for test, choices in columns.items():
                for column in choices:
                    mine = there & (tests == test) & (unit == units[column])
                    mine &= seconds >= times[at, column]
                    rows = at[mine]
                    times[rows, column] = seconds[mine]
                    stores = (self._values, self._low, self._high)
                    for store, number in zip(stores, numbers, strict=True):
                        store[rows, column] = number[mine]

    def of(self, place: int) -> dict[str, Value]:
        table: dict[str, Value] = {}
        for column, name in enumerate(self._names):
            value = self._values[place, column]
            table[name] = None if np.isnan(value) else float(str(value))
            low, high = self._low[place, column], self._high[place, column]
            if not np.isnan(value) and not (np.isnan(low) and np.isnan(high)):
                edges = ("" if np.isnan(edge) else f"{edge:.4g}" for edge in (low, high))
                table[f"{name}_reference"] = "-".join(edges)
        return table


def _items(path: Path, expected: str) -> tuple[dict[int, list[int]], list[str]]:
    """Return itemid → the columns that it can fill, and each column's unit."""
    labels = list(LABS)
    columns: dict[int, list[int]] = {}
    for batch in csv_batches(
        path, ["itemid", "label", "fluid"], expected, types={"itemid": pa.int64()}
    ):
        for item in batch.to_pylist():
            fits = [
                at
                for at, (label, unit) in enumerate(labels)
                if (item["label"], item["fluid"]) == (label, LABS[label, unit][1])
            ]
            if fits:
                columns[item["itemid"]] = fits
    if not columns:
        raise DatasetError(f"{path}: names none of the tests that are looked for; expected "
                           f"{expected}")  # fmt: skip
    return columns, [unit for _, unit in labels]
