"""The pulmonary vessels: trees that branch from the hila into the lungs, and the airways."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import Tubes, crossed, norms
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT

Points = npt.NDArray[np.float64]
Within = Callable[[Points], npt.NDArray[np.bool_]]

GENERATIONS = 7


def hilum(patient: Patient, side: int) -> Points:
    """Return the point where the vessels of one lung begin, which is higher on the left."""
    y = 0.44 * patient.height_mm - (8 if side == LEFT else 0)
    return np.array([side * (0.22 * patient.width_mm) + patient.shift_mm, y, 8.0])


def grow(
    tubes: Tubes, patient: Patient, side: int, calibre: float, within: Within, weight: float
) -> None:
    """Add one lung's vessel tree to ``tubes``; each branch splits into two thinner, shorter
    ones."""
    rng = np.random.default_rng([patient.anatomy_seed, 3 + side])
    elevation = np.deg2rad([-78, -58, -38, -12, 12, 30, 46, 62, 76, 40])
    elevation = elevation + rng.normal(0, 0.08, len(elevation))
    fore = np.array([0.5, -0.6, 0.3, -0.7, 0.6, -0.3, 0.6, -0.2, 0.5, -0.7])
    direction = np.stack([side * np.cos(elevation), np.sin(elevation), fore], axis=1)
    direction /= norms(direction)[:, None]
    start = hilum(patient, side) + direction * (2, 9, 4) + rng.normal(0, 3, direction.shape)
    radius = rng.uniform(3.6, 4.8, len(direction)) * patient.vessels * calibre
    radius[4:] *= 1.12  # gravity fills the lower vessels
    scale = patient.height_mm / 255
    reach = 27.0 * scale * np.ones(len(direction))
    for _ in range(GENERATIONS):
        for _ in range(2):  # two segments per branch, so that it curves
            direction = direction + rng.normal(0, 0.13, direction.shape)
            direction /= norms(direction)[:, None]
            end = start + direction * (0.5 * reach)[:, None]
            keep = within(end)
            start, end, direction = start[keep], end[keep], direction[keep]
            radius, reach = radius[keep], reach[keep]
            tubes.add_segments(start, end, radius, weight)
            start = end
        sideways = crossed(direction, rng.normal(0, 1, direction.shape))
        sideways /= norms(sideways)[:, None] + 1e-9
        lean = rng.uniform(0.25, 0.6, (len(direction), 1))
        start = np.concatenate([start, start])
        direction = np.concatenate([direction + lean * sideways, direction - 0.8 * lean * sideways])
        direction /= norms(direction)[:, None]
        share = rng.uniform(0.70, 0.86, len(radius))
        radius = np.concatenate([radius * share, radius * (1.46 - share)])
        radius = np.maximum(radius, 0.45)
        reach = np.tile(reach, 2) * rng.uniform(0.72, 0.95, len(start))


def central_artery(patient: Patient, side: int, calibre: float = 1.0) -> tuple[Points, Points]:
    """Return one lung's pulmonary artery as (axis, radius of each segment)."""
    x, y, z = hilum(patient, side)
    bend = [(x - side * 14, y - 10, z - 6), (x, y - 3, z), (x + side * 5, y + 13, z + 5),
            (x + side * 6, y + 34, z + 8)]  # fmt: skip
    return np.array(bend), np.array([1.0, 0.95, 0.68]) * (8.0 * patient.vessels * calibre)


def add_hila(tubes: Tubes, patient: Patient, calibre: float, weight: float) -> None:
    """Add the central pulmonary arteries and veins, which form the hila."""
    for side in (RIGHT, LEFT):
        x, y, z = hilum(patient, side)
        bend, radii = central_artery(patient, side, calibre)
        radius = radii[0]
        tubes.add(bend, radii, weight)
        vein = [
            (x + side * 20, y - 22, z - 10),
            (x + side * 6, y - 6, z - 12),
            (x - side * 8, y + 8, z),
        ]
        tubes.add(vein, np.array([0.45, 0.6]) * radius, weight)
        low = [
            (x + side * 30, y + 44, z),
            (x + side * 8, y + 30, z),
            (x - side * 10, y + 24, z - 4),
        ]
        tubes.add(low, np.array([0.4, 0.55]) * radius, weight)


def airway_curves(patient: Patient) -> list[tuple[Points, float]]:
    """Return trachea and main bronchi as (axis, radius); the trachea bends right at the arch."""
    h = patient.height_mm
    shift = patient.shift_mm
    carina = np.array([3.0 + shift, 0.31 * h, 14.0])
    trachea = [(0, -70, -14), (-1 + 0.25 * shift, -20, -4), (-2 + 0.55 * shift, 0.06 * h, 1),
               (-4 + 0.85 * shift, 0.18 * h, 7), tuple(carina)]  # fmt: skip
    curves = [(np.array(trachea), 8.2 if patient.sex == "M" else 7.0)]
    for side, drop, out in ((RIGHT, 26, 24), (LEFT, 24, 40)):
        steps = np.array([(0, 0, 0), (side * 0.55 * out, 0.6 * drop, 2), (side * out, drop, 4)])
        curves.append((carina + steps, 6.2))
    return curves


def add_airways(tubes: Tubes, patient: Patient, weight: float) -> None:
    """Add the trachea and main bronchi as air; ``weight`` is negative."""
    for curve, radius in airway_curves(patient):
        tubes.add(curve, radius, weight)
