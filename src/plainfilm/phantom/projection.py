"""One patient and one exposure become a map of attenuation, masks and measures."""

from dataclasses import dataclass, replace

import numpy as np

from plainfilm.phantom.devices import METAL, device_side, place_device
from plainfilm.phantom.disease import ZONES, Disease, Lesion, Opacity
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
    length_without,
)  # fmt: skip
from plainfilm.phantom.thorax import (
    LEFT,
    RIGHT,
    Cavity,
    Dome,
    cavity,
    dome,
    heart,
    mediastinum,
    trunk,
)  # fmt: skip
from plainfilm.phantom.vessels import add_airways, add_hila, airway_curves, grow, hilum

SOFT, LUNG = 0.0195, 0.0052
"""Attenuation of soft tissue and of inflated lung, 1/mm, at the effective energy of a 110 kV beam
(about 60 keV; NIST XCOM: soft tissue 0.0205/mm; lung at a density of 0.26 g/cm³)."""

HEART_DEPTH = -30.0
"""Depth z of the heart's middle, mm; the beam magnifies the heart from there."""

SIDE_NAMES = {RIGHT: "right", LEFT: "left"}


@dataclass(frozen=True)
class Projection:
    """What the rays saw."""

    attenuation: Array
    masks: dict[str, Mask]
    measures: dict[str, float]


@dataclass
class _Lung:
    """One side while it is being projected."""

    side: int
    cavity: Cavity
    envelope: Cavity
    dome: Dome
    depth: Array
    """Length through the whole cavity, with all that lies in it, mm."""
    inner: Array
    """Length through the lung's envelope, with all that lies in it, mm."""
    tissue: Array
    """Length through lung tissue, mm."""
    air: Array
    """Length through pleural air, mm."""
    fluid: Array
    """Length through pleural fluid and thickening, mm."""
    clear: Mask
    """Where neither heart nor mediastinum nor diaphragm hides the lung: what people outline."""


def project(patient: Patient, disease: Disease, exposure: Exposure, grid: Grid) -> Projection:
    """Project the patient with the disease, as the exposure sees them, onto the grid."""
    camera = exposure.camera(patient)
    ratio = disease.ratio or patient.cardiothoracic_ratio
    ratio *= float(camera.magnification(HEART_DEPTH))
    hearts = heart(patient, ratio, camera)
    heart_interval = hull([_spread(solid, grid) for solid in hearts])
    central = [heart_interval, *mediastinum(patient, disease.mediastinum_mm, camera, grid)]
    body = trunk(patient, grid)
    lungs = {side: _lung(patient, disease, side, central, grid) for side in (RIGHT, LEFT)}
    masks: dict[str, Mask] = {}
    measures: dict[str, float] = {}

    aerated = sum((lung.tissue + lung.air for lung in lungs.values()), np.zeros_like(body))
    attenuation = SOFT * np.maximum(body - aerated, 0)
    for lung in lungs.values():
        attenuation += _lung_attenuation(lung, disease) * lung.tissue
    attenuation += _haze(patient, disease, lungs, grid, masks, measures)
    attenuation += _vessels(patient, disease, lungs, camera, grid)
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
    masks["mediastinum"] = (length(central[1]) > 0) & (grid.y < 0.6 * patient.height_mm)
    masks["trachea"] = _trachea(patient, camera, grid)
    clavicles = Tubes(camera)
    for side in (RIGHT, LEFT):
        clavicles.add(clavicle_curve(patient, side), 6.0, 1.0)
    masks["clavicles"] = clavicles.path(grid) > 1
    if disease.fracture is not None:
        masks["fracture"] = _fracture_mask(patient, disease.fracture, camera, grid)
    measures["cardiothoracic_ratio"] = ratio
    measures["mediastinal_width_mm"] = 2 * (patient.mediastinum_mm + disease.mediastinum_mm)
    return Projection(np.maximum(attenuation, 0), masks, measures)


def _spread(solid: Ellipsoid, grid: Grid) -> Interval:
    """Return an ellipsoid's interval over the whole grid."""
    near, far = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    box = solid.box(grid)
    near[box], far[box] = solid.interval(grid, box)
    return near, far


