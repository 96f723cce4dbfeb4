"""Institutions, which differ in patients, films, thresholds and words.

Five are written by hand (:data:`NAMED`); the others are drawn at random, each with its number as
the seed, so that it never changes. Those of :data:`HELD_OUT` are used only if requested by name or
as a group: they measure how a model generalises to unseen institutions. They are drawn from the
same distribution as the seen ones, so they differ from these in every respect. No source says how
institutions are distributed in reality; all ranges are set by eye.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from plainfilm.core import Change, InputError, Observation
from plainfilm.phantom.disease.prevalence import BEDSIDE, PREVALENCE
from plainfilm.phantom.film.acquisition import TYPICAL, Acquisition, draw_acquisition
from plainfilm.phantom.reporting.context import Requests
from plainfilm.text.writer import STYLES, Style

NEVER: frozenset[Change] = frozenset()
ALWAYS: frozenset[Change] = frozenset(Change)
CHANGED: frozenset[Change] = ALWAYS - {Change.STABLE}


@dataclass(frozen=True)
class Institution:
    """How one institution takes and reports films."""

    name: str
    share: float
    """Share of the studies if no institution is chosen."""
    style: Style = field(default_factory=Style)
    """Writing style; each radiologist has a dialect of their own."""
    radiologists: int = 3
    acquisition: Acquisition = TYPICAL
    """Acquisition settings of its films."""
    case_mix: Mapping[str, float] = field(default_factory=dict)
    """Disease → factor on its usual prevalence."""
    asks: Mapping[str, float] = field(default_factory=dict)
    """Group of complaints → factor on its usual weight."""
    tests: float = 0.0
    """Added to the log odds that a value of the table is measured."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Name of a measure, without side → smallest size that is mentioned."""
    omits: Mapping[str, float] = field(default_factory=dict)
    """Finer term → probability that it is left out, whatever its size."""
    hedges: float = 0.5
    """How readily a finding that is hard to see is called possible: 0 never, 1 always."""
    reads_table: float = 0.7
    """Share of studies in which the radiologist considers laboratory values."""
    template: float = 0.6
    """Share of reports that describe normal structures from a template."""
    denies: tuple[str, ...] = ()
    """Observations and finer terms of Other that the template denies if they are absent."""
    absences: float = 1.0
    """How readily absences are stated without a template, relative to a typical institution."""
    remarks: tuple[str, ...] = ()
    """Remarks of its template: sentences that name no finding."""
    remarking: float = 0.15
    """How readily other remarks are made."""
    requests: Requests = field(default_factory=Requests)
    """How its clinicians write requests."""
    technique: bool = True
    """Whether its reports describe the technique."""
    compares: frozenset[Change] = ALWAYS
    """Changes since an earlier study that its reports mention; empty if they do not compare."""
    held_out: bool = False
    """Whether it is used only on request."""

    def style_in(self, language: str, radiologist: int = 0) -> Style:
        """Return the writing style of one of its radiologists in ``language``."""
        dialect = self.style.dialect * DIALECTS + radiologist % self.radiologists
        return self.style.model_copy(update={"language": language, "dialect": dialect})

    @property
    def prevalence(self) -> dict[str, float]:
        """Share of its studies with each disease."""
        shares = {
            name: min(share * self.case_mix.get(name, 1.0), 0.9)
            for name, share in PREVALENCE.items()
        }
        diseases = [share for name, share in shares.items() if name not in ("normal", "devices")]
        shares["normal"] = float(
            np.clip(shares["normal"], 1 - 0.9 * sum(diseases), 0.97 - max(diseases))
        )
        return shares


DIALECTS = 100
"""Maximum number of radiologists of an institution."""

P = Observation
_ALL_NORMAL = (P.CARDIOMEGALY, P.ENLARGED_CARDIOMEDIASTINUM, P.LUNG_OPACITY, P.PLEURAL_EFFUSION,
               P.PNEUMOTHORAX)  # fmt: skip


def _films(number: int, *, inverted: bool = False) -> Acquisition:
    """Return the acquisition settings of an institution written by hand."""
    drawn = draw_acquisition(np.random.default_rng([613, number]), BEDSIDE)
    return replace(drawn, inverted=inverted)


