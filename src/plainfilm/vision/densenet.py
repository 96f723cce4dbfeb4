"""DenseNet as an image backbone: CheXNet is its DenseNet-121.

The layers are those of Huang et al. (CVPR 2017, Table 1), in torchvision's order: norm, ReLU,
convolution. The last feature map goes through the ReLU that stands before pooling in torchvision
and in CheXNet (Rajpurkar et al., arXiv:1711.05225; 1024 channels at stride 32); there is no
classifier.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput


class DenseNetConfig(PreTrainedConfig):
    """Sizes of a DenseNet; the defaults are DenseNet-121 (Huang et al., CVPR 2017, Table 1).

    Args:
        num_channels: channels of the film.
        init_features: channels of the first convolution.
        growth_rate: channels that each layer adds (the paper's k).
        block_config: layers of each dense block; all blocks but the last halve the resolution.
        bn_size: channels of a layer's bottleneck, as a multiple of ``growth_rate``.
    """

    model_type = "densenet"

    def __init__(
        self,
        num_channels: int = 3,
        init_features: int = 64,
        growth_rate: int = 32,
        block_config: tuple[int, ...] | list[int] = (6, 12, 24, 16),
        bn_size: int = 4,
        **kwargs: Any,
    ) -> None:
        self.num_channels = num_channels
        self.init_features = init_features
        self.growth_rate = growth_rate
        self.block_config = list(block_config)
        self.bn_size = bn_size
        super().__init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """Channels of the last feature map."""
        channels = self.init_features
        for number, layers in enumerate(self.block_config):
            channels = (channels if number == 0 else channels // 2) + layers * self.growth_rate
        return channels


class DenseLayer(GradientCheckpointingLayer):
    """Adds ``growth_rate`` channels, computed from all previous ones via a 1 × 1 bottleneck."""

    def __init__(self, channels: int, growth_rate: int, bn_size: int) -> None:
        super().__init__()
        between = bn_size * growth_rate
        self.layers = nn.Sequential(
            OrderedDict(
                norm1=nn.BatchNorm2d(channels),
                relu1=nn.ReLU(inplace=True),
                conv1=nn.Conv2d(channels, between, 1, bias=False),
                norm2=nn.BatchNorm2d(between),
                relu2=nn.ReLU(inplace=True),
                conv2=nn.Conv2d(between, growth_rate, 3, padding=1, bias=False),
            )
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, channels, rows, columns)`` with the new channels appended."""
        return torch.cat([features, self.layers(features)], dim=1)


def transition(channels: int) -> nn.Sequential:
    """Return the layers between two blocks, which halve channels and resolution."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(channels, channels // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


class DenseNetModel(PreTrainedModel):
    """A DenseNet's feature extractor."""

    config_class = DenseNetConfig
    base_model_prefix = "densenet"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__(config)
        channels = config.init_features
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(config.num_channels, channels, 7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(channels),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        for number, layers in enumerate(config.block_config, start=1):
            block = nn.Sequential()
            for layer in range(1, layers + 1):
                dense = DenseLayer(channels, config.growth_rate, config.bn_size)
                block.add_module(f"denselayer{layer}", dense)
                channels += config.growth_rate
            self.features.add_module(f"denseblock{number}", block)
            if number < len(config.block_config):
                self.features.add_module(f"transition{number}", transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight)

    def forward(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutput:
        """Return the last feature map, ``(batch, hidden_size, height / 32, width / 32)``.

        Args:
            pixel_values: ``(batch, num_channels, height, width)``.
            kwargs: accepted for compatibility with transformers, and unused.
        """
        return BaseModelOutput(last_hidden_state=self.features(pixel_values).relu())
