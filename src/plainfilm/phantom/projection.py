"""One patient and one exposure become a map of attenuation, masks and measures."""

from dataclasses import dataclass, replace

import numpy as np

from plainfilm.phantom.devices import METAL, place_device
from plainfilm.phantom.disease import Disease
from plainfilm.phantom.filling import fill_air_spaces, vessels
from plainfilm.phantom.lungs import SIDE_NAMES, SOFT, Lung, make_lung
from plainfilm.phantom.patient import Exposure, Patient
from plainfilm.phantom.skeleton import add_spine_and_plates, bones, clavicle_curve, rib_curve
from plainfilm.phantom.solids import (
    Array,
    Camera,
    Ellipsoid,
    Grid,
    Interval,
    Mask,
    Tubes,
    hull,
    length,
)
from plainfilm.phantom.thorax import LEFT, RIGHT, dome, heart, mediastinum, trunk
from plainfilm.phantom.vessels import add_airways, airway_curves

HEART_DEPTH = -30.0
"""Depth z of the heart's middle, mm; the beam magnifies the heart from there."""


@dataclass(frozen=True)
class Projection:
    """What the rays saw."""

    attenuation: Array
    masks: dict[str, Mask]
    measures: dict[str, float]


def project(patient: Patient, disease: Disease, exposure: Exposure, grid: Grid) -> Projection:
    """Project the patient with the disease, as the exposure sees them, onto the grid."""
    camera = exposure.camera(patient)
    ratio = disease.ratio or patient.cardiothoracic_ratio
    ratio *= float(camera.magnification(HEART_DEPTH))
    hearts = heart(patient, ratio, camera)
    heart_interval = hull([_spread(solid, grid) for solid in hearts])
    central = [heart_interval, *mediastinum(patient, disease.mediastinum_mm, camera, grid)]
    body = trunk(patient, grid)
    lungs = {side: make_lung(patient, disease, side, central, grid) for side in (RIGHT, LEFT)}
    masks: dict[str, Mask] = {}
    measures: dict[str, float] = {}

    aerated = sum((lung.tissue + lung.air for lung in lungs.values()), np.zeros_like(body))
    attenuation = SOFT * np.maximum(body - aerated, 0)
    for lung in lungs.values():
        attenuation += lung.attenuation * lung.tissue
    attenuation += fill_air_spaces(patient, disease, lungs, grid, masks, measures)
    attenuation += vessels(patient, disease, lungs, camera, grid)
    _abdomen_and_breasts(patient, camera, grid, attenuation)

    ribs, others = bones(patient, disease, camera)
    rib_path = ribs.path(grid)
    attenuation += rib_path + others.path(grid)
    add_spine_and_plates(patient, camera, grid, attenuation)
    airways = Tubes(camera)
    add_airways(airways, patient, -SOFT)
    attenuation += airways.path(grid)
    _pleura(disease, lungs, grid, attenuation, masks, measures)
    _devices(patient, disease, camera, grid, attenuation, masks)

    masks["body"] = body > 0
    masks["ribs"] = rib_path > 0.02
    for side, lung in lungs.items():
        masks[f"{SIDE_NAMES[side]} lung"] = lung.clear
    masks["heart"] = length(heart_interval) > 0
    between = (grid.y > 0) & (grid.y < 0.6 * patient.height_mm)
    masks["mediastinum"] = (length(central[1]) > 0) & between
    masks["trachea"] = _trachea(patient, camera, grid)
    clavicles = Tubes(camera)
    for side in (RIGHT, LEFT):
        clavicles.add(clavicle_curve(patient, side), 6.0, 1.0)
    masks["clavicles"] = clavicles.path(grid) > 1
    if disease.fracture is not None:
        name = f"{SIDE_NAMES[disease.fracture[0]]} fracture"
        masks[name] = _fracture_mask(patient, disease.fracture, camera, grid)
    measures["cardiothoracic_ratio"] = ratio
    measures["mediastinal_width_mm"] = 2 * (patient.mediastinum_mm + disease.mediastinum_mm)
    return Projection(np.maximum(attenuation, 0), masks, measures)


def _spread(solid: Ellipsoid, grid: Grid) -> Interval:
    """Return an ellipsoid's interval over the whole grid."""
    near, far = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    box = solid.box(grid)
    near[box], far[box] = solid.interval(grid, box)
    return near, far


