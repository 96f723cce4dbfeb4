"""Reinforcement: what drafts are worth; a reward is learned; no signal teaches nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from plainfilm.core import OBSERVATIONS, Evidence, Observation, RecipeError, Report
from plainfilm.data import Dataset
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.metrics.pairs import Pairs
from plainfilm.training import rewards as rewards_module
from plainfilm.training import supervised
from plainfilm.training.recipe import Recipe, parse_recipe
from plainfilm.training.reinforcement import gamed
from plainfilm.training.rewards import Rewards
from plainfilm.training.run import train

EFFUSION = "Small left pleural effusion. The heart is normal."


def test_what_a_draft_is_worth() -> None:
    rewards = Rewards(
        {"finding-f1": 1.0, "cider-d": 0.1, "repetition": -1.0, "invented-comparison": -0.5},
        ["Small left pleural effusion.", "No pneumothorax."],
        length_guard=None,
    )
    worth = rewards([EFFUSION] * 3, [EFFUSION, "effusion " * 30, EFFUSION[:-1]], [False] * 3)
    assert worth.parts["finding-f1"][0] == 1
    assert worth.parts["repetition"].tolist() == [0, 1, 0]
    assert worth.total[1] < 0 < worth.total[0]
    told = ["The left pleural effusion is larger. The heart is normal."] * 2
    invented = rewards([EFFUSION] * 2, told, [False, True]).parts["invented-comparison"]
    assert invented.tolist() == [1, 0]
    again = rewards([EFFUSION], [EFFUSION], [False]).total
    assert again[0] == worth.total[0], "a draft's worth does not depend on the others"


def test_a_short_draft_loses_and_a_fault_stays_a_fault() -> None:
    free, guarded = (
        Rewards({"token-precision": 1.0, "repetition": -1.0}, [], length_guard=guard)
        for guard in (None, (0.5, 2.0))
    )
    drafts = ["Small", EFFUSION, "Small " * 40]
    worth = [one([EFFUSION] * 3, drafts, [False] * 3).total for one in (free, guarded)]
    assert worth[0][0] == 1
    assert worth[1][0] == pytest.approx(2 / 8)
    assert worth[1][1] == worth[0][1]
    assert worth[1][2] <= worth[0][2] < 0


def test_an_undefined_value_teaches_nothing() -> None:
    rewards = Rewards({"micro-f1-14": 1.0}, [], length_guard=None)
    nothing = "The film is dated."
    worth = rewards([nothing, EFFUSION], [nothing, EFFUSION], [False, False])
    assert np.isfinite(worth.total).all()


def test_an_answer_is_held_against_its_report() -> None:
    def answered(*named: Observation) -> Report:
        evidence = tuple(
            Evidence(observation=one, probability=float(one in named)) for one in OBSERVATIONS
        )
        return Report(findings=EFFUSION, evidence=evidence)

    rewards = Rewards({"agreement": 1.0}, [], length_guard=None)
    effusion, edema = Observation.PLEURAL_EFFUSION, Observation.EDEMA
    drafts = [answered(effusion), answered(effusion, edema), answered(edema), answered(), EFFUSION]
    worth = rewards([EFFUSION] * 5, drafts, [False] * 5).total
    assert worth == pytest.approx([1, 2 / 3, 0, 0, 0])


def test_unknown_rewards_are_refused() -> None:
    with pytest.raises(RecipeError, match="no reward finding-f2: expected one of repetition"):
        Rewards({"finding-f2": 1.0}, [])
    with pytest.raises(RecipeError, match="at least one with a weight"):
        Rewards({"bleu-4": 0.0}, [])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    return prepare_phantom(40, folder, seed=3, size=32, progress=False)


def recipe(
    dataset: Dataset, rewards: dict[str, float], check_every: int = 25, **changes: object
) -> Recipe:
    settings = {"rewards": rewards, "steps": 4, "num_generations": 8, "length_guard": None}
    rates = {"learning_rate": {"decoder": 2e-2}, "check_drafts": 2, "objective": "report"}
    return parse_recipe(
        {
            "name": "reinforced",
            "model": {
                "family": "radscribe",
                "channels": 1,
                "tokenizers": {"vocabulary_size": 300, "max_report_tokens": 8},
                "config": {
                    "image_size": 32, "image_token_grid": 2, "label_enhanced": False,
                    "backbone": {
                        "model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8],
                        "depths": [1], "layer_type": "basic",
                    },
                    "encoder": {
                        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                        "intermediate_size": 16,
                    },
                    "decoder": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1,
                                "num_heads": 2, "tie_word_embeddings": False},
                },
            },
            "data": {"dataset": str(dataset.path)},
            "stages": [
                rates | {"name": "rewards", "batch_size": 4, "check_every": check_every,
                         "warmup": 0.0, "reinforcement": settings | changes}
            ],
        }
    )  # fmt: skip


def logged(run: Path, name: str) -> list[float]:
    entries = json.loads((run / "stages" / "1-rewards" / "history.json").read_text())
    return [entry[name] for entry in entries if name in entry]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / "model.safetensors"))


def plant(monkeypatch: pytest.MonkeyPatch, worth) -> None:
    def reward(pairs: Pairs, compared: Sequence[bool]) -> list[float]:
        return [worth(text) for text in pairs.predictions]

    monkeypatch.setitem(rewards_module.REWARDS, "planted", reward)


def test_a_constant_reward_changes_nothing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda text: 0.7)
    told = recipe(dataset, {"planted": 1.0}, check_every=2)
    stage = told.stages[0].model_copy(update={"weight_decay": 0.0})
    told = told.model_copy(update={"stages": (stage,)})
    train(told, tmp_path / "run", progress=False, say=lambda _: None)
    before, after = weights(tmp_path / "run" / "start"), weights(tmp_path / "run" / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert set(logged(tmp_path / "run", "flat_groups")) == {1.0}


def test_a_planted_letter_is_learned_and_a_shuffled_reward_teaches_nothing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def share(text: str) -> float:
        return text.count("e") / max(len(text), 1)

    plant(monkeypatch, share)
    learned = tmp_path / "learned"
    told: list[str] = []
    train(recipe(dataset, {"planted": 1.0}, steps=50), learned, progress=False, say=told.append)
    rewards = logged(learned, "reward")
    chance = np.random.default_rng(0)
    plant(monkeypatch, lambda text: float(chance.random()))
    monkeypatch.setattr(rewards_module, "_KEPT", 0)  # nothing is remembered: the same text differs
    shuffled = tmp_path / "shuffled"
    train(recipe(dataset, {"planted": 1.0}, steps=25), shuffled, progress=False, say=told.append)
    assert rewards[-1] > rewards[0] + 0.1
    assert rewards[-1] > 0.3
    assert abs(np.mean(logged(shuffled, "reward")) - 0.5) < 0.1


@pytest.mark.parametrize("loss_type", ["dapo", "dr_grpo"])
def test_an_interrupted_stage_ends_in_the_same_weights(
    loss_type: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = recipe(
        dataset, {"token-f1": 1.0}, check_every=2, beta=0.05, num_iterations=2,
        loss_type=loss_type, refill=1,
    )  # fmt: skip

    def stop(self: supervised.CompleteMark, *args: object, **kwargs: object) -> None:
        mark(self, *args, **kwargs)
        raise KeyboardInterrupt

    mark = supervised.CompleteMark.on_save
    with monkeypatch.context() as patch:
        patch.setattr(supervised.CompleteMark, "on_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(told, tmp_path / "stopped", progress=False, say=lambda _: None)
    for name in ("stopped", "whole"):
        train(told, tmp_path / name, progress=False, say=lambda _: None)
    ours, theirs = (weights(tmp_path / name / "model") for name in ("stopped", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert min(logged(tmp_path / "whole", "kl")) >= 0


def test_two_processes_draft_and_learn_what_one_does(dataset: Dataset, tmp_path: Path) -> None:
    told = recipe(dataset, {"token-f1": 1.0}, check_every=1, steps=1, num_generations=2, refill=1)
    stage = told.stages[0].model_copy(update={"batch_size": 2, "accumulation": 2})
    told = told.model_copy(update={"stages": (stage,)})
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(told.to_dict()))
    ran = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "plainfilm", "train", str(path), "-o", str(tmp_path / "two"), "--quiet",
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.count("time of the steps") == 1
    train(told, tmp_path / "one", progress=False, say=lambda _: None)
    for name in ("reward", "rollout_words", "grad_norm"):
        one, two = (logged(tmp_path / run, name) for run in ("one", "two"))
        assert one == pytest.approx(two, rel=1e-3)


def test_the_greedy_draft_can_be_the_baseline(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Self-critical sequence training: one draft of a study is enough."""
    plant(monkeypatch, lambda text: text.count("e") / max(len(text), 1))
    told = recipe(dataset, {"planted": 1.0}, steps=2, num_generations=1, baseline="greedy")
    train(told, tmp_path / "run", progress=False, say=lambda _: None)
    before, after = weights(tmp_path / "run" / "start"), weights(tmp_path / "run" / "model")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    checks = json.loads((tmp_path / "run/stages/1-rewards/gaming.json").read_text())
    assert [check["step"] for check in checks] == [0, 2]
    assert (tmp_path / "run/stages/1-rewards/gaming.svg").read_text().count("rewarded") == 1
    seconds = json.loads((tmp_path / "run/stages/1-rewards/time.json").read_text())
    assert seconds["rollout"] > seconds["rewards"] > 0
    with pytest.raises(RecipeError, match="a group's mean needs at least 2 drafts"):
        recipe(dataset, {"planted": 1.0}, num_generations=1)


def test_what_looks_gamed_is_told() -> None:
    first = {"step": 0, "reward": 0.2, "words": 40.0, "finding-f1": 0.5, "hedging": 0.1,
             "bleu-4": 0.0, "template-sentences": 0.9}  # fmt: skip
    now = first | {"step": 9, "reward": 0.4, "words": 20.0, "hedging": 0.3, "bleu-4": 0.4,
                   "template-sentences": 0.1}  # fmt: skip
    assert gamed(first, now, ["bleu-4"]) == ["words 40 → 20", "hedging 0.1 → 0.3"]
    assert gamed(first, now, ["words", "hedging"]) == []
    assert gamed(first, first, ["bleu-4"]) == []


def test_medvill_is_refused() -> None:
    from plainfilm.core import InputError
    from plainfilm.models.family import find_family

    with pytest.raises(InputError, match="medvill can't be reinforced"):
        find_family("medvill").rollout(None, None, [])
