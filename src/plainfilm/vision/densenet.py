"""DenseNet as an image backbone: CheXNet is its DenseNet-121.

The layers are MONAI's (``monai.networks.nets.DenseNet``), which compute what torchvision's do. The
last feature map goes through the ReLU that stands before pooling in torchvision and in CheXNet
(Rajpurkar et al., arXiv:1711.05225; 1024 channels at stride 32); the classifier is left out.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput


class DenseNetConfig(PreTrainedConfig):
    """Sizes of a DenseNet; the defaults are DenseNet-121 (Huang et al., CVPR 2017, Table 1).

    Args:
        num_channels: of the film.
        init_features: channels of the first convolution.
        growth_rate: channels that each layer adds (the paper's k).
        block_config: layers of each dense block; each block but the last halves the raster.
        bn_size: channels of a layer's bottleneck, in growth rates.
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


class DenseNetModel(PreTrainedModel):
    """MONAI's DenseNet without its classifier."""

    config_class = DenseNetConfig
    base_model_prefix = "densenet"
    main_input_name = "pixel_values"

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__(config)
        from monai.networks.nets.densenet import DenseNet  # takes seconds to import

        self.features = DenseNet(
            spatial_dims=2,
            in_channels=config.num_channels,
            out_channels=1,
            init_features=config.init_features,
            growth_rate=config.growth_rate,
            block_config=config.block_config,
            bn_size=config.bn_size,
        ).features
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
            kwargs: accepted for transformers' sake and unused.
        """
        return BaseModelOutput(last_hidden_state=self.features(pixel_values).relu())
