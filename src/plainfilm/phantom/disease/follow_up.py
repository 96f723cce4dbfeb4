"""The same patient at an earlier examination: disease then, given disease now.

Disease is traced back in time. Each disease has a course: it was the same, smaller or larger than
now, or absent; diseases with one cause share the course (edema, the large heart and its effusions).
A lesion grows with a doubling time or not at all. Diseases absent now may have been present. Lines
and tubes were put in or taken out since; wires, ports and pacemakers stay. The shares are set by
eye. What counts as changed is decided later, from the measures of both films
(:mod:`plainfilm.phantom.reporting.change`).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from plainfilm.phantom.disease.devices import Device
from plainfilm.phantom.disease.disease import (
    BAND_LEVEL,
    TENSE_MM,
    ZONES,
    Disease,
    Lesion,
    Opacity,
    Pneumothorax,
    draw_disease,
)
from plainfilm.phantom.disease.prevalence import PREVALENCE

SAME, ABSENT, SMALLER = 0.35, 0.25, 0.20
"""Shares of courses: the same, absent, smaller; in the rest the disease was larger than now."""
GONE: Mapping[str, float] = MappingProxyType({
    "heart failure": 0.07, "effusion": 0.09, "pneumothorax": 0.06, "consolidation": 0.07,
    "opacity": 0.07, "atelectasis": 0.08,
})  # fmt: skip
"""Probability that a disease absent now was present before."""
STAY = ("pacemaker", "port", "sternotomy wires")
"""Devices that are never taken out."""
PUT_IN, PUT_IN_TO_STAY, TAKEN_OUT = 0.4, 0.12, 0.25
"""Probability that a present device, or a permanent one, was put in since; that one was removed."""
GROWING = 0.5
"""Share of uncalcified lesions that grow; doubling times of their volume are in days."""
DOUBLING_DAYS = (30, 400)
SMALLEST_LESION_MM, LOWEST, HIGHEST = 4.0, 0.23, 0.80
"""Diameter below which an earlier lesion counts as absent; limits of the meniscus."""


def earlier_disease(
    now: Disease,
    healthy_ratio: float,
    days: int,
    bedside: bool,
    rng: np.random.Generator,
    possible: Collection[str] = tuple(PREVALENCE),
) -> Disease:
    """Return the disease ``days`` before the state ``now``.

    Args:
        now: the disease at the later examination.
        healthy_ratio: the patient's cardiothoracic ratio without disease.
        days: time between the two.
        bedside: whether the earlier film was taken at the bedside.
        rng: random generator of the courses.
        possible: diseases that may have resolved since (names of PREVALENCE).
    """
    heart, other, air = (_course(rng) for _ in range(3))
    fluid = heart if now.edema else other
    before = replace(
        now,
        edema=_scaled(now.edema, heart, 0.08, 1.3),
        ratio=_ratio_before(now.ratio, healthy_ratio, heart, rng),
        mediastinum_mm=now.mediastinum_mm if rng.random() < 0.85 else 0.0,
        opacities=tuple(o for opacity in now.opacities for o in _opacity_before(opacity, rng)),
        lesions=tuple(o for lesion in now.lesions for o in _lesion_before(lesion, days, rng)),
        pneumothorax=_rim_before(now.pneumothorax, air),
        bands=_bands_before(now.bands, _course(rng)),
        fracture=now.fracture if rng.random() < 0.6 else None,
    )
    before = replace(before, fluid_top=_fluid_before(now.fluid_top, fluid, before))
    before = _with_what_went(before, now, rng, possible)
    devices = _devices_before(now.devices, bedside, rng, others="devices" in possible)
    return replace(before, devices=devices)


def _course(rng: np.random.Generator) -> float:
    """Return the earlier size of a disease relative to now."""
    kind, amount = rng.random(2)
    if kind < SAME:
        return 1.0
    if kind < SAME + ABSENT:
        return 0.0
    if kind < SAME + ABSENT + SMALLER:
        return float(0.35 + 0.3 * amount)
    return float(1.35 + 0.6 * amount)


def _scaled(value: float, course: float, least: float, most: float) -> float:
    """Return ``value`` times its course, clipped to the limits unless either is 0."""
    scaled = value * course
    return float(np.clip(scaled, min(least, value), max(most, value))) if scaled else 0.0


def _ratio_before(
    ratio: float | None, healthy: float, course: float, rng: np.random.Generator
) -> float | None:
    """Return the heart's earlier ratio; most large hearts were as large before."""
    moves, amount = rng.random() < 0.4, float(rng.uniform(0.03, 0.09))
    if ratio is None or course == 1 or not moves:
        return ratio
    before = ratio + (amount if course > 1 else -amount)
    return min(before, 0.72) if before > max(healthy, 0.47) else None


