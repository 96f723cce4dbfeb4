"""Projection of bones: attenuation above that of soft tissue, 1/mm.

Cortical shell and core differ, so that a rib shows its two cortical lines.
"""

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.skeleton import (
    CARTILAGE_MM,
    LEVELS,
    RIB_DEPTH_MM,
    cartilages,
    clavicle_curve,
    rib_curve,
    rib_height_mm,
    scapular_plate,
    shoulder,
    sternum,
    vertebra,
)
from plainfilm.phantom.anatomy.solids import Array, Camera, Ellipsoid, Grid, Tubes
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.disease.disease import Disease

SHELL, CORE = 0.040, 0.012
GAP_MM = 1.6
"""Gap between the ends of a fresh fracture, which has no callus yet."""


def bones(
    patient: Patient, disease: Disease, camera: Camera, arms_raised: bool = False
) -> tuple[Tubes, Tubes]:
    """Return (ribs, other bones) as tubes; raised arms are outside the film."""
    ribs, others = Tubes(camera), Tubes(camera)
    mineral = patient.bone
    patches = np.random.default_rng([patient.anatomy_seed, 71])
    for side in (RIGHT, LEFT):
        for number in range(1, 13):
            height = rib_height_mm(number)
            pieces = rib_pieces(patient, disease, side, number)
            for part in pieces:
                _bone(ribs, part, height, RIB_DEPTH_MM, mineral)
            if disease.healed_fracture and disease.healed_fracture[:2] == (side, number):
                middle = round(disease.healed_fracture[2] * (len(pieces[0]) - 1))
                callus = pieces[0][max(middle - 1, 0) : middle + 2]
                ribs.add(callus, height + 4.0, 0.032 * mineral, 7.0)
        _bone(others, clavicle_curve(patient, side), 5.6, 5.0, 0.9 * mineral)
        calcium = 0.012 * mineral * min(max((patient.age - 45) / 40, 0), 1)
        for curve in cartilages(patient, side) if calcium else ():
            patchy = patches.uniform(0, 1, len(curve) - 1) ** 2
            others.add(curve, CARTILAGE_MM, calcium * patchy, CARTILAGE_MM)
        for curve, radius in shoulder(patient, side)[: -1 if arms_raised else None]:
            _bone(others, curve, radius, radius, 0.9 * mineral)
    return ribs, others


def _bone(tubes: Tubes, curve: npt.ArrayLike, height: float, depth: float, mineral: float) -> None:
    """Add a cortical shell around a core: the whole at SHELL, the core reduced to CORE."""
    tubes.add(curve, height, SHELL * mineral, depth)
    tubes.add(curve, height - 1.3, (CORE - SHELL) * mineral, depth - 1.1)


def rib_pieces(
    patient: Patient, disease: Disease, side: int, number: int
) -> list[npt.NDArray[np.float64]]:
    """Return a rib's axis in one piece, or in two with gap and step at a fracture."""
    curve = rib_curve(patient, side, number)
    if disease.healed_fracture and disease.healed_fracture[:2] == (side, number):
        along = np.arange(len(curve)) / (len(curve) - 1) - disease.healed_fracture[2]
        curve[:, 1] += 6.0 * np.exp(-np.square(along / 0.05))  # the fracture healed with an angle
    if disease.fracture is None or disease.fracture[:2] != (side, number):
        return [curve]
    cut, step = round(disease.fracture[2] * (len(curve) - 1)), disease.fracture_step_mm
    back, front = curve[: cut + 1].copy(), curve[cut:].copy()
    fade = np.linspace(1, 0.15, len(front))
    front[:, 1] += step * fade
    front[:, 0] -= side * 0.35 * step * fade
    for ends, inner in ((back, -2), (front, 1)):  # the gap between the ends, darker than bone
        end = 0 if inner == 1 else -1
        along = ends[inner] - ends[end]
        ends[end] += GAP_MM / 2 * along / np.linalg.norm(along)
    return [back, front]


def add_spine_and_plates(
    patient: Patient, camera: Camera, grid: Grid, path: Array, arms_raised: bool = False
) -> None:
    """Add the vertebrae, sternum, humeral heads and scapular plates to ``path``, in place."""
    mineral = patient.bone
    solids = []
    for level in LEVELS:
        body, arch = vertebra(patient, level)
        solids += [(body, 0.0045), *((part, 0.007) for part in arch)]
    solids.append((sternum(patient), 0.010))
    for side in (RIGHT, LEFT):
        if not arms_raised:
            head = Ellipsoid((side * (patient.width_mm + 54), 36, 30), (23, 23, 21))
            solids.append((head, 0.012))
        solids.append((scapular_plate(patient, side), 0.022))
    for solid, weight in solids:
        solid.seen_by(camera).add(path, grid, weight * mineral)
