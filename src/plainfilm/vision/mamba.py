"""A Mamba image encoder: patches as a sequence, read in both directions by state-space blocks.

It follows Vision Mamba (Zhu et al., ICML 2024, arXiv:2401.09417): patch embeddings, learned
position embeddings, residual blocks of pre-normalised Mamba mixers, forward and backward along the
row-major sequence. It departs from Vision Mamba in using transformers' own Mamba block:

- The direction alternates from block to block, as in Mamba-ND (Li et al., ECCV 2024,
  arXiv:2402.05892), whereas a Vision Mamba block runs both directions in parallel and adds them.
- There is no class token: all patch tokens go to the joint encoder.
- Weights start at random: published Vision Mamba checkpoints have different blocks and do not load.
"""

from typing import Any

import torch
from torch import nn
from transformers import MambaConfig
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.mamba.modeling_mamba import (
    MambaBlock,
    MambaPreTrainedModel,
    MambaRMSNorm,
)


class VisionMambaConfig(MambaConfig):
    """Sizes of a Mamba image encoder; the defaults are Vision Mamba's Tiny.

    Args:
        image_size: side of the film, in pixels.
        patch_size: side of a patch, in pixels.
        num_channels: channels of the film.
        hidden_size: channels of a token.
        num_hidden_layers: number of blocks; every second one reads the sequence backwards.
        kwargs: further settings of transformers' MambaConfig.
    """

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        num_channels: int = 3,
        hidden_size: int = 192,
        num_hidden_layers: int = 24,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size=hidden_size, num_hidden_layers=num_hidden_layers, **kwargs)
        self.image_size = image_size
        self.patch_size = patch_size
        self.num_channels = num_channels

    def feature_shape(self, size: int) -> tuple[int, int, int]:
        """Return (channels, rows, columns) for a film of ``size`` pixels a side."""
        side = size // self.patch_size
        return self.hidden_size, side, side


class VisionMambaModel(MambaPreTrainedModel):
    """transformers' Mamba blocks over the patches of a film."""

    config_class = VisionMambaConfig
    base_model_prefix = "mamba"
    main_input_name = "pixel_values"

    def __init__(self, config: VisionMambaConfig) -> None:
        super().__init__(config)
        width, patch = config.hidden_size, config.patch_size
        self.patch_embeddings = nn.Conv2d(config.num_channels, width, patch, stride=patch)
        count = (config.image_size // patch) ** 2
        self.position_embeddings = nn.Parameter(torch.zeros(1, count, width))
        self.layers = nn.ModuleList(
            MambaBlock(config, layer_idx=number) for number in range(config.num_hidden_layers)
        )
        self.norm_f = MambaRMSNorm(width, eps=config.layer_norm_epsilon)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self:
            init.trunc_normal_(module.position_embeddings, std=0.02)
            init.trunc_normal_(module.patch_embeddings.weight, std=0.02)

    def forward(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutput:
        """Return the patches' tokens, ``(batch, patches, hidden_size)`` in row-major order.

        Args:
            pixel_values: ``(batch, num_channels, image_size, image_size)``.
            kwargs: accepted for compatibility with transformers, and unused.
        """
        patches = self.patch_embeddings(pixel_values).flatten(2).transpose(1, 2)
        hidden = patches + self.position_embeddings
        for number, block in enumerate(self.layers):
            backward = number % 2 == 1
            hidden = block(hidden.flip(1) if backward else hidden)
            hidden = hidden.flip(1) if backward else hidden
        return BaseModelOutput(last_hidden_state=self.norm_f(hidden))
