"""Ribs, clavicles, scapulae, spine and arms, as tubes and ellipsoids.

Weights are attenuation above that of soft tissue, in 1/mm. Cortical shell and core differ, so that
a rib shows its two cortical lines.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import Ellipsoid, round_corners
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, cavity, spine_bend

RIB_DEPTH_MM = 3.8
"""Half the thickness of a rib."""


def rib_curve(patient: Patient, side: int, number: int) -> npt.NDArray[np.float64]:
    """Return the axis of rib ``number`` (1–12) from the spine to its anterior end, ``(26, 3)``.

    The rib follows the outside of the pleural cavity and descends from back to front.
    """
    curve: npt.NDArray[np.float64] = _rib_curves(patient, side)[number - 1].copy()
    return curve


@lru_cache(maxsize=8)  # each rib of a patient is needed several times in a study
def _rib_curves(patient: Patient, side: int, steps: int = 26) -> npt.NDArray[np.float64]:
    """Return the axes of one side's ribs, ``(12, steps, 3)``."""
    h = patient.height_mm
    number = np.arange(1, 13)[:, None]
    reach = np.interp(number, [1, 2, 6, 9, 10, 11, 12], [2.5, 2.55, 2.5, 2.2, 2.0, 1.5, 1.1])
    # length of the bone, which cartilage continues; ribs 11 and 12 float
    angle = np.linspace(0.16, reach[:, 0], steps, axis=1)
    jitter = np.random.default_rng([patient.anatomy_seed, 7]).normal(0, 1, 4)
    start = (-0.030 + 0.0790 * (number - 1)) * h + 1.5 * jitter[0]
    fall = np.interp(number, [1, 2, 4, 8, 10, 12], [0.22, 0.31, 0.40, 0.44, 0.38, 0.24]) * h
    fall *= 1 + 0.06 * jitter[1]
    y = start + fall * (1 - np.cos(angle)) / 2
    y -= 0.012 * h * np.sin(np.clip(angle / 1.2, 0, 1) * np.pi)
    shape = cavity(patient, side)
    bend, slope = spine_bend(patient, start)
    behind = np.square(np.cos(angle / 2))  # near the spine a rib moves with its vertebra
    y -= 0.9 * slope * side * patient.width_mm * np.sin(angle) * behind
    # at the top the ribs close around the apex, below the base they follow the last full section
    level = np.clip(y, 0.045 * h, 0.86 * h)
    centre, half_width, half_depth, middle = shape.section(level)
    lateral = (centre + half_width + 3.5) * np.sin(angle) ** 0.8
    lateral = np.maximum(lateral, 20 * np.cos(angle))
    x = side * lateral + bend * behind * np.cos(angle / 2)
    return np.stack([x, y, middle + (half_depth + 3.5) * np.cos(angle)], axis=2)


def rib_height_mm(number: int) -> float:
    """Return half the height of rib ``number``."""
    return 5.2 + (0.6 if 3 <= number <= 9 else 0) if number < 11 else 4.4


CARTILAGE_MM = 4.5
"""Radius of the costal cartilages."""


