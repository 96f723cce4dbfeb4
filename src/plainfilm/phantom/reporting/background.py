"""A patient's clinical background: chronic and acute conditions, which determine the indication and
the clinical table.

A condition is likelier if its sign is on the film, but no sign proves it: one patient in five with
acute heart failure has no congestion on the film (18.7 % of 85,376; Collins et al., Ann Emerg Med
2006, 47:13), and some clear-looking lungs are infected. So indication and table reveal as much
about a finding as in life, and no more. Odds and factors without a source are set by eye so that
complaints and values have the strengths in ``docs/phantom.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from plainfilm.core import View
from plainfilm.phantom.anatomy.patient import AGE, AGE_SPREAD, Patient
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.case import Case


@dataclass(frozen=True)
class Condition:
    """Prevalence of a condition, and factors that make it likelier."""

    share: float
    """Share of patients aged 56 without any of the signs in ``factors``."""
    age: float = 1.0
    """Factor on the odds for each standard deviation of age."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Sign or chronic condition → factor on the odds at full strength."""


CHRONIC: Mapping[str, Condition] = MappingProxyType({
    "heart disease": Condition(0.10, 2.0, {"large heart": 3.0, "edema": 3.0, "pacemaker": 6.0,
                                           "sternotomy wires": 12.0}),
    "renal failure": Condition(0.07, 1.6, {"edema": 1.8, "effusion": 1.4}),
    "lung disease": Condition(0.10, 1.3, {"emphysema": 8.0}),
    "cancer": Condition(0.06, 1.6, {"lesion": 4.0, "effusion": 1.5, "port": 12.0}),
    "smoking": Condition(0.22, 1.0, {"emphysema": 3.0, "lesion": 1.2}),
    "diabetes": Condition(0.12, 1.4),
    "hypertension": Condition(0.25, 1.8),
})  # fmt: skip
"""Chronic conditions."""

ACUTE: Mapping[str, Condition] = MappingProxyType({
    "heart failure": Condition(0.018, 1.2, {"edema": 90.0, "large heart": 1.8, "effusion": 1.5,
                                            "heart disease": 4.0, "renal failure": 1.6}),
    "lung infection": Condition(0.045, 1.1, {"consolidation": 45.0, "opacity": 12.0, "plates": 1.4,
                                             "effusion": 1.4, "collapse": 1.5,
                                             "lung disease": 1.8}),
    "airway infection": Condition(0.06, 0.9, {"lung disease": 3.0, "smoking": 1.5}),
    "other infection": Condition(0.05, 1.1, {"bedside": 2.5, "cancer": 1.5, "diabetes": 1.5}),
    "injury": Condition(0.05, 0.9, {"fracture": 7.0, "healed fracture": 1.3, "pneumothorax": 1.8}),
    "embolism": Condition(0.01, 1.2, {"cancer": 3.0, "effusion": 1.5}),
    "coronary syndrome": Condition(0.02, 1.4, {"heart disease": 3.0, "hypertension": 1.5}),
    "operation": Condition(0.05, 1.1, {"bedside": 4.0, "endotracheal tube": 2.0, "plates": 1.8,
                                       "pneumothorax": 1.8, "sternotomy wires": 1.5,
                                       "cancer": 1.5}),
})  # fmt: skip
"""Acute conditions."""


@dataclass(frozen=True)
class Constitution:
    """Individual differences between patients of the same age, sex and conditions, as random draws
    that are kept over time, so that two studies of a patient are consistent."""

    conditions: Mapping[str, float]
    """Condition → a number in [0, 1); the patient has it if the number is below its probability."""
    usual: Mapping[str, float]
    """Value of the table → deviation of the patient's usual value, in standard deviations."""
    responses: Mapping[tuple[str, str], float]
    """(value, condition) → strength of the condition's effect on the patient's value, likewise."""


