"""Contents of the lungs: vessels, and in disease water, pus, tumour, collapsed tissue."""

import math

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import STRAIGHT, Array, Camera, Ellipsoid, Grid, Mask, Tubes
from plainfilm.phantom.anatomy.thorax import RIGHT, SIDE_NAMES
from plainfilm.phantom.anatomy.tissue import LUNG, SOFT
from plainfilm.phantom.anatomy.vessels import Points, add_hila, grow, hilum
from plainfilm.phantom.disease.disease import ZONES, Collapse, Disease, Lesion, Opacity
from plainfilm.phantom.film.lungs import Lung


def fill_air_spaces(
    patient: Patient,
    disease: Disease,
    lungs: dict[int, Lung],
    grid: Grid,
    masks: dict[str, Mask],
    measures: dict[str, float],
) -> tuple[Array, Array]:
    """Return the filling of the air spaces: edema, opacities, lesions, bands, a collapsed lobe.

    The first array is attenuation (dimensionless); the second is the fraction of air replaced,
    0 to 1, within which vessels are not visible.
    """
    total, airless = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    texture = np.random.default_rng([patient.anatomy_seed, 5])
    for side, lung in lungs.items():
        inside = lung.tissue > 0
        part = np.where(inside, lung.tissue / np.maximum(lung.inner, 1), 0)
        room = (SOFT - LUNG) * lung.tissue  # nothing becomes denser than solid tissue
        added, solid = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
        if disease.edema:
            cloud = _edema_cloud(patient, disease.edema, side, grid, texture)
            added += cloud * part
            masks[f"{lung.name} edema"] = (added > 0.06) & inside
            water = float(added.sum()) * grid.spacing_mm**2 / SOFT / 1000
            measures["edema_water_ml"] = measures.get("edema_water_ml", 0.0) + water
        for opacity in disease.opacities:
            if opacity.side == side:
                cloud = _opacity_cloud(patient, opacity, grid) * part
                added += cloud
                solid += cloud
                kind = "consolidation" if opacity.consolidation else "opacity"
                masks[f"{lung.name} {kind}"] = (cloud > 0.07) & inside
                if opacity.bronchogram:
                    air = _bronchi(patient, opacity, grid) * (lung.tissue > 20)
                    total += air
                    masks[f"{lung.name} air bronchogram"] = (air < -0.02) & inside
                measures[f"{lung.name}_{kind}_area_cm2"] = (
                    float((cloud > 0.07).sum()) * grid.spacing_mm**2 / 100
                )
        for number in range(disease.bands.get(side, 0)):
            band = _band(patient, lung, number, grid) * part
            added += band
            key = f"{lung.name} atelectasis"
            masks[key] = masks.get(key, np.zeros(grid.shape, bool)) | ((band > 0.03) & inside)
        if disease.collapse and disease.collapse.side == side:
            lobe = _collapsed_lobe(patient, disease.collapse, lung, grid)
            added += lobe
            solid += lobe
            key = f"{lung.name} atelectasis"
            masks[key] = masks.get(key, np.zeros(grid.shape, bool)) | (lobe > 0.07)
        if (key := f"{lung.name} atelectasis") in masks:
            area = float(masks[key].sum()) * grid.spacing_mm**2 / 100
            measures[f"{lung.name}_atelectasis_area_cm2"] = area
        total += np.minimum(added, room)
        airless += np.clip(solid / np.maximum(room, 1e-3), 0, 1)
        for lesion in disease.lesions:
            if lesion.side == side:
                total += _lesion(patient, lesion, grid, masks) * inside
                measures[f"{lung.name}_lesion_diameter_mm"] = lesion.diameter_mm
    return total, np.minimum(airless, 1)


def _at(patient: Patient, side: int, zone: str) -> Points:
    x, y, z = ZONES[zone]
    return np.array(
        [side * x * patient.width_mm, y * patient.height_mm, z * patient.depth_mm], np.float64
    )


def _cloud(solids: list[tuple[Ellipsoid, float]], grid: Grid) -> Array:
    path = np.zeros(grid.shape, np.float32)
    for solid, weight in solids:
        solid.add(path, grid, weight, soft=True)
    return path


def _edema_cloud(
    patient: Patient, amount: float, side: int, grid: Grid, rng: np.random.Generator
) -> Array:
    """Return haze around the hilum, patchy air-space fluid, and a general increase at the base."""
    x, y, z = hilum(patient, side)
    h, w = patient.height_mm, patient.width_mm
    fill = (SOFT - LUNG) * amount
    solids = [
        (Ellipsoid((x + side * 16, y + 12, z), (52, 74, 76)), 0.62 * fill),
        (Ellipsoid((side * 0.52 * w, 0.64 * h, 10), (0.44 * w, 0.36 * h, 80)), 0.34 * fill),
    ]
    for _ in range(26):
        place = rng.normal(0, 1, 3) * (24, 44, 20) + (x + side * 22, y + 20, z)
        radius = rng.uniform(8, 17)
        solids.append((Ellipsoid(tuple(place), (radius, radius, 1.8 * radius)), 0.7 * fill))
    return _cloud(solids, grid)


