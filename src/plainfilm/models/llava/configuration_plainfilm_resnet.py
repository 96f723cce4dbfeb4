"""Configuration of a ResNet that can be LLaVA's tower."""

from typing import Any

from transformers import ResNetConfig


class ResNetTowerConfig(ResNetConfig):
    """A ResNet with the sizes that LLaVA asks of a tower: ``hidden_size`` and ``patch_size``.

    ``image_size`` is the side of the square film, in pixels.
    """

    model_type = "plainfilm_resnet"

    image_size: int = 224

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.hidden_size = self.hidden_sizes[-1]
        # The stem shrinks a film four times, each stage after it twice.
        shrinking = len(self.depths) - (not self.downsample_in_first_stage)
        self.patch_size = 4 * 2**shrinking
