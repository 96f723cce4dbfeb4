"""Stages: one trajectory however a batch is split, class balance, early stopping, precision."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import plainfilm
from plainfilm.core import OBSERVATIONS, Observation, TrainingError
from plainfilm.data import Dataset
from plainfilm.data.dataset import write_manifest
from plainfilm.data.examples import target_report
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.evaluation.evaluate import evaluate
from plainfilm.models.joint_bert.balance import GREATEST_WEIGHT, positive_weights
from plainfilm.training.recipe import Recipe, Stage, parse_recipe
from plainfilm.training.run import train
from plainfilm.training.sampling import EpochSampler, repeat_factors
from plainfilm.training.supervised import DRAFT_METRICS, resolve_precision, split_batch

PNEUMOTHORAX = OBSERVATIONS.index(Observation.PNEUMOTHORAX)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    return prepare_phantom(50, folder, seed=1, size=32, progress=False)


def tiny(dataset: Dataset, **stage: object) -> Recipe:
    """Return a recipe without chance but for its seed: no dropout, no batch statistics."""
    return parse_recipe(
        {
            "name": "tiny",
            "model": {
                "family": "radscribe",
                "channels": 1,
                "tokenizers": {"vocabulary_size": 300, "max_report_tokens": 48},
                "config": {
                    "image_size": 32,
                    "image_token_grid": 2,
                    "backbone": {
                        "model_type": "vit", "image_size": 32, "patch_size": 16, "hidden_size": 16,
                        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
                    },
                    "encoder": {
                        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                        "intermediate_size": 32, "hidden_dropout_prob": 0.0,
                        "attention_probs_dropout_prob": 0.0,
                    },
                    "decoder": {
                        "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2,
                        "dropout_rate": 0.0,
                    },
                },
            },
            "data": {"dataset": str(dataset.path)},
            "stages": [
                {
                    "name": "all", "objective": "report+labels", "epochs": 2, "check_every": 3,
                    "learning_rate": {"encoder": 1e-2, "decoder": 1e-2}, **stage,
                }
            ],
        }
    )  # fmt: skip


def history(run: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((run / "stages/1-all/history.json").read_text())
    return found


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(run / "model" / "model.safetensors"))


def assert_same_trajectory(first: Path, second: Path) -> None:
    ours, theirs = history(first), history(second)
    losses = [[entry["loss"] for entry in one if "loss" in entry] for one in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert len(losses[0]) > 2
    assert losses[0][-1] < losses[0][0]
    for name, value in weights(first).items():
        torch.testing.assert_close(weights(second)[name], value, rtol=0, atol=2e-3, msg=name)


BALANCED = {"oversample_below": 0.3, "positive_weights": "balanced"}
PRETRAINING = {
    "objective": "pretraining", "attention": "full", "image_positions": 3, "mask_share": 0.3,
    "learning_rate": {"joint": 1e-2},
}  # fmt: skip


@pytest.mark.parametrize("stage", [BALANCED, PRETRAINING], ids=["reports", "pretraining"])
def test_the_same_trajectory_whole_in_pieces_and_on_two_processes(
    stage: dict[str, object], dataset: Dataset, tmp_path: Path
) -> None:
    """Batches of 8, of 2 × 4 and 1 × 8, and two processes of 2 × 2; with oversampling too."""
    whole, pieces, shared = (tmp_path / name for name in ("whole", "pieces", "shared"))
    train(tiny(dataset, batch_size=8, **stage), whole, progress=False, say=lambda _: None)
    recipe = tiny(dataset, batch_size=2, accumulation=4, **stage)
    train(recipe, pieces, progress=False, say=lambda _: None)
    assert_same_trajectory(whole, pieces)
    singly = tiny(dataset, batch_size=1, accumulation=8, **stage)
    train(singly, tmp_path / "singly", progress=False, say=lambda _: None)
    assert_same_trajectory(whole, tmp_path / "singly")

    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.to_dict()))
    ran = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "plainfilm", "train", str(path), "-o", str(shared), "--quiet",
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.count("studies to train on") == 1
    assert ran.stdout.count("the model is in") == 1
    assert json.loads((shared / "manifest.json").read_text())["processes"] == 2
    assert_same_trajectory(whole, shared)


def test_early_stopping_keeps_the_best_weights(dataset: Dataset, tmp_path: Path) -> None:
    recipe = tiny(
        dataset, batch_size=8, epochs=30, check_every=2, patience=2, warmup=0.0,
        learning_rate={"decoder": 0.5},
    )  # fmt: skip
    train(recipe, tmp_path / "run", progress=False, say=lambda _: None)
    checked = [entry for entry in history(tmp_path / "run") if "eval_loss" in entry]
    losses = [entry["eval_loss"] for entry in checked]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 2, "it stopped two checks after the best one"
    assert checked[-1]["epoch"] < 30
    kept = tmp_path / "run/stages/1-all" / f"checkpoint-{checked[best]['step']:.0f}"
    ours, best_weights = weights(tmp_path / "run"), load_file(kept / "model.safetensors")
    assert all(torch.equal(ours[name], best_weights[name]) for name in best_weights)


def test_a_killed_early_stop_is_not_trained_past(dataset: Dataset, tmp_path: Path) -> None:
    """Killed between the last checkpoint and the stage's model, it ends in the same weights."""
    recipe = tiny(
        dataset, batch_size=8, epochs=30, check_every=2, patience=2, warmup=0.0,
        learning_rate={"decoder": 0.5},
    )  # fmt: skip
    run = tmp_path / "run"
    train(recipe, run, progress=False, say=lambda _: None)
    before, checks = weights(run), len(history(run))
    for folder in (run / "model", run / "stages" / "1-all" / "model"):
        shutil.rmtree(folder)
    (run / "stages" / "1-all" / "history.json").unlink()
    train(recipe, run, progress=False, say=lambda _: None)
    assert {name: value.tolist() for name, value in weights(run).items()} == {
        name: value.tolist() for name, value in before.items()
    }
    assert abs(len(history(run)) - checks) <= 1  # but for the line that sums the training up


