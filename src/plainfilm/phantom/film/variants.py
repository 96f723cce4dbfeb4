"""Appearance of normal variants that look like disease.

Fat pads beside the heart look like consolidation, nipples and the first rib's cartilage like
nodules, a skin fold like the edge of a pneumothorax, an azygos fissure like a band. A patient's
variants are drawn in :mod:`plainfilm.phantom.anatomy.variants`; a skin fold belongs to a single
film (:mod:`plainfilm.phantom.film.nuisance`).
"""

import numpy as np

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.skeleton import rib_curve
from plainfilm.phantom.anatomy.solids import Array, Camera, Ellipsoid, Grid, Mask, Tubes
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, dome, front_skin, gas_and_breasts
from plainfilm.phantom.anatomy.tissue import SOFT

FISSURE = 0.022
"""Attenuation of an azygos fissure above that of lung, 1/mm."""
SEEN = 0.02
"""Minimum line integral within a mask."""


def fat_pads(patient: Patient, ratio: float) -> list[Ellipsoid]:
    """Return the (right, left) fat pads between heart and diaphragm, if any.

    They displace lung, like the heart.
    """
    pads = []
    border = {RIGHT: 0.31, LEFT: 0.69}
    for side, radius in zip((RIGHT, LEFT), patient.variants.fat_pads_mm, strict=True):
        if radius:
            x = border[side] * ratio * 2 * patient.width_mm
            y = dome(patient, side).top(x) - 0.1 * radius
            centre = (side * (x - 0.15 * radius) + patient.shift_mm, y, -0.55 * patient.depth_mm)
            pads.append(Ellipsoid(centre, (radius, 0.9 * radius, 30.0), -side * 0.5))
    return pads


def add_variants(
    patient: Patient, camera: Camera, grid: Grid, path: Array, masks: dict[str, Mask]
) -> None:
    """Add variants that do not displace lung to ``path``, and their masks, in place."""
    variants = patient.variants
    if variants.nipples_mm:
        solids = _nipples(patient, variants.nipples_mm)
        _add(solids, [SOFT] * len(solids), camera, grid, path, masks, "nipple shadow")
    if variants.cartilage_mm:
        ends = [rib_curve(patient, side, 1)[-1] for side in (RIGHT, LEFT)]
        a = variants.cartilage_mm / 2
        solids = [Ellipsoid((x, y + 3, z), (1.3 * a, a, 4.0), 0.5) for x, y, z in ends]
        weights = [0.018 * patient.bone] * 2
        _add(solids, weights, camera, grid, path, masks, "first rib's cartilage")
    if variants.azygos_lobe:
        w, h = patient.width_mm, patient.height_mm
        t = np.linspace(0, 1, 15)
        x = -(0.34 + 0.14 * np.sin(np.pi * t) * (1 - t) - 0.19 * t**2) * w
        line = np.stack([x, (0.01 + 0.22 * t) * h, 0 * t + 10.0], axis=1)
        tubes = Tubes(camera)
        tubes.add(line, 0.9, FISSURE, 22.0)
        own = tubes.path(grid)
        Ellipsoid((float(x[-1]), 0.235 * h, 10.0), (4.5, 7.5, 9.0)).seen_by(camera).add(
            own, grid, 0.8 * SOFT
        )
        path += own
        masks["azygos lobe"] = own > SEEN


def _nipples(patient: Patient, diameter: float) -> list[Ellipsoid]:
    radius, w, h = diameter / 2, patient.width_mm, patient.height_mm
    if patient.sex == "F":
        breasts = gas_and_breasts(patient)[1]
        places = [(one.centre[0], one.centre[1] + 0.25 * one.radii[1]) for one in breasts]
    else:
        places = [(side * 0.60 * w, 0.60 * h) for side in (RIGHT, LEFT)]
    x, y = np.array(places).T
    z = front_skin(patient, x, y) - 2.0
    return [
        Ellipsoid((float(i), float(j), float(k)), (radius, radius, 5.0))
        for i, j, k in zip(x, y, z, strict=True)
    ]


def _add(
    solids: list[Ellipsoid],
    weights: list[float],
    camera: Camera,
    grid: Grid,
    path: Array,
    masks: dict[str, Mask],
    name: str,
) -> None:
    own = np.zeros(grid.shape, np.float32)
    for solid, weight in zip(solids, weights, strict=True):
        solid.seen_by(camera).add(own, grid, weight)
    path += own
    masks[name] = own > SEEN


def add_fold(fold: tuple[int, float, float], patient: Patient, grid: Grid, path: Array) -> Mask:
    """Add a skin fold on the back, which gets brighter towards its outer edge and ends there.

    Args:
        fold: side, position of the edge in half-widths of the chest, and attenuation at the edge.
        patient: the patient.
        grid: the detector.
        path: map to add to, in place.

    Returns:
        Mask of the fold's outer 12 mm.
    """
    side, place, strength = fold
    h, w = patient.height_mm, patient.width_mm
    down = (grid.y / np.float32(h)).astype(np.float32)
    edge = np.float32(w) * (np.float32(place) - np.float32(0.35) * (down - 0.45) ** 2)
    inside = edge - np.float32(side) * grid.x
    fades = np.clip((down - 0.05) / 0.1, 0, 1) * np.clip((0.85 - down) / 0.15, 0, 1)
    ramp = np.clip(1 - inside / 45, 0, 1) * np.clip(inside / 1.2, 0, 1)
    path += (np.float32(strength) * ramp * fades).astype(np.float32)
    mask: Mask = (inside > 0) & (inside < 12) & (fades > 0.2)
    return mask
