"""Location and size of each disease in a patient.

Which diseases a patient has is decided before (:mod:`plainfilm.phantom.disease.prevalence`).

These are causes (a fluid level, a nodule's diameter); what a report may say about them follows from
the sizes measured on the film (:mod:`plainfilm.phantom.reporting.truth`), where the thresholds for
stating them are too. Every size is drawn from a continuous distribution, from invisible to
unmistakable.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.disease.devices import Device, draw_devices

ZONES: Mapping[str, tuple[float, float, float]] = MappingProxyType({
    "upper lobe": (0.58, 0.30, 0.05),
    "middle lobe": (0.45, 0.64, -0.40),
    "lingula": (0.68, 0.62, -0.40),
    "lower lobe": (0.60, 0.70, 0.45),
})  # fmt: skip
"""Centres of the lobes, as fractions of the chest's half-width, lung height and half-depth."""


@dataclass(frozen=True)
class Opacity:
    """Fluid-filled or hazy lung: a cloud of soft ellipsoids about a centre."""

    side: int
    zone: str
    consolidation: bool
    """Whether it is dense enough to be called consolidation."""
    pneumonia: str
    """``no``, ``possible`` or ``stated``: whether the report calls it pneumonia."""
    density: float
    """Largest fraction of the air that is replaced."""
    radius_mm: float
    seed: int
    bronchogram: bool = False
    """Whether the bronchi in it still contain air."""


MASS_MM = 30.0
"""A lesion larger than this is a mass (Fleischner Society glossary, 2008)."""


@dataclass(frozen=True)
class Lesion:
    """A round lung lesion."""

    side: int
    zone: str
    diameter_mm: float
    calcified: bool
    offset: tuple[float, float, float]
    """Displacement from the zone's centre, mm."""


class Pneumothorax(NamedTuple):
    """Air in the pleural space of one side."""

    side: int
    rim_mm: float
    """Width of the rim: at the apex, or at the base in a ``supine`` patient."""
    supine: bool = False
    """Whether the air lies at the base and deepens the costophrenic sulcus."""
    tension_mm: float = 0.0
    """Displacement of the mediastinum; positive for a tension pneumothorax."""

    @property
    def sulcus_mm(self) -> float:
        """Deepening of the costophrenic sulcus."""
        return min(14 + 0.3 * self.rim_mm, 30) if self.supine else 0.0


class Collapse(NamedTuple):
    """A collapsed lobe."""

    side: int
    lobe: str
    """``upper lobe`` (right) or ``lower lobe`` (left)."""
    shift_mm: float
    """Displacement of the mediastinum towards the lobe."""


@dataclass(frozen=True)
class Disease:
    """Everything abnormal in one patient; the default is a healthy one."""

    ratio: float | None = None
    """Cardiothoracic ratio before magnification; None for the healthy one."""
    mediastinum_mm: float = 0.0
    """Increase of the upper mediastinum's half-width."""
    fluid_top: Mapping[int, float] = field(default_factory=dict)
    """Side → position of the meniscus, as a fraction of the lung's height from its apex."""
    pneumothorax: Pneumothorax | None = None
    opacities: tuple[Opacity, ...] = ()
    lesions: tuple[Lesion, ...] = ()
    edema: float = 0.0
    """Extra lung water: .1 is barely visible, .3 is mild, 1 severe."""
    bands: Mapping[int, int] = field(default_factory=dict)
    """Side → number of atelectatic bands at the base."""
    fracture: tuple[int, int, float] | None = None
    """Side, rib (1–12), and position along it (0 at the spine, 1 at the anterior end)."""
    fracture_step_mm: float = 12.0
    """Displacement of the fracture's ends against each other."""
    pleura: tuple[int, str, float] | None = None
    """Side, ``apical cap`` or ``thickening``, and thickness in mm."""
    collapse: Collapse | None = None
    emphysema: float = 0.0
    """Severity of emphysema, 0 to 1: loss of tissue and hyperinflation."""
    hernia_mm: float = 0.0
    """Diameter of a hiatal hernia."""
    cobb_deg: float = 0.0
    """Cobb angle of a scoliosis, positive if convex to the patient's left."""
    calcified_arch: tuple[float, float] | None = None
    """Calcification of the aortic arch's wall: its first and last angle in degrees; 0 points to the
    left, 90 to the feet."""
    healed_fracture: tuple[int, int, float] | None = None
    """Position of a healed fracture, like ``fracture``."""
    devices: tuple[Device, ...] = ()

    @property
    def shift_mm(self) -> float:
        """Displacement of heart and mediastinum to the patient's left."""
        pushed = -self.pneumothorax.side * self.pneumothorax.tension_mm if self.pneumothorax else 0
        pulled = self.collapse.side * self.collapse.shift_mm if self.collapse else 0
        return float(pushed + pulled)


