"""Aorta and organs beside heart, lungs and bones: place, side, and what of them shows."""

from dataclasses import replace

import numpy as np
import pytest

from plainfilm.core.classes import ORDINALS
from plainfilm.phantom import PREVALENCE
from plainfilm.phantom.anatomy.organs import ascending_aorta, descending_aorta, esophagus
from plainfilm.phantom.anatomy.skeleton import cartilages
from plainfilm.phantom.anatomy.solids import STRAIGHT, Grid, length
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, aortic_knob, great_vessels
from plainfilm.phantom.anatomy.vessels import airway_curves
from plainfilm.phantom.disease.devices import Device
from plainfilm.phantom.disease.disease import Disease, Pneumothorax
from plainfilm.phantom.film.bones import bones
from plainfilm.phantom.film.device_shapes import place_device
from plainfilm.phantom.film.projection import project
from plainfilm.phantom.film.scene import make_scene
from plainfilm.phantom.film.structures import masks_of
from plainfilm.phantom.simulate import drawn_case

SIZE = 256
HEALTHY = {**dict.fromkeys(PREVALENCE, 0.0), "normal": 1.0}


def case_and_grid(index: int, **prevalence: float):
    case = drawn_case(9, index, prevalence=HEALTHY | prevalence)
    exposure = case.exposure
    return case, Grid.square(SIZE, exposure.field_mm, exposure.left_mm, exposure.top_mm)


@pytest.fixture(scope="module", params=range(4))
def seen(request):
    case, grid = case_and_grid(request.param)
    scene = make_scene(case.patient, case.disease, case.exposure, grid)
    return case, scene, masks_of(scene)


