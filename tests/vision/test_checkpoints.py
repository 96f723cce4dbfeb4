"""Published weights in each naming give the reference class's features; wrong ones are refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision_layouts as torchvision
from safetensors.torch import save_file
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionModel,
    ConvNextForImageClassification,
    Dinov2Model,
    ResNetForImageClassification,
    SiglipConfig,
    SiglipModel,
    SiglipVisionModel,
    SwinForImageClassification,
    ViTForImageClassification,
    ViTModel,
)

from plainfilm.core import ModelError
from plainfilm.vision.backbones import backbone_config, build_backbone
from plainfilm.vision.checkpoints import load_backbone

DENSENET = {
    "model_type": "densenet", "block_config": [2, 3, 2], "init_features": 8, "growth_rate": 4,
    "bn_size": 2,
}  # fmt: skip
RESNET = {
    "model_type": "resnet", "embedding_size": 4, "hidden_sizes": [16, 32, 64, 128],
    "depths": [2, 1, 1, 1],
}  # fmt: skip
TRANSFORMER = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3}
VIT = TRANSFORMER | {
    "model_type": "vit", "image_size": 32, "patch_size": 8, "intermediate_size": 20,
    "layer_norm_eps": 1e-6,
}  # fmt: skip
DINOV2 = TRANSFORMER | {"model_type": "dinov2", "image_size": 32, "patch_size": 8, "mlp_ratio": 2}
TOWER = TRANSFORMER | {"image_size": 32, "patch_size": 8, "intermediate_size": 20}
CLIP = TOWER | {"model_type": "clip_vision_model"}
SIGLIP = TOWER | {"model_type": "siglip_vision_model"}
CONVNEXT = {
    "model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2,
}  # fmt: skip
SWIN = {
    "model_type": "swin", "image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1],
    "num_heads": [1, 2], "window_size": 2,
}  # fmt: skip


@pytest.fixture
def film() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def densenet() -> nn.Module:
    return torchvision.randomise(
        torchvision.DenseNet(blocks=(2, 3, 2), growth=4, first=8, bottleneck=2)
    )


def resnet() -> nn.Module:
    return torchvision.randomise(torchvision.ResNet(depths=(2, 1, 1, 1), first=4))


def vit() -> nn.Module:
    return torchvision.randomise(
        torchvision.VisionTransformer(size=32, patch=8, layers=2, width=12, heads=3, hidden=20)
    )


def saved(weights: dict[str, torch.Tensor], folder: Path) -> Path:
    path = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    return path


def features(path: Path, values: dict[str, object], film: torch.Tensor) -> torch.Tensor:
    network = load_backbone(path, backbone_config(values)).eval()
    with torch.no_grad():
        return network(pixel_values=film).last_hidden_state


@pytest.mark.parametrize(
    ("reference", "values"), [(densenet, DENSENET), (resnet, RESNET), (vit, VIT)]
)
def test_torchvisions_weights_give_torchvisions_features(
    reference, values: dict[str, object], film: torch.Tensor, tmp_path: Path
) -> None:
    network = reference()
    path = saved(network.state_dict(), tmp_path)
    with torch.no_grad():
        expected = network(film)
    assert expected.std() > 0.05
    torch.testing.assert_close(features(path, values, film), expected, rtol=1e-4, atol=1e-5)


def test_chexnets_published_names(film: torch.Tensor, tmp_path: Path) -> None:
    """As arnoweng/CheXNet has them: DataParallel's prefix, layers named norm.1, no batch counts."""
    network = densenet()
    published = {
        "module.densenet121." + re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): w
        for name, w in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    published["module.densenet121.classifier.0.weight"] = torch.zeros(14, 4)
    assert "module.densenet121.features.denseblock1.denselayer1.norm.1.weight" in published
    with torch.no_grad():
        expected = network(film)
    found = features(saved(published, tmp_path), DENSENET, film)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_torchvisions_published_vit_file_names_its_layers_linear(
    film: torch.Tensor, tmp_path: Path
) -> None:
    network = vit()
    published = {
        name.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): value
        for name, value in network.state_dict().items()
    }
    with torch.no_grad():
        expected = network(film)
    found = features(saved(published, tmp_path), VIT, film)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ViTModel, VIT),
        (ViTForImageClassification, VIT),
        (ResNetForImageClassification, RESNET),
        (Dinov2Model, DINOV2),
        (ConvNextForImageClassification, CONVNEXT),
        (SwinForImageClassification, SWIN),
        (CLIPVisionModel, CLIP),
        (SiglipVisionModel, SIGLIP),
    ],
)
def test_a_folder_of_transformers(
    kind, values: dict[str, object], film: torch.Tensor, tmp_path: Path
) -> None:
    """With its pooler or its classification head, which have no place in a backbone."""
    reference = torchvision.randomise(kind(backbone_config(values)))
    reference.save_pretrained(tmp_path)
    base = getattr(reference, reference.base_model_prefix, reference)
    with torch.no_grad():
        expected = base(pixel_values=film).last_hidden_state
    torch.testing.assert_close(features(tmp_path, values, film), expected)


