"""A case: patient, disease and exposure, which together determine a study's picture.

The patient's earlier examination is another case; what counts as changed between the two is
decided later, from the measures of both films (:mod:`plainfilm.phantom.reporting.change`).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from plainfilm.core import View
from plainfilm.phantom.anatomy.patient import (
    AGE,
    AGE_SPREAD,
    ARMS_DOWN_MM,
    BEDSIDE_BREATH,
    BREATH_SPREAD,
    Patient,
    breathe,
    draw_patient,
)
from plainfilm.phantom.disease.disease import Disease, draw_disease
from plainfilm.phantom.disease.follow_up import earlier_disease
from plainfilm.phantom.disease.prevalence import PREVALENCE, Chances
from plainfilm.phantom.film.acquisition import TYPICAL, Acquisition
from plainfilm.phantom.film.exposure import Exposure, draw_exposure


@dataclass(frozen=True)
class Case:
    """Everything that determines a study's picture, before projection."""

    patient: Patient
    disease: Disease
    exposure: Exposure


def draw_case(
    who: np.random.Generator,
    how: np.random.Generator,
    chances: Chances,
    place: Acquisition = TYPICAL,
) -> Case:
    """Draw patient, disease and exposure at an institution with the settings ``place``; ``chances``
    must be solved for its share of bedside films."""
    bedside = bool(how.random() < place.bedside)
    patient = draw_patient(who)
    age = (patient.age - AGE) / AGE_SPREAD
    has, devices = chances.draw(who, age, patient.sex == "F", bedside)
    disease = draw_disease(who, has, devices, bedside)
    patient = replace(patient, bone=patient.bone * place.bone)
    breath = (BEDSIDE_BREATH if bedside else 0.0) + place.breath_mm / 10
    patient = _posed(breathe(patient, breath + BREATH_SPREAD * how.normal()), bedside)
    return Case(patient, disease, draw_exposure(how, patient, bedside, place))


def _posed(patient: Patient, bedside: bool) -> Patient:
    """Return a patient with arms hanging down, or held so that the scapulae are off the lungs."""
    return replace(patient, scapula_mm=ARMS_DOWN_MM if bedside else 8.0)


BEDSIDE_DAYS, OTHER_DAYS = (1, 7), (5, 900)
"""Days between the two films, drawn uniformly on a logarithmic scale."""
SAME_PLACE = {View.AP: 0.75, View.PA: 0.85}
"""Probability that the earlier film was also taken at the bedside (AP), or also not (PA)."""


def has_prior(seed: int, index: int, share: float) -> bool:
    """Return whether a patient belongs to the ``share`` with an earlier study; a larger share only
    adds patients."""
    return bool(np.random.default_rng([seed, index, 61]).random() < share)


def draw_days(rng: np.random.Generator, case: Case) -> int:
    """Return the number of days between the earlier film and ``case``."""
    low, high = BEDSIDE_DAYS if case.exposure.view is View.AP else OTHER_DAYS
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def evolve(
    case: Case,
    rng: np.random.Generator,
    days: int,
    possible: Collection[str] = tuple(PREVALENCE),
    place: Acquisition = TYPICAL,
) -> Case:
    """Return the case of the same patient ``days`` earlier.

    Args:
        case: the later examination.
        rng: random generator of the courses and the exposure.
        days: time between the two.
        possible: diseases that may have resolved since (names of PREVALENCE).
        place: acquisition settings of both films.
    """
    was_bedside = case.exposure.view is View.AP
    bedside = was_bedside == bool(rng.random() < SAME_PLACE[case.exposure.view])
    patient = replace(case.patient, age=max(case.patient.age - days // 365, 18))
    breath = BEDSIDE_BREATH * (int(bedside) - int(was_bedside)) + 1.4 * BREATH_SPREAD * rng.normal()
    patient = _posed(breathe(patient, breath), bedside)
    disease = earlier_disease(
        case.disease, patient.cardiothoracic_ratio, days, bedside, rng, possible
    )
    return Case(patient, disease, draw_exposure(rng, patient, bedside, place))
