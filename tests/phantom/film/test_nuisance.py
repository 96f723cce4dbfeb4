"""What lies on a film and is in no report: where it lies, how often, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import View
from plainfilm.phantom import PREVALENCE
from plainfilm.phantom.anatomy.patient import draw_patient
from plainfilm.phantom.anatomy.solids import Grid
from plainfilm.phantom.film.develop import _add_grid, letter_mask
from plainfilm.phantom.film.exposure import draw_exposure
from plainfilm.phantom.film.lateral import render_lateral
from plainfilm.phantom.film.nuisance import (
    BUTTONED,
    CLEAN,
    CUT_OFF,
    GRID_LINES,
    MONITORED,
    NECKLACE,
    UNDEREXPOSED,
    Buttons,
    GridLines,
    Lead,
    Nuisance,
    draw_nuisance,
)
from plainfilm.phantom.film.pathology import NUISANCE_CLASSES
from plainfilm.phantom.simulate import drawn_case, render

SIZE = 256
NOTHING = dict.fromkeys(PREVALENCE, 0.0)
LEADS = tuple(Lead(x, y, 1.0) for x, y in ((-0.6, 0.1), (0.6, 0.1), (0.7, 0.86)))
MONITOR = Nuisance(leads=LEADS, hub=(0.35, 1.45))
ALL = replace(
    MONITOR, buttons=Buttons(5, True, 4.0), necklace=0.2, cut_off=0.4, dose=0.3,
    lines=GridLines(5.0, 0.0, 0.015),
)  # fmt: skip
KINDS = {"electrodes", "cables", "buttons", "necklace"}


def case_of(index: int = 2, view: View = View.PA, **exposure):
    case = drawn_case(9, index, prevalence=NOTHING | {"normal": 1.0})
    plain = replace(
        case.exposure, view=view, rotation_rad=0.0, marker=None, shutters=(0.0,) * 4,
        left_mm=-case.exposure.field_mm / 2, nuisance=CLEAN,
    )  # fmt: skip
    return replace(case, exposure=replace(plain, **exposure))


def shown(case, size: int = SIZE):
    return render(case, size, np.random.default_rng(1), np.random.default_rng(2), "x")


def film(**exposure) -> np.ndarray:
    return shown(case_of(**exposure)).study.images[0].pixels


def middle_mm(mask: np.ndarray, case) -> float:
    """Return the x, mm, of a mask's centroid."""
    return float(np.nonzero(mask)[1].mean() + 0.5) / SIZE * case.exposure.field_mm + (
        case.exposure.left_mm
    )


@pytest.mark.parametrize("index", range(6))
def test_truth_report_measures_and_masks_do_not_depend_on_it(index):
    case = drawn_case(2026, index)
    clean, disturbed = (
        shown(replace(case, exposure=replace(case.exposure, nuisance=one)), 96)
        for one in (CLEAN, ALL)
    )
    assert disturbed.truth == clean.truth
    assert disturbed.findings == clean.findings
    assert disturbed.study.report == clean.study.report
    assert disturbed.measures == clean.measures
    assert set(disturbed.masks) - set(clean.masks) == KINDS
    assert all(np.array_equal(disturbed.masks[name], clean.masks[name]) for name in clean.masks)
    assert not np.array_equal(disturbed.study.images[0].pixels, clean.study.images[0].pixels)


def test_its_draw_shifts_no_other():
    patient = draw_patient(np.random.default_rng(1))
    for bedside in (True, False):
        rng, other = np.random.default_rng(5), np.random.default_rng(5)
        first = draw_exposure(rng, patient, bedside)
        other.spawn(1)  # another stream for what disturbs
        second = draw_exposure(other, patient, bedside)
        assert first.nuisance != second.nuisance or first.nuisance == CLEAN
        assert replace(first, nuisance=CLEAN) == replace(second, nuisance=CLEAN)
        assert rng.random() == other.random()


def test_shares_are_those_that_are_stated():
    count = 4000
    for bedside in (True, False):
        drawn = [draw_nuisance(np.random.default_rng([7, n]), bedside, True) for n in range(count)]

        def share(has, drawn=drawn) -> float:
            return sum(map(has, drawn)) / count

        for has, expected in (
            (lambda n: bool(n.leads), MONITORED[bedside]),
            (lambda n: n.lines is not None, GRID_LINES[bedside]),
            (lambda n: n.cut_off != 0, CUT_OFF[bedside]),
            (lambda n: n.dose < 1, UNDEREXPOSED if bedside else 0),
            (lambda n: n.buttons is not None, 0 if bedside else BUTTONED),
            (lambda n: n.necklace is not None, 0 if bedside else NECKLACE[True]),
        ):
            assert share(has) == pytest.approx(
                expected, abs=4 * (expected * (1 - expected) / count) ** 0.5
            )
        assert share(lambda n: n == CLEAN) > (0.3 if bedside else 0.8)


def test_electrodes_lie_on_their_sides_and_are_bright():
    for side in (-1, 1):
        lead = Lead(0.6 * side, 0.4, 1.0)
        nuisance = Nuisance(leads=(lead,), hub=(0.6 * side, 1.45))
        case = case_of(nuisance=nuisance)
        phantom, clean = shown(case), shown(case_of())
        for kind in ("electrodes", "cables"):
            mask = phantom.masks[kind]
            assert side * middle_mm(mask, case) > 30
            change = phantom.study.images[0].pixels - clean.study.images[0].pixels
            assert change[mask].mean() > 0.02
            assert change[mask].mean() > 10 * abs(change[~mask].mean())