def draw_disease(
    rng: np.random.Generator, has: Collection[str], devices: bool, bedside: bool
) -> Disease:
    """Draw location and size of each disease that a patient ``has`` (names of RISKS).

    Each is placed where it is visible: not on the side of a pneumothorax or below a large effusion.
    """
    fluid = _draw_fluid(rng, "heart failure" in has) if "effusion" in has else {}
    rim = None
    if "pneumothorax" in has:
        rim = _draw_pneumothorax(rng, bedside)
        if len(fluid) == 1:
            fluid = dict(zip((-rim.side,), fluid.values(), strict=True))
        fluid.pop(rim.side, None)
    collapse = _draw_collapse(rng, rim) if "lobar collapse" in has else None
    if collapse and len(fluid) == 1:
        fluid = dict(zip((-collapse.side,), fluid.values(), strict=True))
    if collapse:
        fluid.pop(collapse.side, None)
    bands: dict[int, int] = {}
    if "atelectasis" in has:
        bands = _draw_bands(rng)
        if all(fluid.get(side, 1.0) <= BAND_LEVEL for side in bands):  # fluid hides the base
            fluid[next(iter(bands))] = BAND_LEVEL + 0.02
        bands = {side: count for side, count in bands.items() if fluid.get(side, 1) > BAND_LEVEL}
    broken = _draw_fracture(rng) if "fracture" in has else None
    drained = {rim.side: "air"} if rim else {}
    drained |= {side: "fluid" for side, top in fluid.items() if top < DRAINED_LEVEL}
    return Disease(
        ratio=_draw_ratio(rng) if "cardiomegaly" in has else None,
        mediastinum_mm=_draw_widening(rng) if "wide mediastinum" in has else 0.0,
        fluid_top=fluid,
        pneumothorax=rim,
        opacities=tuple(
            _draw_opacity(rng, fluid, name == "consolidation")
            for name in ("consolidation", "opacity")
            if name in has
        ),
        lesions=(_draw_lesion(rng, fluid),) if "lesion" in has else (),
        edema=0.08 + 1.2 * float(rng.beta(1.2, 1.7)) if "heart failure" in has else 0.0,
        bands=bands,
        fracture=broken,
        fracture_step_mm=float(rng.uniform(0.5, 14)) if broken else 12.0,
        pleura=_draw_pleura(rng, fluid, rim) if "pleural thickening" in has else None,
        devices=draw_devices(rng.spawn(1)[0], bedside, drained) if devices else (),
        collapse=collapse,
        **_draw_incidental(rng, has, broken),
    )


BAND_LEVEL = 0.6
"""A meniscus above this fraction of the lung's height hides atelectasis at the base."""
DRAINED_LEVEL = 0.68
"""A meniscus above this fraction of the lung's height warrants a chest tube."""


def _side(rng: np.random.Generator) -> int:
    return LEFT if rng.random() < 0.5 else RIGHT


def _draw_ratio(rng: np.random.Generator) -> float:
    return float(min(0.47 + rng.gamma(2.2, 0.034), 0.72))


def _draw_widening(rng: np.random.Generator) -> float:
    return float(min(2 + rng.gamma(2.2, 5.5), 28))


def _draw_fluid(rng: np.random.Generator, failing: bool) -> dict[int, float]:
    both = rng.random() < (0.65 if failing else 0.25)
    first = _side(rng)
    tops = 0.80 - np.minimum(rng.gamma(1.5, 0.13, 2), 0.57)
    if both:
        tops[1] = np.clip(tops[0] + rng.normal(0, 0.06), 0.23, 0.80)
    sides = (first, -first) if both else (first,)
    return {side: float(top) for side, top in zip(sides, tops, strict=False)}


def _draw_zone(
    rng: np.random.Generator, fluid: Mapping[int, float], shares: tuple[float, float, float]
) -> tuple[int, str]:
    """Return a side and a lobe above the meniscus, as upper lobes always are."""
    first = _side(rng)
    for side in (first, -first):
        names = ("upper lobe", "middle lobe" if side == RIGHT else "lingula", "lower lobe")
        zone = str(rng.choice(names, p=shares))
        if fluid.get(side, 1.0) >= ZONES[zone][1] - 0.08:
            return side, zone
    return first, "upper lobe"


