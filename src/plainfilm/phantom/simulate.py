"""One simulated study from two numbers: films, masks, measures, and the report of its truth."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np

from plainfilm.core import Finding, Image, InputError, Observation, Provenance, Status, Study
from plainfilm.phantom.anatomy.solids import Grid, Mask
from plainfilm.phantom.disease.prevalence import PREVALENCE, chances_of
from plainfilm.phantom.film.case import Case, draw_case, draw_days, evolve
from plainfilm.phantom.film.develop import develop
from plainfilm.phantom.film.lateral import render_lateral
from plainfilm.phantom.film.pathology import finding_masks
from plainfilm.phantom.film.projection import project
from plainfilm.phantom.reporting.change import Seen, compare, report_change
from plainfilm.phantom.reporting.clinical import draw_table
from plainfilm.phantom.reporting.context import (
    check_language,
    comparison_of,
    draw_indication,
    technique_of,
)
from plainfilm.phantom.reporting.institutions import INSTITUTIONS, Institution, choose_institution
from plainfilm.phantom.reporting.truth import findings_of
from plainfilm.text.writer import write


@dataclass(frozen=True)
class PhantomStudy:
    """A simulated study and all that is known of it."""

    study: Study
    findings: tuple[Finding, ...]
    """What the report says, and nothing else."""
    truth: tuple[Finding, ...]
    """Everything that is drawn, said or not; with an earlier study each finding has its change
    since then, and what is gone is absent and resolved."""
    institution: str
    """Who wrote the report."""
    masks: dict[str, Mask]
    """Name of a structure or finding to where it lies on the frontal film, ``(size, size)``."""
    measures: dict[str, float]
    """Name, with its unit, to the size measured on the frontal film."""
    case: Case
    lateral_masks: dict[str, Mask] = field(default_factory=dict)
    """As ``masks``, on the lateral film; empty without one."""
    prior: "PhantomStudy | None" = None
    """The same patient's earlier study, if one was asked for."""

    def finding_masks(self) -> dict[str, Mask]:
        """Return the masks of the classes of pathology, devices and what lies on the film, by the
        names of :mod:`plainfilm.core.classes`, ``(size, size)``."""
        enlarged = any(
            finding.observation is Observation.CARDIOMEGALY and finding.status is Status.PRESENT
            for finding in self.truth
        )
        return finding_masks(self.case, self.masks, enlarged_heart=enlarged)

    @property
    def seen(self) -> Seen:
        """Return what the frontal film shows."""
        return Seen(self.truth, self.measures, self.study.images[0].view)


VIEWS = (("frontal",), ("frontal", "lateral"))
"""The views that a study can have."""
PRIOR = "-prior"
"""Ends the id of an earlier study; before it stands the later one's."""


def simulate(
    seed: int,
    index: int,
    size: int = 256,
    *,
    prevalence: Mapping[str, float] | None = None,
    institution: str | None = None,
    views: Sequence[str] = ("frontal",),
    prior: bool = False,
    language: str = "en",
) -> PhantomStudy:
    """Return study ``index`` of the series ``seed``, its films ``size`` × ``size``.

    The same three numbers give the same study, bit for bit, in any order and any process; another
    ``size`` shows the same patient. ``prevalence`` replaces entries of :data:`PREVALENCE`.
    ``institution`` names who reports (:data:`INSTITUTIONS`); drawn by its share where left out. It
    changes the words and what is mentioned, never the film.

    With ``views=("frontal", "lateral")`` a left lateral film of the same patient and disease is
    the second image; what is stated still follows the sizes on the frontal one, and nothing else
    changes but the technique.

    With ``prior`` the same patient has an earlier study
    (:func:`plainfilm.phantom.film.case.evolve`) with a report of its own. This study's films,
    masks, measures and table are the same as without; its truth tells the change of each finding,
    and its report does where the institution compares (the same findings, but perhaps in other
    words). ``prevalence`` holds for this study; diseases whose share is 0 were not there before
    either.

    ``language`` is that of the report and of what stands around it (:mod:`~.context`); the same
    findings are told in each.

    Raises:
        InputError: a number is out of range or no whole number, or a disease, institution, view or
            language is unknown.
    """
    for what, value, least, most in (
        ("seed", seed, 0, None), ("index", index, 0, None), ("size", size, 32, 4096),
    ):  # fmt: skip
        _check_whole(what, value, least, most)
    check_views(views)
    check_language(language)
    chances = chances_of(prevalence)
    streams = np.random.SeedSequence([seed, index]).spawn(8)
    who, how, noise, words, place, clinic, side = map(np.random.default_rng, streams[:7])
    case = draw_case(who, how, chances)
    writer = choose_institution(place, institution)
    name = f"phantom-{seed}-{index}"
    before, days = None, 0
    if prior:
        past, *own = map(np.random.default_rng, streams[7].spawn(5))
        days = draw_days(past, case)
        shares = {**PREVALENCE, **(prevalence or {})}
        then = evolve(case, past, days, [name for name, share in shares.items() if share])
        before = _examine(then, size, views, name + PRIOR, writer, own, language)
    return _examine(
        case, size, views, name, writer, (noise, words, clinic, side), language, before, days
    )


def _examine(
    case: Case,
    size: int,
    views: Sequence[str],
    name: str,
    writer: Institution,
    streams: Sequence[np.random.Generator],
    language: str,
    before: PhantomStudy | None = None,
    days: int = 0,
) -> PhantomStudy:
    """Return a whole study; ``streams`` are of noise, words, table and lateral film."""
    noise, words, clinic, side = streams
    made = render(case, size, noise, words, name, writer, before, language)
    study, lateral_masks = made.study, {}
    images = study.images
    if "lateral" in views:
        image, seen = render_lateral(
            case.patient, case.disease, case.exposure, size, side, f"{name}-lateral"
        )
        images, lateral_masks = (*images, image), seen.masks
    context = {
        "images": images,
        "table": draw_table(clinic, case.patient, case.disease, case.exposure),
        "indication": draw_indication(clinic, case.disease, language)
        if writer.indication
        else None,
        "technique": technique_of(case.exposure, views, language) if writer.technique else None,
        "comparison": comparison_of(days, language) if before and writer.compares else None,
        "prior": before.study if before else None,
    }
    study = study.model_copy(update=context)
    return replace(made, study=study, lateral_masks=lateral_masks, prior=before)


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


def render(
    case: Case,
    size: int,
    noise: np.random.Generator,
    words: np.random.Generator,
    id: str,
    institution: Institution = INSTITUTIONS["teaching"],
    before: PhantomStudy | None = None,
    language: str = "en",
) -> PhantomStudy:
    """Project, develop, measure and describe ``case``, compared with the study ``before``."""
    patient, exposure = case.patient, case.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = project(patient, case.disease, exposure, grid)
    lungs = seen.masks["left lung"] | seen.masks["right lung"]
    pixels = develop(seen.attenuation, exposure, grid, noise, lungs)
    measures = seen.measures
    truth, said = findings_of(patient, case.disease, exposure, measures, words, institution)
    if before is not None:
        now = Seen(truth, measures, exposure.view)
        if institution.compares:
            said = report_change(said, now, before.seen, before.findings, institution.compares)
        truth = compare(now, before.seen)
    letters = random.Random(int(words.integers(2**63)))  # noqa: S311
    report = write(said, letters, institution.style_in(language))
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
