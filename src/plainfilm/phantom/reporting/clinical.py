"""Vital signs and laboratory values that agree with what is drawn, with missing cells.

Each value is drawn about a healthy one and moved by the diseases. Healthy ranges are those of
textbooks (heart rate 60 to 100 a minute, breathing 12 to 20, 36.1 to 37.2 °C, SpO2 95 % and more,
white cells 4 to 11 × 10⁹/l); blood pressure has the emergency department's means, 127 / 77 mmHg.
What disease does to a value follows, where named, a published figure:

- BNP below 100 pg/ml speaks against acute heart failure, above 400 for it (ESC guidelines);
- CRP 187 mg/l (quartiles 123 to 278) and white cells 13.3 (9.3 to 17.7) in pneumonia of inpatients,
  59 mg/l without pneumonia (J Biomark 2016, 2198745); 14 ± 14 mg/l in acute heart failure against
  127 ± 84 in pneumonia (Joffe et al., Clin Biochem 2009, 42:1628);
- D-dimer: negative below 500 ng/ml, rising with age; hs-troponin T: 99th percentile 14 ng/l.

The rest is set by eye. A film at the bedside comes with more values than one of a walking patient.
"""

import numpy as np

from plainfilm.core import View
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.exposure import Exposure

Table = dict[str, float | str | None]

MISSING = {View.AP: (0.05, 0.20), View.PA: (0.25, 0.55)}
"""Share of vital signs and of laboratory values that were not taken, by the film's view."""
VITALS = (
    "heart_rate_per_min", "respiratory_rate_per_min", "systolic_mmhg", "diastolic_mmhg",
    "temperature_c", "spo2_percent",
)  # fmt: skip
LABS = (
    "bnp_pg_per_ml", "crp_mg_per_l", "white_cells_10e9_per_l", "d_dimer_ng_per_ml",
    "troponin_ng_per_l", "hemoglobin_g_per_dl", "creatinine_mg_per_dl",
)  # fmt: skip
LIMITS = {
    "heart_rate_per_min": (38, 170), "respiratory_rate_per_min": (8, 44),
    "systolic_mmhg": (70, 220), "diastolic_mmhg": (35, 125), "temperature_c": (34.5, 41.0),
    "spo2_percent": (70, 100), "bnp_pg_per_ml": (5, 5000), "crp_mg_per_l": (0.3, 500),
    "white_cells_10e9_per_l": (1.5, 45), "d_dimer_ng_per_ml": (80, 20000),
    "troponin_ng_per_l": (3, 2000), "hemoglobin_g_per_dl": (6, 19),
    "creatinine_mg_per_dl": (0.4, 8),
}  # fmt: skip
"""Lowest and highest value of each."""
DIGITS = {"temperature_c": 1, "crp_mg_per_l": 1, "white_cells_10e9_per_l": 1,
          "hemoglobin_g_per_dl": 1, "creatinine_mg_per_dl": 2}  # fmt: skip


def draw_table(
    rng: np.random.Generator, patient: Patient, disease: Disease, exposure: Exposure
) -> Table:
    """Return age, sex, vital signs and laboratory values; what was not measured is None."""
    wobble = dict(zip((*VITALS, *LABS), rng.normal(0, 1, 13), strict=True))
    taken = rng.random(13)
    values = _vitals(patient, disease, exposure, wobble) | _labs(patient, disease, wobble)
    missing_vitals, missing_labs = MISSING[exposure.view]
    table: Table = {"age_years": float(patient.age), "sex": patient.sex}
    for draw, name in zip(taken, values, strict=True):
        low, high = LIMITS[name]
        value = round(float(np.clip(values[name], low, high)), DIGITS.get(name, 0))
        there = draw >= (missing_vitals if name in VITALS else missing_labs)
        table[name] = float(value) if there else None
    return table