def _cloud_core(
    patient: Patient, opacity: Opacity, rng: np.random.Generator
) -> tuple[Points, tuple[float, float, float]]:
    """Return centre and radii of an opacity's core."""
    centre = _at(patient, opacity.side, opacity.zone) + rng.normal(0, 1, 3) * (6, 8, 4)
    r = opacity.radius_mm
    return centre, (r, r * (0.8 + 0.3 * rng.random()), 1.5 * r)


def _opacity_cloud(patient: Patient, opacity: Opacity, grid: Grid) -> Array:
    rng = np.random.default_rng(opacity.seed)
    centre, radii = _cloud_core(patient, opacity, rng)
    fill = (SOFT - LUNG) * opacity.density
    r = opacity.radius_mm
    solids = [(Ellipsoid(tuple(centre), radii), 0.95 * fill)]
    for _ in range(24):
        place = centre + np.clip(rng.normal(0, 0.45, 3), -0.85, 0.85) * r
        radius = r * rng.uniform(0.2, 0.42)
        solids.append((Ellipsoid(tuple(place), (radius, radius, 1.7 * radius)), 0.8 * fill))
    cloud = _cloud(solids, grid)
    if opacity.side == RIGHT and opacity.zone in ("upper lobe", "middle lobe"):
        # it ends at the horizontal fissure, seen edge on
        over = np.clip((FISSURE_LEVEL * patient.height_mm - grid.y) / 3 + 0.5, 0, 1)
        cloud *= np.asarray(over if opacity.zone == "upper lobe" else 1 - over, np.float32)
    return cloud


FISSURE_LEVEL = 0.5
"""Position of the right lung's horizontal fissure, as a fraction of the lung's height."""