@dataclass(frozen=True)
class Background:
    """A patient's conditions at one examination."""

    chronic: frozenset[str]
    acute: frozenset[str]
    signs: Mapping[str, float]
    """Signs of disease on the film, each from 0 to 1."""

    @property
    def conditions(self) -> frozenset[str]:
        """Return chronic and acute conditions."""
        return self.chronic | self.acute


def draw_constitution(rng: np.random.Generator, values: tuple[str, ...]) -> Constitution:
    """Draw a patient's constitution; ``values`` are the names of the table's values."""
    names = (*CHRONIC, *ACUTE)
    shared = dict(zip(names, rng.normal(size=len(names)), strict=True))
    own = rng.normal(size=(len(values), len(names)))
    responses = {
        (value, name): float(SHARED * shared[name] + np.sqrt(1 - SHARED**2) * own[i, j])
        for i, value in enumerate(values)
        for j, name in enumerate(names)
    }
    return Constitution(
        conditions=dict(zip(names, rng.random(len(names)).tolist(), strict=True)),
        usual=dict(zip(values, rng.normal(size=len(values)).tolist(), strict=True)),
        responses=responses,
    )


STILL_DAYS = 14
"""Number of days within which an acute condition may be the same one."""


def earlier_constitution(
    rng: np.random.Generator, constitution: Constitution, days: int
) -> Constitution:
    """Return a patient's constitution ``days`` earlier; long before, acute conditions differed."""
    drawn = dict(zip(ACUTE, rng.random(len(ACUTE)).tolist(), strict=True))
    if days <= STILL_DAYS:
        return constitution
    return replace(constitution, conditions={**constitution.conditions, **drawn})


SHARED = 0.6
"""Square root of the correlation between two values' responses to one condition: severely ill
patients have both high CRP and high white cells."""


def find_background(case: Case, constitution: Constitution) -> Background:
    """Return the conditions of a patient at one examination."""
    signs = signs_of(case.patient, case.disease, bedside=case.exposure.view is View.AP)
    age = (case.patient.age - AGE) / AGE_SPREAD
    known = dict(signs)
    found: dict[str, bool] = {}
    for name, condition in (*CHRONIC.items(), *ACUTE.items()):
        odds = condition.share / (1 - condition.share) * condition.age**age
        for sign, factor in condition.factors.items():
            odds *= factor ** known.get(sign, 0.0)
        found[name] = constitution.conditions[name] < odds / (1 + odds)
        known[name] = float(found[name])
    return Background(
        frozenset(name for name in CHRONIC if found[name]),
        frozenset(name for name in ACUTE if found[name]),
        signs,
    )


FULL_EDEMA, LARGE_HEART = 0.5, (0.49, 0.56)
"""Extra lung water that counts as a full sign; cardiothoracic ratios from which an enlarged heart
counts as a sign, and as a full one."""


def signs_of(patient: Patient, disease: Disease, *, bedside: bool) -> dict[str, float]:
    """Return the film's signs of conditions, each from 0 to 1."""
    low, high = LARGE_HEART
    ratio = patient.cardiothoracic_ratio if disease.ratio is None else disease.ratio
    signs = {
        "bedside": float(bedside),
        "edema": min(disease.edema / FULL_EDEMA, 1.0),
        "large heart": float(np.clip((ratio - low) / (high - low), 0, 1)),
        "effusion": float(bool(disease.fluid_top)),
        "consolidation": float(any(one.consolidation for one in disease.opacities)),
        "opacity": float(any(not one.consolidation for one in disease.opacities)),
        "plates": float(bool(disease.bands)),
        "collapse": float(disease.collapse is not None),
        "pneumothorax": float(disease.pneumothorax is not None),
        "lesion": float(any(not lesion.calcified for lesion in disease.lesions)),
        "fracture": float(disease.fracture is not None),
        "healed fracture": float(disease.healed_fracture is not None),
        "emphysema": min(disease.emphysema / 0.6, 1.0),
        "devices": float(bool(disease.devices)),
    }
    return signs | {device.name: 1.0 for device in disease.devices}