def test_the_descending_aorta_runs_from_the_arch_to_the_diaphragm_left_of_the_spine(seen):
    case, scene, masks = seen
    aorta = masks["descending aorta"]
    rows = np.nonzero(aorta.any(axis=1))[0]
    assert (aorta & masks["aortic arch"]).any()
    assert scene.lungs[LEFT].below[rows[-1]].max() > 0  # ends where the dome has begun
    spine = masks["thoracic spine"]
    for row in rows[:: len(rows) // 8]:
        assert np.nonzero(aorta[row])[0].mean() > np.nonzero(spine[row])[0].mean()
    width = aorta[rows[len(rows) // 4]].sum() * scene.grid.spacing_mm
    assert width == pytest.approx(2 * case.patient.knob_mm, rel=0.15)


def test_the_descending_aortas_border_shows_through_the_heart(seen):
    """Four mm inside of its left border the film is denser than four mm outside."""
    case, scene, masks = seen
    attenuation = project(case.patient, case.disease, case.exposure, scene.grid).attenuation
    column = descending_aorta(scene.patient, 0.0)
    y = np.linspace(0.35, 0.7, 40) * scene.patient.height_mm
    _, border = column.extent(y, scene.camera)
    scale = column.scale(scene.camera)
    centre_y = scene.camera.centre_y
    rows = np.searchsorted(scene.grid.y[:, 0], (y - centre_y) * scale + centre_y)
    steps = []
    for row, x in zip(rows, border, strict=True):
        inside, outside = np.searchsorted(scene.grid.x[0], (x - 4, x + 4))
        if masks["heart"][row, inside] and masks["heart"][row, outside]:
            steps.append(attenuation[row, inside] - attenuation[row, outside])
    assert len(steps) > 8
    assert np.median(steps) > 0.04


def test_the_aorta_is_its_three_parts_and_the_ascending_one_lies_within_the_mediastinum(seen):
    case, _, masks = seen
    parts = [masks[f"{part} aorta"] for part in ("ascending", "descending")]
    assert np.array_equal(masks["aorta"], parts[0] | parts[1] | masks["aortic arch"])
    ascending = ascending_aorta(case.patient, 0.0)
    y = np.linspace(ascending.y[0], ascending.y[-1], 20)
    right, left = ascending.extent(y, STRAIGHT)
    outer, _ = great_vessels(case.patient, 0.0).extent(y, STRAIGHT)
    assert (right >= outer).all()
    assert (left < aortic_knob(case.patient, 0.0).centre[0] + case.patient.knob_mm).all()
    columns = [np.nonzero(part)[1].mean() for part in parts]
    assert columns[0] < columns[1]  # the ascending one is on the patient's right


def test_a_mediastinal_shift_takes_the_aortas_upper_end_along():
    case, grid = case_and_grid(2)
    tension = Disease(pneumothorax=Pneumothorax(LEFT, 65.0, tension_mm=26.0))
    straight, shifted = (
        make_scene(case.patient, disease, case.exposure, grid) for disease in (Disease(), tension)
    )
    moved = []
    for name in ("arch", "aorta"):
        middle = [
            np.average(np.broadcast_to(grid.x, grid.shape)[at], weights=length(part)[at])
            for part in (getattr(straight, name), getattr(shifted, name))
            for at in [np.nonzero(length(part))[0].min() + np.array([2, 3])]
        ]
        moved.append(middle[1] - middle[0])
        assert moved[-1] < -15
    assert moved[1] == pytest.approx(moved[0], abs=4)


def test_the_liver_lies_under_the_diaphragm_on_the_right(seen):
    _, scene, masks = seen
    liver = masks["liver"]
    below = (scene.lungs[RIGHT].below > 0) | (scene.lungs[LEFT].below > 0)
    chest = scene.grid.y[:, 0] < scene.patient.height_mm
    assert not (liver & ~below)[chest].any()
    right = np.broadcast_to(scene.grid.x < 0, liver.shape)
    assert (liver & right).sum() > 2.5 * (liver & ~right).sum() > 0
    # where it is highest it touches the dome's outline
    dome = np.argmax(scene.lungs[RIGHT].below > 0, axis=0)
    column = np.searchsorted(scene.grid.x[0], -0.43 * scene.patient.width_mm)
    assert abs(np.argmax(liver[:, column]) - dome[column]) <= 2


def test_vessels_lead_where_they_belong(seen):
    _, _, masks = seen
    vein = masks["inferior vena cava"]
    assert (vein & masks["heart atrium right"]).any()
    assert np.nonzero(vein)[1].mean() < np.nonzero(masks["lumbar spine"])[1].mean()
    trunk = masks["pulmonary trunc"]
    assert (trunk & masks["left pulmonary artery"]).any()
    assert (trunk & masks["heart"]).any()
    assert np.nonzero(trunk)[1].mean() > np.nonzero(masks["trachea"])[1].mean()


def test_the_right_kidney_lies_lower_and_the_esophagus_behind_the_trachea(seen):
    _, scene, masks = seen
    rows = {side: np.nonzero(masks[f"kidney {side}"])[0].min() for side in ("left", "right")}
    assert rows["right"] > rows["left"]
    gullet, trachea = masks["esophagus"], masks["trachea"]
    assert (gullet & trachea).sum() > 0.5 * trachea.sum()
    y = np.linspace(0, 0.3, 9) * scene.patient.height_mm
    axes = esophagus(scene.patient), airway_curves(scene.patient)[0][0]
    behind, before = (np.interp(y, axis[:, 1], axis[:, 2]) for axis in axes)
    assert (behind > before + 8).all()


def test_an_enteric_tube_lies_in_the_esophagus(seen):
    case, scene, masks = seen
    tube = Device("enteric tube", LEFT, "esophagus", 0.0)
    seen_tube = place_device(case.patient, tube, scene.camera)[0].path(scene.grid) > 0.02
    inside = seen_tube & masks["esophagus"]
    assert inside.sum() > 0.97 * seen_tube.sum() > 0


def test_cartilage_goes_from_the_ribs_ends_to_the_breast_bone(seen):
    case, _, masks = seen
    cartilage = masks["rib_cartilage"]
    assert (cartilage & masks["sternum"]).any()
    for number in range(1, 11):
        for side in ("left", "right"):
            assert (cartilage & masks[f"anterior {ORDINALS[number - 1]} rib {side}"]).any()
    assert cartilages(case.patient, LEFT)[0][-1, 0] == pytest.approx(15)
    assert cartilages(case.patient, RIGHT)[0][-1, 0] == pytest.approx(-15)


def test_cartilage_calcifies_with_age():
    case, grid = case_and_grid(1)
    dense = []
    for age in (40, 60, 85):
        old = replace(case.patient, age=age)
        others = bones(old, case.disease, case.exposure.camera(old))[1]
        dense.append(float(others.path(grid).sum()))
    assert dense[0] < dense[1] < dense[2]
