"""What is wrong with the patient: draws of disease, with the correlations that make sense.

These are causes (a fluid level, a nodule's diameter); what a report may say of them follows from
the sizes measured on the film (:mod:`plainfilm.phantom.truth`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from plainfilm.phantom.thorax import LEFT, RIGHT

PREVALENCE: Mapping[str, float] = MappingProxyType({
    "normal": 0.28,
    "heart failure": 0.20,
    "cardiomegaly": 0.14,
    "wide mediastinum": 0.09,
    "effusion": 0.17,
    "pneumothorax": 0.12,
    "consolidation": 0.16,
    "opacity": 0.15,
    "lesion": 0.16,
    "atelectasis": 0.17,
    "fracture": 0.11,
    "pleural thickening": 0.11,
    "devices": 0.22,
})  # fmt: skip
"""Chance of each disease in a patient who is not normal, before the correlations of
:func:`draw_disease` (failing hearts raise that of effusions, and so on); ``normal``: of a normal
film."""

ZONES: Mapping[str, tuple[float, float, float]] = MappingProxyType({
    "upper lobe": (0.58, 0.30, 0.05),
    "middle lobe": (0.45, 0.64, -0.40),
    "lingula": (0.68, 0.62, -0.40),
    "lower lobe": (0.60, 0.70, 0.45),
})  # fmt: skip
"""Centres of the lobes, as parts of chest half-width, lung height and half-depth."""


@dataclass(frozen=True)
class Opacity:
    """Fluid-filled or hazy lung: a cloud of soft ellipsoids about a centre."""

    side: int
    zone: str
    consolidation: bool
    """Dense enough to be called consolidation."""
    pneumonia: str
    """``no``, ``possible`` or ``stated``: whether the report calls it pneumonia."""
    density: float
    """Greatest part of the air that is replaced."""
    radius_mm: float
    seed: int


@dataclass(frozen=True)
class Lesion:
    """A round lesion of the lung."""

    side: int
    zone: str
    diameter_mm: float
    calcified: bool
    offset: tuple[float, float, float]
    """Displacement from the zone's centre, mm."""


@dataclass(frozen=True)
class Disease:
    """Everything abnormal in one patient; the default is a healthy one."""

    ratio: float | None = None
    """Cardiothoracic ratio where it differs from the healthy one, before magnification."""
    mediastinum_mm: float = 0.0
    """Added half-width of the upper mediastinum."""
    fluid_top: Mapping[int, float] = field(default_factory=dict)
    """Side to the height of the meniscus, as a part of the lung's height from its apex."""
    pneumothorax: tuple[int, float] | None = None
    """Side and width of the rim in mm."""
    opacities: tuple[Opacity, ...] = ()
    lesions: tuple[Lesion, ...] = ()
    edema: float = 0.0
    """Extra lung water: .2 is mild, 1 severe."""
    bands: Mapping[int, int] = field(default_factory=dict)
    """Side to the number of atelectatic bands at its base."""
    fracture: tuple[int, int, float] | None = None
    """Side, rib (1–12), and place along it (0 at the spine, 1 at its anterior end)."""
    pleura: tuple[int, str, float] | None = None
    """Side, ``apical cap`` or ``thickening``, and thickness in mm."""
    devices: tuple[str, ...] = ()


DEVICES = (
    "central line", "PICC", "pacemaker", "sternotomy wires", "endotracheal tube", "port",
)  # fmt: skip


def draw_disease(
    rng: np.random.Generator, prevalence: Mapping[str, float], healthy_ratio: float, bedside: bool
) -> Disease:
    """Draw what is wrong with a patient; ``bedside`` patients are sicker and carry more lines."""
    if rng.random() < prevalence["normal"] * (0.4 if bedside else 1.2):
        some = rng.random() < prevalence["devices"] * 0.4
        return Disease(devices=_draw_devices(rng, bedside) if some else ())
    for _ in range(20):  # a patient who is not normal has something, where prevalence allows it
        disease = _draw_sick(rng, prevalence, healthy_ratio, bedside)
        if disease != Disease(devices=disease.devices):
            break
    return disease


