"""Saliency: the papers' formulas, networks whose answer is known, and what is refused."""

from itertools import compress
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from plainfilm.core import OBSERVATIONS, Image, InputError, Provenance, Report, Study, View
from plainfilm.grounding.saliency import (
    attention_rollout,
    carry_back,
    check_method,
    grad_cam,
    saliency_maps,
)
from plainfilm.models.family import Built, find_family
from plainfilm.models.medvill import (
    MedViLLConfig,
    MedViLLForConditionalGeneration,
    MedViLLProcessor,
)
from plainfilm.models.radscribe import (
    RadScribeConfig,
    RadScribeForConditionalGeneration,
    RadScribeProcessor,
)
from plainfilm.pipeline import Card, ReportModel
from plainfilm.text import read
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import report_to_target, sentence_spans
from plainfilm.vision.backbones import backbone_config, build_backbone
from plainfilm.vision.preparation import FilmImageProcessor

REPORT = Report(findings="The heart is enlarged. Small left effusion.", impression="Cardiomegaly.")
BACKBONES = {
    "resnet": {
        "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic",
    },
    "densenet": {"init_features": 8, "growth_rate": 8, "block_config": [1, 1]},
    "vit": {
        "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16,
    },
    "dinov2": {
        "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "mlp_ratio": 1,
    },
    "mamba": {"patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def processor() -> RadScribeProcessor:
    tokenizer = train_tokenizer([report_to_target(REPORT)] * 3, 400)
    return RadScribeProcessor(FilmImageProcessor(size=32, num_channels=1), tokenizer, tokenizer)


def tiny(backbone: str, vocabulary: int = 400, **changes: object):
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = RadScribeConfig(
        backbone={"model_type": backbone, "num_channels": 1} | BACKBONES[backbone],
        encoder=sizes | {"hidden_size": 16, "vocab_size": vocabulary},
        decoder={"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2,
                 "vocab_size": vocabulary},
        image_size=32, image_token_grid=4, **changes,
    )  # fmt: skip
    return RadScribeForConditionalGeneration(config).eval()


def observation_maps(model: Any, film: dict[str, torch.Tensor], method: str) -> torch.Tensor:
    return saliency_maps(model.image_backbone, lambda: model(**film).label_logits[0], method)


def bright(places: list[tuple[int, int] | None], side: int = 8) -> torch.Tensor:
    """Return dim noisy films of 32², each with a bright square in one cell of ``side``, or none."""
    films = 0.2 * torch.rand(len(places), 1, 32, 32)
    for film, place in zip(films, places, strict=True):
        if place is not None:
            row, column = (side * number for number in place)
            film[0, row : row + side, column : column + side] += 1
    return films


def test_grad_cam_is_the_papers_formula() -> None:
    """Equations 1 and 2: mean gradients weight the channels, negative sums are cut off."""
    hidden = torch.randn(1, 3, 4, 5, requires_grad=True)
    factors = torch.randn(3, 4, 5)
    found = grad_cam(hidden, (factors * hidden[0]).sum())
    weights = factors.mean(dim=(1, 2))
    expected = torch.einsum("k,kij->ij", weights, hidden[0].detach()).clamp_min(0)
    torch.testing.assert_close(found[0], expected)
    assert (found == 0).any()
    assert (found > 0).any()


def test_grad_cam_finds_the_bright_square() -> None:
    """A classifier that has learned to see a bright square looks at it, wherever it is."""
    model = tiny("resnet").train()
    draw = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.encoder.parameters(), lr=3e-3)
    for _ in range(120):
        places = [tuple(draw.integers(4, size=2)) if draw.random() < 0.5 else None
                  for _ in range(16)]  # fmt: skip
        labels = torch.full((16, 14), torch.nan)
        labels[:, 3] = torch.tensor([float(place is not None) for place in places])
        model(pixel_values=bright(places), observation_labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    places = [(row, column) for row in range(4) for column in range(4)]
    away = []
    for film, place in zip(bright(places), places, strict=True):
        heat = observation_maps(model, {"pixel_values": film[None]}, "grad-cam")[3]
        centre = torch.tensor([heat.sum(1) @ torch.arange(4.0), heat.sum(0) @ torch.arange(4.0)])
        away.append(float((centre / heat.sum() - torch.tensor(place)).norm()))
    assert max(away) < 1.5  # in cells; another place is 2.1 away on average
    assert np.mean(away) < 0.75


def test_rollout_is_the_papers_recursion() -> None:
    layers = [torch.rand(1, 2, 5, 5).softmax(dim=-1) for _ in range(3)]
    expected = np.eye(5)
    for layer in layers:
        expected = (0.5 * layer[0].mean(0).numpy() + 0.5 * np.eye(5)) @ expected
    rolled = attention_rollout(layers)
    np.testing.assert_allclose(rolled[0], expected, rtol=1e-5)
    torch.testing.assert_close(rolled.sum(dim=-1), torch.ones(1, 5))


def test_layers_that_mix_nothing_carry_the_map_back_as_it_is() -> None:
    maps = torch.rand(2, 2, 2)
    rollout = attention_rollout([torch.eye(5)[None, None]] * 4)
    torch.testing.assert_close(carry_back(maps, rollout), maps)


@pytest.mark.parametrize("place", [(0, 0), (1, 3), (3, 2)])
def test_rollout_goes_to_the_patch_that_every_token_attends_to(place: tuple[int, int]) -> None:
    """A one-layer ViT whose keys are brightness: wherever the score lies, the map goes there."""
    values = {
        "model_type": "vit", "num_channels": 1, "image_size": 32, "patch_size": 8,
        "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 4,
    }  # fmt: skip
    network = build_backbone(backbone_config(values)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for name, module in network.named_modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.fill_(1)
            if name.endswith("q_proj"):
                module.bias[0] = 10  # every query asks the same
            if name.endswith("k_proj"):
                module.weight[0, 0] = 1
        network.embeddings.patch_embeddings.projection.weight[0] = 1
    film = bright([place])
    film[film < 0.5] = 0

    def score() -> torch.Tensor:
        tokens = network(pixel_values=film).last_hidden_state
        return tokens[:, 1:].pow(2).sum(dim=(1, 2))

    (heat,) = saliency_maps(network, score, "attention-rollout")
    assert divmod(int(heat.argmax()), 4) == place


@pytest.mark.parametrize("backbone", BACKBONES)
def test_each_backbone_gives_a_map_for_each_observation(backbone: str) -> None:
    model = tiny(backbone)
    film = {"pixel_values": bright([(1, 1)])}
    before = model(**film).label_logits
    implementation = model.image_backbone.config._attn_implementation
    side = 4 if backbone in ("resnet", "densenet") else 8
    for method in ("grad-cam", "attention-rollout"):
        if method == "attention-rollout" and backbone not in ("vit", "dinov2"):
            with pytest.raises(InputError, match=rf"this model's is {backbone}: use"):
                observation_maps(model, film, method)
            continue
        maps = observation_maps(model, film, method)
        assert maps.shape == (14, side, side)
        assert (maps >= 0).all()
        assert (maps.flatten(1).sum(dim=1) > 0).any()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.image_backbone.config._attn_implementation == implementation
    assert torch.equal(model(**film).label_logits, before)


def test_a_sentences_tokens_are_found(processor: RadScribeProcessor) -> None:
    sentences = ["Small left effusion.", "Cardiomegaly.", "", "Nothing of the kind."]
    tokens, spans = sentence_spans(REPORT, sentences, processor.tokenizer, 192)
    said = [processor.tokenizer.decode(list(compress(tokens, span))).strip() for span in spans]
    assert said == ["Small left effusion.", "Cardiomegaly.", "", ""]


def tiny_medvill(backbone: str, tokenizer: PreTrainedTokenizerBase | None = None):
    torch.manual_seed(0)
    bert = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "vocab_size": len(tokenizer or range(50))}  # fmt: skip
    special = {} if tokenizer is None else {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id")
        for name in ("pad", "cls", "sep", "mask")
    }  # fmt: skip
    config = MedViLLConfig(
        backbone={"model_type": backbone, "num_channels": 1} | BACKBONES[backbone], encoder=bert,
        image_size=32, image_token_grid=4, **special,
    )  # fmt: skip
    return MedViLLForConditionalGeneration(config).eval()


@pytest.mark.parametrize(("backbone", "method", "family"), [
    ("resnet", "grad-cam", "radscribe"), ("vit", "attention-rollout", "radscribe"),
    ("mamba", "grad-cam", "radscribe"), ("resnet", "grad-cam", "medvill"),
])  # fmt: skip
def test_without_a_classifier_each_statement_has_the_map_of_its_sentence(
    backbone: str,
    method: str,
    family: str,
    processor: RadScribeProcessor | MedViLLProcessor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = tiny(backbone, len(processor.tokenizer), label_enhanced=False)
    if family == "medvill":
        network = tiny_medvill(backbone, processor.tokenizer)
        processor = MedViLLProcessor(processor.image_processor, processor.tokenizer)
    card = Card(name="tiny", domain=Provenance.SIMULATED, target="findings+impression")
    model = ReportModel(find_family(family), Built(network, processor), card)
    monkeypatch.setattr(processor, "decode_reports", lambda tokens: [REPORT])
    pixels = bright([(1, 1)])[0, 0].clamp(0, 1).numpy()
    study = Study(images=(Image(pixels=pixels, view=View.PA, provenance=Provenance.SIMULATED),))
    plain = model.report(study, max_new_tokens=4)
    assert plain.evidence == ()
    assert all(finding.evidence == () for finding in plain.statements)
    report = model.report(study, saliency=method, max_new_tokens=4)
    assert [f.observation for f in report.statements] == [f.observation for f in read(REPORT.text)]
    evidence = [item for finding in report.statements for item in finding.evidence]
    assert [item.observation for item in evidence] == [f.observation for f in report.statements]
    assert {item.method for item in evidence} == {f"{method} of the sentence's log-probability"}
    assert evidence[0].heatmap != evidence[1].heatmap
    for item in evidence:
        assert max(max(row) for row in item.heatmap) == 1


def test_the_shipped_model_answers_by_grad_cam() -> None:
    import plainfilm
    from plainfilm.phantom import simulate

    model = plainfilm.load_model()
    study = simulate(1, 3, 192).study
    looked, asked = model.report(study), model.report(study, saliency="grad-cam")
    assert asked.text == looked.text
    assert [e.probability for e in asked.evidence] == [e.probability for e in looked.evidence]
    assert {e.observation for e in asked.evidence} == set(OBSERVATIONS)
    assert {e.method for e in asked.evidence} == {"grad-cam of the classifier's logit"}
    with pytest.raises(InputError, match="this model's is resnet: use grad-cam"):
        model.report(study, saliency="attention-rollout")


def test_what_does_not_apply_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown saliency 'x': .* grad-cam, attention-rollout"):
        check_method("x")
    backbone = tiny_medvill("resnet").image_backbone
    with pytest.raises(InputError, match="attention-rollout needs a backbone with attention"):
        saliency_maps(backbone, lambda: torch.zeros(1), "attention-rollout")
