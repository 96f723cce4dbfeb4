"""The truth agrees with itself: sides, masks, measures, words, and what a reader finds in them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import OBSERVATIONS, Observation, Severity, Side, Status
from plainfilm.phantom import INSTITUTIONS, PREVALENCE, simulate
from plainfilm.phantom.anatomy.solids import Grid, length
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.scene import make_scene
from plainfilm.phantom.reporting.institutions import NAMED
from plainfilm.phantom.reporting.tell import tell
from plainfilm.phantom.reporting.truth import (
    AMOUNTS,
    EFFUSION_ML,
    HEART_LIMIT,
    LEAST,
    MASS_MM,
    PNEUMOTHORAX_MM,
    grade,
)
from plainfilm.phantom.simulate import drawn_case, drawn_table, render
from plainfilm.text import labels, read

SIZE = 160
NOTHING = dict.fromkeys(set(PREVALENCE) - {"normal"}, 0.0)
WHOLE = {"cardiomegaly", "wide mediastinum", "scoliosis"}
"""Diseases that change a structure that is there anyway, at its edge."""
DISEASES = sorted(set(PREVALENCE) - WHOLE - {"normal"})


def only(disease: str, index: int, size: int = SIZE):
    asked = NOTHING | {disease: 1.0}
    return simulate(9, index, size, prevalence=asked, institution="teaching")


def centre(mask) -> float:
    """Mean column of a mask, as a part of the film's width."""
    return float(np.nonzero(mask)[1].mean()) / mask.shape[1]


@pytest.mark.parametrize(
    ("disease", "mask"),
    [("effusion", "effusion"), ("pneumothorax", "pneumothorax"), ("consolidation", "consolidation"),
     ("opacity", "opacity"), ("lesion", "lesion"), ("fracture", "fracture"),
     ("atelectasis", "atelectasis"), ("pleural thickening", "pleural thickening")],
)  # fmt: skip
def test_the_patients_left_is_the_pictures_right(disease, mask):
    seen = set()
    for index in range(8):
        phantom = only(disease, index)
        for name in ("left", "right"):
            if f"{name} {mask}" in phantom.masks:
                place = centre(phantom.masks[f"{name} {mask}"])
                assert (place > 0.5) == (name == "left"), (index, name, place)
                seen.add(name)
        said = {f.side for f in phantom.truth if f.status is Status.PRESENT and f.side}
        drawn = {name for name in ("left", "right") if f"{name} {mask}" in phantom.masks}
        told = {"left", "right"} if said == {Side.BILATERAL} else {str(side) for side in said}
        assert told <= drawn  # what is too small to be seen is drawn, but not true of the film
    assert seen == {"left", "right"}


def test_structures_lie_on_their_side():
    masks = simulate(1, 0, SIZE, prevalence=NOTHING | {"normal": 1.0}).masks
    assert centre(masks["left lung"]) > 0.55
    assert centre(masks["right lung"]) < 0.45
    assert centre(masks["heart"]) > 0.5  # two thirds of the heart lie left of the middle


def border(mask, left: bool) -> float:
    """Where a mask reaches farthest, in pixels: the top of a parabola through its rows' borders.

    A row's border is known to a pixel only; a curve through many of them to a small part of one.
    """
    rows = np.nonzero(mask.any(axis=1))[0]
    inside = mask[rows, ::-1] if left else mask[rows]
    places = np.argmax(inside, axis=1).astype(float)
    near = rows[np.abs(rows - rows[np.flatnonzero(places == places.min())].mean()) < len(rows) / 6]
    close = np.isin(rows, near) & (places < places.min() + 0.04 * mask.shape[1])
    curve = np.polynomial.Polynomial.fit(rows[close], places[close], 2)
    best = float(curve(np.linspace(rows[close].min(), rows[close].max(), 200)).min())
    return mask.shape[1] - best if left else best


def width(mask) -> float:
    return border(mask, left=True) - border(mask, left=False)


@pytest.mark.parametrize(("size", "first"), [(256, 0), (512, 40)])
def test_the_cardiothoracic_ratio_and_the_mediastinum_are_measured_on_the_film(size, first):
    for index in range(first, first + 40):
        case = drawn_case(21, index)
        exposure = case.exposure
        grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
        scene = make_scene(case.patient, case.disease, exposure, grid)
        lungs = scene.lungs[LEFT].clear | scene.lungs[RIGHT].clear
        ratio = width(length(scene.heart) > 0) / width(lungs)
        assert ratio == pytest.approx(scene.cardiothoracic_ratio, rel=0.01), index
        row = grid.box(0, 1, *(scene.arch_y + np.array([0, 1.01 * grid.spacing_mm])))[0].start
        whole = (length(scene.great) > 0) | (length(scene.arch) > 0)
        wide = np.ptp(np.nonzero(whole[row])[0]) + 1
        assert wide * grid.spacing_mm == pytest.approx(
            scene.mediastinal_width_mm, abs=2 * grid.spacing_mm
        )


