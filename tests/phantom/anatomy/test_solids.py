"""Path lengths against volumes and against sampling: what is exact must be exact."""

import numpy as np
import pytest

from plainfilm.phantom.anatomy.solids import (
    Camera,
    Ellipsoid,
    Grid,
    Tubes,
    hull,
    length,
    length_without,
    round_corners,
)

GRID = Grid.square(256, 200, -100, -100)
FAR = Camera(anterior_detector=True, source_mm=1e9, gap_mm=0, rotation_rad=0, centre_y=0)


def volume(path):
    return float(path.sum()) * GRID.spacing_mm**2


@pytest.mark.parametrize("tilt", [0.0, 0.7])
def test_an_ellipsoids_path_adds_up_to_its_volume(tilt):
    path = np.zeros(GRID.shape, np.float32)
    Ellipsoid((10, -5, 3), (30, 50, 20), tilt).add(path, GRID, 1.0)
    assert volume(path) == pytest.approx(4 / 3 * np.pi * 30 * 50 * 20, rel=2e-3)
    assert path.max() == pytest.approx(40, rel=1e-3)


def test_a_soft_ellipsoid_weighs_two_fifths_of_a_hard_one():
    path = np.zeros(GRID.shape, np.float32)
    Ellipsoid((0, 0, 0), (30, 50, 20)).add(path, GRID, 1.0, soft=True)
    assert volume(path) == pytest.approx(0.4 * 4 / 3 * np.pi * 30 * 50 * 20, rel=2e-3)


@pytest.mark.parametrize(
    ("points", "within"),
    [
        ([(-50, -20, -30), (40, 30, 20)], 0.002),
        ([(0, 0, -40), (0, 0, 40)], 0.03),  # its slope is floored, which clips the rim
        ([(-50, -20, -30), (0, 0, 0), (40, 30, 20), (60, -20, 40)], 0.002),
    ],
    ids=["oblique", "along the ray", "bent"],
)
def test_a_tubes_chords_add_up_to_its_volume(points, within):
    tubes = Tubes(FAR)
    tubes.add(points, 8.0, 1.0, 5.0)
    along = np.linalg.norm(np.diff(np.array(points, float), axis=0), axis=1).sum()
    assert volume(tubes.path(GRID)) == pytest.approx(np.pi * 8 * 5 * along, rel=within)


def test_a_tube_thinner_than_a_pixel_keeps_its_mass():
    tubes = Tubes(FAR)
    tubes.add([(-50, 0, 0), (50, 10, 0)], 0.1, 1.0)
    expected = np.pi * 0.01 * np.hypot(100, 10)
    assert volume(tubes.path(GRID)) == pytest.approx(expected, rel=0.02)


def test_a_tube_outside_of_the_field_leaves_no_trace():
    tubes = Tubes(FAR)
    tubes.add([(500, 0, 0), (600, 0, 0)], 5.0, 1.0)
    assert not tubes.path(GRID).any()
    assert not Tubes(FAR).path(GRID).any()


def test_the_length_outside_of_holes_equals_a_sampled_one():
    rng = np.random.default_rng(0)
    z = np.linspace(-10, 10, 20001)
    for _ in range(30):
        interval, *holes = rng.uniform(-8, 8, (4, 2, 1)).astype(np.float32)
        near, far = np.sort(interval, axis=0)
        inside = (z >= near) & (z <= far)
        for start, end in holes:  # start after end: an empty hole
            inside &= ~((z >= start) & (z <= end))
        found = length_without((near, far), [(start, end) for start, end in holes])
        assert found[0] == pytest.approx(inside.sum() * 0.001, abs=0.01)


def test_a_hull_skips_what_a_ray_misses():
    missed = (np.zeros(1, np.float32), np.zeros(1, np.float32))
    hit = (np.array([5], np.float32), np.array([9], np.float32))
    near, far = hull([missed, hit])
    assert (near[0], far[0]) == (5, 9)
    assert length(missed)[0] == 0


def test_the_side_far_from_the_detector_is_magnified_more():
    pa = Camera(anterior_detector=True, source_mm=1800, gap_mm=140, rotation_rad=0, centre_y=0)
    ap = Camera(anterior_detector=False, source_mm=1100, gap_mm=140, rotation_rad=0, centre_y=0)
    heart, back = -30.0, 80.0
    assert pa.magnification(back) > 1 > pa.magnification(heart)
    assert ap.magnification(heart) > 1 > ap.magnification(back)


def test_rounding_corners_keeps_the_ends():
    curve = round_corners([(0, 0, 0), (10, 0, 0), (10, 10, 0)])
    assert curve[0].tolist() == [0, 0, 0]
    assert curve[-1].tolist() == [10, 10, 0]
    assert len(curve) > 6
