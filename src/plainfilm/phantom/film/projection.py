"""Projection of a patient with one exposure: a map of attenuation, masks and measures."""

from dataclasses import dataclass, replace

import numpy as np

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.skeleton import clavicle_curve, rib_curve
from plainfilm.phantom.anatomy.solids import Array, Camera, Grid, Mask, Tubes, length
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, SIDE_NAMES, gas_and_breasts, spine_bend
from plainfilm.phantom.anatomy.tissue import SOFT
from plainfilm.phantom.anatomy.vessels import add_airways, airway_curves
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.bones import add_spine_and_plates, bones
from plainfilm.phantom.film.device_shapes import METAL, place_device, tip_measures
from plainfilm.phantom.film.exposure import Exposure
from plainfilm.phantom.film.filling import fill_air_spaces, vessels
from plainfilm.phantom.film.incidental import add_incidental
from plainfilm.phantom.film.lungs import THINNED, Lung
from plainfilm.phantom.film.scene import Scene, make_scene
from plainfilm.phantom.film.skin import add_nuisance
from plainfilm.phantom.film.variants import add_fold, add_variants


@dataclass(frozen=True)
class Projection:
    """Result of a projection."""

    attenuation: Array
    masks: dict[str, Mask]
    measures: dict[str, float]


def project(patient: Patient, disease: Disease, exposure: Exposure, grid: Grid) -> Projection:
    """Project the patient with the disease onto the grid, with the exposure's geometry."""
    scene = make_scene(patient, disease, exposure, grid)
    patient = scene.patient  # with the chest deformed by the disease
    camera, lungs, body = scene.camera, scene.lungs, scene.body
    masks: dict[str, Mask] = {}
    measures: dict[str, float] = {}

    aerated = sum((lung.tissue + lung.air for lung in lungs.values()), np.zeros_like(body))
    attenuation = SOFT * np.maximum(body - aerated, 0)
    for lung in lungs.values():
        attenuation += lung.attenuation * lung.tissue
    in_place = replace(grid, turned=camera)
    filled, airless = fill_air_spaces(patient, disease, lungs, in_place, masks, measures)
    attenuation += filled + vessels(patient, disease, lungs, camera, grid) * (1 - airless)
    _abdomen_and_breasts(scene, attenuation)

    ribs, others = bones(patient, disease, camera, arms_raised=scene.lateral)
    rib_path = ribs.path(grid)
    attenuation += rib_path + others.path(grid)
    add_spine_and_plates(patient, camera, grid, attenuation, arms_raised=scene.lateral)
    airways = Tubes(camera)
    add_airways(airways, patient, -SOFT)
    attenuation += airways.path(grid)
    _pleura(scene, attenuation, masks, measures)
    add_incidental(patient, disease, camera, grid, attenuation, masks, measures)
    add_variants(patient, camera, grid, attenuation, masks)
    _devices(scene, attenuation, masks, measures)
    if exposure.nuisance.fold and not scene.lateral:
        masks["skin fold"] = add_fold(exposure.nuisance.fold, patient, grid, attenuation)
    add_nuisance(exposure.nuisance, patient, camera, grid, attenuation, masks)

    masks["ribs"] = rib_path > 0.02
    masks |= _structures(scene)
    if disease.fracture is not None:
        name = f"{SIDE_NAMES[disease.fracture[0]]} fracture"
        masks[name] = _fracture_mask(patient, disease.fracture, camera, grid)
        step = f"{SIDE_NAMES[disease.fracture[0]]}_fracture_step_mm"
        measures[step] = disease.fracture_step_mm
    if not scene.lateral:
        measures["cardiothoracic_ratio"] = scene.cardiothoracic_ratio
        measures["mediastinal_width_mm"] = scene.mediastinal_width_mm
        measures["lung_height_mm"] = patient.lung_height_mm
    _deformities(scene, masks, measures)
    return Projection(np.maximum(attenuation, 0), masks, measures)


def _deformities(scene: Scene, masks: dict[str, Mask], measures: dict[str, float]) -> None:
    """Add measures and masks of diseases that change the chest as a whole."""
    patient, disease = scene.patient, scene.disease
    if disease.shift_mm:
        measures["mediastinal_shift_mm"] = disease.shift_mm
    if disease.cobb_deg:
        measures["cobb_angle_deg"] = abs(disease.cobb_deg)
        bent = spine_bend(patient, scene.grid.y.astype(np.float64))[0] != 0
        masks["scoliosis"] = (length(scene.spine) > 0) & bent
    if disease.emphysema:
        measures["emphysema_percent"] = 100 * THINNED * disease.emphysema
        for lung in scene.lungs.values():
            masks[f"{lung.name} emphysema"] = lung.clear


