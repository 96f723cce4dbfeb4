"""Simulation of a study from a seed and an index: films, masks, measures, truth and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np
import PIL.Image

from plainfilm.core import Finding, Image, InputError, Observation, Provenance, Status, Study
from plainfilm.phantom.anatomy.solids import Grid, Mask
from plainfilm.phantom.disease.prevalence import chances_of
from plainfilm.phantom.film.case import Case, draw_case, draw_days, evolve
from plainfilm.phantom.film.develop import develop
from plainfilm.phantom.film.lateral import render_lateral
from plainfilm.phantom.film.pathology import finding_masks
from plainfilm.phantom.film.projection import project
from plainfilm.phantom.film.structures import PARTS, structure_masks
from plainfilm.phantom.reporting.background import (
    Background,
    Constitution,
    draw_constitution,
    earlier_constitution,
    find_background,
)
from plainfilm.phantom.reporting.change import Seen, compare
from plainfilm.phantom.reporting.complaints import draw_complaint
from plainfilm.phantom.reporting.context import (
    check_language,
    comparison_of,
    technique_of,
    write_indication,
)
from plainfilm.phantom.reporting.institutions import (
    INSTITUTIONS,
    Institution,
    choose_institution,
)
from plainfilm.phantom.reporting.mention import Earlier
from plainfilm.phantom.reporting.table import VALUES, Table, draw_table
from plainfilm.phantom.reporting.tell import style_in_words, tell
from plainfilm.phantom.reporting.truth import truth_of


@dataclass(frozen=True)
class PhantomStudy:
    """A simulated study with everything that is known about it."""

    study: Study
    findings: tuple[Finding, ...]
    """The report's findings, and no others."""
    truth: tuple[Finding, ...]
    """All visible findings, reported or not; with an earlier study each has its change since then,
    and resolved findings are included as absent."""
    institution: str
    """Name of the reporting institution."""
    masks: dict[str, Mask]
    """Name of a structure or finding → its mask on the frontal film, ``(size, size)``."""
    measures: dict[str, float]
    """Name, with unit → size measured on the frontal film."""
    case: Case
    lateral_masks: dict[str, Mask] = field(default_factory=dict)
    """Like ``masks``, for the lateral film; empty without one."""
    prior: "PhantomStudy | None" = None
    """The same patient's earlier study, if one was requested."""

    def finding_masks(self) -> dict[str, Mask]:
        """Return the masks of pathology, devices and objects on the film, by the class names of
        :mod:`plainfilm.core.classes`, ``(size, size)``."""
        enlarged = any(
            finding.observation is Observation.CARDIOMEGALY and finding.status is Status.PRESENT
            for finding in self.truth
        )
        return finding_masks(self.case, self.masks, enlarged_heart=enlarged)

    def classes(self, size: int | None = None) -> dict[str, Mask]:
        """Return the masks of all classes of :mod:`plainfilm.core.classes` that are not unions of
        others, ``(size, size)``; ``size`` is at most the film's, which is the default."""
        full = self.study.images[0].shape[0]
        side = full if size is None else size
        found = self.finding_masks()
        if side < full:
            found = {name: _smaller(mask, side) for name, mask in found.items()}
        return structure_masks(self.case, side, PARTS) | found

    @property
    def seen(self) -> Seen:
        """Return truth and measures of the frontal film."""
        return Seen(self.truth, self.measures, self.study.images[0].view)

    @property
    def earlier(self) -> Earlier:
        """Return this study as the comparison of a later one."""
        return Earlier(self.seen, self.findings)


def _smaller(mask: Mask, side: int) -> Mask:
    """Return a mask reduced to ``(side, side)``, true if any pixel of the cell is, to keep
    lines."""
    grey = PIL.Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    small: Mask = np.asarray(grey.resize((side, side), PIL.Image.Resampling.BOX)) > 0
    return small