def _abdomen_and_breasts(patient: Patient, camera: Camera, grid: Grid, path: Array) -> None:
    rng = np.random.default_rng([patient.anatomy_seed, 61])
    h, w = patient.height_mm, patient.width_mm
    floor = dome(patient, LEFT)
    x = rng.uniform(0.38, 0.55) * w
    stomach = Ellipsoid(
        (x, floor.top(x) + rng.uniform(24, 32), -10), (rng.uniform(16, 34), rng.uniform(9, 17), 26)
    )
    solids = [(stomach, -0.9 * SOFT)]
    for _ in range(int(rng.integers(0, 5))):
        place = (rng.uniform(0.55, 0.95) * w, h + rng.uniform(-8, 40), -20.0)
        solids.append((Ellipsoid(place, (rng.uniform(9, 17), rng.uniform(8, 14), 12)), -0.8 * SOFT))
    if patient.sex == "F":
        size = 0.75 + 0.5 * patient.habitus + 0.15 * rng.normal()
        for side in (RIGHT, LEFT):
            centre = (side * 0.60 * w, 0.72 * h + rng.normal(0, 4) + 14 * size, -patient.depth_mm)
            breast = Ellipsoid(centre, (58 * size, 56 * size, 20 * size), -side * 0.12)
            solids.append((breast, 0.88 * SOFT))
    else:
        for side in (RIGHT, LEFT):
            centre = (side * 0.62 * w, 0.34 * h, -patient.depth_mm)
            pectoral = Ellipsoid(centre, (62, 58, 9), side * 0.5)
            solids.append((pectoral, 0.9 * SOFT))
    for solid, weight in solids:
        solid.seen_by(camera).add(path, grid, weight)


def _pleura(
    disease: Disease,
    lungs: dict[int, Lung],
    grid: Grid,
    path: Array,
    masks: dict[str, Mask],
    measures: dict[str, float],
) -> None:
    """Measure what lies between lung and chest wall, and draw the visceral pleura's line."""
    area = grid.spacing_mm**2
    for side, lung in lungs.items():
        name = SIDE_NAMES[side]
        if lung.envelope.fluid_top is not None:
            top = lung.cavity.top + lung.envelope.fluid_top * lung.cavity.height
            fluid = np.where(grid.y > top, lung.fluid, 0)  # above it may lie an apical cap
            measures[f"{name}_effusion_ml"] = float(fluid.sum()) * area / 1000
            masks[f"{name} effusion"] = fluid > 6
        if lung.envelope.rim_mm:
            measures["pneumothorax_rim_mm"] = lung.envelope.rim_mm
            line = lung.inner - length(
                replace(lung.envelope, rim_mm=lung.envelope.rim_mm + 1.0).interval(grid)
            )
            path += np.where(lung.depth > 0, 0.022 * np.maximum(line, 0), 0)
            masks[f"{name} pneumothorax"] = (lung.air > 2) & (lung.inner <= 0)
        if disease.pleura and disease.pleura[0] == side:
            measures["pleural_thickness_mm"] = disease.pleura[2]
            masks[f"{name} pleural thickening"] = (lung.fluid > 10) & (
                grid.y < (0.4 if disease.pleura[1] == "apical cap" else 0.85) * lung.cavity.height
            )


def _devices(
    patient: Patient,
    disease: Disease,
    camera: Camera,
    grid: Grid,
    path: Array,
    masks: dict[str, Mask],
) -> None:
    for name in disease.devices:
        tubes, solids = place_device(patient, name, camera)
        own = tubes.path(grid)
        for solid in solids:
            solid.add(own, grid, METAL * 0.8)
        path += own
        masks[name] = own > 0.02


def _trachea(patient: Patient, camera: Camera, grid: Grid) -> Mask:
    tubes = Tubes(camera)
    for curve, radius in airway_curves(patient):
        tubes.add(curve, radius, 1.0)
    return tubes.path(grid) > 2


def _fracture_mask(
    patient: Patient, fracture: tuple[int, int, float], camera: Camera, grid: Grid
) -> Mask:
    curve = rib_curve(patient, fracture[0], fracture[1])
    x, y, _ = camera.project(curve[round(fracture[2] * (len(curve) - 1))])
    mask: Mask = np.hypot(grid.x - x, grid.y - y) < 13
    return mask
