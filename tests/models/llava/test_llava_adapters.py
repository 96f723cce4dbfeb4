"""LoRA and QLoRA beside a LLaVA whose projector and fusion train as they are."""

import pytest
import torch
from conftest_llava import SETTINGS, examples, settings, study
from test_llava_family import build

from plainfilm.models.family import whole_loss
from plainfilm.models.llava.family import family
from plainfilm.models.llava.settings import LlavaSettings, LlavaStage
from plainfilm.training.supervised import part_rates

pytest.importorskip("peft")
STAGE = LlavaStage()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return a LLaVA without a fusion, as a first stage leaves it."""
    folder = tmp_path_factory.mktemp("base") / "model"
    family.save(folder, build(settings(fusion=None)))
    return folder


@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_an_adapter_learns_beside_a_fresh_fusion_and_comes_back(kind, base, tmp_path):
    if kind == "qlora":
        pytest.importorskip("bitsandbytes")
    adapter = {"kind": kind, "rank": 4, "whole": ["projector", "fusion"]}
    given = LlavaSettings(family="llava", checkpoint=base, fusion=SETTINGS, adapter=adapter,
                          max_report_tokens=24, request="Write it.")  # fmt: skip
    built = build(given)
    names = [name for name, one in built.model.named_parameters() if one.requires_grad]
    assert {"projector", "fusion", "adapter"} == {
        "fusion" if ".fusion." in n else "projector" if "projector" in n else "adapter"
        for n in names
    }
    rates = part_rates(
        [name for name, _ in built.model.named_parameters()], family.parts(built.model),
        {"adapter": 1e-2, "projector": 1e-2, "fusion": 1e-2},
    )  # fmt: skip
    assert set(rates) == set(names)
    batch = family.collate(built, STAGE)(examples([study(1), study(2)]))
    optimizer = torch.optim.AdamW([p for p in built.model.parameters() if p.requires_grad], 1e-3)
    seen = []
    for _ in range(10):
        loss = whole_loss(family.losses(built.model, batch, STAGE))
        seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(seen[1:]) < seen[0]
    fusion = built.model.get_base_model().model.fusion
    assert fusion.class_embedding.grad is not None or any(
        p.grad is not None for n, p in built.model.named_parameters() if ".fusion." in n
    )
    built.model.eval()
    with torch.no_grad():
        before = whole_loss(family.losses(built.model, batch, STAGE))
    drafts = family.draft(built.model, built.processor, [study(1)])
    family.save(tmp_path / "model", built)
    assert not (tmp_path / "model" / "model.safetensors").exists()
    again = family.load(tmp_path / "model")
    again.model.eval()
    with torch.no_grad():
        after = whole_loss(family.losses(again.model, batch, STAGE))
    assert after.item() == pytest.approx(before.item(), rel=1e-5)
    told = family.draft(again.model, again.processor, [study(1)])
    assert [one.report for one in told] == [one.report for one in drafts]


def test_a_fusion_beside_an_adapter_must_be_named():
    stage = {"name": "one", "learning_rate": {"adapter": 1e-4, "fusion": 1e-3}}
    model = {"family": "llava", "checkpoint": "x", "fusion": SETTINGS, "adapter": {"kind": "lora"}}
    found = family.problems({"model": model, "stages": [stage]})
    assert any("fusion is frozen beside an adapter: name it in model.adapter.whole" in one
               for one in found)  # fmt: skip