def test_drafts_are_scored_at_each_check(dataset: Dataset, tmp_path: Path) -> None:
    """Their scores are those of the finished model's reports on the same studies."""
    recipe = tiny(dataset, batch_size=8, epochs=1, check_every=3)
    train(recipe, tmp_path / "run", progress=False, say=lambda _: None)
    checked = [entry for entry in history(tmp_path / "run") if "draft_bleu-4" in entry]
    assert [entry["step"] for entry in checked] == [
        entry["step"] for entry in history(tmp_path / "run") if "eval_loss" in entry
    ]
    model = plainfilm.load_model(tmp_path / "run")
    rows = dataset.split("validate")
    said = [report.text for report in model.reports(map(dataset.study, rows), num_beams=1)]
    truth = [target_report(row, "findings+impression").text for row in rows]
    for name, one in plainfilm.score(truth, said, DRAFT_METRICS).items():
        assert checked[-1][f"draft_{name}"] == pytest.approx(one.value)
    silent = tiny(dataset, batch_size=8, epochs=1, check_drafts=0)
    train(silent, tmp_path / "silent", progress=False, say=lambda _: None)
    assert not any("draft_bleu-4" in entry for entry in history(tmp_path / "silent"))
    ours = weights(tmp_path / "run")
    theirs = weights(tmp_path / "silent")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_studies_without_a_frontal_film_are_left_out_and_counted(
    dataset: Dataset, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(dataset.path, mixed)
    rows = Dataset(mixed).rows
    lateral = [rows[0], *[row for row in rows if row.split == "test"][:1]]
    write_manifest(
        mixed,
        [replace(row, views=("lateral",)) if row in lateral else row for row in rows],
    )
    recipe = tiny(Dataset(mixed), batch_size=8, epochs=1, check_drafts=0)
    told: list[str] = []
    train(recipe, tmp_path / "run", progress=False, say=told.append)
    count = sum(row.split != "test" for row in lateral)
    assert (f"; {count} without a frontal film are left out" in told[0]) is (count > 0)
    model = plainfilm.load_model(tmp_path / "run")
    result = evaluate(model, Dataset(mixed), metrics=["bleu-1"], progress=False)
    assert len(result.references) == len(Dataset(mixed).split("test")) - (len(lateral) - count)
    assert result.notes[0].endswith("without a frontal film are left out")


def test_an_epoch_shows_every_study_once_and_another_order_each_time() -> None:
    lengths = [7, 3, 9, 1, 5, 8, 2, 6, 4, 0]
    sampler = EpochSampler(torch.ones(10), lengths, batch=4, seed=3)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    for order in orders:
        assert len(order) == len(sampler) == 12
        counted = Counter(order)
        assert set(counted) == set(range(10))
        twice = {index for index in counted if counted[index] == 2}  # they fill the last batch up
        assert len(twice) == 2
        assert twice <= set(order[:4]) & set(order[8:])
        for first in range(0, 12, 4):  # within a batch by the length of the reports
            told = [lengths[index] for index in order[first : first + 4]]
            assert told == sorted(told)
    assert len(list(EpochSampler(torch.ones(3), [1] * 3, batch=8, seed=0))) == 8


def test_rare_studies_come_as_often_as_their_factor_says() -> None:
    labels = torch.zeros(400, len(OBSERVATIONS))
    labels[:4, PNEUMOTHORAX] = 1  # 1 %: √(0.16 / 0.01) = 4 times
    labels[100:300, 0] = 1  # half of the studies: not rare
    factors = repeat_factors(labels, 0.16)
    assert factors[:4].tolist() == [4.0] * 4
    assert factors[4:].tolist() == [1.0] * 396
    assert repeat_factors(labels, None).tolist() == [1.0] * 400
    drawn: Counter[int] = Counter()
    sampler = EpochSampler(factors, [1] * 400, batch=1, seed=0)
    for epoch in range(100):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert len(order) == 400
        drawn.update(order)
    expected = 400 / (400 + 12)  # of a common study, an epoch
    assert drawn[0] / 100 == pytest.approx(4 * expected, rel=0.05)
    assert sum(drawn[index] for index in range(4, 400)) / 39600 == pytest.approx(expected, rel=0.01)


def test_weights_of_rare_observations() -> None:
    labels = torch.zeros(100, len(OBSERVATIONS))
    labels[:25, PNEUMOTHORAX] = 1
    labels[:1, 0] = 1
    balanced = positive_weights(labels, "balanced")
    assert balanced is not None
    assert balanced[PNEUMOTHORAX] == pytest.approx(3.0)
    assert balanced[0] == GREATEST_WEIGHT
    assert balanced[1] == 1.0  # never seen
    named = positive_weights(labels, {Observation.PNEUMOTHORAX: 2.5})
    assert named is not None
    assert (named[PNEUMOTHORAX], named.sum()) == (2.5, 13 + 2.5)
    assert positive_weights(labels, None) is None


def stage(**values: object) -> Stage:
    return Stage.model_validate(
        {"name": "a", "epochs": 1, "learning_rate": {"decoder": 1e-3}} | values
    )


def test_a_batch_over_processes() -> None:
    assert split_batch(stage(batch_size=2, accumulation=8), 4) == (2, 2)
    assert split_batch(stage(batch_size=8, accumulation=1), 2) == (4, 1)
    with pytest.raises(TrainingError, match="batch of 2 x 1 cannot be split over 4"):
        split_batch(stage(batch_size=2), 4)


def test_precision_that_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision(stage(precision="bfloat16")) == "bfloat16"
    for amx, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert resolve_precision(stage(precision="auto")) == expected
    with pytest.raises(TrainingError, match="float16 needs a GPU"):
        resolve_precision(stage(precision="float16"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for known, expected in ((True, "bfloat16"), (False, "float16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda known=known: known)
        assert resolve_precision(stage(precision="auto")) == expected
