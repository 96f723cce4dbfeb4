"""A tiny LLaVA-OneVision through QLoRA with a head: killed, resumed, moved, merged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from plainfilm.core import InputError
from plainfilm.data.dataset import Row
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.prepare import prepare
from plainfilm.pipeline import load_model, merge_adapter
from plainfilm.training.recipe import load_recipe
from plainfilm.training.run import train

sys.path.append(str(Path(__file__).parents[1] / "vlm"))
from conftest_vlm import make

pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")
SPLITS = ("train",) * 6 + ("validate",) * 2 + ("test",)
PART = "adapter_model.safetensors"


def _study(study_id, number):
    pixels = np.random.default_rng(number).integers(0, 255, (40, 40), dtype=np.uint8)
    name = f"images/{study_id}.png"
    row = Row(
        study_id=study_id, patient_id=study_id, split=SPLITS[number], images=(name,),
        views=("PA",), findings="The lungs are clear." if number % 2 else "Left effusion.",
        table={"bnp_pg_per_ml": 90.0 + 10 * number, "sex": "F" if number % 2 else None},
    )  # fmt: skip
    return row, {name: png_bytes(pixels, simulated=False)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a tiny base, a recipe, and what it gives when nothing interrupts it."""
    folder = tmp_path_factory.mktemp("qlora")
    make("llava_onevision", folder / "base")
    dataset = prepare(
        folder / "set", {f"s{n}": n for n in range(len(SPLITS))}, _study,
        source={"kind": "test"}, description="made for a test", licence="none", progress=False,
    )  # fmt: skip
    values = {
        "name": "tiny", "data": {"dataset": str(dataset.path), "target": "findings"},
        "model": {
            "family": "llava", "checkpoint": str(folder / "base"), "max_report_tokens": 16,
            "image_size": 28, "request": "Write.\n{table}", "classification": {"pooling": "mean"},
            "adapter": {"kind": "qlora", "rank": 8, "targets": "language",
                        "whole": ["classification_head"]},
        },
        "stages": [{
            "name": "report", "objectives": ["report", "observations"], "epochs": 4,
            "learning_rate": {"adapter": 1e-2, "classification_head": 1e-2, "balance": 1e-2},
            "observation_weight": "learned", "batch_size": 2, "check_every": 2, "check_drafts": 0,
            "gradient_checkpointing": True, "compare_gradients": 3,
        }],
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values))
    train(load_recipe(folder / "recipe.yaml"), folder / "run", progress=False, say=lambda _: None)
    return folder, dataset


def test_killed_and_resumed_it_is_the_same_adapter(place, tmp_path):
    folder, _ = place
    command = [sys.executable, "-m", "plainfilm", "train", str(folder / "recipe.yaml"),
               "--output", str(tmp_path / "killed"), "--quiet"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    stage, deadline = tmp_path / "killed/stages/1-report", time.monotonic() + 240
    while not list(stage.glob("checkpoint-*/complete")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(stage.glob("checkpoint-*/complete")), "it was killed before it had a checkpoint"
    assert not (stage / "model").exists(), "it was killed too late to show anything"
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ours, theirs = ((one / "model" / PART).read_bytes()
                    for one in (tmp_path / "killed", folder / "run"))  # fmt: skip
    assert ours == theirs


def test_it_learned_and_measured(place):
    history = json.loads((place[0] / "run/stages/1-report/history.json").read_text())
    losses = [line["eval_report_loss"] for line in history if "eval_report_loss" in line]
    assert losses[-1] < losses[0]
    logged = {name for line in history for name in line}
    assert {"gradient_cosine_observations_report", "observations_weight"} <= logged


def test_the_adapter_travels_without_its_base(place, tmp_path):
    folder, dataset = place
    shutil.copytree(folder / "run" / "model", tmp_path / "model")
    size = sum(path.stat().st_size for path in (tmp_path / "model").iterdir()
               if path.name != "tokenizer.json")  # fmt: skip
    assert size < 10 * 2**20
    assert not (tmp_path / "model" / "model.safetensors").exists()
    shutil.copytree(folder / "base", tmp_path / "moved")
    told = json.loads((tmp_path / "model" / "base.json").read_text())
    (tmp_path / "model" / "base.json").write_text(json.dumps(told | {"path": "/nowhere"}))
    (tmp_path / "model" / "base").symlink_to(tmp_path / "moved")
    study = dataset.study(dataset.split("test")[0])
    here, there = (load_model(path).report(study) for path in (folder / "run", tmp_path / "model"))
    assert here == there
    assert len(here.evidence) == 14


def test_merged_it_writes_the_same(place, tmp_path):
    folder, dataset = place
    merge_adapter(folder / "run" / "model", tmp_path / "merged")
    shutil.copy(folder / "run" / "model" / "card.json", tmp_path / "merged")
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert "model.safetensors" in names
    assert PART not in names
    study = dataset.study(dataset.split("test")[0])
    before, after = (load_model(path).report(study)
                     for path in (folder / "run", tmp_path / "merged"))  # fmt: skip
    assert after.text == before.text
    for one, other in zip(before.evidence, after.evidence, strict=True):
        assert other.probability == pytest.approx(one.probability, abs=1e-5)
    with pytest.raises(InputError, match="holds no adapter"):
        merge_adapter(tmp_path / "merged", tmp_path / "again")
