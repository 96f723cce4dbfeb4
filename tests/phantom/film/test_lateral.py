"""The lateral film shows the same solids from the side: volumes, places and findings agree."""

from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import Provenance, View
from plainfilm.phantom import PREVALENCE, simulate
from plainfilm.phantom.anatomy.columns import Section, cross
from plainfilm.phantom.anatomy.solids import STRAIGHT, Camera, Ellipsoid, Grid, length
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, cavity, dome
from plainfilm.phantom.disease.disease import Disease, Lesion
from plainfilm.phantom.film.lateral import lateral_exposure, render_lateral
from plainfilm.phantom.film.scene import make_scene
from plainfilm.phantom.simulate import drawn_case

SIZE = 128
NOTHING = dict.fromkeys(PREVALENCE, 0.0)
GRID = Grid.square(400, 420, -210, -60)


def case_of(disease: str, index: int = 0):
    return drawn_case(9, index, prevalence=NOTHING | {disease: 1.0})


def turned_by(angle: float) -> Camera:
    return Camera(anterior_detector=True, source_mm=1e9, gap_mm=0, rotation_rad=angle, centre_y=0)


def lateral(case, disease: Disease | None = None, seed: int = 3, size: int = SIZE):
    disease = case.disease if disease is None else disease
    rng = np.random.default_rng(seed)
    return render_lateral(case.patient, disease, case.exposure, size, rng, "side")


@pytest.mark.parametrize("side", [RIGHT, LEFT])
@pytest.mark.parametrize("surface", [cavity, dome])
def test_a_surface_has_one_volume_from_the_front_and_from_the_side(surface, side):
    patient = case_of("normal").patient
    solid = surface(patient, side)
    front, beside = (length(solid.interval(GRID, turned_by(angle))) for angle in (0, -np.pi / 2))
    if surface is dome:  # below its rim it goes on for ever
        front, beside = (np.where(GRID.y < solid.base, path, 0) for path in (front, beside))
    assert front.sum() == pytest.approx(beside.sum(), rel=2e-3)
    profile = np.abs(front.sum(axis=1) - beside.sum(axis=1))
    assert profile.max() < 0.01 * front.sum(axis=1).max()


@pytest.mark.parametrize("angle", [0.05, 0.8, -np.pi / 2])
def test_a_turned_ellipsoid_keeps_its_volume_and_its_points(angle):
    camera = Camera(True, 1e9, 0, angle, 0)
    solid = Ellipsoid((12, 100, -9), (50, 30, 20), 0.6)
    seen = solid.seen_by(camera)
    near, far = seen.spread(GRID)
    assert (far - near).sum() * GRID.spacing_mm**2 == pytest.approx(
        4 / 3 * np.pi * 50 * 30 * 20, rel=2e-3
    )
    rng = np.random.default_rng(1)
    points = rng.uniform(-60, 60, (4000, 3)) + solid.centre
    dx, dy, dz = (points - solid.centre).T
    u = (dx * np.cos(0.6) + dy * np.sin(0.6)) / 50
    v = (dy * np.cos(0.6) - dx * np.sin(0.6)) / 30
    inside = u**2 + v**2 + (dz / 20) ** 2 < 1
    x, y, z = camera.project(points).T
    column = np.searchsorted(GRID.x[0], x).clip(0, 399)
    row = np.searchsorted(GRID.y[:, 0], y).clip(0, 399)
    found = (z > near[row, column]) & (z < far[row, column])
    assert (found == inside).mean() > 0.98  # the rest lies within a pixel of the surface


