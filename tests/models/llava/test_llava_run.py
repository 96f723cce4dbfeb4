"""From a recipe to a report: a start, then a stage with a feature and maps beside it."""

import numpy as np
import pytest
import yaml

from plainfilm.core.study import Maps
from plainfilm.data.dataset import Row
from plainfilm.data.derived import make_features, make_maps
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.masks import pack_masks
from plainfilm.data.prepare import prepare
from plainfilm.evaluation.evaluate import evaluate
from plainfilm.pipeline import load_model
from plainfilm.training.recipe import load_recipe
from plainfilm.training.run import train

SPLITS = ("train",) * 4 + ("validate",) * 2 + ("test",) * 2


def _study(study_id, number):
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
    half = np.zeros((32, 32), bool)
    half[:16] = True
    row = Row(
        study_id=study_id, patient_id=study_id, split=SPLITS[number],
        images=(f"images/{study_id}.png",), views=("PA",), structures=f"masks/{study_id}.npz",
        findings="The lungs are clear." if number % 2 else "Left effusion.",
        impression="Normal." if number % 2 else "Effusion.",
    )  # fmt: skip
    files = {row.images[0]: png_bytes(pixels, simulated=False)}
    return row, files | {row.structures: pack_masks({"heart": half, "lung": ~half})}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    found = prepare(
        tmp_path_factory.mktemp("data") / "set", {f"s{n}": n for n in range(len(SPLITS))}, _study,
        source={"kind": "test"}, description="made for a test", licence="none", progress=False,
    )  # fmt: skip
    make_maps(found, "truth")
    make_features(found, "segmenter")
    return found


def _train(folder, name, dataset, model, stage):
    values = {
        "name": name, "data": {"dataset": str(dataset.path)},
        "model": {"family": "llava", "max_report_tokens": 12, "request": "Write.", **model},
        "stages": [{"name": "one", "epochs": 1, "batch_size": 2, "check_drafts": 2, **stage}],
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return train(load_recipe(path), folder / name, progress=False, say=lambda _: None)


def test_from_recipe_to_report(dataset, tmp_path):
    from conftest_llava import settings

    small = settings().to_dict()
    parts = {name: small[name] for name in ("vision", "text", "vocabulary_size", "vision_layer")}
    rates = dict.fromkeys(("vision", "projector", "language", "label_head"), 1e-3)
    start = _train(
        tmp_path, "start", dataset, parts,
        {"objectives": ["labels", "report"], "learning_rate": rates},
    )  # fmt: skip
    fusion = {
        "embeddings": 4, "features": {"name": "plainfilm-segmenter", "size": 128},
        "maps": {"source": "truth", "classes": "all"},
    }  # fmt: skip
    _train(
        tmp_path, "fused", dataset, {"checkpoint": str(start), "fusion": fusion},
        {"learning_rate": {"projector": 1e-3, "fusion": 1e-3}, "keep_frozen": True},
    )  # fmt: skip
    assert len(list((tmp_path / "fused" / "frozen").rglob("*.safetensors"))) == 1
    first, second = (load_model(tmp_path / name) for name in ("start", "fused"))
    for part in ("vision_tower", "language_model"):  # only the projector trained
        before, after = (getattr(one.model.model, part).state_dict() for one in (first, second))
        assert all((before[name] == after[name]).all() for name in before)
    evaluate(
        second, dataset, metrics=["bleu-4"], templates=False, output=tmp_path / "scores",
        progress=False,
    )  # fmt: skip
    row = dataset.split("test")[0]
    study = dataset.study(row, derived=second.family.reads(second.processor))
    assert isinstance(study.maps[0], Maps)
    assert second.report(study).model == "fused"
