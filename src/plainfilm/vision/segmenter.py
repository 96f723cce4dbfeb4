"""A small segmenter of chest films: maps of structures and findings, and a feature of the film.

A U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597) with residual blocks. Its input is the
film at 128 × 128; for each class it predicts the share of each cell of a 32 × 32 grid that the
class covers. Pooled to 16 × 16 these are the *predicted maps*. The deepest features of its encoder,
averaged over the film, are the *specialist feature*. It uses no report.

The shipped weights (:data:`SHIPPED`) were trained on simulated films alone; their card has the
scores on simulated and on real films.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from plainfilm.core import Image, ModelError, Pixels, Study
from plainfilm.core.classes import SUPERCLASSES
from plainfilm.core.study import Maps
from plainfilm.vision.preparation import letterbox

SHIPPED = Path(__file__).parents[1] / "models" / "weights" / "plainfilm-segmenter"
"""The segmenter that comes with the package."""
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Effusion", "Emphysema", "Fracture", "Mass",
    "Nodule", "Pleural Thickening", "Pneumothorax", "plainfilm: Lung Opacity", "plainfilm: Edema",
)  # fmt: skip
"""Single classes of :mod:`plainfilm.core.classes` that it predicts besides the superclasses."""
SIDE = 16
"""Cells along each side of pooled maps."""


class SegmenterConfig(PreTrainedConfig):
    """Sizes and classes of a segmenter.

    Args:
        classes: names of the maps, in order.
        image_size: side of the letterboxed film in pixels, a multiple of 16.
        channels: channels of the encoder's levels, each at half the resolution of the one before;
            the first is at half the film's resolution, the second at the maps'.
    """

    model_type = "plainfilm-segmenter"

    def __init__(
        self,
        classes: tuple[str, ...] | list[str] = (*SUPERCLASSES, *FINDINGS),
        image_size: int = 128,
        channels: tuple[int, ...] | list[int] = (16, 32, 64, 128),
        **kwargs: Any,
    ) -> None:
        self.classes = list(classes)
        self.image_size = image_size
        self.channels = list(channels)
        super().__init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        """Length of the specialist feature."""
        return self.channels[-1]


@dataclass
class SegmenterOutput(ModelOutput):
    """Output of the segmenter."""

    logits: torch.Tensor | None = None
    """``(batch, classes, image_size / 4, image_size / 4)``."""
    features: torch.Tensor | None = None
    """``(batch, hidden_size)``: the encoder's deepest level, averaged over the film."""


class _Block(nn.Module):
    """A residual block: two convolutions and a skip connection."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.around = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = nn.functional.relu(self.convolutions(values) + self.around(values))
        return result


class SegmenterModel(PreTrainedModel):
    """Predicts maps and a feature from a film."""

    config_class = SegmenterConfig
    base_model_prefix = "segmenter"
    main_input_name = "pixel_values"

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__(config)
        channels = config.channels
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        pairs = list(pairwise(channels))
        self.down = nn.ModuleList(_Block(before, after) for before, after in pairs)
        self.middle = _Block(channels[-1], channels[-1])
        self.up = nn.ModuleList(
            _Block(before + after, before) for before, after in reversed(pairs[1:])
        )
        self.head = nn.Conv2d(channels[1], len(config.classes), 1)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> SegmenterOutput:
        """Return maps and features of films ``(batch, 1, image_size, image_size)`` in [0, 1]."""
        values = self.stem(2 * pixel_values - 1)
        levels = []
        for block in self.down:
            values = block(nn.functional.max_pool2d(values, 2))
            levels.append(values)
        values = self.middle(levels.pop())
        features = values.mean(dim=(2, 3))
        for block in self.up:
            level = levels.pop()
            wide = nn.functional.interpolate(values, size=level.shape[-2:], mode="nearest")
            values = block(torch.cat([level, wide], dim=1))
        return SegmenterOutput(logits=self.head(values), features=features)


AutoConfig.register("plainfilm-segmenter", SegmenterConfig, exist_ok=True)
AutoModel.register(SegmenterConfig, SegmenterModel, exist_ok=True)


class Segmenter:
    """A trained segmenter, ready for use on films.

    Raises:
        ModelError: there are no weights in ``folder``, or they are damaged.
    """

    def __init__(self, folder: str | Path = SHIPPED) -> None:
        if not (Path(folder) / "model.safetensors").is_file():
            raise ModelError(
                f"no segmenter in {folder}: expected config.json and model.safetensors there"
            )
        try:
            model = SegmenterModel.from_pretrained(folder, dtype=torch.float32)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"cannot load the segmenter in {folder}: {error}") from error
        self.model: SegmenterModel = model.eval()
        self.name = Path(folder).name
        self.classes: tuple[str, ...] = tuple(model.config.classes)
        """Names of the maps, in order."""

    @torch.no_grad()
    def _look(self, images: list[Image | Pixels]) -> SegmenterOutput:
        size = self.model.config.image_size
        films = [
            letterbox(np.asarray(one.pixels if isinstance(one, Image) else one), size)
            for one in images
        ]
        output: SegmenterOutput = self.model(torch.from_numpy(np.stack(films))[:, None])
        return output

    def features(self, image: Image | Pixels) -> npt.NDArray[np.float32]:
        """Return a film's specialist feature, ``(hidden_size,)``.

        Args:
            image: an Image, or pixels ``(height, width)`` in [0, 1], bright = dense.
        """
        features = self._look([image]).features
        assert features is not None  # noqa: S101 - the model always gives them
        return features[0].numpy()

    def maps(self, image: Image | Pixels, side: int | None = SIDE) -> npt.NDArray[np.float32]:
        """Return the share of each cell of the letterboxed film that each class covers,
        ``(classes, side, side)`` in [0, 1].

        Args:
            image: as for :meth:`features`.
            side: cells along each side, a divisor of the network's own; None keeps the network's.
        """
        logits = self._look([image]).logits
        assert logits is not None  # noqa: S101 - the model always gives them
        values = logits.sigmoid()
        if side is not None:
            values = nn.functional.adaptive_avg_pool2d(values, side)
        return values[0].numpy()

    def describe(self, study: Study) -> Study:
        """Return ``study`` with maps and feature of its frontal film added under this segmenter's
        name; those of other models are kept. A study without a frontal film is unchanged."""
        frontal = study.frontal
        if frontal is None:
            return study
        film = study.images[frontal]
        own = Maps(
            classes=self.classes, values=self.maps(film), source=self.name, image=frontal,
            study=study.id,
        )  # fmt: skip
        others = tuple(one for one in study.maps if one.source != self.name)
        features = {**study.features, self.name: self.features(film)}
        return study.model_copy(update={"maps": (*others, own), "features": features})


@lru_cache(maxsize=1)
def shipped() -> Segmenter:
    """Return the segmenter that comes with the package."""
    return Segmenter()


def features(image: Image | Pixels) -> npt.NDArray[np.float32]:
    """Return :meth:`Segmenter.features` of the shipped segmenter."""
    return shipped().features(image)


def maps(image: Image | Pixels) -> npt.NDArray[np.float32]:
    """Return :meth:`Segmenter.maps` of the shipped segmenter, for ``shipped().classes``."""
    return shipped().maps(image)
