"""One patient before one detector: what the rays meet of trunk, heart, mediastinum and lungs.

Film, truth and masks of structures are all made from this. A frontal and a lateral film see the
same solids; the rays run along z or along x.
"""

from dataclasses import dataclass

from plainfilm.core import View
from plainfilm.phantom.deformation import deformed
from plainfilm.phantom.disease import Disease
from plainfilm.phantom.incidental import hernia
from plainfilm.phantom.lungs import Lung, make_lung
from plainfilm.phantom.patient import Exposure, Patient
from plainfilm.phantom.solids import STRAIGHT, Array, Camera, Ellipsoid, Grid, Interval, hull
from plainfilm.phantom.thorax import (
    LEFT,
    RIGHT,
    heart,
    mediastinum,
    side_mediastinum,
    side_trunk,
    trunk,
)

HEART_DEPTH = -30.0
"""Depth z of the heart's middle, mm; the beam magnifies the heart from there."""


@dataclass(frozen=True)
class Scene:
    """What the rays of one film meet."""

    patient: Patient
    disease: Disease
    camera: Camera
    grid: Grid
    lateral: bool
    ratio: float
    """Cardiothoracic ratio on this film; of a frontal film if this one is lateral."""
    hearts: list[Ellipsoid]
    """Left ventricle, right atrium, outflow, as they are seen."""
    heart: Interval
    great: Interval
    arch: Interval
    spine: Interval
    body: Array
    """Path length through the whole trunk, mm."""
    lungs: dict[int, Lung]


def make_scene(patient: Patient, disease: Disease, exposure: Exposure, grid: Grid) -> Scene:
    """Return what the rays of ``exposure`` meet of the patient, whom the disease deforms."""
    patient = deformed(patient, disease)
    camera = exposure.camera(patient)
    lateral = exposure.view is View.LATERAL
    ratio = disease.ratio or patient.cardiothoracic_ratio
    if lateral:
        hearts = [solid.seen_by(camera) for solid in heart(patient, ratio, STRAIGHT)]
        great, arch, spine = side_mediastinum(patient, disease.mediastinum_mm, camera, grid)
        body = side_trunk(patient, grid)
    else:
        ratio *= float(camera.magnification(HEART_DEPTH))
        hearts = heart(patient, ratio, camera)
        great, arch, spine = mediastinum(patient, disease.mediastinum_mm, camera, grid)
        body = trunk(patient, grid)
    whole = hull([solid.spread(grid) for solid in hearts])
    central = [whole, great, arch, spine]
    if disease.hernia_mm:
        central.append(hernia(patient, disease).seen_by(camera).spread(grid))
    seen_from_the_side = camera if lateral else None
    lungs = {
        side: make_lung(patient, disease, side, central, grid, seen_from_the_side)
        for side in (RIGHT, LEFT)
    }
    return Scene(
        patient=patient, disease=disease, camera=camera, grid=grid, lateral=lateral, ratio=ratio,
        hearts=hearts, heart=whole, great=great, arch=arch, spine=spine, body=body, lungs=lungs,
    )  # fmt: skip
