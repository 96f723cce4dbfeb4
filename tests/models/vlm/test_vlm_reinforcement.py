"""UniRG's recipes at the published size: their numbers, their parts, a tiny model through them."""

from pathlib import Path

import pytest
import torch
import transformers
import yaml

from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.models.family import find_family
from plainfilm.training.recipe import Recipe, load_recipe
from plainfilm.training.run import train
from plainfilm.training.supervised import part_rates

FOLDER = Path(__file__).parents[3] / "recipes" / "unirg" / "qwen3-vl-8b"


def recipe(name: str, *changes: str) -> Recipe:
    return load_recipe(FOLDER / f"{name}.yaml", changes)


def test_the_numbers_are_the_papers() -> None:
    """arXiv:2601.17151: rates, batches, groups, divergence, RadCliQ-v1's weights."""
    sft, first, second = (recipe(name).stages[0] for name in ("sft", "step-1", "step-2"))
    assert set(sft.learning_rate.values()) == {5e-5}
    assert (sft.batch_size * sft.accumulation, sft.epochs) == (256, 3)
    for stage, beta in ((first, 0.0), (second, 0.03)):
        told = stage.reinforcement
        assert set(stage.learning_rate.values()) == {5e-6}
        assert told.num_generations == 16
        assert stage.batch_size * stage.accumulation * told.num_generations == 256
        assert (stage.epochs, told.steps, told.beta) == (1, None, beta)
        assert told.epsilon_high > told.epsilon
        assert len(told.models) == 3
    parts = {"bertscore": 0.370, "sembscore": 0.253, "radgraph-f1-partial": 0.377}
    assert first.reinforcement.rewards == parts
    assert second.reinforcement.rewards == parts | {"error-score": 0.5}
    assert recipe("step-2").model.checkpoint == Path("runs/unirg-step-1/model")


def test_qwen3_vl_8b_has_the_parts_that_are_trained() -> None:
    """On the meta device, at the published widths (Qwen/Qwen3-VL-8B-Instruct, config.json)."""
    config = transformers.Qwen3VLConfig(
        text_config={
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "vocab_size": 151936,
        },
        vision_config={
            "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16,
            "out_hidden_size": 4096, "deepstack_visual_indexes": [8, 16, 24],
        },
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.Qwen3VLForConditionalGeneration(config)
    assert 8.5e9 < sum(one.numel() for one in model.parameters()) < 9.0e9
    rates = recipe("step-1").stages[0].learning_rate
    names = [name for name, _ in model.named_parameters()]
    assert set(part_rates(names, find_family("vlm").parts(model), rates)) == set(names)


def test_a_tiny_qwen3_vl_goes_through_step_2(checkpoint, tmp_path: Path) -> None:
    dataset = prepare_phantom(12, tmp_path / "films", seed=6, size=32, progress=False)
    values = recipe("step-2").to_dict()
    values["data"] = {"datasets": [{"dataset": str(dataset.path), "weight": 2.0}]}
    values["model"] |= {"checkpoint": str(checkpoint("qwen3_vl")), "image_size": 28,
                        "max_report_tokens": 8, "dtype": "float32"}  # fmt: skip
    stage = values["stages"][0]
    stage |= {"batch_size": 1, "accumulation": 1, "check_every": 1, "check_drafts": 2,
              "precision": "float32"}  # fmt: skip
    stage["reinforcement"] |= {"rewards": {"token-f1": 1.0, "error-score": 0.5}, "models": [],
                               "num_generations": 2, "steps": 1}  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    said: list[str] = []
    folder = train(load_recipe(path), tmp_path / "run", progress=False, say=said.append)
    assert (folder / "model.safetensors").is_file()
    assert any("log-probabilities" in line for line in said)


@pytest.mark.parametrize("name", ["sft", "step-1", "step-2"])
def test_datasets_are_mixed_by_weight(name: str) -> None:
    told = recipe(name, "data.datasets=[{dataset: a, weight: 0.5}, {dataset: b}]")
    assert [source.weight for source in told.data.datasets] == [0.5, 1.0]
