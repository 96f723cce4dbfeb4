"""Signs and finer findings: seen where their masks lie, measured as drawn, and read back."""

import random
from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import Observation, Side, Status
from plainfilm.core.classes import CLASSES
from plainfilm.phantom import INSTITUTIONS, PREVALENCE, PhantomStudy
from plainfilm.phantom.anatomy.solids import Grid
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, aortic_knob
from plainfilm.phantom.anatomy.tissue import LUNG
from plainfilm.phantom.disease.disease import Collapse, Disease, Opacity, Pneumothorax
from plainfilm.phantom.film.incidental import hernia
from plainfilm.phantom.film.scene import make_scene
from plainfilm.phantom.reporting.institutions import NAMED
from plainfilm.phantom.simulate import drawn_case, render
from plainfilm.text import read
from plainfilm.text.writer import write

SIZE = 256
HEALTHY = dict.fromkeys(PREVALENCE, 0.0) | {"normal": 1.0}
CASES = [drawn_case(9, index, prevalence=HEALTHY) for index in (3, 8, 11)]
CLOUD = Opacity(RIGHT, "upper lobe", True, "no", 0.9, 44.0, 5, True)
SIGNS = {
    "bronchogram": Disease(opacities=(CLOUD,)),
    "tension": Disease(pneumothorax=Pneumothorax(LEFT, 65.0, tension_mm=26.0)),
    "deep sulcus": Disease(pneumothorax=Pneumothorax(RIGHT, 26.0, supine=True)),
    "right upper lobe": Disease(collapse=Collapse(RIGHT, "upper lobe", 14.0)),
    "left lower lobe": Disease(collapse=Collapse(LEFT, "lower lobe", 8.5)),
    "hernia": Disease(hernia_mm=62.0),
    "scoliosis": Disease(cobb_deg=-31.0),
    "scoliosis to the left": Disease(cobb_deg=14.0),
    "calcified arch": Disease(calcified_arch=(-90.0, 10.0)),
    "emphysema": Disease(emphysema=0.9),
    "mild emphysema": Disease(emphysema=0.3),
    "healed fracture": Disease(healed_fracture=(LEFT, 6, 0.35)),
}


def rendered(case, disease: Disease, institution: str = "teaching", words: int = 2) -> PhantomStudy:
    rngs = np.random.default_rng(1), np.random.default_rng(words)
    return render(
        replace(case, disease=disease), SIZE, *rngs, "x", institution=INSTITUTIONS[institution]
    )


def pixels(phantom: PhantomStudy) -> np.ndarray:
    return phantom.study.images[0].pixels


def spacing(phantom: PhantomStudy) -> float:
    return phantom.study.images[0].spacing_mm[0]


def columns(mask: np.ndarray) -> float:
    return float(np.nonzero(mask)[1].mean())


@pytest.mark.parametrize("case", CASES)
def test_bronchi_stay_dark_in_a_consolidation(case):
    with_air = rendered(case, SIGNS["bronchogram"])
    without = rendered(case, Disease(opacities=(replace(CLOUD, bronchogram=False),)))
    mask = with_air.masks["right air bronchogram"]
    assert (mask & with_air.masks["right consolidation"]).sum() > 0.95 * mask.sum() > 50
    darker = pixels(without) - pixels(with_air)
    assert darker[mask].mean() > 0.02
    assert np.abs(darker[~mask]).mean() < 0.001


@pytest.mark.parametrize("sign", ["tension", "right upper lobe", "left lower lobe"])
@pytest.mark.parametrize("case", CASES)
def test_the_heart_moves_by_the_shift(case, sign):
    sick, well = rendered(case, SIGNS[sign]), rendered(case, Disease())
    shift = sick.measures["mediastinal_shift_mm"]
    assert (shift > 0) == (sign == "left lower lobe")  # pushed to the right, pulled to its side
    assert "mediastinal_shift_mm" not in well.measures
    scale = float(case.exposure.camera(case.patient).magnification(-30.0))
    moved = columns(sick.masks["heart"]) - columns(well.masks["heart"])
    assert moved * spacing(well) == pytest.approx(shift * scale, abs=1.0)
    windpipe = columns(sick.masks["trachea"]) - columns(well.masks["trachea"])
    assert 0.3 < windpipe / moved < 1.0
    said = {f.detail for f in sick.truth}
    assert ("mediastinal shift" in said) == (abs(shift) >= 10)


def test_under_tension_the_diaphragm_lies_low_and_flat():
    for case in CASES:
        sick, well = rendered(case, SIGNS["tension"]), rendered(case, Disease())
        dome = [
            np.nonzero(p.masks["left lung"][:, round(columns(well.masks["left lung"]))])[0].max()
            for p in (well, sick)
        ]
        assert (dome[1] - dome[0]) * spacing(well) > 10
        darker = pixels(well) - pixels(sick)
        assert darker[sick.masks["left pneumothorax"]].mean() > 0.05
        (air,) = (f for f in sick.truth if f.observation is Observation.PNEUMOTHORAX)
        assert (air.detail, air.side) == ("tension pneumothorax", Side.LEFT)