def _draw_sick(
    rng: np.random.Generator, prevalence: Mapping[str, float], healthy_ratio: float, bedside: bool
) -> Disease:
    def has(name: str, factor: float = 1.0) -> bool:
        return bool(rng.random() < min(prevalence[name] * factor, 0.95))

    failing = has("heart failure", 1.4 if bedside else 0.9)
    edema = float(rng.beta(1.4, 1.6)) * 1.0 + 0.28 if failing else 0.0
    enlarged = has("cardiomegaly", 5.0 if failing else 1.0)
    ratio = float(np.clip(rng.gamma(2.2, 0.035) + 0.505, 0.505, 0.72)) if enlarged else None
    wide = float(rng.uniform(11, 25)) if has("wide mediastinum") else 0.0
    fluid = _draw_fluid(rng, failing, has("effusion", 3.2 if failing else 1.0))
    rim = None
    if has("pneumothorax", 0.3 if failing else 1.1):
        rim = _side(rng), float(np.clip(7 + rng.gamma(2.0, 12), 9, 75))
        fluid.pop(rim[0], None)
    opacities = tuple(
        _draw_opacity(rng, dense)
        for dense, wanted in ((True, has("consolidation")), (False, has("opacity")))
        if wanted
    )
    lesions = _draw_lesions(rng) if has("lesion") else ()
    bands = _draw_bands(rng) if has("atelectasis", 1.7 if fluid else 1.0) else {}
    fracture = None
    if has("fracture", 2.0 if rim else 1.0):
        fracture = _side(rng), int(rng.integers(4, 10)), float(rng.uniform(0.24, 0.44))
    pleura = None
    if has("pleural thickening"):
        kind = "apical cap" if rng.random() < 0.55 else "thickening"
        pleura = _side(rng), kind, float(rng.uniform(8, 19))
        if (rim and rim[0] == pleura[0]) or (kind == "thickening" and pleura[0] in fluid):
            pleura = None
    # what a large effusion hides is not said
    opacities = tuple(o for o in opacities if not _drowned(fluid, o.side, o.zone))
    lesions = tuple(x for x in lesions if not _drowned(fluid, x.side, x.zone))
    bands = {side: count for side, count in bands.items() if fluid.get(side, 1) > 0.6}
    devices = _draw_devices(rng, bedside) if has("devices", 2.4 if bedside else 1.0) else ()
    return Disease(
        ratio=None if ratio is not None and ratio <= healthy_ratio else ratio,
        mediastinum_mm=wide, fluid_top=fluid, pneumothorax=rim, opacities=opacities,
        lesions=lesions, edema=edema, bands=bands, fracture=fracture, pleura=pleura,
        devices=devices,
    )  # fmt: skip


def _side(rng: np.random.Generator) -> int:
    return LEFT if rng.random() < 0.5 else RIGHT


def _drowned(fluid: Mapping[int, float], side: int, zone: str) -> bool:
    """Return whether a lobe lies below the meniscus on its side."""
    return fluid.get(side, 1.0) < ZONES[zone][1] - 0.08


def _draw_fluid(rng: np.random.Generator, failing: bool, wanted: bool) -> dict[int, float]:
    if not wanted:
        return {}
    both = rng.random() < (0.65 if failing else 0.25)
    first = _side(rng)
    tops = 0.79 - np.clip(rng.gamma(1.6, 0.13, 2), 0.01, 0.66)
    if both:
        tops[1] = np.clip(tops[0] + rng.normal(0, 0.06), 0.15, 0.80)
    sides = (first, -first) if both else (first,)
    return {side: float(top) for side, top in zip(sides, tops, strict=False)}


def _draw_opacity(rng: np.random.Generator, dense: bool) -> Opacity:
    side = _side(rng)
    names = ["upper lobe", "middle lobe" if side == RIGHT else "lingula", "lower lobe"]
    return Opacity(
        side=side,
        zone=str(rng.choice(names, p=[0.33, 0.22, 0.45])),
        consolidation=dense,
        pneumonia=str(rng.choice(["no", "possible", "stated"], p=[0.4, 0.4, 0.2])),
        density=float(rng.uniform(0.65, 0.95) if dense else rng.uniform(0.28, 0.48)),
        radius_mm=float(rng.uniform(26, 48)),
        seed=int(rng.integers(2**31)),
    )


def _draw_lesions(rng: np.random.Generator) -> tuple[Lesion, ...]:
    side = _side(rng)
    names = ["upper lobe", "middle lobe" if side == RIGHT else "lingula", "lower lobe"]
    calcified = bool(rng.random() < 0.25)
    diameter = rng.uniform(6, 12) if calcified else np.clip(8 + rng.gamma(1.8, 9), 9, 70)
    offset = rng.uniform(-1, 1, 3) * (22, 18, 20)
    return (
        Lesion(
            side=side,
            zone=str(rng.choice(names, p=[0.45, 0.2, 0.35])),
            diameter_mm=float(diameter),
            calcified=calcified,
            offset=(float(offset[0]), float(offset[1]), float(offset[2])),
        ),
    )


def _draw_bands(rng: np.random.Generator) -> dict[int, int]:
    sides = (LEFT, RIGHT) if rng.random() < 0.4 else (_side(rng),)
    return {side: int(rng.integers(1, 4)) for side in sides}


def _draw_devices(rng: np.random.Generator, bedside: bool) -> tuple[str, ...]:
    if bedside:
        chances = dict(zip(DEVICES, (0.55, 0.2, 0.12, 0.2, 0.35, 0.05), strict=True))
    else:
        chances = dict(zip(DEVICES, (0.05, 0.12, 0.4, 0.4, 0.0, 0.2), strict=True))
    names = tuple(name for name, chance in chances.items() if rng.random() < chance)
    if "pacemaker" in names:
        names = tuple(name for name in names if name != "port")
    return names or (str(rng.choice(["central line"] if bedside else ["pacemaker", "port"])),)
