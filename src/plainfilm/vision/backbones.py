"""Image backbones: a film in, image tokens out.

Every backbone gives ``(batch, tokens, channels)`` in row-major order of a square grid, whatever its
own output is: a convolutional feature map before pooling (MedViLL, section III-A), or a sequence
model's patch tokens without its class token. ResNet, ViT and DINOv2 are transformers' own networks,
DenseNet is MONAI's, Mamba is built of transformers' blocks.
"""

import math
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    Dinov2Config,
    Dinov2Model,
    PreTrainedConfig,
    PreTrainedModel,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
)

from plainfilm.core import InputError, errors_as
from plainfilm.vision.densenet import DenseNetConfig, DenseNetModel
from plainfilm.vision.mamba import VisionMambaConfig, VisionMambaModel

_CLASSES: dict[str, tuple[type[PreTrainedConfig], type[PreTrainedModel]]] = {
    "resnet": (ResNetConfig, ResNetModel),
    "densenet": (DenseNetConfig, DenseNetModel),
    "vit": (ViTConfig, ViTModel),
    "dinov2": (Dinov2Config, Dinov2Model),
    "mamba": (VisionMambaConfig, VisionMambaModel),
}

BACKBONES = tuple(_CLASSES)
"""The ``model_type`` of the configurations that :func:`build_backbone` knows."""

CONVOLUTIONAL = ("resnet", "densenet")
"""Those that give a feature map; the others give a token for each patch."""

WITH_ATTENTION = ("vit", "dinov2")
"""Those whose tokens attend to each other."""


def backbone_config(values: dict[str, Any]) -> PreTrainedConfig:
    """Return the configuration that ``values`` describe; ``model_type`` chooses the network.

    Raises:
        InputError: ``model_type`` is missing or none of :data:`BACKBONES`, or a setting is unknown.
    """
    rest = dict(values)
    model_type = rest.pop("model_type", None)
    if model_type not in _CLASSES:
        raise InputError(
            f"unknown backbone {model_type!r}: expected model_type to be one of "
            f"{', '.join(BACKBONES)}"
        )
    kind = _CLASSES[model_type][0]
    if model_type in CONVOLUTIONAL:
        rest.pop("image_size", None)  # any size will do
    if model_type == "dinov2":  # nothing here hides patches
        rest = {"use_mask_token": False} | rest
    known = set(kind().to_dict())
    unknown = sorted(set(rest) - known)
    if unknown:
        raise InputError(
            f"unknown setting of the {model_type} backbone: {', '.join(unknown)}; expected some of "
            f"{', '.join(sorted(known - set(PreTrainedConfig().to_dict())))}"
        )
    with errors_as(InputError, f"wrong setting of the {model_type} backbone", "mend it"):
        return kind(**rest)


def backbone_class(config: PreTrainedConfig) -> tuple[type[PreTrainedModel], dict[str, Any]]:
    """Return the network's class, and what it is built with beside its configuration."""
    extra = {"add_pooling_layer": False} if config.model_type == "vit" else {}
    return _CLASSES[config.model_type][1], extra


def build_backbone(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the network of a backbone configuration, with fresh weights and no pooling head."""
    kind, extra = backbone_class(config)
    return cast(PreTrainedModel, kind._from_config(config, **extra))


def backbone_channels(config: PreTrainedConfig) -> int:
    """Return the number of channels of a backbone's tokens."""
    return int(config.hidden_sizes[-1] if config.model_type == "resnet" else config.hidden_size)


def feature_map(hidden: torch.Tensor) -> torch.Tensor:
    """Return a backbone's last hidden state as a map, ``(batch, channels, rows, columns)``.

    Args:
        hidden: such a map already, or ``(batch, tokens, channels)``: a square of patches, with or
            without a class token in front.
    """
    if hidden.ndim == 4:
        return hidden
    side = math.isqrt(hidden.shape[1])
    return hidden[:, -side * side :].transpose(1, 2).reshape(len(hidden), -1, side, side)


def image_tokens(backbone: PreTrainedModel, pixel_values: torch.Tensor, grid: int) -> torch.Tensor:
    """Return the tokens of ``pixel_values`` on a ``grid`` × ``grid`` raster.

    A finer raster is averaged down to ``grid`` (ViT-B/16 on a 512² film gives 32² patches, more
    than BERT has positions for; MedViLL's 512² film gives 16²).

    Args:
        backbone: a network from :func:`build_backbone`.
        pixel_values: ``(batch, channels, height, width)``.
        grid: side of the raster wanted.

    Returns:
        ``(batch, grid * grid, channels)``.

    Raises:
        InputError: the backbone's own raster is coarser than ``grid``.
    """
    features = feature_map(backbone(pixel_values=pixel_values).last_hidden_state)
    rows, columns = features.shape[-2:]
    if min(rows, columns) < grid:
        raise InputError(
            f"image_token_grid is {grid}, but the {backbone.config.model_type} backbone gives "
            f"{rows} × {columns} tokens for this film: lower image_token_grid or raise image_size"
        )
    if (rows, columns) != (grid, grid):
        features = nn.functional.adaptive_avg_pool2d(features, grid)
    return features.flatten(2).transpose(1, 2)
