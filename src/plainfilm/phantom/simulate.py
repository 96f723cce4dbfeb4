"""One simulated study from two numbers: film, masks, measures, and the report of its truth."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plainfilm.core import Finding, Image, InputError, Provenance, Study
from plainfilm.phantom.disease import Disease, draw_disease
from plainfilm.phantom.film import develop
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
from plainfilm.text.writer import Style, write

STYLES: tuple[Style, ...] = (
    Style(comparison=False),
    Style(wording="terse", comparison=False),
    Style(comparison=False, order=("lungs", "pleura", "heart", "bones", "devices")),
)
"""How the simulated institutions write; one is chosen for each study."""


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
    """The truth, which the report says and nothing else."""
    masks: dict[str, Mask]
    """Name of a structure or finding to where it lies, ``(size, size)``."""
    measures: dict[str, float]
    """Name, with its unit, to the measured size."""
    case: Case


def simulate(
    seed: int, index: int, size: int = 256, *, prevalence: Mapping[str, float] | None = None
) -> PhantomStudy:
    """Return study ``index`` of the series ``seed``, one frontal film of ``size`` × ``size``.

    The same three numbers give the same study, bit for bit, in any order and any process; another
    ``size`` shows the same patient. ``prevalence`` replaces entries of :data:`PREVALENCE`.

    Raises:
        InputError: a number is out of range, or ``prevalence`` names no known disease.
    """
    if seed < 0 or index < 0:
        raise InputError(f"seed and index must be 0 or more, got {seed} and {index}")
    if not 32 <= size <= 4096:
        raise InputError(f"size must lie between 32 and 4096 pixels, got {size}")
    chances = chances_of(prevalence)
    streams = np.random.SeedSequence([seed, index]).spawn(4)
    who, how, noise, words = (np.random.default_rng(stream) for stream in streams)
    case = draw_case(who, how, chances)
    return render(case, size, noise, words, id=f"phantom-{seed}-{index}")


def draw_case(who: np.random.Generator, how: np.random.Generator, chances: Chances) -> Case:
    """Draw a patient, what is wrong, and how the film is taken."""
    bedside = bool(how.random() < BEDSIDE)
    patient = draw_patient(who)
    age = (patient.age - AGE) / AGE_SPREAD
    has, devices = chances.draw(who, age, patient.sex == "F", bedside)
    disease = draw_disease(who, has, devices, bedside)
    return Case(patient, disease, draw_exposure(how, patient, bedside))


def render(
    case: Case, size: int, noise: np.random.Generator, words: np.random.Generator, id: str
) -> PhantomStudy:
    """Project, develop, measure and describe ``case``."""
    patient, exposure = case.patient, case.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = project(patient, case.disease, exposure, grid)
    lungs = seen.masks["left lung"] | seen.masks["right lung"]
    pixels = develop(seen.attenuation, exposure, grid, noise, lungs)
    findings = findings_of(patient, case.disease, exposure, seen.measures, words)
    style = STYLES[int(words.integers(len(STYLES)))]
    report = write(findings, random.Random(int(words.integers(2**63))), style)  # noqa: S311
    image = Image(
        pixels=pixels,
        view=exposure.view,
        spacing_mm=(grid.spacing_mm, grid.spacing_mm),
        provenance=Provenance.SIMULATED,
        source=id,
    )
    study = Study(
        id=id,
        images=(image,),
        table={"age_years": float(patient.age), "sex": patient.sex},
        report=report,
    )
    return PhantomStudy(study, report.statements, seen.masks, seen.measures, case)
