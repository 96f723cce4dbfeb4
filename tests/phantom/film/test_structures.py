"""The 212 classes and their masks: the table, sides, agreement with what the film is made of."""

from collections import Counter

import numpy as np
import pytest

from plainfilm.core import InputError, View
from plainfilm.core.classes import ADDED, CLASSES, ORDINALS, SUPERCLASSES
from plainfilm.phantom import PREVALENCE, simulate
from plainfilm.phantom.anatomy.solids import Grid
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.disease.disease import ZONES
from plainfilm.phantom.film.lateral import lateral_exposure
from plainfilm.phantom.film.lung_parts import lobe_lengths
from plainfilm.phantom.film.pathology import (
    DEVICE_CLASSES,
    NUISANCE_CLASSES,
    ON_SKIN,
    PATHOLOGY,
)
from plainfilm.phantom.film.scene import make_scene
from plainfilm.phantom.film.structures import (
    AVAILABLE,
    PARTS,
    masks_of,
    structure_masks,
    superclass_masks,
    with_unions,
)
from plainfilm.phantom.simulate import drawn_case

SIZE = 192
NOTHING = dict.fromkeys(set(PREVALENCE) - {"normal"}, 0.0)


def scene_of(index: int, size: int = SIZE):
    case = drawn_case(9, index, prevalence=NOTHING)
    exposure = case.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    return make_scene(case.patient, case.disease, exposure, grid)


@pytest.fixture(scope="module")
def phantom():
    return simulate(9, 1, SIZE)


@pytest.fixture(scope="module")
def masks(phantom):
    return structure_masks(phantom.case, SIZE)


def test_the_table_is_the_papers():
    assert [entry.index for entry in CLASSES] == list(range(212))
    assert len({entry.name for entry in CLASSES}) == 212
    named = {
        0: "spine", 4: "vertebrae C1", 27: "vertebrae L5", 28: "rib_cartilage",
        36: "posterior 12th rib right", 38: "anterior 11th rib right",
        81: "posterior 1st rib left", 82: "12th rib", 83: "posterior 11th rib",
        104: "anterior 1st rib", 115: "cardiomediastinum", 126: "heart ventricle right",
        136: "esophagus", 143: "apical zone lung", 156: "lung upper lobe right",
        160: "l. obs. lung base", 171: "l. obs. left apical zone lung", 176: "breast right",
        177: "Atelectasis", 189: "Pneumothorax", 190: "CVC - Normal", 211: "Foreign Object",
    }  # fmt: skip
    assert {index: CLASSES[index].name for index in named} == named
    counts = Counter(entry.superclass for entry in CLASSES)
    assert counts.pop(None) == 1  # the lead letter
    assert set(counts) == set(SUPERCLASSES)
    assert len(SUPERCLASSES) == 20
    assert (counts["finding: pathology"], counts["finding: foreign object"]) == (13, 21)
    assert {*PATHOLOGY, *DEVICE_CLASSES} <= {entry.name for entry in (*CLASSES, *ADDED)}


def test_every_available_class_shows_on_some_film():
    scenes = [scene_of(index, 128) for index in range(6)]
    shown = {name for scene in scenes for name, mask in masks_of(scene).items() if mask.any()}
    # the films end below the neck, so that C4 and C5 may lie above all of them
    assert set(AVAILABLE) - shown <= {"vertebrae C4", "vertebrae C5"}
    assert set(AVAILABLE) == set(with_unions(dict.fromkeys(PARTS, np.zeros((2, 2), bool))))


def test_masks_agree_with_those_that_every_study_carries(phantom, masks):
    ribs = np.logical_or.reduce([mask for name, mask in masks.items() if " rib" in name])
    own = phantom.masks["ribs"]
    assert (ribs & own).sum() > 0.99 * (ribs | own).sum()
    same_as = {"heart": "heart", "clavicles": "clavicles"}
    same_as |= {f"l. obs. {side} lung": f"{side} lung" for side in ("left", "right")}
    for name, same in same_as.items():
        assert np.array_equal(masks[name], phantom.masks[same]), name
    airways = masks["trachea"] | masks["tracheal bifurcation"]
    own = phantom.masks["trachea"]
    assert (airways & own).sum() > 0.95 * (airways | own).sum()