def _opacity_before(opacity: Opacity, rng: np.random.Generator) -> tuple[Opacity, ...]:
    course = _course(rng)
    if not course:
        return ()
    radius = float(np.clip(opacity.radius_mm * course**0.5, 12, 62))
    return (replace(opacity, radius_mm=radius),)


def _lesion_before(lesion: Lesion, days: int, rng: np.random.Generator) -> tuple[Lesion, ...]:
    low, high = DOUBLING_DAYS
    doubling = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if lesion.calcified or rng.random() > GROWING:
        return (lesion,)
    diameter = lesion.diameter_mm * 2 ** (-days / doubling / 3)
    return (replace(lesion, diameter_mm=diameter),) if diameter > SMALLEST_LESION_MM else ()


def _rim_before(rim: Pneumothorax | None, course: float) -> Pneumothorax | None:
    if not rim or not course:
        return None
    width = _scaled(rim.rim_mm, course, 2, 75)
    return rim._replace(rim_mm=width, tension_mm=rim.tension_mm if width > TENSE_MM else 0.0)


def _bands_before(bands: Mapping[int, int], course: float) -> dict[int, int]:
    counts = {side: round(_scaled(count, course, 1, 3)) for side, count in bands.items()}
    return {side: count for side, count in counts.items() if count}


def _fluid_before(tops: Mapping[int, float], course: float, disease: Disease) -> dict[int, float]:
    """Return the earlier menisci, none high enough to hide another disease."""
    if not course:
        return {}
    before = {}
    for side, top in tops.items():
        level = float(np.clip(0.80 - course * (0.80 - top), LOWEST, HIGHEST))
        before[side] = max(level, min(_highest_level(disease, side), top))
    return before


def _highest_level(disease: Disease, side: int) -> float:
    """Return the highest allowed fluid level on a side, as a fraction of the lung's height."""
    found: list[Opacity | Lesion] = [*disease.opacities, *disease.lesions]
    shown = [ZONES[one.zone][1] - 0.08 for one in found if one.side == side]
    if disease.bands.get(side):
        shown.append(BAND_LEVEL + 0.02)
    return max([LOWEST, *shown])


def _with_what_went(
    before: Disease, now: Disease, rng: np.random.Generator, possible: Collection[str]
) -> Disease:
    """Return ``before`` with diseases that have resolved since, each where there is room for it."""
    names = {name for name, chance in GONE.items() if rng.random() < chance and name in possible}
    other = draw_disease(rng, names, devices=False, bedside=False)
    if other.edema and not now.edema:
        before = replace(before, edema=other.edema)
    rims = [rim for rim in (now.pneumothorax, before.pneumothorax) if rim]
    collapsed = now.collapse.side if now.collapse else None
    rind = before.pleura[0] if before.pleura and before.pleura[1] == "thickening" else None
    fluid = {
        side: max(top, _highest_level(before, side))
        for side, top in other.fluid_top.items()
        if side not in (*now.fluid_top, rind, collapsed, *(rim.side for rim in rims))
    }
    before = replace(before, fluid_top=dict(before.fluid_top) | fluid)
    rim, capped = other.pneumothorax, before.pleura[0] if before.pleura else None
    if rim and not rims and rim.side not in (*before.fluid_top, capped, collapsed):
        before = replace(before, pneumothorax=rim)
    taken = {(o.side, o.consolidation) for o in now.opacities}
    places = {(o.side, o.zone) for o in now.opacities} | {(o.side, o.zone) for o in now.lesions}
    opacities = tuple(
        o
        for o in other.opacities
        if (o.side, o.consolidation) not in taken
        and (o.side, o.zone) not in places
        and before.fluid_top.get(o.side, 1.0) >= ZONES[o.zone][1] - 0.08
    )
    bands = {
        side: count
        for side, count in other.bands.items()
        if not now.bands and before.fluid_top.get(side, 1.0) > BAND_LEVEL
    }
    return replace(before, opacities=before.opacities + opacities, bands=dict(before.bands) | bands)


def _devices_before(
    now: tuple[Device, ...], bedside: bool, rng: np.random.Generator, *, others: bool
) -> tuple[Device, ...]:
    """Return the devices of the earlier film; ``others`` allows devices removed since."""
    draws = rng.random(len(now) + 1)
    kept = [
        device
        for device, draw in zip(now, draws, strict=False)
        if draw >= (PUT_IN_TO_STAY if device.name in STAY else PUT_IN)
    ]
    drawn = draw_disease(rng, (), devices=True, bedside=bedside).devices
    if others and draws[-1] < TAKEN_OUT:
        names = {*STAY, *(device.name for device in now)}
        kept += [device for device in drawn if device.name not in names]
    return tuple(device for device in kept if bedside or device.name != "endotracheal tube")