def test_the_heart_is_called_large_above_the_limit_only():
    statuses = set()
    large = {"normal": 0.0, "cardiomegaly": 1.0}
    for index in range(60):
        phantom = simulate(33, index, 32, prevalence=large if index % 3 else None)
        excess = phantom.measures["cardiothoracic_ratio"] - HEART_LIMIT[phantom.case.exposure.view]
        true, said = (
            {f.status for f in findings if f.observation is Observation.CARDIOMEGALY}
            for findings in (phantom.truth, phantom.findings)
        )
        statuses |= said
        if excess > 0.02:
            assert true == {Status.PRESENT}
        elif excess < -0.02:
            assert true == set()
        elif abs(excess) < 0.01:
            assert true == {Status.UNCERTAIN}
        assert said == true or (said <= {Status.ABSENT} and not true)
    assert statuses == set(Status)


def test_masks_and_measures_of_fluid_agree():
    volumes = []
    for index in range(12):
        phantom = only("effusion", index)
        finding = next((f for f in phantom.truth if f.status is Status.PRESENT), None)
        for side in ("left", "right"):
            volume = phantom.measures.get(f"{side}_effusion_ml")
            assert (volume is None) == (f"{side} effusion" not in phantom.masks)
            if volume is None or finding is None:
                assert (volume or 0) < LEAST["effusion_ml"]
            elif finding.side in (side, "bilateral"):
                assert finding.severity is grade(volume, EFFUSION_ML, AMOUNTS)
                volumes.append((volume, int(phantom.masks[f"{side} effusion"].sum())))
    more, larger = zip(*volumes, strict=True)
    assert np.corrcoef(more, larger)[0, 1] > 0.9


def test_a_measured_volume_hardly_depends_on_the_size_of_the_film():
    for index in range(3):
        coarse, fine = (only("effusion", index, size).measures for size in (128, 384))
        for name in coarse:
            assert coarse[name] == pytest.approx(fine[name], rel=0.03)


def test_a_nodules_mask_has_its_diameter_and_a_mass_is_larger():
    for index in range(10):
        phantom = only("lesion", index, 384)
        lesions = (f for f in phantom.truth if f.observation is Observation.LUNG_LESION)
        finding = next(lesions, None)
        if finding is None:
            (lesion,) = phantom.case.disease.lesions
            assert lesion.diameter_mm < LEAST["lesion_diameter_mm"]
            continue
        diameter = phantom.measures[f"{finding.side}_lesion_diameter_mm"]
        if finding.detail != "calcified granuloma":
            assert finding.detail == ("mass" if diameter > MASS_MM else "nodule")
        spacing, _ = phantom.study.images[0].spacing_mm
        rows = np.nonzero(phantom.masks[f"{finding.side} lesion"].any(axis=1))[0]
        assert np.ptp(rows) * spacing == pytest.approx(diameter, abs=2.5 * spacing)


@pytest.mark.parametrize("disease", DISEASES)
def test_every_finding_shows(disease):
    """The film differs inside the finding's mask from the same patient's without the disease."""
    shown = []
    for index in range(6):
        phantom = only(disease, index)
        if phantom.case.disease == Disease() or not phantom.truth:
            continue  # too small to be seen
        healthy = replace(phantom.case, disease=Disease())
        sick, well = (
            render(case, SIZE, np.random.default_rng(1), np.random.default_rng(2), "x")
            for case in (phantom.case, healthy)
        )
        own = [mask for name, mask in sick.masks.items() if name not in well.masks]
        mask = np.any(own, axis=0)
        difference = np.abs(sick.study.images[0].pixels - well.study.images[0].pixels)
        # more than four times the pixel noise of a film (if its dose was the usual one), and more
        # than anywhere else
        usual = phantom.case.exposure.nuisance.dose == 1
        assert difference[mask].mean() > (0.012 if usual else 0.008)
        assert difference[mask].mean() > 1.5 * difference[~mask].mean()
        shown.append(difference[mask].mean())
    assert shown
    # A fracture's gap is 1.6 mm wide, its step .5 to 14 mm: .018 on average here, and .024 with
    # steps of 12 mm.
    assert np.mean(shown) > (0.015 if disease == "fracture" else 0.03)


@pytest.mark.parametrize("disease", ["cardiomegaly", "wide mediastinum"])
def test_a_wider_silhouette_shows_where_it_grows(disease):
    name = "heart" if disease == "cardiomegaly" else "mediastinum"
    for index in range(6):
        phantom = only(disease, index)
        if not phantom.truth:
            continue  # within the limits of the healthy
        healthy = replace(phantom.case, disease=Disease())
        well = render(healthy, SIZE, np.random.default_rng(1), np.random.default_rng(2), "x")
        grown = phantom.masks[name] & ~well.masks[name]
        brighter = phantom.study.images[0].pixels - well.study.images[0].pixels
        assert brighter[grown].mean() > 0.05


