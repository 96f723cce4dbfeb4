"""LoRA and QLoRA: beside their base, and never without it."""

import json

import pytest
import torch
from test_vlm_family import STAGE, build, train

from plainfilm.core import ModelError
from plainfilm.models.conversation.adapters import BASE_FILE, weights_hash
from plainfilm.models.vlm.family import family

pytest.importorskip("peft")
LORA = {"kind": "lora", "rank": 8, "alpha": 32}
QLORA = LORA | {"kind": "qlora"}


def trained_names(built):
    names = (n for n, p in built.model.named_parameters() if p.requires_grad)
    return [name.removeprefix("base_model.model.") for name in names]


@pytest.mark.parametrize(
    ("form", "kind"),
    [("lora", kind) for kind in ("llava_onevision", "qwen3_vl", "gemma3")]
    + [("qlora", kind) for kind in ("llava", "qwen3_vl")],
)
def test_an_adapter_learns_and_comes_back_beside_its_base(
    form, kind, checkpoint, studies, reports, tmp_path
):
    if form == "qlora":
        pytest.importorskip("bitsandbytes")
    whole = ["projector"] if form == "lora" else []
    built = build(checkpoint, kind, adapter=LORA | {"kind": form, "whole": whole})
    names = trained_names(built)
    assert any("lora_" in name for name in names)
    assert all("lora_" in name or "modules_to_save" in name for name in names)
    assert any("modules_to_save" in name for name in names) == bool(whole)

    batch = built.processor(studies, reports=reports)
    losses = train(built, batch, rate=1e-2)
    assert losses[-1] < losses[0] - 0.08
    drafts = [one.report for one in family.draft(built.model, built.processor, studies)]
    with torch.no_grad():
        before = family.losses(built.model, batch, STAGE)["report"].total

    family.save(tmp_path / "model", built)
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"adapter_model.safetensors", BASE_FILE, "config.json"} <= names
    assert "model.safetensors" not in names
    again = family.load(tmp_path / "model")
    again.model.eval()
    with torch.no_grad():
        after = family.losses(again.model, batch, STAGE)["report"].total
    assert after.item() == pytest.approx(before.item(), rel=1e-6)
    assert [one.report for one in family.draft(again.model, again.processor, studies)] == drafts
    assert trained_names(again) == []
    assert trained_names(family.load(tmp_path / "model", trainable=True)) == trained_names(built)


def test_the_base_can_have_moved_but_must_be_the_same(checkpoint, tmp_path):
    built = build(checkpoint, "llava", adapter=LORA)
    folder = tmp_path / "model"
    family.save(folder, built)
    reference = json.loads((folder / BASE_FILE).read_text())
    assert reference["sha256"] == weights_hash(checkpoint("llava"))
    (folder / BASE_FILE).write_text(json.dumps(reference | {"path": "/nowhere"}))
    with pytest.raises(ModelError, match=r"its base is not at /nowhere: link"):
        family.load(folder)
    family.load(folder, base=checkpoint("llava"))
    (folder / "base").symlink_to(checkpoint("llava"))
    family.load(folder)
    with pytest.raises(ModelError, match="its weights are others"):
        family.load(folder, base=checkpoint("qwen2_5_vl"))


@pytest.mark.parametrize(
    ("targets", "inside"),
    [
        ("language", "language_model"),
        ("all", "vision_tower"),
        (("q_proj",), "q_proj"),
        (r"model\.language_model\.layers\.0\..*", "layers.0"),
    ],
)
def test_targets_choose_layers(checkpoint, targets, inside):
    built = build(checkpoint, "llava", adapter=LORA | {"targets": targets})
    names = [name for name in trained_names(built) if "lora_" in name]
    assert any(inside in name for name in names)
    assert ("vision_tower" in "".join(names)) == (targets in ("all", ("q_proj",)))


def test_targets_that_fit_nothing_are_told_with_those_that_there_are(checkpoint):
    with pytest.raises(ModelError, match=r"no linear layer fits .*q_proj"):
        build(checkpoint, "llava", adapter=LORA | {"targets": ["qkv"]})


def test_problems_of_a_recipe_are_told_before_anything_loads():
    recipe = {
        "model": {"family": "vlm", "adapter": LORA | {"whole": ["projector"]}},
        "stages": [
            {"name": "one", "learning_rate": {"adapter": 1e-4, "projector": 1e-5}},
            {"name": "two", "learning_rate": {"language": 1e-4, "decoder": 1e-4}},
        ],
    }
    found = family.problems(recipe)
    assert len(found) == 2
    assert "language is frozen beside an adapter" in found[0]
    assert "no part 'decoder'" in found[1]
    plain = {"model": {"family": "vlm"}, "stages": [{"name": "a", "learning_rate": {"adapter": 1}}]}
    assert family.problems(plain) == ["stage a: learning_rate.adapter needs model.adapter"]
