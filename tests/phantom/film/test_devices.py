"""Devices end where they are said to end, on the film, in its masks and in its report."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core import Finding, Observation, Side
from plainfilm.phantom import INSTITUTIONS, PREVALENCE
from plainfilm.phantom.anatomy.solids import Grid
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.anatomy.vessels import airway_curves
from plainfilm.phantom.disease.devices import (
    SIDED,
    TIPS,
    VENOUS,
    WELL_PLACED,
    Device,
    draw_devices,
)
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.device_shapes import course, tip_on_film
from plainfilm.phantom.film.pathology import DEVICE_CLASSES, device_class
from plainfilm.phantom.film.structures import structure_masks
from plainfilm.phantom.reporting.institutions import NAMED
from plainfilm.phantom.simulate import Case, PhantomStudy, drawn_case, render
from plainfilm.text import read
from plainfilm.text.writer import Style, write

SIZE = 160
HEALTHY = {**dict.fromkeys(PREVALENCE, 0.0), "normal": 1.0}
ENDS = [(name, tip) for name, tips in TIPS.items() for tip in tips]
SIDES = (LEFT, RIGHT)


def case(index: int, *devices: Device) -> Case:
    """Return a healthy patient with devices, on a film that shows the whole chest."""
    healthy = drawn_case(31, index, prevalence=HEALTHY)
    exposure = replace(healthy.exposure, shutters=(0.0, 0.0, 0.0, 0.0))
    return Case(healthy.patient, Disease(devices=devices), exposure)


def shown(one: Case, size: int = SIZE, institution: str = "teaching") -> PhantomStudy:
    rngs = np.random.default_rng(1), np.random.default_rng(2)
    return render(one, size, *rngs, "devices", INSTITUTIONS[institution])


def tip_pixel(one: Case, device: Device, size: int = SIZE) -> tuple[int, int]:
    """Return row and column of a tip."""
    exposure = one.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    x, y, _ = exposure.camera(one.patient).project(course(one.patient, device)[-1])
    rows, columns = grid.box(-1e9, x, -1e9, y)
    return rows.stop, columns.stop


def tip_lies_in(name: str, tip: str, structure: str, offset_mm: float = 0.0) -> list[bool]:
    found = []
    for index in range(8):
        device = Device(name, SIDES[index % 2], tip, offset_mm)
        one = case(index, device)
        mask = structure_masks(one, SIZE, [structure])[structure]
        row, column = tip_pixel(one, device)
        found.append(bool(mask[row - 1 : row + 1, column - 1 : column + 1].any()))
    return found


@pytest.mark.parametrize(
    ("name", "tip", "structure", "inside"),
    [
        ("endotracheal tube", "carina", "trachea", True),
        ("endotracheal tube", "upper trachea", "trachea", True),
        ("endotracheal tube", "right main bronchus", "trachea", False),
        ("endotracheal tube", "right main bronchus", "tracheal bifurcation", True),
        ("central line", "superior vena cava", "cardiomediastinum", True),
        ("port", "right atrium", "heart atrium right", True),
        ("central line", "cavoatrial junction", "cardiomediastinum", True),
        ("central line", "brachiocephalic vein", "heart", False),
        ("PICC", "subclavian vein", "cardiomediastinum", False),
        ("Swan-Ganz catheter", "right ventricle", "heart ventricle right", True),
        ("Swan-Ganz catheter", "pulmonary artery", "right pulmonary artery", True),
        ("enteric tube", "esophagus", "left hemidiaphragm", False),
        ("enteric tube", "right main bronchus", "right lung", True),
    ],
)
def test_a_tip_lies_where_it_is_said_to(name, tip, structure, inside):
    assert tip_lies_in(name, tip, structure) == [inside] * 8


def test_an_enteric_tube_ends_below_the_left_hemidiaphragm():
    for index in range(8):
        device = Device("enteric tube", RIGHT, "stomach", 15.0 * (index - 4))
        one = case(index, device)
        row, column = tip_pixel(one, device)
        dome = structure_masks(one, SIZE, ["left hemidiaphragm"])["left hemidiaphragm"]
        assert column > 0.5 * SIZE
        assert row > np.nonzero(dome[:, column])[0].min()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("tip", ["apex", "base"])
def test_a_chest_tube_ends_in_the_pleura_of_its_side(side, tip):
    name = "left" if side == LEFT else "right"
    for index in range(4):
        device = Device("chest tube", side, tip)
        one = case(index, device)
        row, column = tip_pixel(one, device)
        assert structure_masks(one, SIZE, [f"{name} lung"])[f"{name} lung"][row, column]
        height = (row / SIZE * one.exposure.field_mm + one.exposure.top_mm) / one.patient.height_mm
        assert height < 0.25 if tip == "apex" else height > 0.6


@pytest.mark.parametrize(("name", "tip"), ENDS)
def test_the_mask_reaches_the_tip_and_lies_on_its_side(name, tip):
    for index, side in enumerate(SIDES):
        device = Device(name, side, tip)
        one = case(index, device)
        if not tip_on_film(one.patient, device, one.exposure):
            continue
        mask = shown(one).masks[name]
        row, column = tip_pixel(one, device)
        assert mask[max(row - 2, 0) : row + 2, column - 2 : column + 2].any()
        if name in ("PICC", "port", "chest tube"):
            outer = np.nonzero(mask)[1] / SIZE - 0.5
            assert (outer[np.abs(outer) > 0.15].mean() > 0) == (side == LEFT)


@pytest.mark.parametrize(("name", "tip"), ENDS)
def test_a_device_shows(name, tip):
    one = case(2, Device(name, RIGHT, tip))
    with_it, without = (
        render(c, 256, np.random.default_rng(1), np.random.default_rng(2), "x")
        for c in (one, replace(one, disease=Disease()))
    )
    brighter = with_it.study.images[0].pixels - without.study.images[0].pixels
    assert brighter[with_it.masks[name]].mean() > 0.02


def test_how_far_a_tip_lies_is_measured():
    def measure(device: Device) -> float:
        (value,) = (v for n, v in shown(case(3, device), 32).measures.items() if "_mm" in n
                    and n.startswith(device.name.lower().replace(" ", "_")))  # fmt: skip
        return value

    assert measure(Device("endotracheal tube", LEFT, "carina")) == pytest.approx(40)
    assert measure(Device("endotracheal tube", LEFT, "carina", 15.0)) == pytest.approx(25)
    assert measure(Device("endotracheal tube", LEFT, "upper trachea")) == pytest.approx(80)
    assert measure(Device("endotracheal tube", LEFT, "right main bronchus")) < -10
    assert measure(Device("enteric tube", LEFT, "stomach")) > 30
    assert measure(Device("enteric tube", LEFT, "esophagus")) < -30
    patient = case(3).patient
    carina = airway_curves(patient)[0][0][-1, 1]
    depths = [measure(Device("PICC", LEFT, tip)) for tip in
              ("internal jugular vein", "brachiocephalic vein", "superior vena cava",
               "cavoatrial junction", "right atrium")]  # fmt: skip
    assert depths == sorted(depths)
    line = Device("central line", RIGHT, "right atrium")
    assert measure(line) == pytest.approx(course(patient, line)[-1, 1] - carina)


def where(tip, side):
    """Return side and place that a report tells: a bronchus says its side."""
    return (Side.RIGHT, "main bronchus") if tip == "right main bronchus" else (side, tip)


@pytest.mark.parametrize("institution", NAMED)
def test_every_report_tells_the_position_and_is_read_back(institution):
    for index, (name, tip) in enumerate(ENDS):
        device = Device(name, SIDES[index % 2], tip)
        phantom = shown(case(index % 5, device), 32, institution)
        (finding,) = [f for f in phantom.findings if f.detail == name]
        told = tip_on_film(phantom.case.patient, device, phantom.case.exposure)
        side = None if name not in SIDED else Side.LEFT if device.side == LEFT else Side.RIGHT
        assert (finding.side, finding.location) == (where(tip, side) if told else (side, None))
        assert finding.statement in {f.statement for f in phantom.truth}
        back = {f.statement for f in read(phantom.study.report.text)}
        assert finding.statement in back, phantom.study.report.text


@pytest.mark.parametrize(("name", "tip"), ENDS)
def test_positions_are_written_and_read_in_both_languages(name, tip):
    side, place = where(tip, Side.RIGHT if name in SIDED else None)
    finding = Finding(
        observation=Observation.SUPPORT_DEVICES, detail=name, location=place, side=side
    )
    for language in ("en", "es"):
        for wording in ("terse", "wordy"):
            text = write([finding], random.Random(3), Style(wording=wording, language=language))
            (back,) = read(text.text, language=language)
            assert back.statement == finding.statement, text.text


def test_a_tip_below_the_film_is_not_told():
    device = Device("enteric tube", LEFT, "stomach")
    one = case(1, device)
    cut = replace(one, exposure=replace(one.exposure, shutters=(0.0, 0.0, 0.0, 0.4)))
    whole, partial = shown(one), shown(cut)
    assert [f.location for f in whole.truth if f.detail] == ["stomach"]
    assert [f.location for f in partial.truth if f.detail] == [None]
    assert "NGT - Normal" in whole.finding_masks()
    assert "NGT - Incompletely Imaged" in partial.finding_masks()


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Device("central line", RIGHT, "superior vena cava"), "CVC - Normal"),
        (Device("PICC", LEFT, "cavoatrial junction"), "CVC - Normal"),
        (Device("port", RIGHT, "right atrium"), "CVC - Borderline"),
        (Device("PICC", RIGHT, "internal jugular vein"), "CVC - Abnormal"),
        (Device("endotracheal tube", RIGHT, "carina"), "ETT - Normal"),
        (Device("endotracheal tube", RIGHT, "carina", 20.0), "ETT - Borderline"),
        (Device("endotracheal tube", RIGHT, "upper trachea"), "ETT - Borderline"),
        (Device("endotracheal tube", RIGHT, "right main bronchus"), "ETT - Abnormal"),
        (Device("enteric tube", RIGHT, "stomach"), "NGT - Normal"),
        (Device("enteric tube", RIGHT, "stomach", -55.0), "NGT - Borderline"),
        (Device("enteric tube", RIGHT, "esophagus"), "NGT - Abnormal"),
        (Device("Swan-Ganz catheter", RIGHT, "pulmonary artery"), "Swan Ganz Catheter Present"),
        (Device("chest tube", LEFT, "apex"), "Pipe"),
        (Device("pacemaker", LEFT), "electronics"),
        (Device("sternotomy wires", LEFT), "Stiches"),
    ],
    ids=str,
)
def test_a_device_has_the_class_of_its_position(device, expected):
    one = case(4, device)
    assert device_class(device, one) == expected
    found = shown(one).finding_masks()
    # the lead letter has a class of its own, and is no object in the patient
    letter = {"Letters"} if one.exposure.marker else set()
    assert set(found) == {expected, "Foreign Object"} | letter
    assert np.array_equal(found[expected], found["Foreign Object"])


def test_tips_are_drawn_by_their_shares_and_wrong_ones_are_few():
    rng = np.random.default_rng(5)
    drawn = [d for _ in range(3000) for d in draw_devices(rng, True, {})]
    for name, tips in TIPS.items():
        if name == "chest tube":
            continue
        ends = Counter(d.tip for d in drawn if d.name == name)
        count = sum(ends.values())
        for tip, share in tips.items():
            assert ends[tip] / count == pytest.approx(share, abs=4 * (share / count) ** 0.5)
        wrong = sum(d.misplaced for d in drawn if d.name == name) / count
        assert wrong == pytest.approx(
            sum(s for t, s in tips.items() if t not in WELL_PLACED[name]), abs=0.07
        )


def test_devices_go_together_as_they_do():
    rng = np.random.default_rng(6)
    series = [draw_devices(rng, True, {}) for _ in range(1500)]
    assert all(series)  # who has devices has at least one
    intubated = [d for d in series if any(one.name == "endotracheal tube" for one in d)]
    fed = [d for d in intubated if any(one.name == "enteric tube" for one in d)]
    assert len(fed) / len(intubated) > 0.6
    assert not any(one.name == "chest tube" for d in series for one in d)
    names = [[one.name for one in d] for d in series]
    assert all(len(set(own)) == len(own) for own in names)
    tubes = [one for _ in range(400) for one in draw_devices(rng, True, {RIGHT: "air"})
             if one.name == "chest tube"]  # fmt: skip
    assert 140 < len(tubes) < 260
    assert {one.side for one in tubes} == {RIGHT}
    assert sum(one.tip == "apex" for one in tubes) > 0.7 * len(tubes)


def test_the_series_has_chest_tubes_beside_air_and_fluid_only():
    asked = {"devices": 1.0, "normal": 0.0, "pneumothorax": 0.5, "effusion": 0.5}
    seen = 0
    for index in range(60):
        disease = drawn_case(3, index, prevalence=asked).disease
        for device in disease.devices:
            if device.name == "chest tube":
                air = disease.pneumothorax is not None and disease.pneumothorax[0] == device.side
                assert air or device.side in disease.fluid_top
                seen += 1
    assert seen


def test_every_class_of_device_can_be_drawn():
    assert {"CVC - Abnormal", "ETT - Borderline", "NGT - Incompletely Imaged", "Pipe"} <= set(
        DEVICE_CLASSES
    )
    assert set(VENOUS) < set(TIPS)