def _infection(disease: Disease) -> float:
    """Return how inflamed the lungs are, 0 to 1; an opacity that nobody calls pneumonia counts."""
    weights = {"no": 0.45, "possible": 0.7, "stated": 1.0}
    return max(
        (weights[o.pneumonia] * (1.0 if o.consolidation else 0.6) for o in disease.opacities),
        default=0.0,
    )


def _fluid(disease: Disease) -> float:
    """Return the part of the chest that pleural fluid fills, about 0 to 1."""
    return sum(0.8 - top for top in disease.fluid_top.values())


def _vitals(
    patient: Patient, disease: Disease, exposure: Exposure, wobble: dict[str, float]
) -> dict[str, float]:
    infected, edema, fluid = _infection(disease), disease.edema, _fluid(disease)
    rim = disease.pneumothorax.rim_mm if disease.pneumothorax else 0.0
    loss = 4.5 * edema + 3.5 * infected + 2.5 * fluid + 0.07 * rim
    stress = 16 * infected + 14 * edema + 0.25 * rim + (6 if exposure.view is View.AP else 0)
    shock = 12 * infected if exposure.view is View.AP else 0.0
    return {
        "heart_rate_per_min": 75 + stress + 11 * wobble["heart_rate_per_min"],
        "respiratory_rate_per_min": 15.5 + 0.9 * loss + 2.0 * wobble["respiratory_rate_per_min"],
        "systolic_mmhg": 127 + 0.3 * (patient.age - 56) + 8 * edema - shock
        + 17 * wobble["systolic_mmhg"],
        "diastolic_mmhg": 77 + 4 * edema - 0.5 * shock
        + 6 * wobble["systolic_mmhg"] + 8 * wobble["diastolic_mmhg"],
        "temperature_c": 36.7 + 1.3 * infected + (0.35 + 0.4 * infected) * wobble["temperature_c"],
        "spo2_percent": 97.6 - loss + 1.3 * wobble["spo2_percent"],
    }  # fmt: skip


def _labs(patient: Patient, disease: Disease, wobble: dict[str, float]) -> dict[str, float]:
    infected, edema, fluid = _infection(disease), disease.edema, _fluid(disease)
    older = (patient.age - 56) / 18
    large = 0.0 if disease.ratio is None else (disease.ratio - 0.5) / 0.1
    injured = float(disease.fracture is not None)

    def spread(name: str, middle: float, sigma: float) -> float:
        return middle * float(np.exp(sigma * wobble[name]))

    bnp = 28 * np.exp(0.45 * older + 0.5 * large + (2.2 + 1.6 * edema if edema else 0.0))
    crp = 2.0 * np.exp(0.2 * older + 1.4 * (edema > 0) + 4.2 * infected + 0.9 * injured)
    dimer = 260 * np.exp(0.35 * older + 0.8 * infected + 0.7 * edema + 0.4 * fluid + 0.6 * injured)
    troponin = 5.0 * np.exp(0.35 * older + 1.6 * edema + 0.4 * infected + 0.3 * large)
    blood = 14.6 if patient.sex == "M" else 13.2
    creatinine = (0.98 if patient.sex == "M" else 0.78) * np.exp(0.12 * older + 0.35 * edema)
    return {
        "bnp_pg_per_ml": spread("bnp_pg_per_ml", bnp, 0.55),
        "crp_mg_per_l": spread("crp_mg_per_l", crp, 0.7),
        "white_cells_10e9_per_l": spread("white_cells_10e9_per_l", 7.0 + 6.0 * infected
                                         + 1.2 * injured, 0.26),
        "d_dimer_ng_per_ml": spread("d_dimer_ng_per_ml", dimer, 0.55),
        "troponin_ng_per_l": spread("troponin_ng_per_l", troponin, 0.5),
        "hemoglobin_g_per_dl": blood - 0.35 * older - 0.8 * edema
        + 1.3 * wobble["hemoglobin_g_per_dl"],
        "creatinine_mg_per_dl": spread("creatinine_mg_per_dl", creatinine, 0.25),
    }  # fmt: skip
