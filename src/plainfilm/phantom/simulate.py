"""One simulated study from two numbers: film, masks, measures, and the report of its truth."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from plainfilm.core import Finding, Image, InputError, Provenance, Study
from plainfilm.phantom.clinical import draw_table
from plainfilm.phantom.disease import Disease, draw_disease
from plainfilm.phantom.film import develop
from plainfilm.phantom.institutions import (
    INSTITUTIONS,
    Institution,
    choose_institution,
    draw_indication,
    technique_of,
)
from plainfilm.phantom.patient import (
    AGE,
    AGE_SPREAD,
    Exposure,
    Patient,
    draw_exposure,
    draw_patient,
)
from plainfilm.phantom.prevalence import BEDSIDE, Chances, chances_of
from plainfilm.phantom.projection import project
from plainfilm.phantom.solids import Grid, Mask
from plainfilm.phantom.truth import findings_of
from plainfilm.text.writer import write


@dataclass(frozen=True)
class Case:
    """Everything that decides a study's picture, before it is projected."""

    patient: Patient
    disease: Disease
    exposure: Exposure


@dataclass(frozen=True)
class PhantomStudy:
    """A simulated study and all that is known of it."""

    study: Study
    findings: tuple[Finding, ...]
    """What the report says, and nothing else."""
    truth: tuple[Finding, ...]
    """Everything that is drawn, said or not."""
    institution: str
    """Who wrote the report."""
    masks: dict[str, Mask]
    """Name of a structure or finding to where it lies, ``(size, size)``."""
    measures: dict[str, float]
    """Name, with its unit, to the measured size."""
    case: Case


def simulate(
    seed: int,
    index: int,
    size: int = 256,
    *,
    prevalence: Mapping[str, float] | None = None,
    institution: str | None = None,
) -> PhantomStudy:
    """Return study ``index`` of the series ``seed``, one frontal film of ``size`` × ``size``.

    The same three numbers give the same study, bit for bit, in any order and any process; another
    ``size`` shows the same patient. ``prevalence`` replaces entries of :data:`PREVALENCE`.
    ``institution`` names who reports (:data:`INSTITUTIONS`); drawn by its share where left out. It
    changes the words and what is mentioned, never the film.

    Raises:
        InputError: a number is out of range, or a disease or institution is unknown.
    """
    if seed < 0 or index < 0:
        raise InputError(f"seed and index must be 0 or more, got {seed} and {index}")
    if not 32 <= size <= 4096:
        raise InputError(f"size must lie between 32 and 4096 pixels, got {size}")
    chances = chances_of(prevalence)
    streams = np.random.SeedSequence([seed, index]).spawn(6)
    who, how, noise, words, place, clinic = (np.random.default_rng(stream) for stream in streams)
    case = draw_case(who, how, chances)
    writer = choose_institution(place, institution)
    made = render(case, size, noise, words, f"phantom-{seed}-{index}", writer)
    context = {
        "table": draw_table(clinic, case.patient, case.disease, case.exposure),
        "indication": draw_indication(clinic, case.disease) if writer.indication else None,
        "technique": technique_of(case.exposure) if writer.technique else None,
    }
    return replace(made, study=made.study.model_copy(update=context))


def draw_case(who: np.random.Generator, how: np.random.Generator, chances: Chances) -> Case:
    """Draw a patient, what is wrong, and how the film is taken."""
    bedside = bool(how.random() < BEDSIDE)
    patient = draw_patient(who)
    age = (patient.age - AGE) / AGE_SPREAD
    has, devices = chances.draw(who, age, patient.sex == "F", bedside)
    disease = draw_disease(who, has, devices, bedside)
    return Case(patient, disease, draw_exposure(how, patient, bedside))


def render(
    case: Case,
    size: int,
    noise: np.random.Generator,
    words: np.random.Generator,
    id: str,
    institution: Institution = INSTITUTIONS["teaching"],
) -> PhantomStudy:
    """Project, develop, measure and describe ``case``."""
    patient, exposure = case.patient, case.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = project(patient, case.disease, exposure, grid)
    lungs = seen.masks["left lung"] | seen.masks["right lung"]
    pixels = develop(seen.attenuation, exposure, grid, noise, lungs)
    measures = seen.measures
    truth, said = findings_of(patient, case.disease, exposure, measures, words, institution)
    letters = random.Random(int(words.integers(2**63)))  # noqa: S311
    report = write(said, letters, institution.style)
    image = Image(
        pixels=pixels,
        view=exposure.view,
        spacing_mm=(grid.spacing_mm, grid.spacing_mm),
        provenance=Provenance.SIMULATED,
        source=id,
    )
    study = Study(id=id, images=(image,), report=report)
    return PhantomStudy(
        study, report.statements, truth, institution.name, seen.masks, measures, case
    )
