"""Image backbones: a film in, image tokens out.

Every backbone's output becomes ``(batch, tokens, channels)`` in row-major order of a square grid,
whether it is a convolutional feature map before pooling (MedViLL, section III-A) or a sequence
model's patch tokens without the class token.

Any transformers vision network works if ``pixel_values`` is its only input and it returns a last
hidden state or feature maps (of SigLIP and CLIP: the image tower); plainfilm adds a DenseNet and a
Mamba encoder. The number of channels, the token grid, and the weights that do not affect the
features (poolers, mask tokens) are found by running the network on torch's meta device, where
tensors have shapes but no content; such weights are dropped.
"""

import inspect
import json
import math
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_BACKBONE_MAPPING,
    MODEL_MAPPING,
    PreTrainedConfig,
    PreTrainedModel,
)

from plainfilm.core import InputError, errors_as
from plainfilm.vision.densenet import DenseNetConfig, DenseNetModel
from plainfilm.vision.mamba import VisionMambaConfig, VisionMambaModel

_OWN: dict[str, tuple[type[PreTrainedConfig], type[PreTrainedModel]]] = {
    "densenet": (DenseNetConfig, DenseNetModel),
    "mamba": (VisionMambaConfig, VisionMambaModel),
}

BACKBONES = (
    *_OWN, "beit", "clip_vision_model", "convnext", "convnextv2", "deit", "dinov2",
    "dinov2_with_registers", "dinov3_vit", "efficientnet", "focalnet", "hiera", "pvt_v2", "regnet",
    "resnet", "segformer", "siglip_vision_model", "swin", "swinv2", "vit",
)  # fmt: skip
"""Each ``model_type`` covered by the tests; more of transformers' vision networks work."""

_SWITCHES = ("use_mask_token", "vision_use_head", "use_head")
"""Settings of transformers' configurations that add layers which a backbone does not need."""


class Features(NamedTuple):
    """Shape of a backbone's features."""

    channels: int
    rows: int
    columns: int
    unused: frozenset[str] = frozenset()
    """Names of weights that the features do not depend on."""


def backbone_config(values: dict[str, Any]) -> PreTrainedConfig:
    """Return the configuration described by ``values``; ``model_type`` selects the network.

    ``image_size`` is dropped if the network accepts films of any size, and ``num_channels`` if it
    accepts only colour.

    Raises:
        InputError: ``model_type`` is missing or not a vision network, or a setting is unknown.
    """
    rest = dict(values)
    model_type = rest.pop("model_type", None)
    kind = _config_class(model_type)
    known = kind().to_dict()
    if "image_size" not in known:
        rest.pop("image_size", None)
    if "num_channels" not in known and rest.get("num_channels") == 3:
        del rest["num_channels"]
    if isinstance(known.get("image_size"), list | tuple) and isinstance(
        rest.get("image_size"), int
    ):
        rest["image_size"] = [rest["image_size"]] * 2
    rest = {name: False for name in _SWITCHES if name in known} | rest
    unknown = sorted(set(rest) - set(known))
    if unknown:
        common = set(PreTrainedConfig().to_dict())
        raise InputError(
            f"unknown setting of the {model_type} backbone: {', '.join(unknown)}; expected some of "
            f"{', '.join(sorted(set(known) - common))}"
        )
    with errors_as(InputError, f"wrong setting of the {model_type} backbone", "mend it"):
        config = kind(**rest)
    stages = [getattr(config, name, None) for name in ("depths", "hidden_sizes")]
    usual = [known.get(name) for name in ("depths", "hidden_sizes")]
    if len(set(map(_length, usual))) == 1 and len(set(map(_length, stages))) > 1:
        raise InputError(
            f"wrong setting of the {model_type} backbone: depths {stages[0]} and hidden_sizes "
            f"{stages[1]} must have a value for each stage"
        )
    return config


def _length(values: object) -> int | None:
    return len(values) if isinstance(values, list | tuple) else None


