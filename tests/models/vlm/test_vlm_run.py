"""Checkpoints from recipe to report; the shipped recipes and configurations."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest_vlm import film

from plainfilm.core import Provenance
from plainfilm.data import Dataset
from plainfilm.data.dataset import Row
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.prepare import prepare
from plainfilm.evaluation.evaluate import evaluate
from plainfilm.pipeline import load_model
from plainfilm.training.recipe import load_recipe
from plainfilm.training.run import train

RECIPES = Path(__file__).parents[3] / "recipes"
SPLITS = ("train",) * 6 + ("validate",) * 2 + ("test",) * 2


def study(study_id, number):
    pixels = np.random.default_rng(number).integers(0, 255, (40, 40), dtype=np.uint8)
    name = f"images/{study_id}.png"
    row = Row(
        study_id=study_id, patient_id=study_id, split=SPLITS[number], images=(name,),
        views=("PA",), findings="The lungs are clear." if number % 2 else "Left effusion.",
        impression="Normal." if number % 2 else "Effusion.", indication="cough",
    )  # fmt: skip
    return row, {name: png_bytes(pixels, simulated=False)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return prepare(
        tmp_path_factory.mktemp("data") / "set", {f"s{n}": n for n in range(len(SPLITS))}, study,
        source={"kind": "test"}, description="made for a test", licence="none", progress=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "adapter"),
    [("llava", "lora"), ("llava_onevision", "qlora"), ("qwen2_5_vl", None), ("gemma3", None)],
)
def test_a_checkpoint_goes_from_recipe_to_report(kind, adapter, checkpoint, dataset, tmp_path):
    if adapter:
        pytest.importorskip("peft")
    if adapter == "qlora":
        pytest.importorskip("bitsandbytes")
    part = "adapter" if adapter else "language"
    values = {
        "name": "tiny",
        "model": {
            "family": "vlm", "checkpoint": str(checkpoint(kind)), "max_report_tokens": 16,
            "image_size": 28, "adapter": {"kind": adapter} if adapter else None,
        },
        "data": {"dataset": str(dataset.path)},
        "stages": [{
            "name": "report", "learning_rate": {part: 1.0e-3}, "epochs": 1, "batch_size": 3,
            "check_every": 2, "check_drafts": 2, "gradient_checkpointing": kind == "llava",
        }],
    }  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    folder = train(load_recipe(path), tmp_path / "run", progress=False, say=lambda _: None)
    assert (folder / "adapter_model.safetensors").exists() == bool(adapter)
    model = load_model(tmp_path / "run")
    evaluate(
        model, dataset, metrics=["bleu-4", "micro-f1-14"], templates=False,
        output=tmp_path / "scores", progress=False,
    )  # fmt: skip
    assert (tmp_path / "scores" / "scores.json").exists()
    report = model.report(dataset.study(dataset.split("test")[0]))
    assert report.model == "tiny"


def test_a_published_checkpoint_drafts_with_its_warnings(checkpoint, dataset):
    model = load_model(checkpoint("qwen3_vl"), preset="unirg-cxr")
    report = model.report(dataset.study(dataset.split("test")[0]), max_new_tokens=8)
    assert model.card.domain is Provenance.REAL
    assert any("not validated for clinical use" in warning for warning in report.warnings)
    assert film(0).provenance is Provenance.REAL
    assert not any("outside" in warning for warning in report.warnings)


@pytest.mark.parametrize("path", sorted((RECIPES / "vlm").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_recipes_are_right(path):
    recipe = load_recipe(path)
    assert recipe.model.family == "vlm"
    batch = {stage.batch_size * stage.accumulation for stage in recipe.stages}
    rates = recipe.stages[0].learning_rate
    if path.stem == "llava-lora":  # LLaVA's scripts/v1_5/finetune_lora.sh
        adapter = recipe.model.adapter
        assert (adapter.rank, adapter.alpha, adapter.dropout) == (128, 256, 0.05)
        assert (rates, batch) == ({"adapter": 2e-4, "projector": 2e-5}, {128})
    if path.stem == "onevision-qlora":  # Dettmers et al. 2023
        adapter = recipe.model.adapter
        assert (adapter.kind, adapter.rank, adapter.alpha) == ("qlora", 64, 16)
        assert (rates, recipe.stages[0].clip_norm) == ({"adapter": 2e-4}, 0.3)
    if path.stem == "qwen3-vl-full":  # UniRG-CXR's supervised stage
        assert set(rates.values()) == {5e-5}
        assert (batch, recipe.stages[0].epochs) == ({256}, 3)


@pytest.mark.parametrize(
    "path", sorted((RECIPES / "distributed").glob("*.yaml")), ids=lambda p: p.stem
)
def test_accelerate_reads_the_configurations(path):
    from accelerate.commands.config.config_args import ClusterConfig

    config = ClusterConfig.from_yaml_file(path)
    assert config.num_processes == 8
    assert bool(config.fsdp_config) != bool(config.deepspeed_config)