VIEWS = (("frontal",), ("frontal", "lateral"))
"""Possible views of a study."""
PRIOR = "-prior"
"""Suffix that turns a study's id into that of its earlier study."""


def simulate(
    seed: int,
    index: int,
    size: int = 256,
    *,
    prevalence: Mapping[str, float] | None = None,
    institution: str | Sequence[str] | None = None,
    views: Sequence[str] = ("frontal",),
    prior: bool = False,
    language: str = "en",
) -> PhantomStudy:
    """Return study ``index`` of the series ``seed``, its films ``size`` × ``size``.

    The same three numbers give the same study, bit for bit, in any order and any process; another
    ``size`` shows the same patient. ``prevalence`` overrides the institution's shares of diseases
    (names of :data:`PREVALENCE`). ``institution`` is an institution, a group, or several of them
    (:func:`plainfilm.phantom.reporting.institutions.find_institutions`), of which one is drawn in
    proportion to their shares; default: all seen ones.

    With ``views=("frontal", "lateral")`` a left lateral film of the same patient and disease is
    the second image; the wording still follows the sizes on the frontal film, and nothing else
    changes except the technique.

    With ``prior`` the same patient has an earlier study
    (:func:`plainfilm.phantom.film.case.evolve`) with its own report. Films, masks, measures and
    table of this study do not change; its truth includes the change of each finding, and so does
    its report if the institution compares (the same findings, but possibly in other words).
    ``prevalence`` applies to this study; diseases with share 0 are also absent from the earlier
    one.

    ``language`` is that of the report and its context (:mod:`~.context`); the findings do not
    depend on it.

    Raises:
        InputError: a number is out of range or not an integer, or a disease, institution, view or
            language is unknown.
    """
    for what, value, least, most in (
        ("seed", seed, 0, None), ("index", index, 0, None), ("size", size, 32, 4096),
    ):  # fmt: skip
        _check_whole(what, value, least, most)
    check_views(views)
    check_language(language)
    case, writer, shares, streams = _draw(seed, index, prevalence, institution)
    noise, words, clinic, side, past, self = streams
    constitution = draw_constitution(self, tuple(VALUES))
    name = f"phantom-{seed}-{index}"
    before, days = None, 0
    if prior:
        past, *own = past.spawn(5)
        days = draw_days(past, case)
        possible = [name for name, share in shares.items() if share]
        then = evolve(case, past, days, possible, writer.acquisition)
        earlier = earlier_constitution(past, constitution, days)
        before = _examine(then, size, views, name + PRIOR, writer, earlier, own, language)
    return _examine(
        case, size, views, name, writer, constitution, (noise, words, clinic, side), language,
        before, days,
    )  # fmt: skip


def drawn_case(
    seed: int,
    index: int,
    *,
    prevalence: Mapping[str, float] | None = None,
    institution: str | Sequence[str] | None = None,
) -> Case:
    """Return patient, disease and exposure of study ``index`` of the series ``seed``.

    It equals the ``case`` of the study returned by :func:`simulate`, without making a film.
    """
    return _draw(seed, index, prevalence, institution)[0]


def drawn_table(
    seed: int,
    index: int,
    *,
    prevalence: Mapping[str, float] | None = None,
    institution: str | Sequence[str] | None = None,
) -> Table:
    """Return the clinical table of the study from :func:`simulate`, without making a film."""
    case, writer, _, streams = _draw(seed, index, prevalence, institution)
    _, _, clinic, _, _, self = streams
    constitution = draw_constitution(self, tuple(VALUES))
    return _draw_context(case, writer, constitution, clinic)[2]


