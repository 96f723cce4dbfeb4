"""Who is on a film, with which disease, taken how: all that decides a study's picture."""

from dataclasses import dataclass

import numpy as np

from plainfilm.phantom.disease import Disease, draw_disease
from plainfilm.phantom.patient import (
    AGE,
    AGE_SPREAD,
    Exposure,
    Patient,
    draw_exposure,
    draw_patient,
)
from plainfilm.phantom.prevalence import BEDSIDE, Chances


@dataclass(frozen=True)
class Case:
    """Everything that decides a study's picture, before it is projected."""

    patient: Patient
    disease: Disease
    exposure: Exposure


def draw_case(who: np.random.Generator, how: np.random.Generator, chances: Chances) -> Case:
    """Draw a patient, what is wrong, and how the film is taken."""
    bedside = bool(how.random() < BEDSIDE)
    patient = draw_patient(who)
    age = (patient.age - AGE) / AGE_SPREAD
    has, devices = chances.draw(who, age, patient.sex == "F", bedside)
    disease = draw_disease(who, has, devices, bedside)
    return Case(patient, disease, draw_exposure(how, patient, bedside))