def test_left_is_the_pictures_right(masks):
    sided = [name for name in PARTS if "left" in name.split() or "right" in name.split()]
    assert len(sided) > 60
    for name in sided:
        if masks[name].any() and not name.startswith("heart"):
            column = np.nonzero(masks[name])[1].mean() / SIZE
            assert (column > 0.5) == ("left" in name.split()), name


@pytest.mark.parametrize("number", range(1, 11))
def test_a_rib_falls_to_its_anterior_part_which_lies_before(number, masks):
    for side in ("left", "right"):
        rows = [
            np.nonzero(masks[f"{part} {ORDINALS[number - 1]} rib {side}"])[0].mean()
            for part in ("posterior", "anterior")
        ]
        assert rows[0] < rows[1]


def test_vertebrae_follow_one_another(masks):
    order = [entry.name for entry in CLASSES if entry.name.startswith("vertebrae")]
    rows = [np.nonzero(masks[n])[0].mean() for n in order if n in masks and masks[n].any()]
    assert len(rows) >= 14
    assert rows == sorted(rows)


@pytest.mark.parametrize("index", range(3))
def test_lobes_add_up_to_the_lung_and_hold_their_centres(index):
    scene = scene_of(index)
    patient, grid = scene.patient, scene.grid
    for side, name in ((RIGHT, "right"), (LEFT, "left")):
        lobes = lobe_lengths(scene, side)
        assert len(lobes) == (3 if side == RIGHT else 2)
        total = sum(lobes.values())
        assert np.abs(total - scene.lungs[side].full).max() < 0.01
        assert all(lobe.sum() > 0.05 * total.sum() for lobe in lobes.values())
        for zone, (x, y, _) in ZONES.items():
            if zone == ("middle lobe" if side == LEFT else "lingula"):
                continue
            lobe = f"lung {'upper lobe' if zone == 'lingula' else zone} {name}"
            row = int(np.searchsorted(grid.y[:, 0], y * patient.height_mm))
            column = int(np.searchsorted(grid.x[0], side * x * patient.width_mm))
            assert lobes[lobe][row, column] > 20, lobe


def test_zones_share_the_lung_out(masks):
    zones = ("apical zone lung", "upper zone lung", "mid zone lung", "lung base")
    for prefix in ("", "l. obs. "):
        for side in ("left", "right"):
            parts = [masks[f"{prefix}{side} {zone}"] for zone in zones]
            assert np.array_equal(sum(part.astype(int) for part in parts),
                                  masks[f"{prefix}{side} lung"].astype(int))  # fmt: skip
            rows = [np.nonzero(part)[0].mean() for part in parts]
            assert rows == sorted(rows)


def test_heart_and_mediastinum_hold_their_parts(masks):
    for name in (
        "ventricle left", "atrium right", "ventricle right", "atrium left", "myocardium",
    ):  # fmt: skip
        assert not (masks[f"heart {name}"] & ~masks["heart"]).any()
        assert masks[f"heart {name}"].sum() > 0.1 * masks["heart"].sum()
    # the wall's shadow covers the cavity, and a rim of its own thickness around it
    assert not (masks["heart ventricle left"] & ~masks["heart myocardium"]).any()
    assert not (masks["upper mediastinum"] & masks["lower mediastinum"]).any()
    assert not (masks["heart"] & ~masks["cardiomediastinum"]).any()


