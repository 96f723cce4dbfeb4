"""Old, degenerative or incidental findings: hiatal hernia, calcified aortic arch, healed rib.

Scoliosis and emphysema change the whole chest: :mod:`plainfilm.phantom.disease.deformation`.
"""

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.skeleton import rib_curve
from plainfilm.phantom.anatomy.solids import Array, Camera, Ellipsoid, Grid, Mask, Tubes
from plainfilm.phantom.anatomy.thorax import LEFT, SIDE_NAMES, aortic_knob, dome
from plainfilm.phantom.anatomy.tissue import SOFT
from plainfilm.phantom.disease.disease import Disease

HERNIA_WALL_MM = 4.0
HERNIA_GAS = (0.6, 0.45)
"""Half-depth of a hernia's gas, and height of its fluid level, as fractions of its radius."""
CALCIUM = 0.05
"""Attenuation of a calcified wall above that of soft tissue, 1/mm."""


def hernia(patient: Patient, disease: Disease) -> Ellipsoid:
    """Return the part of the stomach above the diaphragm, behind the heart."""
    r = disease.hernia_mm / 2
    floor = dome(patient, LEFT)
    bottom = min(floor.top(20.0), floor.base - 30) + 18
    return Ellipsoid((16.0 + patient.shift_mm, bottom - r, 34.0), (r, r, 0.8 * r))


def add_incidental(
    patient: Patient,
    disease: Disease,
    camera: Camera,
    grid: Grid,
    path: Array,
    masks: dict[str, Mask],
    measures: dict[str, float],
) -> None:
    """Add incidental findings to ``path``, in place; the hernia's body is part of the scene."""
    if disease.hernia_mm:
        _add_gas(hernia(patient, disease), camera, grid, path)
        masks["hiatal hernia"] = _shadow(hernia(patient, disease), camera, grid)
        measures["hernia_diameter_mm"] = disease.hernia_mm
    if disease.calcified_arch:
        arc = _arch_wall(aortic_knob(patient, disease.mediastinum_mm), disease.calcified_arch)
        tubes = Tubes(camera)
        tubes.add(arc, 1.3, CALCIUM * patient.bone, 6.0)
        own = tubes.path(grid)
        path += own
        masks["aortic calcification"] = own > 0.05
        steps = np.linalg.norm(np.diff(arc, axis=0), axis=1)
        measures["aortic_calcification_mm"] = float(steps.sum())
    if disease.healed_fracture:
        side, number, place = disease.healed_fracture
        curve = rib_curve(patient, side, number)
        x, y, _ = camera.project(curve[round(place * (len(curve) - 1))])
        masks[f"{SIDE_NAMES[side]} healed fracture"] = np.hypot(grid.x - x, grid.y - y) < 14


def _shadow(solid: Ellipsoid, camera: Camera, grid: Grid) -> Mask:
    near, far = solid.seen_by(camera).spread(grid)
    mask: Mask = far > near
    return mask


def _add_gas(bowel: Ellipsoid, camera: Camera, grid: Grid, path: Array) -> None:
    """Add the gas above the horizontal fluid level."""
    x, y, z = bowel.centre
    inner = bowel.radii[0] - HERNIA_WALL_MM
    depth, level = HERNIA_GAS
    gas = Ellipsoid((x, y, z), (inner, inner, depth * bowel.radii[0])).seen_by(camera)
    own = np.zeros(grid.shape, np.float32)
    gas.add(own, grid, -SOFT)
    below = grid.y[:, 0] > gas.centre[1] - (1 - 2 * level) * gas.radii[1]
    own[below] = 0
    path += own


def _arch_wall(knob: Ellipsoid, reach: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return the calcified part of the arch's outer wall as a line, ``(n, 3)``."""
    angle = np.deg2rad(np.linspace(*reach, 24))
    (x, y, z), (a, b, _) = knob.centre, knob.radii
    return np.stack(
        [x + (a - 1.5) * np.cos(angle), y + (b - 1.5) * np.sin(angle), z + 0 * angle], axis=1
    )