TEXT = {
    "vocab_size": 20, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
    "intermediate_size": 12, "max_position_embeddings": 8, "projection_size": 12,
}  # fmt: skip


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize(
    ("kind", "config", "values"),
    [(CLIPModel, CLIPConfig, CLIP), (SiglipModel, SiglipConfig, SIGLIP)],
)
def test_the_image_tower_of_a_folder_with_text(
    kind, config, values: dict[str, object], size: int, tmp_path: Path
) -> None:
    """As openai's and google's folders are; its positions resized as transformers does."""
    whole = config(text_config=TEXT, vision_config=TOWER)
    reference = torchvision.randomise(kind(whole))
    reference.save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text().count("vision_config")
    film = torch.rand(2, 3, size, size)
    with torch.no_grad():
        expected = reference.vision_model(
            pixel_values=film, interpolate_pos_encoding=size != 32
        ).last_hidden_state
    found = features(tmp_path, values | {"image_size": size}, film)
    torch.testing.assert_close(found, expected)


def test_a_folder_in_parts(film: torch.Tensor, tmp_path: Path) -> None:
    reference = torchvision.randomise(ViTModel(backbone_config(VIT), add_pooling_layer=False))
    reference.save_pretrained(tmp_path, max_shard_size="4KB")
    assert not (tmp_path / "model.safetensors").exists()
    with torch.no_grad():
        expected = reference(film).last_hidden_state
    torch.testing.assert_close(features(tmp_path, VIT, film), expected)
    (tmp_path / "model-00001-of-00002.safetensors").unlink(missing_ok=True)
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match="expected safetensors weights, found"):
        load_backbone(tmp_path, backbone_config(VIT))


def test_settings_of_any_network_must_fit(tmp_path: Path) -> None:
    SwinForImageClassification(backbone_config(SWIN)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="set hidden_act: gelu there"):
        load_backbone(tmp_path, backbone_config(SWIN | {"hidden_act": "relu"}))


@pytest.mark.parametrize(
    "values",
    [
        DENSENET,
        {"model_type": "mamba", "image_size": 32, "patch_size": 8, "hidden_size": 12,
         "num_hidden_layers": 2},
    ],
)  # fmt: skip
def test_a_folder_of_our_own(values: dict[str, object], film: torch.Tensor, tmp_path: Path) -> None:
    reference = build_backbone(backbone_config(values)).eval()
    reference.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = reference(pixel_values=film).last_hidden_state
    torch.testing.assert_close(features(tmp_path, values, film), expected)


