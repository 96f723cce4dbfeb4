"""The fusions, inside transformers' own LLaVA: equations, shapes, generation."""

import pytest
import torch
from conftest_llava import BOTH, IMAGE, TOWER, WORDS, base, fused_config, inputs
from transformers import AutoModelForImageTextToText

from plainfilm.core import InputError
from plainfilm.models.llava import (
    FusedLlava,
    FusedLlavaConfig,
    FusedOnevision,
    FusedOnevisionConfig,
)
from plainfilm.models.llava.fusion import Fusion, adaptive_instance_norm
from plainfilm.models.llava.fusion_values import KINDS, fusion_values

MAPS = [str(number) for number in range(212)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("llava")
    base(place)
    return place


def fused(folder, kind, **values):
    torch.manual_seed(1)
    return FusedLlava.from_pretrained(folder, config=fused_config(kind, **values)).eval()


@torch.no_grad()
def test_without_its_additions_it_is_llava_to_the_bit(folder):
    plain = inputs(None)
    expected = AutoModelForImageTextToText.from_pretrained(folder).eval()(**plain).logits
    assert torch.equal(fused(folder, None)(**plain).logits, expected)
    found = fused(folder, "addition", weight=0.0)(**inputs("addition")).logits
    assert torch.equal(found, expected)
    moved = fused(folder, "addition", weight=1.0)(**inputs("addition")).logits
    assert not torch.allclose(moved, expected)


@torch.no_grad()
def test_appended_tokens_leave_the_towers_own_alone(folder):
    given = inputs("concatenation")
    encoded = fused(folder, "concatenation").model.get_image_features(
        *[given[name] for name in ("pixel_values",)],
        specialist_features=given["specialist_features"],
        segmentation_maps=given["segmentation_maps"],
    )
    plain = fused(folder, None).model.get_image_features(given["pixel_values"])
    assert encoded.pooler_output[0].shape == (10, 48)
    assert torch.equal(encoded.pooler_output[0][:4], plain.pooler_output[0])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_feature_and_maps_reach_loss_and_generation(folder, kind):
    model = fused(folder, kind, weight=1.0)
    given = inputs(kind, rows=((7, 8, 9), (5,)), films=2)  # padded on the left, two films each
    labels = given["input_ids"].masked_fill(given["attention_mask"] == 0, -100)
    labels = labels.masked_fill(labels == IMAGE, -100)
    before = model(**given, labels=labels)
    how = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
    for name in ("specialist_features", "segmentation_maps"):
        changed = given | {name: given[name] * -5}
        after = model(**changed, labels=labels)
        assert after.loss != before.loss
        scored = {"output_logits": True, "return_dict_in_generate": True}
        first, second = (
            model.generate(**one, **how, **scored).logits[0] for one in (given, changed)
        )
        assert not torch.equal(first, second)
    written = model.generate(**given, **how)
    ids, mask = given["input_ids"], given["attention_mask"]
    for _ in range(5):  # without a cache
        logits = model(**(given | {"input_ids": ids, "attention_mask": mask})).logits[:, -1]
        logits[:, 2] = -torch.inf
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    assert torch.equal(written, ids)
    alone = inputs(kind, rows=((5,),), films=2)
    for name in alone:
        if name not in ("input_ids", "attention_mask"):
            alone[name] = given[name][2:]
    assert torch.equal(model.generate(**alone, **how)[0, -5:], written[1, -5:])


@torch.no_grad()
def test_it_comes_back_with_beams_and_without_the_tower(folder, tmp_path):
    model, given = fused(folder, "concatenation"), inputs("concatenation")
    expected = model(**given).logits
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    assert torch.equal(again(**given).logits, expected)
    kept = model.model.see(given["pixel_values"])
    rest = {name: value for name, value in given.items() if name != "pixel_values"}
    assert torch.equal(model(**rest, image_features=kept).logits, expected)
    found = model.generate(**given, num_beams=3, max_new_tokens=4, do_sample=False)
    assert found.shape[0] == 1
    assert "pixel_values" in given  # a call does not change what it is given


def test_added_parameters_are_the_papers():
    text = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
            "vocab_size": 32064, "model_type": "llama"}  # fmt: skip
    shares = []
    for values in ({"feature_size": 2048}, {"feature_size": 2048, "map_classes": MAPS}):
        with torch.device("meta"):
            model = FusedLlava(FusedLlavaConfig(text_config=text, fusion=fusion_values(values)))
        added = sum(one.numel() for one in model.model.fusion.parameters())
        whole = sum(one.numel() for one in model.parameters())
        shares.append(round(100 * added / (whole - added), 2))
        tower = torch.empty(2, 576, 1024, device="meta")
        maps = torch.empty(2, 212, 16, 16, device="meta")
        given = [torch.empty(2, 2048, device="meta"), maps][: len(values)]
        assert model.model.fusion(tower, *given).shape == (2, 832, 1024)
    assert shares == [0.06, 0.09]