def test_a_supine_pneumothorax_deepens_the_sulcus():
    for case in CASES:
        disease = SIGNS["deep sulcus"]
        sick, well = rendered(case, disease), rendered(case, Disease())
        lowest = [np.nonzero(p.masks["right lung"])[0].max() for p in (well, sick)]
        deeper = (lowest[1] - lowest[0]) * spacing(well)
        assert deeper == pytest.approx(disease.pneumothorax.sulcus_mm, abs=5)
        mask = sick.masks["right pneumothorax"]
        base = mask & (np.arange(SIZE)[:, None] > 0.75 * lowest[0])
        assert base.sum() > 0.5 * mask.sum()
        assert (pixels(well) - pixels(sick))[base].mean() > 0.05
        (air,) = (f for f in sick.truth if f.observation is Observation.PNEUMOTHORAX)
        assert (air.location, air.side) == ("base", Side.RIGHT)


@pytest.mark.parametrize("sign", ["right upper lobe", "left lower lobe"])
def test_a_collapsed_lobe_is_a_dense_wedge_and_lifts_the_diaphragm(sign):
    collapse = SIGNS[sign].collapse
    name = "right" if collapse.side == RIGHT else "left"
    for case in CASES:
        sick, well = rendered(case, SIGNS[sign]), rendered(case, Disease())
        mask = sick.masks[f"{name} atelectasis"]
        assert (columns(mask) < SIZE / 2) == (name == "right")
        assert (pixels(sick) - pixels(well))[mask].mean() > 0.03
        rows = np.nonzero(mask)[0] / SIZE
        assert (rows.mean() < 0.45) == (collapse.lobe == "upper lobe")
        lungs = [np.nonzero(p.masks[f"{name} lung"])[0].max() for p in (sick, well)]
        assert (lungs[1] - lungs[0]) * spacing(well) > 3


@pytest.mark.parametrize("sign", ["right upper lobe", "left lower lobe"])
def test_a_collapsed_lobe_is_bounded_by_a_slanting_fissure(sign):
    """From the front it is a triangle, narrow at the hilum."""
    collapse = SIGNS[sign].collapse
    name = "right" if collapse.side == RIGHT else "left"
    for case in CASES:
        mask = rendered(case, SIGNS[sign]).masks[f"{name} atelectasis"]
        rows = np.flatnonzero(mask.any(axis=1))
        edge = [np.nonzero(mask[row])[0] for row in rows]
        lateral = np.array([e[0] if collapse.side == RIGHT else e[-1] for e in edge])
        quarter = len(rows) // 4
        first, last = lateral[quarter], lateral[-quarter]
        slant = (last - first) * spacing(rendered(case, SIGNS[sign]))
        assert slant > 15  # towards the patient's left, which is the picture's right


def test_a_hernias_mask_has_its_diameter():
    for case in CASES:
        disease = SIGNS["hernia"]
        sick, well = rendered(case, disease), rendered(case, Disease())
        mask = sick.masks["hiatal hernia"]
        depth = hernia(case.patient, disease).centre[2]
        scale = float(case.exposure.camera(case.patient).magnification(depth))
        width = (np.ptp(np.nonzero(mask)[1]) + 1) * spacing(sick) / scale
        assert width == pytest.approx(sick.measures["hernia_diameter_mm"], abs=3)
        difference = pixels(sick) - pixels(well)
        assert np.abs(difference[mask]).mean() > 0.012
        assert difference[mask].min() < -0.05  # gas
        assert np.abs(difference[~mask]).mean() < 0.004


