"""Image backbones: a film in, image tokens out.

Every backbone gives ``(batch, tokens, channels)`` in row-major order of a square grid, whatever its
own output is: a convolutional feature map before pooling (MedViLL, section III-A), or a vision
transformer's patch tokens without its class token. The networks are transformers' own.
"""

from typing import Any, cast

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from plainfilm.core import InputError

BACKBONES = ("resnet", "vit")
"""The ``model_type`` of the configurations that :func:`build_backbone` knows."""


def backbone_config(values: dict[str, Any]) -> PreTrainedConfig:
    """Return the configuration that ``values`` describe; ``model_type`` chooses the network.

    Raises:
        InputError: ``model_type`` is missing or none of :data:`BACKBONES`.
    """
    rest = dict(values)
    model_type = rest.pop("model_type", None)
    if model_type not in BACKBONES:
        raise InputError(
            f"unknown backbone {model_type!r}: expected model_type to be one of "
            f"{', '.join(BACKBONES)}"
        )
    return cast(PreTrainedConfig, AutoConfig.for_model(model_type, **rest))


def build_backbone(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the network of a backbone configuration, with fresh weights and no pooling head."""
    extra = {"add_pooling_layer": False} if config.model_type == "vit" else {}
    return cast(PreTrainedModel, AutoModel.from_config(config, **extra))


def backbone_channels(config: PreTrainedConfig) -> int:
    """Return the number of channels of a backbone's tokens."""
    return int(config.hidden_sizes[-1] if config.model_type == "resnet" else config.hidden_size)


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
    """
    hidden = backbone(pixel_values=pixel_values).last_hidden_state
    if hidden.ndim == 3:  # a transformer's tokens: (batch, 1 + patches, channels)
        patches = hidden[:, 1:]
        side = int(patches.shape[1] ** 0.5)
        hidden = patches.transpose(1, 2).unflatten(2, (side, side))
    if hidden.shape[-2:] != (grid, grid):
        hidden = nn.functional.adaptive_avg_pool2d(hidden, grid)
    return cast(torch.Tensor, hidden.flatten(2).transpose(1, 2))