@pytest.mark.parametrize("kind", KINDS)
def test_each_fusion_is_its_equation(kind):
    torch.manual_seed(0)
    fusion = Fusion(fusion_values(BOTH | {"kind": kind, "weight": 0.5}), 32, 4)
    fusion.reset_parameters()
    tower, feature, maps = torch.randn(2, 4, 32), torch.randn(2, 16), torch.rand(2, 3, 8, 8)
    e = feature @ fusion.feature_to_token.weight.T + fusion.feature_to_token.bias
    e = e[:, None].repeat(1, 6, 1)
    cells = torch.nn.functional.adaptive_avg_pool2d(maps, 5).flatten(2)
    rows = torch.einsum("rc,fcp->frp", fusion.maps_to_rows.weight[..., 0], cells)
    rows = rows + fusion.maps_to_rows.bias[:, None]
    s = torch.cat([e, rows], -1) @ fusion.mix_maps.weight.T + fusion.mix_maps.bias
    embedding = fusion.class_embedding.expand(2, -1, -1)
    if kind == "replace":
        m = adaptive_instance_norm(embedding, s)
    else:
        m = torch.cat([embedding, s], -1) @ fusion.mix.weight.T + fusion.mix.bias
    if kind != "concatenation":
        m = torch.einsum("tr,frw->ftw", fusion.to_tower_rows.weight[..., 0], m)
        m = m + fusion.to_tower_rows.bias[:, None]
    expected = {
        "replace": lambda: m,
        "mixing": lambda: fusion.mix_tower(torch.cat([tower, m], -1)),
        "addition": lambda: tower + 0.5 * m,
        "concatenation": lambda: torch.cat([tower, m], 1),
    }[kind]()
    torch.testing.assert_close(fusion(tower, feature, maps), expected)


def test_instance_norm_takes_the_styles_mean_and_deviation():
    content, style = torch.randn(2, 3, 50), 3 + 2 * torch.randn(2, 3, 50)
    found = adaptive_instance_norm(content, style)
    torch.testing.assert_close(found.mean(-1), style.mean(-1), rtol=1e-3, atol=1e-3)
    wanted = style.var(-1, unbiased=False)
    torch.testing.assert_close(found.var(-1, unbiased=False), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"specialist_features": None}, "got none"),
        ({"specialist_features": torch.zeros(1, 15)}, r"\(1, 16\) for 1 films, got \(1, 15\)"),
        ({"segmentation_maps": torch.zeros(1, 2, 8, 8)}, r"got \(1, 2, 8, 8\)"),
        ({"segmentation_maps": torch.zeros(2, 3, 8, 8)}, r"for 1 films, got \(2, 3, 8, 8\)"),
    ],
)
def test_what_does_not_fit_is_told(folder, change, told):
    given = {
        name: value for name, value in (inputs("mixing") | change).items() if value is not None
    }
    with pytest.raises(InputError, match=told):
        fused(folder, "mixing")(**given)


def test_values_are_checked():
    with pytest.raises(InputError, match="unknown heads"):
        fusion_values({"heads": 3})
    with pytest.raises(InputError, match="feature, maps, or both"):
        fusion_values({"kind": "mixing"})
    with pytest.raises(InputError, match="expected one of replace"):
        fusion_values({"kind": "sum", "feature_size": 2})


@pytest.mark.parametrize("kind", [None, "addition", "concatenation"])
@torch.no_grad()
def test_onevision_with_tiles(kind):
    torch.manual_seed(0)
    tower = {name: value for name, value in TOWER.items() if name != "projection_dim"}
    sizes = torch.tensor([[28, 28], [28, 28]])
    config = FusedOnevisionConfig(
        vision_config=tower | {"model_type": "siglip_vision_model", "vision_use_head": False},
        text_config=WORDS | {"model_type": "qwen2"}, image_token_index=IMAGE,
        video_token_index=5, image_grid_pinpoints=[[28, 28]],
        fusion=None if kind is None else fusion_values(BOTH | {"kind": kind, "weight": 0.0}),
    )  # fmt: skip
    model = FusedOnevision(config).eval()
    pixels = torch.randn(2, 2, 3, 28, 28)
    given = {"image_sizes": sizes}
    extra = {
        name: value
        for name, value in inputs(kind, films=2).items()
        if name.endswith(("features", "maps"))
    }
    plain = model.model.__class__.__mro__[2].get_image_features
    expected = plain(model.model, pixels, sizes).pooler_output
    found = model.model.get_image_features(pixels, **given, **extra).pooler_output
    own = len(expected[0])
    assert [len(one) for one in found] == [own + (6 if kind == "concatenation" else 0)] * 2
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine[:own], theirs)
    count = len(found[0])
    ids = torch.tensor([[1, *[IMAGE] * count, 7], [1, *[IMAGE] * count, 8]])
    written = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels, **given, **extra,
        max_new_tokens=3, min_new_tokens=3, do_sample=False,
    )  # fmt: skip
    assert written.shape == (2, count + 5)
