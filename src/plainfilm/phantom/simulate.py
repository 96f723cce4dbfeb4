"""One simulated study from two numbers: films, masks, measures, and the report of its truth."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral

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
from plainfilm.phantom.lateral import render_lateral
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
    """Name of a structure or finding to where it lies on the frontal film, ``(size, size)``."""
    measures: dict[str, float]
    """Name, with its unit, to the size measured on the frontal film."""
    case: Case
    lateral_masks: dict[str, Mask] = field(default_factory=dict)
    """As ``masks``, on the lateral film; empty without one."""


VIEWS = (("frontal",), ("frontal", "lateral"))
"""The views that a study can have."""


def simulate(
    seed: int,
    index: int,
    size: int = 256,
    *,
    prevalence: Mapping[str, float] | None = None,
    institution: str | None = None,
    views: Sequence[str] = ("frontal",),
) -> PhantomStudy:
    """Return study ``index`` of the series ``seed``, its films ``size`` × ``size``.

    The same three numbers give the same study, bit for bit, in any order and any process; another
    ``size`` shows the same patient. ``prevalence`` replaces entries of :data:`PREVALENCE`.
    ``institution`` names who reports (:data:`INSTITUTIONS`); drawn by its share where left out. It
    changes the words and what is mentioned, never the film. With ``views=("frontal", "lateral")``
    a left lateral film of the same patient and disease is the second image; what is stated still
    follows the sizes on the frontal one, and nothing else changes but the technique.

    Raises:
        InputError: a number is out of range or no whole number, or a disease, institution or view
            is unknown.
    """
    for name, value, least, most in (
        ("seed", seed, 0, None), ("index", index, 0, None), ("size", size, 32, 4096),
    ):  # fmt: skip
        _check_whole(name, value, least, most)
    check_views(views)
    chances = chances_of(prevalence)
    streams = np.random.SeedSequence([seed, index]).spawn(7)
    who, how, noise, words, place, clinic, side = map(np.random.default_rng, streams)
    case = draw_case(who, how, chances)
    writer = choose_institution(place, institution)
    made = render(case, size, noise, words, f"phantom-{seed}-{index}", writer)
    if "lateral" in views:
        made = _with_lateral(made, size, side)
    context = {
        "table": draw_table(clinic, case.patient, case.disease, case.exposure),
        "indication": draw_indication(clinic, case.disease) if writer.indication else None,
        "technique": technique_of(case.exposure, views) if writer.technique else None,
    }
    return replace(made, study=made.study.model_copy(update=context))


def check_views(views: Sequence[str]) -> None:
    """Raise InputError where ``views`` are none of :data:`VIEWS`."""
    if not isinstance(views, list | tuple) or tuple(views) not in VIEWS:
        raise InputError(f"views must be ('frontal',) or ('frontal', 'lateral'), got {views!r}")


def _check_whole(name: str, value: object, least: int, most: int | None) -> None:
    """Raise InputError where ``value`` is no whole number from ``least`` to ``most``."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        limits = f"{least} or more" if most is None else f"between {least} and {most}"
        raise InputError(f"{name} must be a whole number, {limits}, got {value!r}")


def _with_lateral(made: PhantomStudy, size: int, rng: np.random.Generator) -> PhantomStudy:
    """Return the study with the lateral film that goes with its frontal one."""
    study, case = made.study, made.case
    image, seen = render_lateral(
        case.patient, case.disease, case.exposure, size, rng, f"{study.id}-lateral"
    )
    both = study.model_copy(update={"images": (*study.images, image)})
    return replace(made, study=both, lateral_masks=seen.masks)


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