def test_they_stand_farther_apart_on_an_ap_film():
    """The front skin is near the detector for PA and far from it for AP."""
    apart = {}
    for view in (View.PA, View.AP):
        case = case_of(view=view, nuisance=Nuisance(leads=LEADS[:2], hub=(0.0, 1.45)))
        mask = shown(case).masks["electrodes"]
        half = SIZE // 2
        right, left = (np.where(np.arange(SIZE) < half, mask, False), np.where(
            np.arange(SIZE) >= half, mask, False))  # fmt: skip
        apart[view] = middle_mm(left, case) - middle_mm(right, case)
    camera = {view: case_of(view=view).exposure.camera(case_of().patient) for view in apart}
    depth = -0.8 * case_of().patient.depth_mm
    ratio = camera[View.AP].magnification(depth) / camera[View.PA].magnification(depth)
    assert apart[View.AP] / apart[View.PA] == pytest.approx(ratio, rel=0.03)
    assert ratio > 1.1


def test_a_turn_moves_the_front_towards_its_side():
    """A point on the front of a patient turned by +θ goes by −z sin θ, as the camera has it."""
    straight, turned = (
        case_of(rotation_rad=angle, nuisance=Nuisance(buttons=Buttons(5, True, 0.0)))
        for angle in (0.0, np.deg2rad(6))
    )
    moved = middle_mm(shown(turned).masks["buttons"], turned) - middle_mm(
        shown(straight).masks["buttons"], straight
    )
    assert moved == pytest.approx(np.sin(np.deg2rad(6)) * 120, abs=4)


def test_on_a_lateral_film_they_lie_before_the_chest():
    case = case_of(nuisance=ALL)
    _, seen = render_lateral(
        case.patient, case.disease, case.exposure, SIZE, np.random.default_rng(1), "x"
    )
    assert set(seen.masks) >= KINDS
    body = seen.masks["body"]
    for kind in ("buttons", "electrodes"):
        rows, columns = np.nonzero(seen.masks[kind])
        front = np.array([np.argmax(body[row]) for row in rows])
        # near the trunk's front edge, which is on the picture's left
        depth = np.array([body[row].sum() for row in rows])
        assert np.all(columns - front < (0.15 if kind == "buttons" else 0.75) * depth)
    assert (seen.masks["buttons"] & ~body).any()


def test_too_low_a_dose_is_noisier_and_flatter():
    case = case_of(noise=0.02)
    heart = shown(case).masks["heart"]

    def noise(dose: float) -> float:
        one = replace(case, exposure=replace(case.exposure, nuisance=Nuisance(dose=dose)))
        first, second = (
            render(one, SIZE, np.random.default_rng(n), np.random.default_rng(2), "x")
            .study.images[0].pixels
            for n in (1, 2)
        )  # fmt: skip
        return float((first - second)[heart].std())

    assert noise(0.2) > 1.5 * noise(1.0)
    lungs = shown(case).masks["left lung"]
    usual, low = (film(nuisance=Nuisance(dose=dose), noise=0.0) for dose in (1.0, 0.2))
    assert low[heart].mean() - low[lungs].mean() < 0.9 * (usual[heart].mean() - usual[lungs].mean())


@pytest.mark.parametrize("loss", [-0.5, 0.5])
def test_cut_off_makes_one_side_lighter(loss):
    change = film(nuisance=Nuisance(cut_off=loss), noise=0.0) - film(noise=0.0)
    left, right = change[:, : SIZE // 4].mean(), change[:, -SIZE // 4 :].mean()
    lighter, other = (right, left) if loss > 0 else (left, right)
    assert lighter > other + 0.01


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, 0.6])
def test_grid_lines_have_their_period(angle):
    grid = Grid.square(512, 512 * 0.7, 0, 0)
    signal = np.ones(grid.shape, np.float32)
    _add_grid(signal, Nuisance(lines=GridLines(5.6, angle, 0.01)), grid)
    spectrum = np.abs(np.fft.rfft2(signal - 1))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    fy, fx = np.fft.fftfreq(512, 0.7)[row], np.fft.rfftfreq(512, 0.7)[column]
    assert 1 / np.hypot(fx, fy) == pytest.approx(5.6, rel=0.01)
    assert abs(fx) == pytest.approx(abs(np.cos(angle)) / 5.6, abs=0.003)
    assert 0.008 < signal.max() - 1 < 0.01  # a pixel averages them over its area


def test_lines_finer_than_two_pixels_are_left_out():
    fine = Nuisance(lines=GridLines(2.0, 0.0, 0.02))
    for size, seen in ((128, False), (512, True)):
        grid = Grid.square(size, 360, 0, 0)
        signal = np.ones(grid.shape, np.float32)
        _add_grid(signal, fine, grid)
        assert bool(signal.std() > 0) is seen


def test_classes_of_the_table():
    case = case_of(nuisance=MONITOR, marker=("R", 0.06, 0.05))
    phantom = shown(case)
    found = phantom.finding_masks()
    assert set(found) == {*NUISANCE_CLASSES, "Foreign Object"}
    assert np.array_equal(found["Sensors"], phantom.masks["electrodes"])
    assert np.array_equal(found["Cable"], phantom.masks["cables"])
    letters = found["Letters"]
    assert np.nonzero(letters)[1].max() < SIZE / 2
    assert phantom.study.images[0].pixels[letters].min() >= 0.94
    assert shown(case_of()).finding_masks() == {}
    covered = case_of(marker=("R", 0.06, 0.05), shutters=(0.2, 0.0, 0.0, 0.0))
    assert not letter_mask(covered.exposure, (SIZE, SIZE)).any()
    assert "Letters" not in shown(covered).finding_masks()
