"""The clinical table: vital signs and laboratory values that depend on a patient's conditions.

A value is the patient's usual one (by age and sex, varying between people), changed by each of the
patient's conditions and from day to day. Effects on concentrations add up (heart failure and renal
failure each contribute BNP); vital signs shift. The numbers are fitted to these published figures,
and checked by ``benchmarks/phantom_blind.py``:

- BNP at 100 pg/ml detects acute heart failure with sensitivity .90 and specificity .76, AUC .91
  (Maisel et al., N Engl J Med 2002, 347:161); without it the mean is 85 pg/ml with a GFR of 90
  ml/min and more, 297 from 30 to 59 (McCullough et al., Am J Kidney Dis 2003, 41:571);
- CRP above 20, 50, 100 mg/l in pneumonia: likelihood ratios 2.1, 3.7, 5.8, at or below them .32,
  .36, .47 (Ebell et al., Acad Emerg Med 2020, 27:195; 14 studies, 6,599 patients with respiratory
  symptoms); AUC for an infiltrate .80 (van der Meer et al., BMJ 2005, 331:26);
- white cells above 9.5 to 10.5: likelihood ratios about 3.2 and .54 (Ebell et al. again);
- D-dimer at 500 ng/ml detects embolism almost always; infection, heart failure, injury, cancer and
  age raise it too (Lippi et al., Eur J Intern Med 2014, 25:45: among raised values, 1030 ng/ml on
  average without thrombosis, 2541 with);
- high-sensitivity troponin T at 14 ng/l: sensitivity .95, specificity .80 for infarction (Reichlin
  et al., N Engl J Med 2009, 361:858);
- temperature above 37.8 °C, pulse above 100 and SpO2 below 95 % are each commoner in pneumonia,
  relative risks 2.6, 1.9, 1.7 (Moore et al., Eur Respir J 2017, 50:1700434); 89 % of patients with
  pneumonia have an abnormal temperature, pulse or respiratory rate (Marchello et al., J Am Board
  Fam Med 2019, 32:234);
- variation between healthy people and within a person is taken from tables of biological variation
  (Ricós et al., Scand J Clin Lab Invest 1999, 59:491).

Unmeasured values are None. Sick patients have more values, and the complaint decides which: BNP for
dyspnea, troponin and D-dimer for chest pain, CRP for fever. These shares are set by eye.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from plainfilm.phantom.anatomy.patient import AGE, AGE_SPREAD, Patient
from plainfilm.phantom.reporting.background import Background, Constitution

Table = dict[str, float | str | None]


@dataclass(frozen=True)
class Value:
    """Model of one value.

    ``by`` maps a condition or sign to its effect: the median, and the standard deviation over
    patients and days; for a concentration (``lognormal``), the standard deviation of the logarithm.
    """

    typical: float
    """Median of a man aged 56."""
    between: float
    """Standard deviation between people; of the logarithm for a concentration."""
    within: float
    """Standard deviation between a person's days."""
    low: float
    high: float
    by: Mapping[str, tuple[float, float]]
    lognormal: bool = True
    female: float = 1.0
    """Factor for women if ``lognormal``; otherwise added."""
    age: float = 0.0
    """Change per standard deviation of age; of the logarithm for a concentration."""
    digits: int = 0
    asked: float = 0.0
    """Log odds that it is measured in an ambulatory patient without a relevant complaint."""
    asked_for: Mapping[str, float] = field(default_factory=dict)
    """Complaint → increase of these log odds."""