@pytest.mark.parametrize("sign", ["scoliosis", "scoliosis to the left"])
def test_the_cobb_angle_is_that_of_the_spines_mask(sign):
    for case in CASES:
        phantom = rendered(case, SIGNS[sign])
        mask = phantom.masks["scoliosis"]
        rows = np.nonzero(mask.any(axis=1))[0]
        middle = np.array([np.nonzero(mask[row])[0].mean() for row in rows])
        smooth = np.polynomial.Polynomial.fit(rows, middle, 9)
        slope = smooth.deriv()(rows[3:-3])
        cobb = np.rad2deg(np.arctan(slope.max()) - np.arctan(slope.min()))
        assert cobb == pytest.approx(phantom.measures["cobb_angle_deg"], abs=2.5)
        bulge = middle[len(middle) // 2] - middle[0]
        assert (bulge > 0) == (SIGNS[sign].cobb_deg > 0)  # the picture's right is the left
        well = rendered(case, Disease())
        level = rows[len(rows) // 2]
        row = np.abs(pixels(phantom) - pixels(well))[level - 8 : level + 8]
        assert row[:, round(middle.min()) - 24 : round(middle.max()) + 24].mean() > 0.012


def test_the_arc_of_calcium_is_as_long_as_measured():
    for case in CASES:
        disease = SIGNS["calcified arch"]
        sick, well = rendered(case, disease), rendered(case, Disease())
        mask = sick.masks["aortic calcification"]
        camera = case.exposure.camera(case.patient)
        knob = aortic_knob(case.patient, 0.0).seen_by(camera)
        grid = Grid.square(
            SIZE, case.exposure.field_mm, case.exposure.left_mm, case.exposure.top_mm
        )
        rows, cols = np.nonzero(mask)
        x, y = grid.x[0, cols] - knob.centre[0], grid.y[rows, 0] - knob.centre[1]
        angle = np.arctan2(y / knob.radii[1], x / knob.radii[0])
        radius = np.mean(knob.radii[:2]) / camera.magnification(knob.centre[2])
        assert np.ptp(angle) * radius == pytest.approx(
            sick.measures["aortic_calcification_mm"], rel=0.2
        )
        assert (pixels(sick) - pixels(well))[mask].mean() > 0.03
        assert knob.centre[0] > 0


def test_emphysema_thins_the_lungs_and_flattens_the_domes():
    for case in CASES:
        sick, well = rendered(case, SIGNS["emphysema"]), rendered(case, Disease())
        scene = make_scene(
            case.patient, SIGNS["emphysema"], case.exposure, Grid.square(64, 400, -200, -60)
        )
        thinner = 1 - scene.lungs[LEFT].attenuation / LUNG
        assert 100 * thinner == pytest.approx(sick.measures["emphysema_percent"])
        tall = [np.ptp(np.nonzero(p.masks["right lung"].any(axis=1))[0]) for p in (sick, well)]
        assert (tall[0] - tall[1]) * spacing(well) > 10
        widths = [np.ptp(np.nonzero(p.masks["heart"].any(axis=0))[0]) for p in (sick, well)]
        assert widths[0] < 0.93 * widths[1]
        assert {"emphysema", "flattened diaphragm"} <= {f.detail for f in sick.truth}


def test_a_healed_rib_is_thicker_at_its_fracture():
    for case in CASES:
        sick, well = rendered(case, SIGNS["healed fracture"]), rendered(case, Disease())
        mask = sick.masks["left healed fracture"]
        assert columns(mask) > SIZE / 2
        difference = pixels(sick) - pixels(well)
        assert np.abs(difference[mask]).mean() > 0.012
        assert (sick.masks["ribs"] & mask).sum() > (well.masks["ribs"] & mask).sum()


def test_a_rind_is_a_band_along_the_lateral_wall():
    for case in CASES:
        for side, name in ((LEFT, "left"), (RIGHT, "right")):
            phantom = rendered(case, Disease(pleura=(side, "thickening", 14.0)))
            mask, lung = phantom.masks[f"{name} pleural thickening"], phantom.masks[f"{name} lung"]
            lateral = np.nonzero(lung.any(axis=0))[0]
            wall = lateral.max() if side == LEFT else lateral.min()
            assert np.abs(np.nonzero(mask)[1] - wall).max() * spacing(phantom) < 50
            assert mask.sum(axis=1).max() * spacing(phantom) < 3 * 14


def test_classes_of_the_table():
    named = {entry.name for entry in CLASSES}
    for sign, name in (
        ("emphysema", "Emphysema"), ("calcified arch", "Calcification"),
        ("healed fracture", "Fracture"), ("left lower lobe", "Atelectasis"),
    ):  # fmt: skip
        masks = rendered(CASES[0], SIGNS[sign]).finding_masks()
        assert name in named
        assert masks[name].any()


@pytest.mark.parametrize("institution", NAMED)
def test_every_sign_is_read_back(institution):
    for number, (sign, disease) in enumerate(SIGNS.items()):
        phantom = rendered(CASES[number % 3], disease, institution, words=number)
        text = phantom.study.report.text
        got = {f.statement for f in read(text)}
        given = {f.statement for f in phantom.findings
                 if f.observation is not Observation.NO_FINDING}  # fmt: skip
        assert got == given, (sign, text)
        spanish = INSTITUTIONS[institution].style_in("es")
        text = write(phantom.truth, random.Random(number), spanish).text
        got = {f.statement for f in read(text, language="es")}
        assert got == {f.statement for f in phantom.truth}, (sign, text)


@pytest.mark.parametrize("sign", ["hernia", "scoliosis", "calcified arch", "healed fracture"])
def test_what_is_incidental_is_left_out_by_some_and_blocks_no_finding_where_it_is_said(sign):
    """A finding of these alone is no normal film; unsaid, it is in the truth alone."""
    case, seen = CASES[0], set()
    for institution in NAMED:
        for words in range(6):
            phantom = rendered(case, SIGNS[sign], institution, words)
            assert len(phantom.truth) == 1
            said = phantom.truth[0].statement in {f.statement for f in phantom.findings}
            nothing = any(f.observation is Observation.NO_FINDING for f in phantom.findings)
            present = [f for f in phantom.findings if f.status is not Status.ABSENT]
            assert nothing != said or len(present) > 1
            absent = {(f.observation, f.detail) for f in phantom.findings
                      if f.status is Status.ABSENT}  # fmt: skip
            assert (phantom.truth[0].observation, phantom.truth[0].detail) not in absent
            seen.add(said)
        if institution == "teaching":
            assert seen == {True}
    assert seen == ({True, False} if sign != "hernia" else seen)