def _draw_opacity(rng: np.random.Generator, fluid: Mapping[int, float], dense: bool) -> Opacity:
    side, zone = _draw_zone(rng, fluid, (0.33, 0.22, 0.45))
    return Opacity(
        side=side,
        zone=zone,
        consolidation=dense,
        pneumonia=str(rng.choice(["no", "possible", "stated"], p=[0.4, 0.4, 0.2])),
        density=float(rng.uniform(0.52, 0.95) if dense else rng.uniform(0.10, 0.52)),
        radius_mm=float(rng.uniform(16, 50)),
        seed=int(rng.integers(2**31)),
        bronchogram=dense and bool(rng.random() < BRONCHOGRAM),
    )


def _draw_lesion(rng: np.random.Generator, fluid: Mapping[int, float]) -> Lesion:
    side, zone = _draw_zone(rng, fluid, (0.45, 0.2, 0.35))
    calcified = bool(rng.random() < 0.25)
    diameter = rng.uniform(3.5, 12) if calcified else min(4 + rng.gamma(1.8, 10), 70)
    offset = rng.uniform(-1, 1, 3) * (22, 18, 20)
    return Lesion(
        side=side,
        zone=zone,
        diameter_mm=float(diameter),
        calcified=calcified,
        offset=(float(offset[0]), float(offset[1]), float(offset[2])),
    )


BRONCHOGRAM = 0.6
"""Share of consolidations with an air bronchogram."""
TENSE_MM = 40.0
"""A pneumothorax wider than this may be under tension."""
SUPINE, TENSION = 0.5, 0.5
"""Share of bedside pneumothoraces at the base, and of large ones under tension."""


def _draw_pneumothorax(rng: np.random.Generator, bedside: bool) -> Pneumothorax:
    side, rim = _side(rng), float(min(2 + rng.gamma(1.8, 14), 75))
    supine = bool(bedside and rng.random() < SUPINE)
    tense = rim > TENSE_MM and rng.random() < TENSION
    push = float(rng.uniform(0.25, 0.5)) * rim if tense else 0.0
    return Pneumothorax(side, max(rim, 8.0) if supine else rim, supine, push)


def _draw_collapse(rng: np.random.Generator, rim: Pneumothorax | None) -> Collapse:
    """Return a collapsed lobe on the side without a pneumothorax, so that both shift the
    mediastinum the same way."""
    side = -rim.side if rim else _side(rng)
    return Collapse(side, "upper lobe" if side == RIGHT else "lower lobe",
                    float(rng.uniform(4, 20)))  # fmt: skip


def _draw_incidental(
    rng: np.random.Generator, has: Collection[str], broken: tuple[int, int, float] | None
) -> dict[str, Any]:
    """Return the fields of Disease for old, degenerative or incidental findings."""
    found: dict[str, Any] = {}
    if "emphysema" in has:
        found["emphysema"] = float(rng.uniform(0.08, 1))
    if "hiatal hernia" in has:
        found["hernia_mm"] = float(rng.uniform(22, 95))
    if "scoliosis" in has:
        found["cobb_deg"] = (1 if rng.random() < 0.3 else -1) * float(
            4 + min(rng.gamma(2, 7.5), 40)
        )
    if "aortic calcification" in has:
        start = float(rng.uniform(-100, -60))
        found["calcified_arch"] = start, start + float(rng.uniform(15, 150))
    if "healed fracture" in has:
        side, number, place = _draw_fracture(rng)
        if broken:  # a fresh and an old fracture side by side would be hard to tell apart
            side = -broken[0]
        found["healed_fracture"] = side, number, place
    return found


def _draw_bands(rng: np.random.Generator) -> dict[int, int]:
    sides = (LEFT, RIGHT) if rng.random() < 0.4 else (_side(rng),)
    return {side: int(rng.integers(1, 4)) for side in sides}


def _draw_fracture(rng: np.random.Generator) -> tuple[int, int, float]:
    return _side(rng), int(rng.integers(4, 10)), float(rng.uniform(0.24, 0.44))


def _draw_pleura(
    rng: np.random.Generator, fluid: Mapping[int, float], rim: Pneumothorax | None
) -> tuple[int, str, float]:
    """Return side, kind and thickness; there is no lateral thickening where fluid lies."""
    kind = "apical cap" if rng.random() < 0.55 else "thickening"
    side = _side(rng)
    if rim:
        side = -rim.side
    elif kind == "thickening" and side in fluid:
        side = -side
    if kind == "thickening" and side in fluid:
        kind = "apical cap"
    return side, kind, float(rng.uniform(3, 19))