_HAND = (
    Institution(
        "teaching", 0.14, STYLES["teaching"], 4, denies=(*_ALL_NORMAL, P.CONSOLIDATION),
        remarks=("bones",), absences=1.1, hedges=0.6, template=0.5, case_mix={"devices": 1.2},
    ),
    Institution(
        "community", 0.12, STYLES["community"], 2, compares=CHANGED, technique=False,
        denies=_ALL_NORMAL, template=0.7, hedges=0.4, acquisition=_films(1, inverted=True),
        limits={"effusion_ml": 40, "pneumothorax_rim_mm": 10, "lesion_diameter_mm": 8,
                "pleural_thickness_mm": 9, "cobb_angle_deg": 14},
        omits={"aortic calcification": 0.4, "healed fracture": 0.3, "flattened diaphragm": 0.5},
        requests=Requests(written=0.97, who=0.2, history=0.1, question=0.1),
    ),
    Institution(
        "structured", 0.10, STYLES["structured"], 3, absences=1.2, template=0.8,
        denies=(*_ALL_NORMAL, P.CONSOLIDATION, P.EDEMA), remarks=("bones",), hedges=0.3,
        acquisition=_films(2),
        limits={"effusion_ml": 25, "lesion_diameter_mm": 7, "aortic_calcification_mm": 20},
        omits={"flattened diaphragm": 0.3},
    ),
    Institution(
        "checklist", 0.08, STYLES["checklist"], 2, absences=1.2, compares=NEVER, template=0.9,
        denies=(*_ALL_NORMAL, P.EDEMA), hedges=0.2, acquisition=_films(3, inverted=True),
        limits={"effusion_ml": 40, "lesion_diameter_mm": 7, "pleural_thickness_mm": 8.5,
                "cobb_angle_deg": 12},
        omits={"aortic calcification": 0.3}, requests=Requests(who=0.8, question=0.4),
    ),
    Institution(
        "emergency", 0.06, STYLES["emergency"], 5, absences=0.8, technique=False, compares=NEVER,
        denies=(P.LUNG_OPACITY, P.PLEURAL_EFFUSION, P.PNEUMOTHORAX), template=0.4, hedges=0.5,
        requests=Requests(written=0.0), tests=0.5, acquisition=_films(4),
        case_mix={"fracture": 1.3, "pneumothorax": 1.3}, asks={"injury": 1.5},
        limits={"effusion_ml": 60, "pneumothorax_rim_mm": 11, "lesion_diameter_mm": 10,
                "pleural_thickness_mm": 11, "cobb_angle_deg": 25, "hernia_diameter_mm": 50},
        omits={"aortic calcification": 0.85, "healed fracture": 0.6, "scoliosis": 0.5,
               "hiatal hernia": 0.3, "emphysema": 0.2, "flattened diaphragm": 0.9},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """Characteristics of one kind of institution."""

    bedside: float
    case_mix: Mapping[str, float] = field(default_factory=dict)
    asks: Mapping[str, float] = field(default_factory=dict)
    tests: float = 0.0


_FEWER = dict.fromkeys(PREVALENCE, 0.6)
KINDS: Mapping[str, Kind] = MappingProxyType({
    "general": Kind(BEDSIDE),
    "emergency": Kind(0.2, {"fracture": 1.3, "pneumothorax": 1.2, "normal": 1.2},
                      {"injury": 1.5, "screening": 0.1}, 0.5),
    "intensive": Kind(0.75, {"devices": 2.6, "heart failure": 1.3, "effusion": 1.5,
                             "atelectasis": 1.5, "consolidation": 1.3, "normal": 0.35},
                      {"intensive": 2, "devices": 1.5}, 1.5),
    "clinic": Kind(0.03, {**_FEWER, "scoliosis": 1.2, "emphysema": 1.0, "devices": 0.4,
                          "normal": 1.7},
                   {"screening": 3, "preoperative": 2, "injury": 0.5}, -1.2),
    "cancer": Kind(0.12, {"lesion": 1.9, "effusion": 1.2, "devices": 1.3, "fracture": 0.5},
                   {"cancer": 2, "nodule": 1.5}, 0.3),
    "heart": Kind(0.3, {"cardiomegaly": 1.6, "heart failure": 1.4, "devices": 1.4,
                        "aortic calcification": 1.4, "fracture": 0.5}, {"heart": 2}, 0.5),
    "trauma": Kind(0.35, {"fracture": 2.0, "pneumothorax": 1.7, "healed fracture": 1.5},
                   {"injury": 1.5}, 0.3),
    "chest": Kind(0.1, {"emphysema": 2.0, "lesion": 1.4, "pleural thickening": 1.7,
                        "consolidation": 1.2}, {"lung disease": 2, "screening": 1.5}),
})  # fmt: skip
"""Kinds of institutions, in the shares of :data:`KIND_SHARES`."""
KIND_SHARES = (0.30, 0.15, 0.12, 0.15, 0.08, 0.08, 0.06, 0.06)

SEEN_SITES, HELD_OUT_SITES = 18, 6
"""Number of randomly drawn institutions."""


def draw_institution(number: int, *, held_out: bool) -> Institution:
    """Return the institution with a ``number``, always the same."""
    rng = np.random.default_rng([1306, number])
    kind = KINDS[str(rng.choice(list(KINDS), p=KIND_SHARES))]
    share = float(rng.gamma(1.5))
    bedside = float(np.clip(rng.normal(kind.bedside, 0.3 * kind.bedside), 0.01, 0.9))
    compares = (NEVER, CHANGED, ALWAYS)[int(rng.choice(3, p=[0.25, 0.3, 0.45]))]
    case_mix = {
        name: kind.case_mix.get(name, 1.0) * float(np.exp(rng.normal(0, 0.2)))
        for name in PREVALENCE
    }
    return Institution(
        name=f"{'held-out' if held_out else 'site'}-{number:02d}",
        share=share,
        style=_draw_style(rng, number, compares=bool(compares)),
        radiologists=int(rng.integers(1, 5)),
        acquisition=draw_acquisition(rng.spawn(1)[0], bedside),
        case_mix=case_mix,
        asks=kind.asks,
        tests=kind.tests + float(rng.normal(0, 0.4)),
        limits=_draw_limits(rng),
        omits=_draw_omits(rng),
        hedges=float(rng.beta(1.5, 1.8)),
        reads_table=float(rng.beta(2, 1.2)),
        template=float(rng.beta(2, 1.3)),
        denies=_draw_denials(rng),
        absences=float(rng.uniform(0.5, 1.3)),
        remarks=_draw_some(rng, NORMAL_REMARKS, (0.25, 0.25, 0.2, 0.17, 0.13)),
        remarking=float(rng.beta(1.2, 5)),
        requests=Requests(
            written=float(rng.choice([0.0, 1.0], p=[0.06, 0.94]) * rng.beta(18, 1)),
            who=float(rng.beta(0.7, 0.9)),
            history=float(rng.beta(1.2, 4)),
            question=float(rng.beta(1.0, 4)),
            blank_age=bool(rng.random() < 0.25),
        ),
        technique=bool(rng.random() < 0.6),
        compares=compares,
        held_out=held_out,
    )


NORMAL_REMARKS = ("bones", "trachea", "vessels", "diaphragm", "abdomen", "soft tissues", "hila",
                  "aorta", "expansion", "spine", "ribs", "shoulders", "retrocardiac", "stripe",
                  "bubble", "markings", "pleural surfaces")  # fmt: skip
"""Remarks of the writer's phrasebook that templates may contain."""


def _draw_style(rng: np.random.Generator, number: int, *, compares: bool) -> Style:
    groups = ["heart", "lungs", "pleura", "bones"]
    if rng.random() < 0.45:
        groups = ["lungs", "pleura", "heart", "bones"]
    devices = rng.random()
    groups = ["devices", *groups] if devices < 0.5 else [*groups, "devices"]
    return Style(
        layout="structured" if rng.random() < 0.3 else "prose",
        wording="terse" if rng.random() < 0.5 else "wordy",
        impression=bool(rng.random() < 0.88),
        comparison=compares,
        order=tuple(groups),
        dialect=number + 100,
    )


def _draw_limits(rng: np.random.Generator) -> dict[str, float]:
    eager = float(rng.normal())  # one sensitivity for all small findings
    return {
        name: float(np.clip(middle + spread * (0.7 * eager + 0.7 * rng.normal()), low, None))
        for name, (middle, spread, low) in {
            "effusion_ml": (35, 20, 0), "pneumothorax_rim_mm": (8, 3, 0),
            "lesion_diameter_mm": (7.5, 1.8, 0), "pleural_thickness_mm": (8.5, 1.5, 0),
            "cobb_angle_deg": (14, 5, 10), "aortic_calcification_mm": (15, 10, 0),
            "hernia_diameter_mm": (42, 8, 0), "emphysema_percent": (10, 6, 0),
            "edema_water_ml": (190, 50, 0),
        }.items()
    }  # fmt: skip


def _draw_omits(rng: np.random.Generator) -> dict[str, float]:
    careless = float(rng.beta(1.2, 2.5))
    names = ("aortic calcification", "healed fracture", "scoliosis", "hiatal hernia",
             "flattened diaphragm", "emphysema")  # fmt: skip
    weights = (1.4, 0.8, 0.9, 0.5, 1.6, 0.3)
    return {
        name: float(np.clip(careless * weight * rng.uniform(0.5, 1.5), 0, 0.95))
        for name, weight in zip(names, weights, strict=True)
    }


def _draw_denials(rng: np.random.Generator) -> tuple[str, ...]:
    """Return what a template denies: mostly heart, lungs and pleura; in some, much more."""
    chances = {
        P.CARDIOMEGALY: 0.9, P.ENLARGED_CARDIOMEDIASTINUM: 0.65, P.LUNG_OPACITY: 0.85,
        P.CONSOLIDATION: 0.45, P.PLEURAL_EFFUSION: 0.85, P.PNEUMOTHORAX: 0.75, P.EDEMA: 0.25,
        P.LUNG_LESION: 0.1, P.FRACTURE: 0.08, P.PNEUMONIA: 0.06, "bone abnormality": 0.25,
        "free air": 0.12, "lymphadenopathy": 0.1, "bone lesion": 0.06, "pneumomediastinum": 0.03,
    }  # fmt: skip
    found: tuple[str, ...] = tuple(
        str(name) for name, chance in chances.items() if rng.random() < chance
    )
    return found or (P.LUNG_OPACITY,)


def _draw_some(
    rng: np.random.Generator, names: Sequence[str], counts: Sequence[float]
) -> tuple[str, ...]:
    """Return some of ``names`` in random order; ``counts`` are the probabilities of 0, 1, 2, …"""
    number = int(rng.choice(len(counts), p=counts))
    return tuple(str(name) for name in rng.permutation(list(names))[:number])


def _registry() -> dict[str, Institution]:
    """Return all institutions; the seen ones share the studies."""
    drawn = [draw_institution(number, held_out=False) for number in range(1, SEEN_SITES + 1)]
    rest = 1 - sum(one.share for one in _HAND)
    total = sum(one.share for one in drawn)
    drawn = [replace(one, share=rest * one.share / total) for one in drawn]
    numbers = range(SEEN_SITES + 1, SEEN_SITES + HELD_OUT_SITES + 1)
    others = [draw_institution(number, held_out=True) for number in numbers]
    total = sum(one.share for one in others)
    others = [replace(one, share=one.share / total) for one in others]
    return {one.name: one for one in (*_HAND, *drawn, *others)}


INSTITUTIONS: Mapping[str, Institution] = MappingProxyType(_registry())
"""All institutions by name."""
NAMED = tuple(one.name for one in _HAND)
SEEN = tuple(name for name, one in INSTITUTIONS.items() if not one.held_out)
HELD_OUT = tuple(name for name, one in INSTITUTIONS.items() if one.held_out)
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "named": NAMED, "seen": SEEN, "held-out": HELD_OUT, "all": (*SEEN, *HELD_OUT),
})  # fmt: skip
"""Group → its institutions. ``group:N`` means the first N of a group."""