def _config_class(model_type: object) -> type[PreTrainedConfig]:
    if isinstance(model_type, str) and model_type in _OWN:
        return _OWN[model_type][0]
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise InputError(
            f"unknown backbone {model_type!r}: expected model_type to be one of "
            f"{', '.join(BACKBONES)}, or another vision network of transformers"
        )
    kind = cast(type[PreTrainedConfig], CONFIG_MAPPING[model_type])
    tower = getattr(kind.sub_configs.get("vision_config"), "model_type", None)
    if tower in CONFIG_MAPPING:
        raise InputError(
            f"{model_type} is no image backbone, since it reads text as well: model_type "
            f"{tower} is its image tower"
        )
    network = _transformers_class(kind)
    if network is None or "pixel_values" not in inspect.signature(network.forward).parameters:
        raise InputError(
            f"{model_type} is no image backbone, since it takes no films: expected model_type to "
            f"be one of {', '.join(BACKBONES)}, or another vision network of transformers"
        )
    return kind


def _transformers_class(config: type[PreTrainedConfig]) -> type[PreTrainedModel] | None:
    for mapping in (MODEL_MAPPING, MODEL_FOR_BACKBONE_MAPPING):
        if config in mapping:
            kinds = mapping[config]
            return cast(
                type[PreTrainedModel], kinds[0] if isinstance(kinds, tuple | list) else kinds
            )
    return None


def backbone_class(config: PreTrainedConfig) -> tuple[type[PreTrainedModel], dict[str, Any]]:
    """Return the network's class, and its constructor arguments besides the configuration."""
    for kind, network in _OWN.values():
        if isinstance(config, kind):
            return network, {}
    found = _transformers_class(type(config))
    assert found is not None  # noqa: S101 - backbone_config has checked
    pools = "add_pooling_layer" in inspect.signature(found.__init__).parameters
    return found, {"add_pooling_layer": False} if pools else {}


