"""Backbones: one shape for all, published sizes, and what is refused."""

import subprocess
import sys

import pytest
import torch

from plainfilm.core import InputError
from plainfilm.models.radscribe import RadScribeConfig, RadScribeForConditionalGeneration
from plainfilm.vision.backbones import (
    BACKBONES,
    backbone_channels,
    backbone_config,
    build_backbone,
    image_tokens,
)

SEQUENCE = {"num_channels": 1, "image_size": 96, "patch_size": 8, "hidden_size": 16}
SMALL = {
    "resnet": {
        "num_channels": 1, "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
        "layer_type": "basic",
    },
    "densenet": {
        "num_channels": 1, "init_features": 8, "growth_rate": 8, "block_config": [1, 1],
    },
    "vit": SEQUENCE | {
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    },
    "dinov2": SEQUENCE | {"num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 2},
    "mamba": SEQUENCE | {"num_hidden_layers": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", BACKBONES)
def test_tokens_are_batch_tokens_channels_in_row_major_order(name: str) -> None:
    """Turning the film's upper left corner bright changes the first token most."""
    torch.manual_seed(0)
    config = backbone_config({"model_type": name} | SMALL[name])
    network = build_backbone(config).eval()
    film = torch.zeros(2, 1, 96, 96)
    film[1, :, 0:8, 88:96] = 5.0
    with torch.no_grad():
        tokens = image_tokens(network, film, grid=12)
        pooled = image_tokens(network, film, grid=4)
    assert tokens.shape == (2, 144, backbone_channels(config))
    change = (tokens[1] - tokens[0]).norm(dim=1)
    assert int(change.argmax()) == 11  # the last of the first row
    expected = tokens.unflatten(1, (4, 3, 4, 3)).mean(dim=(2, 4)).flatten(1, 2)
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_each_trains_inside_the_model_and_is_saved_with_it(name: str, tmp_path) -> None:
    torch.manual_seed(0)
    model = RadScribeForConditionalGeneration(
        RadScribeConfig(
            backbone={"model_type": name} | SMALL[name],
            encoder={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                     "intermediate_size": 16, "vocab_size": 20},
            decoder={"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2,
                     "vocab_size": 20},
            image_size=96,
            image_token_grid=6,
        )
    )  # fmt: skip
    batch = {
        "pixel_values": torch.rand(2, 1, 96, 96),
        "text_ids": torch.tensor([[2, 3]] * 2),
        "text_attention_mask": torch.ones(2, 2, dtype=torch.long),
        "labels": torch.tensor([[5, 6, 1], [7, 1, -100]]),
    }
    model(**batch, observation_labels=torch.zeros(2, 14)).loss.backward()
    assert all(p.grad is not None for p in model.encoder.backbone.parameters())  # torchrun asks it
    model.eval().save_pretrained(tmp_path)
    again = RadScribeForConditionalGeneration.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


PUBLISHED = {
    # DenseNet-121's 7,978,856 (torchvision) less its classifier of 1,025,000.
    "densenet": ({}, 6_953_856, 16, 1024),
    # ResNet-101's 44,549,160 (torchvision) less its classifier of 2,049,000.
    "resnet": ({"depths": [3, 4, 23, 3]}, 42_500_160, 16, 2048),
    # ViT-B/16 at 224²: 86,567,656 (torchvision) less its head of 769,000; more positions.
    "vit": ({"image_size": 512}, 85_798_656 + (32**2 - 14**2) * 768, 32, 768),
    # RAD-DINO is DINOv2's ViT-B/14 at 518²: ViT-B/16 at 224² with smaller patches, more positions,
    # two layer scales a layer; its mask token stays behind.
    "dinov2": (
        {"image_size": 518},
        85_798_656 - (16**2 - 14**2) * 3 * 768 + (37**2 - 14**2) * 768 + 12 * 2 * 768,
        37,
        768,
    ),
    # Vision Mamba-Ti's width, depth and state (Zhu et al. 2024: 7 M, with two scans a block).
    "mamba": ({"image_size": 512}, 6_385_536, 32, 192),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_published_size(name: str) -> None:
    values, parameters, side, channels = PUBLISHED[name]
    config = backbone_config({"model_type": name} | values)
    size = values.get("image_size", 512)
    with torch.device("meta"):
        network = build_backbone(config)
        film = torch.empty(1, 3, size, size)
        if name != "mamba":  # its scan runs token by token
            assert image_tokens(network, film, grid=side).shape == (1, side**2, channels)
            assert image_tokens(network, film, grid=16).shape == (1, 256, channels)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert backbone_channels(config) == channels


def test_vit_b_16_at_224() -> None:
    with torch.device("meta"):
        network = build_backbone(backbone_config({"model_type": "vit"}))
    assert sum(parameter.numel() for parameter in network.parameters()) == 85_798_656


def test_mamba_reads_in_both_directions() -> None:
    """One block hears of the patches before; the next, of those behind."""
    torch.manual_seed(0)
    values = {"model_type": "mamba"} | SMALL["mamba"]
    film = torch.zeros(3, 1, 96, 96)
    film[1, :, :8, :8] = 5.0  # first patch
    film[2, :, 88:, 88:] = 5.0  # last patch
    heard = {}
    for layers in (1, 2):
        network = build_backbone(backbone_config(values | {"num_hidden_layers": layers})).eval()
        with torch.no_grad():
            tokens = image_tokens(network, film, grid=12)
        heard[layers] = [
            not torch.equal(tokens[1, -1], tokens[0, -1]),
            not torch.equal(tokens[2, 0], tokens[0, 0]),
        ]
    assert heard == {1: [True, False], 2: [True, True]}


def test_a_grid_finer_than_the_backbones_own_is_refused() -> None:
    network = build_backbone(backbone_config({"model_type": "resnet"} | SMALL["resnet"]))
    with pytest.raises(InputError, match=r"image_token_grid is 16, .* gives 12 × 12 tokens"):
        image_tokens(network, torch.zeros(1, 1, 96, 96), grid=16)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "vgg"}, r"unknown backbone 'vgg'.* resnet, densenet, vit, dinov2, mamba"),
        ({}, "unknown backbone None"),
        (
            {"model_type": "vit", "pach_size": 8},
            "setting of the vit backbone: pach_size; .*patch_s",
        ),
    ],
)
def test_what_is_no_backbone_lists_the_choices(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        backbone_config(values)


def test_monai_is_imported_only_for_its_network() -> None:
    code = "import sys, plainfilm.vision.backbones; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