VITALS: Mapping[str, Value] = MappingProxyType({
    "heart_rate_per_min": Value(74, 10, 6, 38, 170, {
        "heart failure": (14, 14), "lung infection": (16, 14), "airway infection": (4, 7),
        "other infection": (15, 14), "injury": (6, 10), "embolism": (20, 15), "operation": (6, 9),
        "pneumothorax": (5, 8), "bedside": (5, 6),
    }, lognormal=False, female=3, asked=1.6),
    "respiratory_rate_per_min": Value(16, 1.6, 1.5, 8, 44, {
        "heart failure": (6, 4), "lung infection": (4, 4), "airway infection": (1, 1.5),
        "other infection": (2, 2.5), "embolism": (5, 3), "lung disease": (1.5, 2),
        "pneumothorax": (1.2, 2), "effusion": (0.7, 1.2), "bedside": (1, 2),
    }, lognormal=False, asked=0.9),
    "systolic_mmhg": Value(127, 14, 8, 70, 220, {
        "heart failure": (8, 24), "other infection": (-8, 12), "lung infection": (-4, 12),
        "hypertension": (12, 10), "bedside": (-4, 12),
    }, lognormal=False, female=-3, age=5, asked=1.6),
    "diastolic_mmhg": Value(77, 8, 6, 35, 125, {
        "heart failure": (3, 12), "other infection": (-5, 8), "hypertension": (5, 6),
    }, lognormal=False, female=-2, asked=1.6),
    "temperature_c": Value(36.7, 0.22, 0.2, 34.5, 41.0, {
        "lung infection": (1.0, 0.8), "airway infection": (0.4, 0.5),
        "other infection": (1.1, 0.8), "operation": (0.3, 0.3), "embolism": (0.2, 0.3),
    }, lognormal=False, digits=1, asked=1.3),
    "spo2_percent": Value(97.6, 0.8, 0.7, 70, 100, {
        "heart failure": (-3.2, 3.0), "lung infection": (-2.4, 2.6),
        "airway infection": (-0.5, 0.8), "embolism": (-2.5, 2.5), "lung disease": (-2.0, 1.8),
        "pneumothorax": (-0.7, 1.2), "effusion": (-0.5, 0.8), "collapse": (-1.0, 1.2),
        "other infection": (-0.5, 1.0),
    }, lognormal=False, age=-0.4, asked=1.4, asked_for={"dyspnea": 0.5}),
})  # fmt: skip

LABORATORY: Mapping[str, Value] = MappingProxyType({
    "bnp_pg_per_ml": Value(16, 0.75, 0.35, 5, 5000, {
        "heart failure": (240, 1.35), "heart disease": (75, 0.9), "renal failure": (80, 1.0),
        "embolism": (90, 1.0), "other infection": (20, 1.0), "lung infection": (18, 1.0),
        "lung disease": (12, 0.9), "coronary syndrome": (60, 1.0),
    }, female=1.3, age=0.5, asked=-2.0,
       asked_for={"dyspnea": 2.0, "heart": 2.6, "chest pain": 0.6, "follow-up effusion": 0.8}),
    "crp_mg_per_l": Value(1.6, 0.85, 0.45, 0.3, 500, {
        "lung infection": (85, 2.1), "airway infection": (11, 1.2), "other infection": (70, 1.3),
        "injury": (14, 1.3), "operation": (45, 1.0), "cancer": (9, 1.5), "heart failure": (8, 1.2),
        "embolism": (25, 1.2), "lung disease": (3, 1.0), "bedside": (4, 1.3),
    }, age=0.2, digits=1, asked=-0.6,
       asked_for={"infection": 2.2, "cough": 1.0, "dyspnea": 0.6, "follow-up pneumonia": 1.5}),
    "white_cells_10e9_per_l": Value(6.9, 0.22, 0.11, 1.5, 45, {
        "lung infection": (2.3, 1.05), "airway infection": (1.2, 0.8),
        "other infection": (3.6, 0.8), "injury": (1.6, 0.8), "operation": (2.6, 0.7),
        "heart failure": (0.8, 0.8), "embolism": (1.0, 0.8), "smoking": (0.9, 0.7),
        "coronary syndrome": (1.2, 0.8), "bedside": (0.7, 0.8),
    }, digits=1, asked=0.3, asked_for={"infection": 1.2, "cough": 0.6, "preoperative": 0.8}),
    "d_dimer_ng_per_ml": Value(230, 0.45, 0.3, 80, 20000, {
        "embolism": (1900, 0.8), "lung infection": (500, 1.0), "other infection": (420, 1.0),
        "heart failure": (330, 1.0), "injury": (450, 1.1), "operation": (700, 1.0),
        "cancer": (380, 1.1), "effusion": (150, 1.0), "coronary syndrome": (120, 1.0),
    }, female=1.15, age=0.3, asked=-2.6,
       asked_for={"chest pain": 1.6, "dyspnea": 1.3, "pleuritic": 2.4}),
    "troponin_ng_per_l": Value(5, 0.45, 0.3, 3, 2000, {
        "coronary syndrome": (60, 1.5), "heart failure": (18, 0.9), "renal failure": (14, 0.9),
        "heart disease": (4, 0.8), "embolism": (14, 1.1), "other infection": (5, 1.1),
        "lung infection": (4, 1.1),
    }, female=0.75, age=0.3, asked=-1.8,
       asked_for={"chest pain": 2.8, "dyspnea": 1.0, "heart": 1.2, "syncope": 1.6}),
    "hemoglobin_g_per_dl": Value(14.7, 0.9, 0.4, 5, 19, {
        "renal failure": (-1.9, 1.0), "cancer": (-1.4, 1.1), "injury": (-0.4, 0.9),
        "operation": (-1.6, 1.1), "heart failure": (-0.8, 1.0), "other infection": (-0.8, 0.9),
        "bedside": (-1.0, 1.2),
    }, lognormal=False, female=-1.4, age=-0.35, digits=1, asked=0.3,
       asked_for={"preoperative": 0.8}),
    "creatinine_mg_per_dl": Value(0.93, 0.15, 0.055, 0.4, 8, {
        "renal failure": (0.95, 0.6), "heart failure": (0.25, 0.8), "other infection": (0.15, 1.0),
        "bedside": (0.08, 0.9),
    }, female=0.78, age=0.08, digits=2, asked=0.2, asked_for={"preoperative": 0.7}),
})  # fmt: skip