def cartilages(patient: Patient, side: int) -> list[npt.NDArray[np.float64]]:
    """Return the axes of the first ten costal cartilages, from the bone's end inwards.

    Seven reach the sternum, the lower ones ascending; each of the others ends at the one above it.
    They are visible only once they calcify, in patches, with age.
    """
    x, y, z = sternum(patient).centre
    half = sternum(patient).radii[1]
    curves: list[npt.NDArray[np.float64]] = []
    for number in range(1, 11):
        start = rib_curve(patient, side, number)[-1]
        if number <= 7:
            end = np.array([x + side * 15, y + half * (-0.75 + 0.27 * (number - 1)), z])
        else:
            above = curves[-1]
            end = above[len(above) // 2]
        bend = 0.6 * start + 0.4 * end + (0, 4, -3)
        curves.append(round_corners([start, bend, end]))
    return curves


def clavicle_curve(patient: Patient, side: int) -> npt.NDArray[np.float64]:
    """Return the axis of a clavicle: an S from the sternum to the shoulder, ``(n, 3)``."""
    w, d = patient.width_mm, patient.depth_mm
    x = np.array([17, 32, 52, 80, 112, 146]) / 142 * w
    y = np.array([50, 47, 39, 22, 9, 11])
    z = np.array([-0.80, -0.90, -0.92, -0.72, -0.45, -0.22]) * d
    return round_corners(np.stack([side * x, y, z], axis=1))


def shoulder(patient: Patient, side: int) -> list[tuple[npt.NDArray[np.float64], float]]:
    """Return the scapula's borders and spine, then the humerus, as (curve, radius)."""
    w = patient.width_mm
    out = w + patient.scapula_mm
    medial = [(out - 30, 38, 70), (out - 20, 80, 82), (out - 4, 135, 84), (out + 4, 152, 80)]
    lateral = [(out + 4, 152, 80), (out + 18, 110, 68), (out + 30, 62, 50), (out + 32, 48, 44)]
    spine = [(out - 26, 52, 76), (out + 4, 36, 72), (out + 34, 14, 50), (out + 44, 10, 30)]
    coracoid = [(out + 24, 34, 20), (out + 8, 30, -8)]
    arm = [(w + 54, 42, 30), (w + 74, 110, 28), (w + 98, 190, 22)]
    parts = ((medial, 2.6), (lateral, 4.2), (spine, 4.2), (coracoid, 5.0), (arm, 11.0))
    return [(np.array(curve) * (side, 1, 1), radius) for curve, radius in parts]


def vertebra(patient: Patient, level: int) -> tuple[Ellipsoid, list[Ellipsoid]]:
    """Return (body, pedicles and spinous process) of a vertebra; level 0 is T1, 12 is L1."""
    step = 0.0805 * patient.height_mm
    y, bend, slope = _spine(patient)[level - LEVELS.start]
    width = 15 + 0.35 * max(level, 0)
    tilt = -math.atan(slope)
    cos, sin = math.cos(tilt), math.sin(tilt)

    def at(x: float, down: float, z: float) -> tuple[float, float, float]:
        return bend + x * cos - down * sin, y + x * sin + down * cos, z

    body = Ellipsoid(at(0, 0, 62), (width, 0.60 * step, 15), tilt)
    arch = [
        Ellipsoid(at(side * 0.68 * width, -0.12 * step, 82), (3.4, 4.6, 10), tilt)
        for side in (RIGHT, LEFT)
    ]
    return body, [*arch, Ellipsoid(at(0, 0.3 * step, 100), (2.6, 6.5, 14), tilt)]


LEVELS = range(-4, 17)
"""Levels of the simulated vertebrae, C4 to L5; no film extends above."""


@lru_cache(maxsize=4)
def _spine(patient: Patient) -> list[tuple[float, float, float]]:
    """Return height, lateral displacement and slope of the spine at each of :data:`LEVELS`."""
    y = -0.05 * patient.height_mm + 0.0805 * patient.height_mm * np.array(LEVELS)
    bend, slope = spine_bend(patient, y)
    return list(zip(y.tolist(), bend.tolist(), slope.tolist(), strict=True))


def sternum(patient: Patient) -> Ellipsoid:
    """Return the sternum."""
    h = patient.height_mm
    return Ellipsoid((0, 0.20 * h + 36, -0.92 * patient.depth_mm), (17, 0.3 * h, 5))


def scapular_plate(patient: Patient, side: int) -> Ellipsoid:
    """Return the thin plate between a scapula's borders."""
    out = patient.width_mm + patient.scapula_mm
    return Ellipsoid((side * (out + 2), 84, 72), (20, 54, 2.2), -side * 0.22)