def _lung(
    patient: Patient, disease: Disease, side: int, central: list[Interval], grid: Grid
) -> _Lung:
    whole = cavity(patient, side)
    raised = 9.0 if side in disease.bands else 0.0
    floor = dome(patient, side, raised)
    envelope = replace(whole, fluid_top=disease.fluid_top.get(side))
    if disease.pneumothorax and disease.pneumothorax[0] == side:
        envelope = replace(envelope, rim_mm=disease.pneumothorax[1])
    if disease.pleura and disease.pleura[0] == side:
        cap = disease.pleura[1] == "apical cap"
        key = "cap_mm" if cap else "rind_mm"
        envelope = replace(envelope, **{key: disease.pleura[2]})
    # only this side's pixels from the apex to below the recess can hold lung
    rows = grid.box(0, 0, -5, 1.1 * patient.height_mm)[0]
    reach = patient.width_mm + 2
    columns = grid.box(min(0, side * reach), max(0, side * reach), 0, 0)[1]
    part = Grid(grid.x[:, columns], grid.y[rows], grid.spacing_mm)
    holes = [(near[rows, columns], far[rows, columns]) for near, far in central]
    below = floor.interval(part)
    outer, inner = whole.interval(part), envelope.interval(part)
    full = length_without(outer, [*holes, below])
    tissue = full
    if envelope != whole:
        tissue = np.minimum(length_without(inner, [*holes, below]), full)
    between = full - tissue
    airy = envelope.rim_mm > 0
    zero = np.zeros_like(full)
    clear = (full > 2) & (length(below) == 0) & (length(holes[0]) == 0) & (length(holes[1]) == 0)

    def whole_grid(values: Array) -> Array:
        result = np.zeros(grid.shape, values.dtype)
        result[rows, columns] = values
        return result

    return _Lung(
        side=side, cavity=whole, envelope=envelope, dome=floor,
        depth=whole_grid(length(outer)), inner=whole_grid(length(inner)),
        tissue=whole_grid(tissue), air=whole_grid(between if airy else zero),
        fluid=whole_grid(zero if airy else between), clear=whole_grid(clear),
    )  # fmt: skip


def _lung_attenuation(lung: _Lung, disease: Disease) -> float:
    """Return 1/mm; a lung that collapses keeps its tissue and loses its air."""
    packed = 1 + lung.envelope.rim_mm / 60
    return LUNG * packed


def _haze(
    patient: Patient,
    disease: Disease,
    lungs: dict[int, _Lung],
    grid: Grid,
    masks: dict[str, Mask],
    measures: dict[str, float],
) -> Array:
    """Return what fills the air spaces: edema, opacities, lesions, bands; attenuation, no unit."""
    total = np.zeros(grid.shape, np.float32)
    texture = np.random.default_rng([patient.anatomy_seed, 5])
    for side, lung in lungs.items():
        inside = lung.tissue > 0
        part = np.where(inside, lung.tissue / np.maximum(lung.inner, 1), 0)
        room = (SOFT - LUNG) * lung.tissue  # nothing gets denser than solid tissue
        added = np.zeros(grid.shape, np.float32)
        if disease.edema:
            cloud = _edema_cloud(patient, disease.edema, side, grid, texture)
            added += cloud * part
            masks[f"{SIDE_NAMES[side]} edema"] = (added > 0.06) & inside
            water = float(added.sum()) * grid.spacing_mm**2 / SOFT / 1000
            measures["edema_water_ml"] = measures.get("edema_water_ml", 0.0) + water
        for opacity in disease.opacities:
            if opacity.side == side:
                cloud = _opacity_cloud(patient, opacity, grid) * part
                added += cloud
                kind = "consolidation" if opacity.consolidation else "opacity"
                masks[f"{SIDE_NAMES[side]} {kind}"] = (cloud > 0.07) & inside
                measures[f"{kind}_area_cm2"] = (
                    float((cloud > 0.07).sum()) * grid.spacing_mm**2 / 100
                )
        for number in range(disease.bands.get(side, 0)):
            band = _band(patient, lung, number, grid) * part
            added += band
            key = f"{SIDE_NAMES[side]} atelectasis"
            masks[key] = masks.get(key, np.zeros(grid.shape, bool)) | ((band > 0.03) & inside)
        total += np.minimum(added, room)
        for lesion in disease.lesions:
            if lesion.side == side:
                total += _lesion(patient, lesion, grid, masks) * inside
                measures["lesion_diameter_mm"] = lesion.diameter_mm
    return total


def _at(patient: Patient, side: int, zone: str) -> np.ndarray:  # type: ignore[type-arg]
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
    """Return haze about the hilum, patchy air-space fluid, and a general gain below."""
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


def _opacity_cloud(patient: Patient, opacity: Opacity, grid: Grid) -> Array:
    rng = np.random.default_rng(opacity.seed)
    centre = _at(patient, opacity.side, opacity.zone) + rng.normal(0, 1, 3) * (6, 8, 4)
    fill = (SOFT - LUNG) * opacity.density
    r = opacity.radius_mm
    flat = 0.8 + 0.3 * rng.random()
    solids = [(Ellipsoid(tuple(centre), (r, r * flat, 1.5 * r)), 0.95 * fill)]
    for _ in range(24):
        place = centre + rng.normal(0, 0.52, 3) * r
        radius = r * rng.uniform(0.16, 0.42)
        solids.append((Ellipsoid(tuple(place), (radius, radius, 1.7 * radius)), 0.8 * fill))
    return _cloud(solids, grid)