def _bronchi(patient: Patient, opacity: Opacity, grid: Grid) -> Array:
    """Return the (negative) attenuation of the air in the bronchi of a consolidation.

    They fan out from the side of the hilum; each segment is weighted by the density around it.
    """
    centre, radii = _cloud_core(patient, opacity, np.random.default_rng(opacity.seed))
    rng = np.random.default_rng([opacity.seed, 1])
    inward = hilum(patient, opacity.side) - centre
    inward /= np.linalg.norm(inward) + 1e-9
    r = opacity.radius_mm
    start, direction = (centre + 0.75 * r * inward)[None], -inward[None]
    radius, reach = np.array([3.6]), 0.42 * r
    camera = grid.turned or STRAIGHT
    tubes = Tubes(camera)
    for _ in range(5):
        direction = direction + rng.normal(0, 0.12, direction.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        end = start + reach * direction
        around = 1 - np.square((0.5 * (start + end) - centre) / radii).sum(axis=1)
        weight = -SOFT * np.clip(3 * around, 0, 1)
        # as deep as several bronchi behind one another: a single one would hardly be visible
        tubes.add_segments(start, end, radius, weight, 2 * radius)
        across = np.cross(direction, rng.normal(0, 1, direction.shape))
        across[:, 2] *= 0.4  # only those fanning out in the film's plane are seen
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
        start = np.repeat(end, 2, axis=0)
        across *= 0.45
        direction = np.stack([direction + across, direction - across], axis=1).reshape(-1, 3)
        radius, reach = np.repeat(radius, 2) * 0.82, reach * 0.78
    return tubes.path(grid)


def _collapsed_lobe(patient: Patient, collapse: Collapse, lung: Lung, grid: Grid) -> Array:
    """Return a collapsed lobe as a wedge against the mediastinum, bounded by its fissure.

    The right upper lobe shrinks upwards, with the horizontal fissure rising from the hilum below
    it; the left lower lobe shrinks behind the heart. From the front the wedge is part of the lung's
    own path length, so that it is never denser than solid tissue; from the side it is a slab of the
    same depth.
    """
    h, w = lung.cavity.height, patient.width_mm
    y = grid.y
    if collapse.lobe == "upper lobe":
        t = np.clip(y / (0.43 * h), 0, 1)
        reach, thickness, slab = 0.68 * (1 - t) ** 1.1 * w, 95.0, (-60.0, 35.0)
        rows = y < 0.43 * h
    else:
        t = np.clip((y / h - 0.42) / 0.45, 0, 1)
        reach, thickness, slab = (0.04 + 0.5 * t) * w, 75.0, (15.0, 90.0)
        rows = y > 0.42 * h
    camera = grid.turned or STRAIGHT
    if abs(math.sin(camera.rotation_rad)) > 0.5:
        inside = (grid.x > slab[0]) & (grid.x < slab[1]) & rows
        return np.where(inside, (SOFT - LUNG) * np.minimum(lung.tissue, reach), 0).astype(
            np.float32
        )
    middle = np.float32(camera.project((patient.shift_mm, 0.0, 0.0))[0])
    across = collapse.side * (grid.x - middle)
    # towards the fissure the wedge thins out, steeply at its very edge
    part = np.clip(across / np.maximum(reach, 1), 0, 1)
    inside = np.clip((reach - across) / 3 + 0.5, 0, 1) * rows
    depth = np.minimum(lung.tissue, thickness * (0.25 + 0.75 * np.sqrt(1 - part)))
    return np.asarray(0.92 * (SOFT - LUNG) * inside * depth, np.float32)


def _band(patient: Patient, lung: Lung, number: int, grid: Grid) -> Array:
    """Return a plate of atelectatic lung above the diaphragm, seen edge on."""
    rng = np.random.default_rng([patient.anatomy_seed, 31 + lung.side, number])
    w = patient.width_mm
    x = w * rng.uniform(0.42, 0.66)
    y = lung.dome.top(x) - 9 - 11 * number - rng.uniform(0, 6)
    tilt = lung.side * rng.normal(0.05, 0.22)
    strength, half_height = rng.uniform(0.25, 1.0), rng.uniform(1.4, 3.2)
    plate = Ellipsoid(
        (lung.side * x, y, 20.0), (w * rng.uniform(0.14, 0.30), half_height, 30), tilt
    )
    haze = Ellipsoid((lung.side * x, y + 4, 20.0), (0.34 * w, 13, 40))
    air = strength * (SOFT - LUNG)
    return _cloud([(plate, 0.9 * air), (haze, 0.10 * air)], grid)


def _lesion(patient: Patient, lesion: Lesion, grid: Grid, masks: dict[str, Mask]) -> Array:
    centre = _at(patient, lesion.side, lesion.zone) + lesion.offset
    r = lesion.diameter_mm / 2
    path = np.zeros(grid.shape, np.float32)
    ball = Ellipsoid(tuple(centre), (r, r, r))
    ball.add(path, grid, 0.045 if lesion.calcified else 1.15 * (SOFT - LUNG))
    masks[f"{SIDE_NAMES[lesion.side]} lesion"] = path > 0
    if not lesion.calcified:  # a ragged edge
        rng = np.random.default_rng([patient.anatomy_seed, 41])
        for _ in range(7):
            place = centre + rng.normal(0, 0.5, 3) * r
            s = r * rng.uniform(0.3, 0.6)
            Ellipsoid(tuple(place), (s, s, s)).add(path, grid, 0.5 * (SOFT - LUNG))
    return path


def vessels(
    patient: Patient, disease: Disease, lungs: dict[int, Lung], camera: Camera, grid: Grid
) -> Array:
    """Return the vessels' attenuation above that of surrounding lung (dimensionless)."""
    tubes = Tubes(camera)
    weight = 1.1 * (SOFT - LUNG)
    calibre = 1 + 0.35 * disease.edema
    for side, lung in lungs.items():

        def within(points: Points, lung: Lung = lung) -> npt.NDArray[np.bool_]:
            return lung.envelope.holds(points, 4.0) & ~lung.dome.holds(points)

        grow(tubes, patient, side, calibre, within, weight)
        if disease.edema > 0.3:
            _septal_lines(tubes, patient, lung, disease.edema)
    add_hila(tubes, patient, calibre, weight)
    aerated = np.zeros(grid.shape, np.float32)
    for lung in lungs.values():
        depth = np.maximum(0.8 * lung.depth, 30)
        aerated += np.minimum(lung.tissue / depth, 1)
    return tubes.path(grid) * np.minimum(aerated, 1)  # a lateral ray may cross two lungs


def _septal_lines(tubes: Tubes, patient: Patient, lung: Lung, amount: float) -> None:
    """Add short horizontal lines at the lateral base (Kerley B)."""
    rng = np.random.default_rng([patient.anatomy_seed, 51 + lung.side])
    for y in np.linspace(0.66, 0.92, 9) * lung.cavity.height:
        centre, half_width, _, _ = lung.cavity.section(np.array([y]))
        edge = lung.side * float(centre[0] + half_width[0] - 2)
        inner = edge - lung.side * rng.uniform(12, 22)
        z = rng.uniform(-20, 20)
        tubes.add([(inner, y + rng.normal(0, 1.5), z), (edge, y, z)], 0.9, 0.020 * amount, 9.0)
