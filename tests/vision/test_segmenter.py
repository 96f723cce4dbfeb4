"""The segmenter: shapes, names, the same after saving, and what it says of a film."""

import numpy as np
import pytest
import torch
from transformers import AutoModel

from plainfilm.core import Image, ModelError, Study, View
from plainfilm.core.classes import ADDED, CLASSES, SUPERCLASSES
from plainfilm.vision.segmenter import SHIPPED, SIDE, Segmenter, SegmenterConfig, SegmenterModel

SMALL = {"classes": ["heart", "lungs", "spine"], "image_size": 64, "channels": [4, 8, 12, 16]}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(1)
    SegmenterModel(SegmenterConfig(**SMALL)).half().save_pretrained(tmp_path)
    return tmp_path


def test_a_film_of_any_shape_gives_maps_and_a_feature(saved):
    segmenter = Segmenter(saved)
    film = np.random.default_rng(1).random((90, 70), dtype=np.float32)
    maps = segmenter.maps(film, side=8)
    assert segmenter.classes == ("heart", "lungs", "spine")
    assert maps.shape == (3, 8, 8)
    assert ((maps >= 0) & (maps <= 1)).all()
    assert segmenter.maps(film).shape == (3, SIDE, SIDE)
    own = segmenter.maps(film, side=None)
    assert own.shape == (3, 16, 16)
    np.testing.assert_allclose(own.reshape(3, 8, 2, 8, 2).mean(axis=(2, 4)), maps, atol=1e-6)
    assert segmenter.features(film).shape == (16,)
    assert not np.array_equal(segmenter.features(film), segmenter.features(film[::-1]))


def test_a_study_gets_maps_and_feature_under_its_name(saved):
    rng = np.random.default_rng(3)
    lateral, frontal = (
        Image(pixels=rng.random((40, 40), dtype=np.float32), view=view)
        for view in (View.LATERAL, View.PA)
    )
    segmenter = Segmenter(saved)
    study = segmenter.describe(Study(images=(lateral, frontal)))
    (maps,) = study.maps
    assert (maps.source, maps.image, maps.classes) == (saved.name, 1, segmenter.classes)
    np.testing.assert_array_equal(maps.values, segmenter.maps(frontal))
    np.testing.assert_array_equal(study.features[saved.name], segmenter.features(frontal))
    assert segmenter.describe(study) == study
    assert segmenter.describe(Study(images=(lateral,))).maps == ()


def test_the_same_after_saving_and_through_the_auto_class(saved):
    film = np.random.default_rng(2).random((64, 64), dtype=np.float32)
    first = Segmenter(saved)
    again = AutoModel.from_pretrained(saved, dtype=torch.float32).eval()
    with torch.no_grad():
        output = again(torch.from_numpy(film)[None, None])
    np.testing.assert_array_equal(output.features[0].numpy(), first.features(film))


def test_a_loss_reaches_every_weight():
    model = SegmenterModel(SegmenterConfig(**SMALL))
    model(torch.rand(2, 1, 64, 64)).logits.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters()
               if weight.ndim > 1)  # fmt: skip


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(ModelError, match=f"no segmenter in {tmp_path}: expected config.json"):
        Segmenter(tmp_path)


def test_the_classes_are_those_of_the_table():
    names = SegmenterConfig().classes
    assert tuple(names[:20]) == SUPERCLASSES
    assert set(names[20:]) <= {entry.name for entry in (*CLASSES, *ADDED)}


@pytest.mark.skipif(not (SHIPPED / "model.safetensors").exists(), reason="no weights yet")
def test_the_shipped_one_finds_heart_and_lungs():
    from plainfilm.phantom import simulate

    segmenter = Segmenter()
    assert (SHIPPED / "model.safetensors").stat().st_size < 6e6
    phantom = simulate(3, 1, 128)
    maps = segmenter.maps(phantom.study.images[0], None)
    for name, mask in (
        ("heart", phantom.masks["heart"]),
        ("less obstructed lungs", phantom.masks["left lung"] | phantom.masks["right lung"]),
    ):
        truth = mask.reshape(32, 4, 32, 4).mean(axis=(1, 3)) > 0.5
        found = maps[segmenter.classes.index(name)] > 0.5
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.8, name
