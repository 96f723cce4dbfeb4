"""Masks packed and pooled: small, read back exactly, and ready for a model."""

import numpy as np
import pytest

from plainfilm.core import OBSERVATIONS, DatasetError, InputError, Observation
from plainfilm.core.classes import SUPERCLASSES
from plainfilm.data import Dataset
from plainfilm.data.masks import OBSERVED, observation_places, pack_masks, pool_masks, read_masks
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.phantom import simulate
from plainfilm.phantom.film.pathology import DEVICES, SIDED
from plainfilm.phantom.film.structures import (
    PARTS,
    structure_masks,
    superclass_masks,
    with_unions,
)

LIMIT = 100_000


@pytest.mark.parametrize("size", [256, 512])
def test_all_masks_of_a_study_need_little_room(size, tmp_path):
    phantom = simulate(9, 1, size)
    parts = structure_masks(phantom.case, size, PARTS)
    supers = superclass_masks(parts | phantom.finding_masks())
    maps = pool_masks(supers, SUPERCLASSES)
    classes, own = pack_masks(parts), pack_masks(phantom.masks)
    assert len(classes) + len(own) + maps.nbytes < LIMIT
    path = tmp_path / "masks.npz"
    path.write_bytes(classes)
    again = with_unions(read_masks(path))
    assert all(np.array_equal(again[name], mask) for name, mask in parts.items())
    assert np.array_equal(again["less obstructed lung"],
                          phantom.masks["left lung"] | phantom.masks["right lung"])  # fmt: skip


def test_a_map_holds_how_much_of_each_cell_is_covered():
    mask = np.zeros((32, 48), bool)
    mask[:16, :24] = True
    mask[16:24, 24:] = True
    maps = pool_masks({"quarter": mask}, ["missing", "quarter"], side=2)
    assert maps.dtype == np.uint8
    assert maps.shape == (2, 2, 2)
    assert not maps[0].any()
    assert maps[1].tolist() == [[255, 0], [0, 128]]


def test_maps_keep_the_area_where_cells_do_not_divide_the_film():
    rng = np.random.default_rng(0)
    mask = rng.random((100, 70)) < 0.3
    maps = pool_masks({"noise": mask}, ["noise"], side=16)
    assert maps.mean() / 255 == pytest.approx(mask.mean(), abs=0.01)


@pytest.mark.parametrize("side", [0, -1, 33])
def test_a_side_that_cannot_be_is_refused(side):
    with pytest.raises(InputError, match="between 1 and 32"):
        pool_masks({"all": np.ones((32, 40), bool)}, ["all"], side=side)


def test_a_dataset_keeps_them_where_asked_to(tmp_path):
    dataset = prepare_phantom(
        3, tmp_path / "with", seed=9, size=96, structures=True, progress=False
    )
    plain = prepare_phantom(3, tmp_path / "without", seed=9, size=96, progress=False)
    assert not (tmp_path / "without/structures").exists()
    assert plain.structures(plain.rows[0]) == {}
    assert dataset.fingerprint != plain.fingerprint
    for index, row in enumerate(dataset.rows):
        phantom = simulate(9, index, 96)
        expected = structure_masks(phantom.case, 96) | phantom.finding_masks()
        kept = dataset.structures(row)
        assert set(kept) == set(expected)
        assert all(np.array_equal(kept[name], mask) for name, mask in expected.items())
    (tmp_path / "with" / dataset.rows[0].structures).unlink()
    with pytest.raises(DatasetError, match="lacks 1 of its"):
        Dataset(tmp_path / "with")


def test_a_mask_shows_the_place_of_its_observation_in_the_square_of_the_film():
    mask = np.zeros((40, 20), bool)
    mask[30:34, 2:4] = True  # low on the picture's left, in a film that is padded by 10 columns
    cells = observation_places({"right effusion": mask, "heart": ~mask}, OBSERVATIONS, 4)
    place = OBSERVATIONS.index(Observation.PLEURAL_EFFUSION)
    assert np.argwhere(cells).tolist() == [[place, 3, 1]]


def test_a_thin_line_still_shows():
    mask = np.zeros((64, 64), bool)
    mask[10:16, 30] = True
    cells = observation_places({"central line": mask}, OBSERVATIONS, 4)
    assert cells[OBSERVATIONS.index(Observation.SUPPORT_DEVICES), 0, 1]


def test_every_device_and_finding_of_the_phantom_has_its_observation():
    told = {*DEVICES, *SIDED, "lesion"} - {"emphysema", "healed fracture"}  # none of the 14
    assert told == set(OBSERVED)
