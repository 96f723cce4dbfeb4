"""From a recipe to a report: a start, then a stage with a feature and maps beside it."""

import json

import numpy as np
import pytest
import yaml

from plainfilm.core import OBSERVATIONS, InputError
from plainfilm.core.study import Maps
from plainfilm.data.dataset import Row
from plainfilm.data.derived import make_features, make_maps
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.masks import pack_masks
from plainfilm.data.prepare import prepare
from plainfilm.evaluation.conditions import CONDITIONS
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
        table={"bnp_pg_per_ml": 200.0 if number % 2 else 60.0, "sex": "F"},
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
    for name, told in (("agreement", "no classification head"), ("upside-down", "choose from")):
        with pytest.raises(InputError, match=told):
            evaluate(second, dataset, conditions=[name], progress=False)
    row = dataset.split("test")[0]
    study = dataset.study(row, derived=second.family.reads(second.processor))
    assert isinstance(study.maps[0], Maps)
    assert second.report(study).model == "fused"


def test_report_and_observations_together(dataset, tmp_path):
    """The joint loss on a frozen tower; its gradients compared, which changes nothing."""
    from conftest_llava import settings

    small = settings(None).to_dict()
    parts = {name: small[name] for name in ("vision", "text", "vocabulary_size", "vision_layer")}
    rates = dict.fromkeys(("projector", "language", "classification_head"), 1e-3)
    stage = {
        "objectives": ["report", "observations"], "learning_rate": rates | {"balance": 1e-2},
        "observation_weight": "learned", "keep_frozen": True, "check_drafts": 0, "epochs": 2,
        "check_every": 2,
    }  # fmt: skip
    head = {"classification": {"pooling": "mean"}, "num_beams": 2, "agreement": 0.5}
    plain, compared = (
        _train(tmp_path, name, dataset, parts | head, stage | more)
        for name, more in (("plain", {}), ("compared", {"compare_gradients": 1}))
    )
    weights = [(folder / "model.safetensors").read_bytes() for folder in (plain, compared)]
    assert weights[0] == weights[1]
    history = json.loads((tmp_path / "compared/stages/1-one/history.json").read_text())
    logged = {name for line in history for name in line}
    assert {"gradient_cosine_observations_report", "observations_weight"} <= logged
    model = load_model(tmp_path / "plain")
    study = dataset.study(dataset.split("test")[0])
    report = model.report(study)
    assert [one.observation for one in report.evidence] == list(OBSERVATIONS)
    (draft,) = model.family.draft(model.model, model.processor, [study])
    assert len(draft.candidates) == 2
    assert draft.candidates[0].score >= draft.candidates[1].score
    assert report.text in [one.report.text for one in draft.candidates]
    first = draft.candidates[0].report
    assert model.report(study, agreement=0.0).text == first.text
    found = evaluate(
        model, dataset, metrics=["bleu-4"], templates=False, conditions=list(CONDITIONS),
        output=tmp_path / "scores", progress=False,
    )  # fmt: skip
    assert len(found.predictions) == 1 + len(CONDITIONS)
    moved = found.conditions["moved-value"]["values"]
    assert [(one["to"], one["studies"]) for one in moved] == [("high", 1), ("normal", 1)]
    assert set(found.consistency.observations) == set(map(str, OBSERVATIONS))
    for name in ("consistency.json", "conditions.json"):
        assert json.loads((tmp_path / "scores" / name).read_text())