def _draw(
    seed: int,
    index: int,
    prevalence: Mapping[str, float] | None,
    institution: str | Sequence[str] | None,
) -> tuple[Case, Institution, Mapping[str, float], list[np.random.Generator]]:
    """Return the case, the institution, the shares of diseases it was drawn with, and the random
    streams of noise, words, clinic, lateral film, past and constitution."""
    chances_of(prevalence)  # raises first if the prevalences are impossible
    streams = np.random.SeedSequence([seed, index]).spawn(9)
    who, how, noise, words, place, *rest = map(np.random.default_rng, streams)
    writer = choose_institution(place, institution)
    shares = writer.prevalence
    if prevalence:
        shares = {name: share for name, share in shares.items() if name != "normal"}
        shares = {**shares, **prevalence}
    chances = chances_of(shares, writer.acquisition.bedside)
    return draw_case(who, how, chances, writer.acquisition), writer, shares, [noise, words, *rest]


def _examine(
    case: Case,
    size: int,
    views: Sequence[str],
    name: str,
    writer: Institution,
    constitution: Constitution,
    streams: Sequence[np.random.Generator],
    language: str,
    before: PhantomStudy | None = None,
    days: int = 0,
) -> PhantomStudy:
    """Return a whole study; ``streams`` are for noise, words, clinic and lateral film."""
    noise, words, clinic, side = streams
    background, complaint, table, asking = _draw_context(case, writer, constitution, clinic)
    made = render(
        case, size, noise, words, name, writer, before, language, table,
        infected="lung infection" in background.acute,
    )  # fmt: skip
    study, lateral_masks = made.study, {}
    images = study.images
    if "lateral" in views:
        image, seen = render_lateral(
            case.patient, case.disease, case.exposure, size, side, f"{name}-lateral"
        )
        images, lateral_masks = (*images, image), seen.masks
    dialect = writer.style.dialect
    context = {
        "images": images,
        "table": table,
        "indication": write_indication(
            asking, complaint, case.patient, background, writer.requests, dialect, language
        ),
        "technique": technique_of(case.exposure, views, dialect, language)
        if writer.technique
        else None,
        "comparison": comparison_of(days, dialect, language)
        if before and writer.compares
        else None,
        "style": style_in_words(writer.name, language),
        "prior": before.study if before else None,
    }
    study = study.model_copy(update=context)
    return replace(made, study=study, lateral_masks=lateral_masks, prior=before)


def _draw_context(
    case: Case, writer: Institution, constitution: Constitution, clinic: np.random.Generator
) -> tuple[Background, str, Table, np.random.Generator]:
    """Return the clinical context: background, complaint, table, and the random stream for the
    indication's words."""
    why, asking, ward = clinic.spawn(3)
    background = find_background(case, constitution)
    complaint = draw_complaint(why, background, writer.asks)
    table = draw_table(ward, case.patient, background, constitution, complaint, writer.tests)
    return background, complaint, table, asking


def check_views(views: Sequence[str]) -> None:
    """Raise InputError if ``views`` is not one of :data:`VIEWS`."""
    if not isinstance(views, list | tuple) or tuple(views) not in VIEWS:
        raise InputError(f"views must be ('frontal',) or ('frontal', 'lateral'), got {views!r}")


def _check_whole(name: str, value: object, least: int, most: int | None) -> None:
    """Raise InputError if ``value`` is not an integer from ``least`` to ``most``."""
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
    table: Table | None = None,
    *,
    infected: bool = False,
) -> PhantomStudy:
    """Project, develop, measure and describe ``case``, compared with the study ``before``.

    ``table`` is the clinical table that the radiologist may read; ``infected`` says whether
    opacities are pneumonia.
    """
    patient, exposure = case.patient, case.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = project(patient, case.disease, exposure, grid)
    lungs = seen.masks["left lung"] | seen.masks["right lung"]
    pixels = develop(seen.attenuation, exposure, grid, noise, lungs)
    measures = seen.measures | {"rotation_deg": float(np.rad2deg(exposure.rotation_rad))}
    truth = truth_of(patient, case.disease, exposure, measures, infected=infected)
    now = Seen(truth, measures, exposure.view)
    earlier = before.earlier if before else None
    report = tell(words, now, table or {}, institution, language=language, before=earlier)
    if before is not None:
        truth = compare(now, before.seen)
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