@pytest.mark.parametrize("size", [48, 24])
def test_positions_are_resized_as_transformers_does(size: int, tmp_path: Path) -> None:
    film = torch.rand(1, 3, size, size)
    reference = torchvision.randomise(ViTModel(backbone_config(VIT), add_pooling_layer=False))
    reference.save_pretrained(tmp_path / "vit")
    with torch.no_grad():
        expected = reference(film, interpolate_pos_encoding=True).last_hidden_state
    found = features(tmp_path / "vit", VIT | {"image_size": size}, film)
    torch.testing.assert_close(found, expected)

    other = torchvision.randomise(Dinov2Model(backbone_config(DINOV2)))
    other.save_pretrained(tmp_path / "dinov2")
    with torch.no_grad():
        expected = other(film).last_hidden_state  # it resizes by itself
    found = features(tmp_path / "dinov2", DINOV2 | {"image_size": size}, film)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("reference", "values"), [(densenet, DENSENET), (resnet, RESNET), (vit, VIT)]
)
def test_weights_for_colour_read_a_film_of_one_channel(
    reference, values: dict[str, object], tmp_path: Path
) -> None:
    network = reference()
    path = saved(network.state_dict(), tmp_path)
    film = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected = network(film.expand(-1, 3, -1, -1))
    found = features(path, values | {"num_channels": 1}, film)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_for_one_channel_read_a_repeated_film(tmp_path: Path) -> None:
    network = torchvision.randomise(torchvision.ResNet(depths=(2, 1, 1, 1), first=4, channels=1))
    film = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected = network(film)
    found = features(saved(network.state_dict(), tmp_path), RESNET, film.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_half_precision_weights_are_loaded_as_float32(film: torch.Tensor, tmp_path: Path) -> None:
    path = saved({name: w.half() for name, w in resnet().state_dict().items()}, tmp_path)
    assert features(path, RESNET, film).dtype == torch.float32


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):  # what unpickling would run
            return Path.touch, (tmp_path / "opened",)

    path = tmp_path / "model.pth.tar"
    torch.save({"state_dict": Bomb()}, path)
    with pytest.raises(ModelError, match=r"model\.pth\.tar is no safetensors file.*backbones\.md"):
        load_backbone(path, backbone_config(DENSENET))
    (tmp_path / "config.json").write_text("{}")
    path.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"found config\.json, pytorch_model\.bin; docs/backb"):
        load_backbone(tmp_path, backbone_config(DENSENET))
    assert not (tmp_path / "opened").exists()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no backbone at .*none"):
        load_backbone(tmp_path / "none", backbone_config(VIT))
    with pytest.raises(ModelError, match=r"expected a folder with config\.json"):
        load_backbone(tmp_path, backbone_config(VIT))


def test_what_is_missing_left_over_or_of_another_shape_is_named(tmp_path: Path) -> None:
    weights = resnet().state_dict()
    weights["layer5.0.conv1.weight"] = weights.pop("layer4.0.conv1.weight")
    weights["bn1.bias"] = torch.zeros(7)
    with pytest.raises(ModelError) as caught:
        load_backbone(saved(weights, tmp_path), backbone_config(RESNET))
    message = str(caught.value)
    assert "\n" not in message
    assert "lacks 1 of" in message
    assert "encoder.stages.3.layers.0.layer.0.convolution.weight" in message
    assert "has too many 1 of" in message
    assert "layer5.0" in message
    assert "another shape 1 of" in message
    assert "embedder.embedder.normalization.bias" in message


def test_settings_that_the_weights_do_not_show_must_fit(tmp_path: Path) -> None:
    """The number of heads and the norm's epsilon change the features without a trace."""
    ViTModel(backbone_config(VIT)).save_pretrained(tmp_path)
    other = VIT | {"num_attention_heads": 2, "layer_norm_eps": 1e-12}
    with pytest.raises(ModelError, match="num_attention_heads: 3, layer_norm_eps: 1e-06"):
        load_backbone(tmp_path, backbone_config(other))
    path = saved(vit().state_dict(), tmp_path)
    with pytest.raises(ModelError, match="set layer_norm_eps: 1e-06"):
        load_backbone(path, backbone_config(VIT | {"layer_norm_eps": 1e-12}))


def test_another_network_is_refused(tmp_path: Path) -> None:
    BertModel(
        BertConfig(hidden_size=12, num_hidden_layers=1, num_attention_heads=3)
    ).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"holds a bert network.*asks for vit"):
        load_backbone(tmp_path, backbone_config(VIT))


def test_the_documented_conversion(film: torch.Tensor, tmp_path: Path) -> None:
    """The lines in docs/backbones.md, on a pickle as CheXNet's was written."""
    page = (Path(__file__).parents[2] / "docs" / "backbones.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    network = densenet()
    source, target = tmp_path / "model.pth.tar", tmp_path / "chexnet.safetensors"
    content = {"epoch": 1, "state_dict": network.state_dict(), "best_loss": 0.1}
    torch.save(content, source, _use_new_zipfile_serialization=False)
    subprocess.run([sys.executable, "-c", code[1], source, target], check=True)
    with torch.no_grad():
        expected = network(film)
    torch.testing.assert_close(features(target, DENSENET, film), expected, rtol=1e-4, atol=1e-5)