def test_words_of_size_follow_their_thresholds():
    assert [grade(v, PNEUMOTHORAX_MM, AMOUNTS) for v in (5, 20, 30, 60)] == [
        Severity.TRACE, Severity.SMALL, Severity.MODERATE, Severity.LARGE,
    ]  # fmt: skip
    assert grade(12.0, PNEUMOTHORAX_MM, AMOUNTS) is Severity.TRACE  # above, not from


@pytest.fixture(scope="module")
def series():
    return [simulate(13, index, 32) for index in range(160)]


def test_nothing_is_both_present_and_absent(series):
    for phantom in series:
        absent = {(f.observation, f.detail) for f in phantom.findings if f.status is Status.ABSENT}
        stated = [f for f in phantom.findings if f.status is not Status.ABSENT]
        named = {f.observation for f in stated}
        assert not absent & {(o, None) for o in named}
        assert not absent & {(f.observation, f.detail) for f in stated}
        if Observation.NO_FINDING in named:
            details = {f.detail for f in stated if f.observation is Observation.OTHER}
            assert details <= {"azygos lobe", "low lung volumes"}  # normal variants
            assert named <= {Observation.NO_FINDING, Observation.SUPPORT_DEVICES, Observation.OTHER}


def test_prevalences_are_those_of_a_busy_department(series):
    present = Counter(
        observation
        for phantom in series
        for observation in {f.observation for f in phantom.findings if f.status is Status.PRESENT}
    )
    assert 0.2 < present[Observation.NO_FINDING] / len(series) < 0.42
    for observation in set(OBSERVATIONS) - {Observation.NO_FINDING}:
        assert 0.03 < present[observation] / len(series) < 0.32, observation


def test_a_reader_finds_the_truth_in_the_report(series):
    for phantom in series:
        truth: dict[Observation, Status] = {}
        for status in (Status.ABSENT, Status.UNCERTAIN, Status.PRESENT):  # the last one counts
            truth |= {f.observation: status for f in phantom.findings if f.status is status}
        read = labels(phantom.study.report.text)
        if not any(f.observation is Observation.NO_FINDING for f in phantom.findings):
            read.pop(Observation.NO_FINDING, None)  # nothing but a device, and that lies wrong
        read, truth = ({o: s for o, s in given.items() if o is not Observation.OTHER}
                       for given in (read, truth))  # fmt: skip
        assert read == truth, phantom.study.report.text


@pytest.mark.parametrize("institution", NAMED)
def test_reading_gives_back_every_statement(institution):
    """Observation, status, detail, side, place, severity and change, 50 studies in each style."""
    for index in range(50):
        phantom = simulate(17, index, 32, institution=institution)
        text = phantom.study.report.text
        got = {f.statement for f in read(text)}
        given = {f.statement for f in phantom.findings
                 if f.observation is not Observation.NO_FINDING}  # fmt: skip
        assert got == given, text


def test_what_is_too_small_for_an_institution_is_drawn_and_not_said():
    unsaid = 0
    for index in range(40):
        film = only("effusion", index, 64)
        all_of_it, most = (
            tell(np.random.default_rng(index), film.seen, {}, INSTITUTIONS[name]).statements
            for name in ("teaching", "emergency")
        )
        places = [{(f.observation, f.side) for f in one if f.status is not Status.ABSENT
                   and f.observation is Observation.PLEURAL_EFFUSION}
                  for one in (film.truth, all_of_it, most)]  # fmt: skip
        assert places[0] <= places[1]
        for finding in film.truth:
            if finding.observation is not Observation.PLEURAL_EFFUSION:
                continue
            sides = ("left", "right") if finding.side == "bilateral" else (finding.side,)
            largest = max(film.measures[f"{side}_effusion_ml"] for side in sides)
            mentioned = (finding.observation, finding.side) in places[2]
            assert mentioned == (largest >= 60)
            unsaid += not mentioned
        absent = {f.observation for f in most if f.status is Status.ABSENT}
        assert Observation.PLEURAL_EFFUSION not in absent
    assert unsaid


def test_the_clinical_table_agrees_with_the_findings():
    def values(name: str, **asked: float) -> np.ndarray:
        series = (drawn_table(5, i, prevalence=NOTHING | asked) for i in range(60))
        cells = [table[name] for table in series]
        assert 0 < sum(cell is None for cell in cells) < 45
        return np.array([cell for cell in cells if cell is not None])

    healthy = {"normal": 1.0}
    assert np.median(values("bnp_pg_per_ml", **{"heart failure": 1.0})) > 150
    assert np.median(values("bnp_pg_per_ml", **healthy)) < 100
    infected = np.median(values("crp_mg_per_l", consolidation=1.0))
    assert infected > 1.5 * np.median(values("crp_mg_per_l", **healthy))
    assert 4 < np.median(values("white_cells_10e9_per_l", **healthy)) < 11
    assert np.mean(values("spo2_percent", **healthy)) > 96
    assert np.mean(values("spo2_percent", **{"heart failure": 1.0})) < 96.2