def _structures(scene: Scene) -> dict[str, Mask]:
    """Return the masks that every study has; all others are made by name, on demand."""
    masks = {"body": scene.body > 0, "heart": length(scene.heart) > 0}
    for lung in scene.lungs.values():
        masks[f"{lung.name} lung"] = lung.clear
    y = scene.grid.y
    between = (y > 0) & (y < 0.6 * scene.patient.height_mm)
    masks["mediastinum"] = ((length(scene.great) > 0) | (length(scene.arch) > 0)) & between
    masks["trachea"] = _trachea(scene.patient, scene.camera, scene.grid)
    clavicles = Tubes(scene.camera)
    for side in (RIGHT, LEFT):
        clavicles.add(clavicle_curve(scene.patient, side), 6.0, 1.0)
    masks["clavicles"] = clavicles.path(scene.grid) > 1
    return masks


def _abdomen_and_breasts(scene: Scene, path: Array) -> None:
    camera, grid = scene.camera, scene.grid
    gas, breasts = gas_and_breasts(scene.patient)
    for number, bubble in enumerate(gas):
        bubble.seen_by(camera).add(path, grid, -(0.8 if number else 0.9) * SOFT)
    chest = np.zeros(grid.shape, np.float32)
    for breast in breasts:
        breast.seen_by(camera).add(chest, grid, (0.88 if scene.patient.sex == "F" else 0.9) * SOFT)
    if scene.lateral:  # seen edge on, breasts count where they protrude from the trunk
        chest = np.maximum(chest - SOFT * scene.body, 0)
        path += _raised_arms(scene.patient, camera).path(grid)
    path += chest


def _raised_arms(patient: Patient, camera: Camera) -> Tubes:
    """Return the raised upper arms beside the neck on a lateral film."""
    arms = Tubes(camera)
    for side in (RIGHT, LEFT):
        x = side * patient.width_mm
        axis = [(1.06 * x, -8, 10), (0.95 * x, -60, -30), (0.8 * x, -140, -80)]
        arms.add(axis, 32 + 12 * patient.habitus, 0.5 * SOFT)
        arms.add(axis, 11.0, 0.016 * patient.bone)
    return arms


def _pleura(scene: Scene, path: Array, masks: dict[str, Mask], measures: dict[str, float]) -> None:
    """Measure the contents of the pleural space, and draw the visceral pleura's line.

    A mask contains what an annotator would outline: fluid not obscured by heart or abdomen, a cap
    only at the apex.
    """
    disease, grid = scene.disease, scene.grid
    for side, lung in scene.lungs.items():
        name = lung.name
        area = (grid.spacing_mm / lung.scale) ** 2
        y = lung.cavity.own_grid(grid, scene.camera).y
        if lung.envelope.fluid_top is not None:
            top = lung.cavity.top + lung.envelope.fluid_top * lung.cavity.height
            fluid = np.where(y > top, lung.fluid, 0)  # an apical cap may lie above it
            measures[f"{name}_effusion_ml"] = float(fluid.sum()) * area / 1000
            shown = lung.clear if lung.clear[fluid > 0].any() else fluid > 0
            masks[f"{name} effusion"] = (fluid > np.maximum(0.05 * lung.depth, 2)) & shown
        if lung.envelope.rim_mm:
            measures[f"{name}_pneumothorax_rim_mm"] = lung.envelope.rim_mm
            masks[f"{name} pneumothorax"] = (lung.air > 2) & (lung.inner <= 0)
            if not scene.lateral:
                wider = replace(lung.envelope, rim_mm=lung.envelope.rim_mm + 1.0)
                line = np.maximum(lung.inner - length(wider.interval(grid, scene.camera)), 0)
                path += np.where(lung.depth > 0, 0.022 * line, 0)
        if disease.pleura and disease.pleura[0] == side:
            measures[f"{name}_pleural_thickness_mm"] = disease.pleura[2]
            masks[f"{name} pleural thickening"] = _thickening(scene, lung, disease.pleura)


def _thickening(scene: Scene, lung: Lung, pleura: tuple[int, str, float]) -> Mask:
    """Return the mask of an apical cap, or of lateral thickening where it is seen edge on."""
    _, kind, thickness = pleura
    grid = scene.grid
    if kind == "apical cap":
        return (lung.fluid > 10) & (grid.y < thickness + 25)
    edge_on = (lung.fluid > 0.4 * lung.depth) & (lung.fluid > 10)
    if scene.lateral:
        return edge_on
    lateral = lung.side * grid.x > 0.5 * lung.cavity.width
    return edge_on & lateral & (grid.y < 0.85 * lung.cavity.height)


def _devices(scene: Scene, path: Array, masks: dict[str, Mask], measures: dict[str, float]) -> None:
    for device in scene.disease.devices:
        tubes, solids = place_device(scene.patient, device, scene.camera)
        own = tubes.path(scene.grid)
        for solid in solids:
            solid.add(own, scene.grid, METAL * 0.8)
        path += own
        masks[device.name] = own > 0.02
        measures |= tip_measures(scene.patient, device)


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
    mask: Mask = np.hypot(grid.x - x, grid.y - y) < 10
    return mask