def find_institutions(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of institutions requested by name or by group.

    Args:
        asked: names, groups of :data:`GROUPS` or ``group:N`` for a group's first N; default: all
            seen ones.

    Raises:
        InputError: there is no such institution or group.
    """
    if asked is None:
        return SEEN
    found: list[str] = []
    for name in [asked] if isinstance(asked, str) else asked:
        group, colon, number = name.partition(":")
        if group in GROUPS and (not colon or (number.isdigit() and int(number) > 0)):
            found += GROUPS[group][: int(number) if colon else None]
        elif name in INSTITUTIONS:
            found.append(name)
        else:
            raise InputError(
                f"no institution {name!r}; choose from {', '.join(INSTITUTIONS)}, or the groups "
                f"{', '.join(GROUPS)} (seen:5 for the first five)"
            )
    if not found:
        raise InputError("no institution is asked for")
    return tuple(dict.fromkeys(found))


def choose_institution(
    rng: np.random.Generator, asked: str | Sequence[str] | None = None
) -> Institution:
    """Return one of the requested institutions, drawn in proportion to their shares.

    Raises:
        InputError: there is no such institution or group.
    """
    choices = [INSTITUTIONS[name] for name in find_institutions(asked)]
    edges = np.cumsum([one.share for one in choices])
    drawn = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
    return choices[min(drawn, len(choices) - 1)]