VALUES: Mapping[str, Value] = MappingProxyType({**VITALS, **LABORATORY})

ILL: Mapping[str, float] = MappingProxyType({
    "heart failure": 1.2, "lung infection": 1.1, "other infection": 1.1, "embolism": 1.2,
    "coronary syndrome": 1.2, "operation": 0.8, "injury": 0.5, "airway infection": 0.2,
    "pneumothorax": 0.6, "cancer": 0.3, "renal failure": 0.4, "bedside": 1.3,
})  # fmt: skip
"""Condition or sign → increase of the log odds that a value is measured."""
DAILY = 0.5
"""Fraction of a condition's effect on a value that varies between examinations."""


def draw_table(
    rng: np.random.Generator,
    patient: Patient,
    background: Background,
    constitution: Constitution,
    complaint: str,
    tests: float = 0.0,
) -> Table:
    """Return age, sex, vital signs and laboratory values; unmeasured values are None.

    Args:
        rng: random generator of the day's variation.
        patient: the patient's age and sex.
        background: the conditions at this examination.
        constitution: the patient's individual differences, constant over time.
        complaint: group of the indication, which determines what is measured.
        tests: the institution's addition to the log odds that a value is measured.
    """
    table: Table = {"age_years": float(patient.age), "sex": patient.sex}
    known = dict.fromkeys(background.conditions, 1.0) | {
        name: strength for name, strength in background.signs.items() if strength
    }
    ill = sum(weight * known.get(name, 0.0) for name, weight in ILL.items())
    for name, value in VALUES.items():
        days = rng.normal(size=1 + len(value.by))
        odds = value.asked + value.asked_for.get(complaint, 0.0) + ill + tests
        measured = rng.random() < 1 / (1 + np.exp(-odds))
        number = _number(name, value, patient, known, constitution, days)
        number = round(float(np.clip(number, value.low, value.high)), value.digits)
        table[name] = float(number) if measured else None
    return table


def _number(
    name: str,
    value: Value,
    patient: Patient,
    known: Mapping[str, float],
    constitution: Constitution,
    days: np.ndarray,
) -> float:
    """Return a value before rounding."""
    older, female = (patient.age - AGE) / AGE_SPREAD, patient.sex == "F"
    own = value.between * constitution.usual[name] + value.within * days[0] + value.age * older
    if value.lognormal:
        number = value.typical * (value.female if female else 1.0) * float(np.exp(own))
    else:
        number = value.typical + (value.female if female else 0.0) + own
    for (condition, (middle, spread)), day in zip(value.by.items(), days[1:], strict=True):
        if condition in known:
            own_response = constitution.responses.get((name, condition), 0.0)
            draw = np.sqrt(1 - DAILY) * own_response + np.sqrt(DAILY) * day
            if value.lognormal:
                number += middle * known[condition] * float(np.exp(spread * draw))
            else:
                number += (middle + spread * draw) * known[condition]
    return number