def _band(patient: Patient, lung: _Lung, number: int, grid: Grid) -> Array:
    """Return a plate of airless lung above the diaphragm, seen edge on."""
    rng = np.random.default_rng([patient.anatomy_seed, 31 + lung.side, number])
    w = patient.width_mm
    x = w * rng.uniform(0.42, 0.66)
    y = lung.dome.top(x) - 9 - 11 * number - rng.uniform(0, 6)
    tilt = lung.side * rng.normal(0.05, 0.22)
    plate = Ellipsoid((lung.side * x, y, 20.0), (w * rng.uniform(0.17, 0.30), 2.6, 30), tilt)
    haze = Ellipsoid((lung.side * x, y + 4, 20.0), (0.34 * w, 13, 40))
    return _cloud([(plate, 0.85 * (SOFT - LUNG)), (haze, 0.10 * (SOFT - LUNG))], grid)


def _lesion(patient: Patient, lesion: Lesion, grid: Grid, masks: dict[str, Mask]) -> Array:
    centre = _at(patient, lesion.side, lesion.zone) + lesion.offset
    r = lesion.diameter_mm / 2
    path = np.zeros(grid.shape, np.float32)
    ball = Ellipsoid(tuple(centre), (r, r, r))
    ball.add(path, grid, 0.045 if lesion.calcified else 1.15 * (SOFT - LUNG))
    masks["lesion"] = path > 0
    if not lesion.calcified:  # a ragged edge
        rng = np.random.default_rng([patient.anatomy_seed, 41])
        for _ in range(7):
            place = centre + rng.normal(0, 0.5, 3) * r
            s = r * rng.uniform(0.3, 0.6)
            Ellipsoid(tuple(place), (s, s, s)).add(path, grid, 0.5 * (SOFT - LUNG))
    return path


def _vessels(
    patient: Patient, disease: Disease, lungs: dict[int, _Lung], camera: Camera, grid: Grid
) -> Array:
    tubes = Tubes(camera)
    weight = 1.1 * (SOFT - LUNG)
    calibre = 1 + 0.35 * disease.edema
    for side, lung in lungs.items():

        def within(
            points: np.ndarray,
            lung: _Lung = lung,  # type: ignore[type-arg]
        ) -> np.ndarray:  # type: ignore[type-arg]
            return lung.envelope.holds(points, 4.0) & ~lung.dome.holds(points)

        grow(tubes, patient, side, calibre, within, weight)
        if disease.edema > 0.3:
            _septal_lines(tubes, patient, lung, disease.edema)
    add_hila(tubes, patient, calibre, weight)
    aerated = np.zeros(grid.shape, np.float32)
    for lung in lungs.values():
        depth = np.maximum(0.8 * lung.depth, 30)
        aerated += np.minimum(lung.tissue / depth, 1)
    return tubes.path(grid) * aerated


def _septal_lines(tubes: Tubes, patient: Patient, lung: _Lung, amount: float) -> None:
    """Add short horizontal lines at the lateral base (Kerley B)."""
    rng = np.random.default_rng([patient.anatomy_seed, 51 + lung.side])
    for y in np.linspace(0.66, 0.92, 9) * lung.cavity.height:
        centre, half_width, _, _ = lung.cavity.section(np.array([y]))
        edge = lung.side * float(centre[0] + half_width[0] - 2)
        inner = edge - lung.side * rng.uniform(12, 22)
        z = rng.uniform(-20, 20)
        tubes.add([(inner, y + rng.normal(0, 1.5), z), (edge, y, z)], 0.9, 0.020 * amount, 9.0)


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
    lungs: dict[int, _Lung],
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
            measures[f"{name}_effusion_ml"] = float(lung.fluid.sum()) * area / 1000
            masks[f"{name} effusion"] = lung.fluid > 6
        if lung.envelope.rim_mm:
            measures["pneumothorax_rim_mm"] = lung.envelope.rim_mm
            line = lung.inner - length(
                replace(lung.envelope, rim_mm=lung.envelope.rim_mm + 1.0).interval(grid)
            )
            path += np.where(lung.depth > 0, 0.022 * np.maximum(line, 0), 0)
            masks[f"{name} pneumothorax"] = lung.air > 12
        if disease.pleura and disease.pleura[0] == side:
            measures["pleural_thickness_mm"] = disease.pleura[2]
            masks[f"{name} pleural thickening"] = (lung.fluid > 10) & (
                grid.y < 0.8 * lung.cavity.height
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
    return np.hypot(grid.x - x, grid.y - y) < 13


__all__ = ["Projection", "device_side", "project"]
