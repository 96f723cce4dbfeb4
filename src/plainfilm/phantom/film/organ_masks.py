"""Masks of mediastinal and upper abdominal organs: the shadows of their solids."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np

from plainfilm.phantom.anatomy.columns import Column
from plainfilm.phantom.anatomy.organs import (
    ESOPHAGUS_MM,
    ascending_aorta,
    esophagus,
    inferior_vena_cava,
    kidney,
    liver,
    pulmonary_trunk,
)
from plainfilm.phantom.anatomy.skeleton import CARTILAGE_MM, cartilages
from plainfilm.phantom.anatomy.solids import Ellipsoid, Mask, Tubes, length, round_corners
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.anatomy.vessels import Points
from plainfilm.phantom.film.lung_parts import own_grid
from plainfilm.phantom.film.scene import Scene

Render = Callable[[Scene], Mask]


def shadow(solids: Iterable[Ellipsoid], scene: Scene) -> Mask:
    """Return where rays hit any of ``solids``."""
    path = np.zeros(scene.grid.shape, np.float32)
    for solid in solids:
        solid.seen_by(scene.camera).add(path, scene.grid, 1.0)
    return path > 0


def pipe(curves: Iterable[tuple[Points, float]], least_mm: float, scene: Scene) -> Mask:
    """Return where rays travel more than ``least_mm`` through tubes (axis, radius)."""
    tubes = Tubes(scene.camera)
    for curve, radius in curves:
        tubes.add(curve, radius, 1.0)
    return tubes.path(scene.grid) > least_mm


def ratio(scene: Scene) -> float:
    """Return the cardiothoracic ratio before magnification, with the disease."""
    return max(scene.disease.ratio or 0.0, scene.patient.cardiothoracic_ratio)


def _upright(column: Column, scene: Scene) -> Mask:
    return length(column.interval(scene.grid, scene.camera)) > 0


def _ascending_aorta(scene: Scene) -> Mask:
    aorta = ascending_aorta(scene.patient, scene.disease.mediastinum_mm)
    return _upright(aorta, scene)


def _inferior_vena_cava(scene: Scene) -> Mask:
    return _upright(inferior_vena_cava(scene.patient, ratio(scene)), scene)


def _liver(scene: Scene) -> Mask:
    """Return the shadow of the parts of the liver's ellipsoids below the diaphragm.

    Its upper border is the diaphragm, also from the side, where the ellipsoids extend above it.
    """
    mask = np.zeros(scene.grid.shape, bool)
    for lobe in liver(scene.patient):
        near, far = lobe.seen_by(scene.camera).spread(scene.grid)
        for side, lung in scene.lungs.items():
            start, end = lung.dome.interval(own_grid(scene, side), scene.camera)
            mask |= np.minimum(far, end) > np.maximum(near, start)
    return mask


def _kidney(side: int, scene: Scene) -> Mask:
    return shadow([kidney(scene.patient, side)], scene)


def _cartilage(scene: Scene) -> Mask:
    axes = [axis for side in (RIGHT, LEFT) for axis in cartilages(scene.patient, side)]
    return pipe([(axis, CARTILAGE_MM) for axis in axes], 1, scene)


def _pulmonary_trunk(scene: Scene) -> Mask:
    return pipe([pulmonary_trunk(scene.patient, ratio(scene))], 2, scene)


def _esophagus(scene: Scene) -> Mask:
    return pipe([(round_corners(esophagus(scene.patient)), ESOPHAGUS_MM)], 2, scene)


ORGANS: Mapping[str, Render] = {
    "rib_cartilage": _cartilage,
    "liver": _liver,
    "kidney left": partial(_kidney, LEFT),
    "kidney right": partial(_kidney, RIGHT),
    "ascending aorta": _ascending_aorta,
    "descending aorta": lambda scene: length(scene.aorta) > 0,
    "pulmonary trunc": _pulmonary_trunk,
    "inferior vena cava": _inferior_vena_cava,
    "esophagus": _esophagus,
}
"""Name of a class → function that draws its mask."""