def test_a_lateral_film_has_them_too():
    scene = scene_of(0)
    exposure = lateral_exposure(drawn_case(9, 0).exposure, scene.patient, np.random.default_rng(3))
    assert exposure.view is View.LATERAL
    grid = Grid.square(SIZE, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = masks_of(make_scene(scene.patient, scene.disease, exposure, grid))
    column = {name: np.nonzero(mask)[1].mean() for name, mask in seen.items() if mask.any()}
    assert column["sternum"] < column["heart"] < column["thoracic spine"]
    assert column["heart ventricle right"] < column["heart atrium left"]
    assert column["lung upper lobe left"] < column["lung lower lobe left"]
    for side, lobes in (("left", ("upper", "lower")), ("right", ("upper", "middle", "lower"))):
        whole = sum(seen[f"lung {lobe} lobe {side}"].astype(int) for lobe in lobes)
        assert np.array_equal(whole, seen[f"{side} lung"].astype(int))


def test_names_asked_for_are_made_and_unknown_ones_refused(phantom, masks):
    two = structure_masks(phantom.case, SIZE, ["thoracic spine", "lung"])
    assert list(two) == ["thoracic spine", "lung"]
    assert all(np.array_equal(mask, masks[name]) for name, mask in two.items())
    with pytest.raises(InputError, match="no mask of 'pancreas'"):
        structure_masks(phantom.case, SIZE, ["heart", "pancreas"])


def test_unions_and_superclasses_come_from_the_parts(masks):
    parts = {name: masks[name] for name in PARTS}
    again = with_unions(parts)
    assert set(again) == set(masks)
    assert all(np.array_equal(again[name], mask) for name, mask in masks.items())
    supers, same = superclass_masks(masks), superclass_masks(parts)
    assert tuple(supers) == SUPERCLASSES
    assert all(np.array_equal(supers[name], same[name]) for name in SUPERCLASSES)
    assert np.array_equal(supers["heart"], masks["heart"])
    assert not supers["finding: pathology"].any()
    anatomy = [supers[name] for name in SUPERCLASSES if not name.startswith("finding:")]
    assert len({mask.tobytes() for mask in anatomy}) == len(anatomy)
    letters = {"Letters": np.ones((SIZE, SIZE), bool)}
    assert not any(mask.any() for mask in superclass_masks(letters).values())
    with pytest.raises(InputError, match="not one of the 212"):
        superclass_masks({"left effusion": masks["heart"]})
    with pytest.raises(InputError, match="at least one"):
        superclass_masks({})


@pytest.mark.parametrize(
    ("disease", "expected"),
    [("effusion", "Effusion"), ("pneumothorax", "Pneumothorax"), ("fracture", "Fracture"),
     ("consolidation", "Consolidation"), ("atelectasis", "Atelectasis"),
     ("pleural thickening", "Pleural Thickening"), ("cardiomegaly", "Cardiomegaly"),
     ("opacity", "plainfilm: Lung Opacity"), ("heart failure", "plainfilm: Edema")],
)  # fmt: skip
def test_a_disease_has_its_class(disease, expected):
    phantom = simulate(9, 4, 96, prevalence=NOTHING | {disease: 1.0})
    found = phantom.finding_masks()
    assert expected in found
    assert found[expected].any()
    assert set(found) <= {*PATHOLOGY, *DEVICE_CLASSES, *NUISANCE_CLASSES, "Foreign Object"}


def test_nodules_masses_and_devices_have_theirs():
    seen = Counter()
    for index in range(24):
        phantom = simulate(9, index, 48, prevalence=NOTHING | {"lesion": 1.0})
        found = phantom.finding_masks()
        largest = max(lesion.diameter_mm for lesion in phantom.case.disease.lesions)
        assert ("Mass" in found) == (largest > 30)
        calcified = any(lesion.calcified for lesion in phantom.case.disease.lesions)
        assert ("Calcification" in found) == calcified
        foreign = bool(phantom.case.disease.devices) or bool(ON_SKIN.keys() & phantom.masks.keys())
        assert ("Foreign Object" in found) == foreign
        seen.update(found.keys())
    assert {"Nodule", "Mass", "Calcification"} <= set(seen)