def build_backbone(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the network of a configuration, randomly initialised and without a pooling head."""
    kind, extra = backbone_class(config)
    network = cast(PreTrainedModel, kind._from_config(config, **extra))
    leave_out(network, backbone_features(config).unused)
    return network


def leave_out(network: nn.Module, unused: frozenset[str]) -> None:
    """Remove the ``unused`` weights from a network, and modules that have no other weights.

    If they stayed, they would have no gradient, which data-parallel training does not allow by
    default (``find_unused_parameters``).
    """
    gone: set[str] = set()
    for name, module in list(network.named_modules()):  # outer ones first
        prefix = f"{name}." if name else ""
        inside = {prefix + weight for weight, _ in module.named_parameters()} - gone
        if not name or not inside or not inside <= unused:
            continue
        network.set_submodule(name, _Nothing())
        gone |= inside
    for name in unused - gone:
        parent, _, own = name.rpartition(".")
        module = network.get_submodule(parent)
        value = module._parameters.pop(own)
        assert value is not None  # noqa: S101 - it was named as a weight
        module.register_buffer(own, value.detach(), persistent=False)


class _Nothing(nn.Module):
    """Replaces a module that only a pooled output passed through."""

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return ``hidden`` unchanged."""
        return hidden


def backbone_features(config: PreTrainedConfig, image_size: int | None = None) -> Features:
    """Return the shape of a backbone's features for a square film, without computing them.

    Args:
        config: from :func:`backbone_config`.
        image_size: side of the film in pixels; default: the configuration's, or 224.

    Raises:
        InputError: the network does not accept such a film, or returns no feature map.
    """
    own = getattr(config, "image_size", None)
    size = image_size or (own if isinstance(own, int) else own[0] if own else 224)
    shape = getattr(config, "feature_shape", None)
    if shape is not None:
        return Features(*shape(size))
    return _measure(
        cast(Any, type(config)), json.dumps(config.to_dict(), sort_keys=True, default=str), size
    )


def backbone_channels(config: PreTrainedConfig) -> int:
    """Return the number of channels of a backbone's tokens."""
    return backbone_features(config).channels


def check_grid(config: PreTrainedConfig, image_size: int, grid: int) -> None:
    """Check that the grid of image tokens is not finer than the backbone's own.

    Raises:
        InputError: it is finer; the backbone's grid is named.
    """
    features = backbone_features(config, image_size)
    _check_grid(config, features.rows, features.columns, grid)


def _check_grid(config: PreTrainedConfig, rows: int, columns: int, grid: int) -> None:
    if not 0 < grid <= min(rows, columns):
        raise InputError(
            f"image_token_grid is {grid}, but the {config.model_type} backbone gives "
            f"{rows} × {columns} tokens for this film: lower image_token_grid or raise image_size"
        )


def has_attention(backbone: PreTrainedModel) -> bool:
    """Return whether all of a backbone's tokens attend to each other in every layer."""
    config = backbone.config
    if hasattr(config, "feature_shape"):
        return False
    size = getattr(config, "image_size", None) or 224
    values = json.dumps(config.to_dict(), sort_keys=True, default=str)
    return _attends(cast(Any, type(config)), values, size if isinstance(size, int) else size[0])


@cache
def _measure(kind: Any, values: str, size: int) -> Features:
    config = kind.from_dict(json.loads(values))
    what = (
        f"the {config.model_type} backbone does not work with these settings on films of {size} × "
        f"{size} pixels"
    )
    with errors_as(InputError, what, "mend model.config.backbone, or choose another image_size"):
        network, film = _on_meta(config, size)
        features = feature_map(last_features(network(pixel_values=film)))
        weights = dict(network.named_parameters())
        gradients = torch.autograd.grad(features.sum(), list(weights.values()), allow_unused=True)
        unused = frozenset(
            name for name, slope in zip(weights, gradients, strict=True) if slope is None
        )
    found = Features(*features.shape[1:])
    if unused:
        leave_out(network, unused)
        try:
            network(pixel_values=film)
        except (AttributeError, IndexError, TypeError, ValueError, RuntimeError):
            return found  # their output is still read, though it does not affect the features
    return found._replace(unused=unused)


@cache
def _attends(kind: Any, values: str, size: int) -> bool:
    config = kind.from_dict(json.loads(values))
    # Only eager attention returns its weights.
    network, film = _on_meta(config, size, attn_implementation="eager")
    network.config.output_attentions = True
    output = network(pixel_values=film)
    hidden, layers = last_features(output), getattr(output, "attentions", None)
    if hidden.ndim != 3 or not layers:
        return False
    tokens = hidden.shape[1]
    return all(layer.ndim == 4 and layer.shape[2:] == (tokens, tokens) for layer in layers)


def _on_meta(
    config: PreTrainedConfig, size: int, **options: Any
) -> tuple[PreTrainedModel, torch.Tensor]:
    """Return the whole network and a film on the meta device: shapes without content."""
    kind, extra = backbone_class(config)
    with torch.device("meta"), torch.inference_mode(False), torch.enable_grad():
        network = kind._from_config(config, dtype=torch.float32, **extra, **options).eval()
        film = torch.empty(1, getattr(config, "num_channels", 3), size, size)
    return cast(PreTrainedModel, network), film


def last_features(output: Any) -> torch.Tensor:
    """Return the last hidden state of a network's output, or else its last feature map."""
    hidden = getattr(output, "last_hidden_state", None)
    return cast(torch.Tensor, output.feature_maps[-1] if hidden is None else hidden)


def feature_map(hidden: torch.Tensor) -> torch.Tensor:
    """Return a backbone's last hidden state as a map, ``(batch, channels, rows, columns)``.

    Args:
        hidden: a map with the channels second or last, or ``(batch, tokens, channels)``: a square
            grid of patches, optionally preceded by class tokens and registers.
    """
    if hidden.ndim == 4:
        last = hidden.shape[1] == hidden.shape[2] != hidden.shape[3]
        return hidden.permute(0, 3, 1, 2) if last else hidden
    side = math.isqrt(hidden.shape[1])
    return hidden[:, -side * side :].transpose(1, 2).reshape(len(hidden), -1, side, side)


def image_tokens(backbone: PreTrainedModel, pixel_values: torch.Tensor, grid: int) -> torch.Tensor:
    """Return the image tokens of ``pixel_values`` on a ``grid`` × ``grid`` grid.

    A finer feature map is averaged down to ``grid`` (ViT-B/16 on a 512² film has 32² patches, more
    than BERT has positions for; MedViLL uses 16² for a 512² film).

    Args:
        backbone: a network from :func:`build_backbone`.
        pixel_values: ``(batch, channels, height, width)``, in any precision.
        grid: side of the token grid.

    Returns:
        ``(batch, grid * grid, channels)``.

    Raises:
        InputError: the backbone's own grid is coarser than ``grid``.
    """
    features = feature_map(last_features(backbone(pixel_values=pixel_values.to(backbone.dtype))))
    rows, columns = features.shape[-2:]
    _check_grid(backbone.config, rows, columns, grid)
    if (rows, columns) != (grid, grid):
        features = nn.functional.adaptive_avg_pool2d(features, grid)
    return features.flatten(2).transpose(1, 2)
