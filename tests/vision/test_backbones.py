"""Backbones: one shape for all, published sizes, and what is refused."""

import pytest
import torch
import torchvision_layouts as torchvision
from transformers import ViTModel

from plainfilm.core import InputError
from plainfilm.models.radscribe import RadScribeConfig, RadScribeForConditionalGeneration
from plainfilm.vision.backbones import (
    BACKBONES,
    backbone_channels,
    backbone_config,
    backbone_features,
    build_backbone,
    has_attention,
    image_tokens,
)

SEQUENCE = {"num_channels": 1, "image_size": 96, "patch_size": 8, "hidden_size": 16}
TRANSFORMER = SEQUENCE | {
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
}  # fmt: skip
DINOV2 = SEQUENCE | {"num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 2}
SWIN = {
    "num_channels": 1, "image_size": 96, "patch_size": 4, "embed_dim": 8, "depths": [1, 1],
    "num_heads": [1, 2], "window_size": 3,
}  # fmt: skip
CONVNEXT = {"num_channels": 1, "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}
SMALL = {
    "beit": TRANSFORMER,
    "clip_vision_model": TRANSFORMER,
    "convnext": CONVNEXT,
    "convnextv2": CONVNEXT,
    "deit": TRANSFORMER,
    "densenet": {
        "num_channels": 1, "init_features": 8, "growth_rate": 8, "block_config": [1, 1],
    },
    "dinov2": DINOV2,
    "dinov2_with_registers": DINOV2,
    "dinov3_vit": TRANSFORMER,
    "efficientnet": {
        "num_channels": 1, "image_size": 96, "width_coefficient": 0.25, "depth_coefficient": 0.1,
        "hidden_dim": 320, "in_channels": [32, 16], "out_channels": [16, 24], "strides": [2, 2],
        "kernel_sizes": [3, 3], "expand_ratios": [1, 1], "num_block_repeats": [1, 1],
        "depthwise_padding": [],
    },
    "focalnet": {
        "num_channels": 1, "image_size": 96, "patch_size": 4, "embed_dim": 8, "depths": [1, 1],
        "hidden_sizes": [8, 16], "focal_levels": [1, 1], "focal_windows": [3, 3],
    },
    "hiera": {
        "num_channels": 1, "image_size": 96, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2],
        "num_query_pool": 1, "masked_unit_size": [8, 8],
    },
    "mamba": SEQUENCE | {"num_hidden_layers": 2},
    "pvt_v2": {
        "num_channels": 1, "image_size": 96, "hidden_sizes": [8, 16], "depths": [1, 1],
        "num_attention_heads": [1, 2], "sr_ratios": [2, 1], "patch_sizes": [7, 3],
        "strides": [4, 2], "mlp_ratios": [2, 2], "num_encoder_blocks": 2,
    },
    "regnet": {
        "num_channels": 1, "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
        "groups_width": 8,
    },
    "resnet": {
        "num_channels": 1, "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
        "layer_type": "basic",
    },
    "segformer": {
        "num_channels": 1, "num_encoder_blocks": 2, "hidden_sizes": [8, 16], "depths": [1, 1],
        "num_attention_heads": [1, 2], "sr_ratios": [2, 1], "patch_sizes": [7, 3],
        "strides": [4, 2], "mlp_ratios": [2, 2],
    },
    "siglip_vision_model": TRANSFORMER,
    "swin": SWIN,
    "swinv2": SWIN,
    "vit": TRANSFORMER,
}  # fmt: skip

NEAR, FAR = slice(0, 16), slice(80, 96)
CORNERS = ((NEAR, FAR), (NEAR, NEAR), (FAR, NEAR), (FAR, FAR))


def test_every_one_that_is_named_is_tried_here() -> None:
    assert set(SMALL) == set(BACKBONES)


@pytest.mark.parametrize("name", BACKBONES)
def test_tokens_are_batch_tokens_channels_in_row_major_order(name: str) -> None:
    """Of the film's corners, the upper right one moves the last token of the first row most."""
    torch.manual_seed(0)
    config = backbone_config({"model_type": name} | SMALL[name])
    network = build_backbone(config).eval().double()  # fresh weights are small
    film = torch.rand(2, 1, 96, 96, dtype=torch.double).requires_grad_()
    tokens = image_tokens(network, film, grid=12)
    pooled = image_tokens(network, film, grid=4)
    assert tokens.shape == (2, 144, backbone_channels(config))
    assert backbone_features(config, 96)[:3] == (tokens.shape[2], 12, 12)
    (slope,) = torch.autograd.grad(tokens[0, 11].abs().sum(), film)
    corners = [slope[0, 0, rows, columns].abs().sum() for rows, columns in CORNERS]
    assert int(torch.stack(corners).argmax()) == 0
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


@pytest.mark.parametrize("name", PUBLISHED)
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
        ({"model_type": "vgg"}, r"unknown backbone 'vgg'.* densenet, mamba, beit, .*, vit, or"),
        ({"model_type": ["vit"]}, r"unknown backbone \['vit'\]"),
        (
            {"model_type": "siglip"},
            "siglip is no image backbone.* siglip_vision_model is its image",
        ),
        ({"model_type": "bert"}, "bert is no image backbone, since it takes no films"),
        ({"model_type": "qwen2_5_vl_vision"}, "takes no films"),
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


def test_the_densenets_layers_are_torchvisions() -> None:
    """Every weight of DenseNet-121 under its name in a checkpoint, its shape and its order."""
    with torch.device("meta"):
        ours = build_backbone(backbone_config({"model_type": "densenet"})).state_dict()
        theirs = torchvision.DenseNet().features.state_dict()
    assert [(name.replace(".layers.", "."), weight.shape) for name, weight in ours.items()] == [
        (f"features.{name}", weight.shape) for name, weight in theirs.items()
    ]


def test_which_have_attention_between_all_their_tokens() -> None:
    """Swin's tokens see their window only; a convolution's and Mamba's none."""
    found = {
        name
        for name in ("densenet", "mamba", "resnet", "swin", "vit", "dinov2", "clip_vision_model")
        if has_attention(build_backbone(backbone_config({"model_type": name} | SMALL[name])))
    }
    assert found == {"vit", "dinov2", "clip_vision_model"}


def test_a_film_that_a_backbone_cannot_read_is_refused_in_one_line() -> None:
    config = backbone_config({"model_type": "vit"} | SMALL["vit"] | {"image_size": 4})
    with pytest.raises(InputError, match=r"vit backbone does not work .* on films of 4 × 4"):
        build_backbone(config)


def test_random_numbers_are_drawn_for_the_network_alone() -> None:
    """Looking at shapes first must not change what a seed gives."""
    config = backbone_config({"model_type": "vit"} | SMALL["vit"])
    torch.manual_seed(3)
    expected = ViTModel(config, add_pooling_layer=False).state_dict()
    torch.manual_seed(3)
    found = build_backbone(backbone_config(config.to_dict())).state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