def test_a_ray_between_the_lungs_meets_both():
    case = case_of("normal")
    rng = np.random.default_rng(0)
    exposure = lateral_exposure(case.exposure, case.patient, rng)
    grid = Grid.square(SIZE, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    scene = make_scene(case.patient, Disease(), exposure, grid)
    both = (scene.lungs[LEFT].tissue > 20) & (scene.lungs[RIGHT].tissue > 20)
    assert both.mean() > 0.1
    straight = scene.hearts[0].seen_by(STRAIGHT)
    assert straight.centre == pytest.approx(scene.hearts[0].centre)


def test_the_same_numbers_give_the_same_film():
    case = case_of("heart failure", 3)
    (first, seen), (again, _) = lateral(case), lateral(case)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.view is View.LATERAL
    assert first.laterality == "L"
    assert first.provenance is Provenance.SIMULATED
    assert {"heart", "left lung", "right lung", "body", "ribs"} <= set(seen.masks)
    assert 0.3 < first.pixels.mean() < 0.7


def test_front_is_left_and_back_is_right_and_the_heart_lies_in_front():
    case = case_of("normal")
    _, seen = lateral(case)
    columns = {name: np.nonzero(mask)[1].mean() for name, mask in seen.masks.items()}
    assert columns["heart"] < columns["left lung"] < SIZE * 0.7
    assert columns["heart"] < columns["trachea"]


@pytest.mark.parametrize(
    ("zone", "front"), [("middle lobe", True), ("lower lobe", False)], ids=["front", "back"]
)
def test_a_lesion_lies_in_front_or_behind_as_its_lobe_does(zone, front):
    case = case_of("normal")
    lesion = Lesion(RIGHT, zone, 24.0, True, (0.0, 0.0, 0.0))
    film, seen = lateral(case, Disease(lesions=(lesion,)))
    well, healthy = lateral(case, Disease())
    mask = seen.masks["right lesion"]
    middle = np.nonzero(healthy.masks["right lung"])[1].mean()
    assert (np.nonzero(mask)[1].mean() < middle) == front
    assert (film.pixels - well.pixels)[mask].mean() > 0.03


def test_fluid_has_one_volume_from_both_sides():
    """The two films see the lungs magnified differently and rays diverge: hence the 15 %."""
    for index in range(6):
        study = simulate(9, index, SIZE, prevalence=NOTHING | {"effusion": 1.0})
        _, seen = lateral(study.case)
        for name, volume in study.measures.items():
            if name.endswith("effusion_ml") and volume > 150:
                assert seen.measures[name] == pytest.approx(volume, rel=0.15)


def test_fluids_volume_equals_one_of_random_points():
    """Sixty random points on each ray, outside of lung, abdomen and mediastinum (s.d. 1.6 %)."""
    for index in (0, 7):
        study = simulate(9, index, SIZE, prevalence=NOTHING | {"effusion": 1.0})
        case = study.case
        grid = Grid.square(
            SIZE, case.exposure.field_mm, case.exposure.left_mm, case.exposure.top_mm
        )
        scene = make_scene(case.patient, case.disease, case.exposure, grid)
        for lung in scene.lungs.values():
            if lung.envelope.fluid_top is None:
                continue
            z = np.random.default_rng(index).uniform(-125, 125, (60, *grid.shape))
            x, y = np.broadcast_to(grid.x, z.shape), np.broadcast_to(grid.y, z.shape)
            points = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(float)
            fluid = lung.cavity.holds(points) & ~lung.envelope.holds(points)
            fluid &= ~lung.dome.holds(points)
            fluid = fluid.reshape(z.shape)
            for near, far in scene.central:
                fluid &= ~((z > near) & (z < far))
            volume = fluid.sum() * grid.spacing_mm**2 * 250 / 60 / 1000
            measured = study.measures[f"{lung.name}_effusion_ml"]
            assert measured == pytest.approx(volume, rel=0.05)


def test_a_turned_patient_keeps_the_lungs_volume_and_shows_the_turn():
    case = case_of("normal")
    exposure = replace(case.exposure, rotation_rad=0.0)
    grid = Grid.square(256, exposure.field_mm, exposure.left_mm, exposure.top_mm)

    def seen(degrees: float):
        turned = replace(exposure, rotation_rad=float(np.deg2rad(degrees)))
        scene = make_scene(case.patient, Disease(), turned, grid)
        shown = {side: lung.clear.sum() for side, lung in scene.lungs.items()}
        volume = {side: lung.full.sum() / lung.scale**2 for side, lung in scene.lungs.items()}
        spine = np.average(np.broadcast_to(grid.x, grid.shape), weights=length(scene.spine))
        return volume, shown[LEFT] / shown[RIGHT], spine

    (straight, ratio, spine), (left, more, right), (right_, less, _) = (seen(d) for d in (0, 5, -5))
    for turned in (left, right_):
        for side in (LEFT, RIGHT):
            assert turned[side] == pytest.approx(straight[side], rel=0.01)
    # a positive turn moves the front to the picture's right and the spine to its left
    assert right < spine - 5
    assert max(more, less) > 1.03 * ratio
    assert min(more, less) < 0.97 * ratio


@pytest.mark.parametrize("powers", [(2, 2), (3, 2), (4, 4), (2, 1.2)])
@pytest.mark.parametrize("angle", [0.0, 0.1, -0.17, -np.pi / 2])
def test_a_columns_chords_equal_sampled_ones(powers, angle):
    section = Section(*(np.full((1, 1), value) for value in (20.0, 10.0, 100.0, 80.0)))
    x = np.linspace(-160, 160, 200, dtype=np.float32)[None]
    found = length(cross(section, powers, x, turned_by(angle)))[0]
    t = np.linspace(-200, 200, 4001)
    own_x = x[0][:, None] * np.cos(angle) + t * np.sin(angle)
    own_z = -x[0][:, None] * np.sin(angle) + t * np.cos(angle)
    inside = np.abs((own_x - 20) / 100) ** powers[0] + np.abs((own_z - 10) / 80) ** powers[1] < 1
    sampled = inside.sum(axis=1) * 0.1
    assert found.sum() == pytest.approx(sampled.sum(), rel=2e-3)
    assert (np.abs(found - sampled) < 0.3).mean() > 0.9
