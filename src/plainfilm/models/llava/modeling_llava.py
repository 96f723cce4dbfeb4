"""LLaVA-1.5 and LLaVA-OneVision with a specialist's feature and maps in their projector.

transformers' own classes, subclassed: only what happens between tower and projector is added. The
additional inputs are *named* in the signature of ``get_image_features``, since ``generate()``
encodes films ahead of the text and hands on what is named there, and nothing else.
"""

import inspect
import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    AutoModel,
    LlavaForConditionalGeneration,
    LlavaModel,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionModel,
    PreTrainedConfig,
    ResNetModel,
)
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.modeling_outputs import (
    BaseModelOutputWithPooling,
    ImageClassifierOutput,
    ModelOutput,
)
from transformers.models.llava_onevision.modeling_llava_onevision import image_size_to_num_patches

from plainfilm.core import InputError
from plainfilm.models.llava.classification import ClassificationHead, head_of
from plainfilm.models.llava.configuration_plainfilm_llava import FusedLlavaConfig
from plainfilm.models.llava.configuration_plainfilm_onevision import FusedOnevisionConfig
from plainfilm.models.llava.configuration_plainfilm_resnet import ResNetTowerConfig
from plainfilm.models.llava.fusion import Fusion

EXTRA = ("specialist_features", "segmentation_maps", "image_features")
"""Inputs that LLaVA doesn't have."""


class ResNetTower(ResNetModel):
    """A ResNet as a tower: it has no attention, so any way of computing it will do."""

    config_class = ResNetTowerConfig
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = True
    _supports_attention_backend = True


def tower_tokens(config: Any) -> int:
    """Return how many tokens a film has after the tower.

    Raises:
        InputError: the tower's configuration does not say.
    """
    if getattr(config, "token_grid", None) is not None:
        return int(config.token_grid) ** 2
    vision = config.vision_config
    size, patch = getattr(vision, "image_size", None), getattr(vision, "patch_size", None)
    if not isinstance(size, int) or not isinstance(patch, int):
        raise InputError("the tower's configuration needs image_size and patch_size, in pixels")
    left_out = int(config.vision_feature_select_strategy == "default")
    return int((size // patch) ** 2) + leading_tokens(vision) - left_out


def leading_tokens(vision: PreTrainedConfig) -> int:
    """Return how many tokens a tower puts before those of the patches: class token, registers.

    Args:
        vision: the tower's configuration, with image_size and patch_size.

    Raises:
        InputError: the network gives fewer tokens than the film has patches.
    """
    values = json.dumps(vision.to_dict(), sort_keys=True, default=str)
    return _leading_tokens(cast(Any, type(vision)), values)


@cache
def _leading_tokens(kind: Any, values: str) -> int:
    vision = kind.from_dict(json.loads(values))
    size, patches = vision.image_size, (vision.image_size // vision.patch_size) ** 2
    with torch.device("meta"), torch.no_grad():
        tower = AutoModel.from_config(vision)
        film = torch.empty(1, getattr(vision, "num_channels", 3), size, size)
        last = tower(pixel_values=film, output_hidden_states=True).hidden_states[-1]
    tokens = last[0, 0].numel() if last.ndim == 4 else last.shape[1]
    if tokens < patches:
        raise InputError(
            f"a {vision.model_type} cannot be a tower: it gives {tokens} tokens for a film of "
            f"{patches} patches (image_size {size}, patch_size {vision.patch_size})"
        )
    return int(tokens - patches)


def _averaged(tokens: torch.Tensor, grid: int) -> torch.Tensor:
    """Return a square of patches averaged to ``grid`` × ``grid`` tokens; others are left out.

    Args:
        tokens: ``(films, tokens, width)``, those of the patches last.
        grid: cells along each side.
    """
    side = math.isqrt(tokens.shape[1])
    patches = tokens[:, -side * side :].transpose(1, 2).reshape(len(tokens), -1, side, side)
    cells: torch.Tensor = nn.functional.adaptive_avg_pool2d(patches, grid)
    return cells.flatten(2).transpose(1, 2)


def fused_tokens(config: Any) -> int:
    """Return how many tokens a film has beside the tower's."""
    fusion = config.fusion
    appended = fusion is not None and fusion["kind"] == "concatenation"
    return int(fusion["embeddings"]) if appended else 0


def tower_width(config: Any) -> int:
    """Return the width of the tower's tokens: several layers lie side by side."""
    layers = config.vision_feature_layer
    return int(config.vision_config.hidden_size) * (1 if isinstance(layers, int) else len(layers))


class _FusedModel:
    """What both models have more than transformers'; comes before them among the bases."""

    config: Any
    fusion: Fusion | None

    def _add(self, config: Any) -> None:
        self.fusion = None
        if config.fusion is not None:
            self.fusion = Fusion(config.fusion, tower_width(config), tower_tokens(config))
        self.label_head = (
            nn.Linear(tower_width(config), config.label_count) if config.label_count else None
        )
        self.classification_head = head_of(config, config.text_config.hidden_size)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, Fusion | ClassificationHead):
            module.reset_parameters()

    def see(
        self, pixel_values: torch.Tensor, layer: Any = None, strategy: str | None = None
    ) -> torch.Tensor:
        """Return the tower's tokens V, ``(films, tokens, width)``.

        Args:
            pixel_values: ``(films, channels, height, width)``.
            layer: which hidden states, instead of the configuration's.
            strategy: ``default`` leaves the first token out, ``full`` leaves it.
        """
        layer = self.config.vision_feature_layer if layer is None else layer
        strategy = strategy or self.config.vision_feature_select_strategy
        states = self.vision_tower(  # type: ignore[attr-defined]
            pixel_values, output_hidden_states=True, return_dict=True
        ).hidden_states
        chosen = [states[one] for one in ([layer] if isinstance(layer, int) else layer)]
        # A convolutional tower gives maps; their cells are its tokens.
        chosen = [one.flatten(2).transpose(1, 2) if one.ndim == 4 else one for one in chosen]
        if strategy == "default":
            chosen = [one[:, 1:] for one in chosen]
        tokens = torch.cat(chosen, dim=-1)
        grid = getattr(self.config, "token_grid", None)
        return tokens if grid is None else _averaged(tokens, grid)

    def label_logits(self, tower: torch.Tensor) -> torch.Tensor:
        """Return the logits ``(films, labels)`` of the tower's tokens, pooled by log-sum-exp.

        One place that shows a finding suffices; all together decide where none stands out.
        """
        logits = self.label_head(tower)  # type: ignore[misc]
        return torch.logsumexp(logits, dim=1) - math.log(logits.shape[1])

    def whole_films(self, films: dict[str, Any]) -> torch.Tensor:
        """Return the tower's tokens of each whole film, ``(films, tokens, width)``.

        Args:
            films: arguments of ``get_image_features`` by name.
        """
        if films.get("image_features") is not None:
            return films["image_features"].to(  # type: ignore[no-any-return]
                self.label_head.weight.dtype  # type: ignore[union-attr]
            )
        pixels = films["pixel_values"]
        # OneVision's tiles: the first is the whole film.
        return self.see(pixels[:, 0] if pixels.dim() == 5 else pixels)

    def _needs_tower(self) -> bool:
        return self.fusion is None or self.fusion.kind != "replace"

    def _fused(
        self,
        tower: torch.Tensor | None,
        films: int,
        features: torch.Tensor | None,
        maps: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the tokens that go into the projector."""
        if self.fusion is None:
            if features is not None or maps is not None:
                raise InputError("this model has no fusion: it reads films alone")
            assert tower is not None  # noqa: S101
            return tower
        self.fusion.check(films, features, maps)
        return self.fusion(tower, features, maps)  # type: ignore[no-any-return]

    def _encoded(self, given: dict[str, Any]) -> dict[str, Any]:
        """Turn films and what belongs to them among a call's arguments into encoded images."""
        images = {name: given.pop(name, None) for name in EXTRA}
        if given.get("pixel_values") is None and images["image_features"] is None:
            return given
        for name in ("image_sizes", "batch_num_images", "vision_feature_layer",
                     "vision_feature_select_strategy", "vision_aspect_ratio"):  # fmt: skip
            if name in given:
                images[name] = given.pop(name)
        encoded = self.get_image_features(  # type: ignore[attr-defined]
            given.pop("pixel_values", None), **images
        )
        kept = given.get("mm_encoder_outputs") or {}
        return given | {"mm_encoder_outputs": {**kept, "image": encoded}}


class FusedLlavaModel(_FusedModel, LlavaModel):
    """LLaVA-1.5 without its language-model head."""

    config_class = FusedLlavaConfig

    def __init__(self, config: FusedLlavaConfig) -> None:
        super().__init__(config)
        self._add(config)
        self.post_init()

    def get_image_features(
        self,
        pixel_values: torch.Tensor | None,
        vision_feature_layer: Any = None,
        vision_feature_select_strategy: str | None = None,
        image_sizes: torch.Tensor | None = None,
        specialist_features: torch.Tensor | None = None,
        segmentation_maps: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        **_: Any,
    ) -> Any:
        """Return the films as the language model reads them.

        Args:
            pixel_values: ``(films, channels, height, width)``; None with ``image_features``.
            vision_feature_layer: as in transformers.
            vision_feature_select_strategy: as in transformers.
            image_sizes: not read.
            specialist_features: h, ``(films, feature size)``.
            segmentation_maps: g, ``(films, classes, side, side)``.
            image_features: V, the tower's tokens, where they were computed before.
        """
        tower = image_features
        if tower is None and self._needs_tower():
            assert pixel_values is not None  # noqa: S101
            tower = self.see(pixel_values, vision_feature_layer, vision_feature_select_strategy)
        films = len(pixel_values) if tower is None else len(tower)  # type: ignore[arg-type]
        if tower is not None:
            tower = tower.to(self.multi_modal_projector.linear_1.weight.dtype)
        tokens = self._fused(tower, films, specialist_features, segmentation_maps)
        return BaseModelOutputWithPooling(
            last_hidden_state=tower,
            pooler_output=list(self.multi_modal_projector(tokens)),
        )

    def forward(self, input_ids: torch.Tensor | None = None, **kwargs: Any) -> Any:
        """Run the model; see :meth:`get_image_features` for the films' arguments."""
        return super().forward(input_ids=input_ids, **self._encoded(kwargs))


class FusedOnevisionModel(_FusedModel, LlavaOnevisionModel):
    """LLaVA-OneVision without its language-model head.

    A film's tiles are packed as in transformers. The feature and the maps belong to the whole film:
    they are fused with its base tile, the whole film in small; ``concatenation`` puts m after all
    tiles.
    """

    config_class = FusedOnevisionConfig

    def __init__(self, config: FusedOnevisionConfig) -> None:
        super().__init__(config)
        self._add(config)
        self.post_init()

    def get_image_features(
        self,
        pixel_values: torch.Tensor | None,
        image_sizes: torch.Tensor | None = None,
        vision_feature_layer: Any = None,
        vision_feature_select_strategy: str | None = None,
        vision_aspect_ratio: str | None = None,
        batch_num_images: torch.Tensor | None = None,
        specialist_features: torch.Tensor | None = None,
        segmentation_maps: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        **_: Any,
    ) -> Any:
        """Return the films as the language model reads them; see :class:`FusedLlavaModel`.

        Args:
            pixel_values: ``(films, tiles, channels, height, width)``, or the tiles of all films.
            image_sizes: ``(films, 2)``, height and width in pixels.
            vision_feature_layer: as in transformers.
            vision_feature_select_strategy: as in transformers.
            vision_aspect_ratio: as in transformers.
            batch_num_images: how many films each sample has.
            specialist_features: h, ``(films, feature size)``.
            segmentation_maps: g, ``(films, classes, side, side)``.
            image_features: V of all tiles, where it was computed before.
        """
        if image_sizes is None:
            raise InputError("LLaVA-OneVision needs image_sizes, (films, 2)")
        counts = batch_num_images if batch_num_images is not None else [1] * len(image_sizes)
        alone = [int(count) == 1 for count in counts for _ in range(int(count))]
        tiles = [
            image_size_to_num_patches(
                size, self.config.image_grid_pinpoints, self.config.vision_config.image_size
            )
            if single
            else 1
            for size, single in zip(image_sizes, alone, strict=True)
        ]
        tower = image_features
        if tower is None:
            assert pixel_values is not None  # noqa: S101
            if pixel_values.dim() == 5:
                pixel_values = torch.cat(
                    [film[:count] for film, count in zip(pixel_values, tiles, strict=True)]
                )
            tower = self.see(pixel_values, vision_feature_layer, vision_feature_select_strategy)
        tower = tower.to(self.multi_modal_projector.linear_1.weight.dtype)
        films = list(torch.split(tower, tiles, dim=0))
        added: list[torch.Tensor] = []
        base = torch.stack([film[0] for film in films])
        fused = self._fused(base, len(films), specialist_features, segmentation_maps)
        if self.fusion is not None:
            kept = base.shape[1] if self.fusion.added_tokens else fused.shape[1]
            films = [
                torch.cat([one[None, :kept], film[1:]])
                for one, film in zip(fused, films, strict=True)
            ]
            if self.fusion.added_tokens:
                added = list(self.multi_modal_projector(fused[:, kept:]))
        projected = torch.split(self.multi_modal_projector(torch.cat(films)), tiles, dim=0)
        packed, _lengths = self.pack_image_features(
            projected,
            image_sizes,
            image_newline=self.image_newline,
            vision_aspect_ratio=vision_aspect_ratio or self.config.vision_aspect_ratio,
        )
        if added:
            packed = [torch.cat(pair) for pair in zip(packed, added, strict=True)]
        return BaseModelOutputWithPooling(last_hidden_state=tower, pooler_output=list(packed))

    def forward(self, input_ids: torch.Tensor | None = None, **kwargs: Any) -> Any:
        """Run the model; see :meth:`get_image_features` for the films' arguments."""
        return super().forward(input_ids=input_ids, **self._encoded(kwargs))


def _with_extra(forward: Any) -> inspect.Signature:
    """Return the signature of transformers' ``forward`` with the additional inputs named.

    ``generate()`` and the trainers look there for what a model takes. Copied, not spelled out: the
    cache's argument has another name in transformers 5.24.
    """
    signature = inspect.signature(forward)
    *named, rest = signature.parameters.values()
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in EXTRA
    ]
    return signature.replace(parameters=[*named, *extra, rest])


@dataclass
class ClassifiedOutput(ModelOutput):
    """What a model with a classification head returns where its prompt is told."""

    logits: torch.Tensor | None = None
    """``(batch, tokens kept, words)``."""
    observation_logits: torch.Tensor | None = None
    """``(batch, observations)``."""
    log_variances: torch.Tensor | None = None
    """``(2,)``, of the report and of the observations."""


class _Classifies:
    """A model that can also classify: its films by the tower, or what its prompt shows by the
    language model's states; first of the bases."""

    def forward(
        self,
        *args: Any,
        labels_of_films: bool = False,
        prompt_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the model.

        Args:
            args: as in transformers.
            labels_of_films: run only the tower and its classifier; the output's ``logits`` are
                those of the labels then, ``(films, labels)``.
            prompt_mask: ``(batch, tokens)``, True on the prompt's tokens: run the classification
                head, too, and return a :class:`ClassifiedOutput`.
            kwargs: as in transformers.
        """
        if labels_of_films:
            inner: Any = self.model  # type: ignore[attr-defined]
            return ImageClassifierOutput(logits=inner.label_logits(inner.whole_films(kwargs)))
        if prompt_mask is None:
            return super().forward(*args, **kwargs)  # type: ignore[misc]
        config = self.config  # type: ignore[attr-defined]
        films = kwargs["input_ids"] == config.image_token_id
        found = super().forward(*args, output_hidden_states=True, **kwargs)  # type: ignore[misc]
        states = found.hidden_states[config.classification["layer"]]
        logits, log_variances = self.model.classification_head(  # type: ignore[attr-defined]
            states, prompt_mask.bool(), films
        )
        return ClassifiedOutput(found.logits, logits, log_variances)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Generate as transformers does, from ``pixel_values`` or from ``image_features`` alone.

        transformers encodes films ahead of the text only where ``pixel_values`` is given, and would
        otherwise drop the rest in silence.
        """
        if kwargs.get("image_features") is not None:
            kwargs.setdefault("pixel_values", None)
        return super().generate(*args, **kwargs)  # type: ignore[misc]


class FusedLlava(_Classifies, LlavaForConditionalGeneration):
    """LLaVA-1.5 with more inputs to its projector (ASaRG)."""

    config_class = FusedLlavaConfig

    def __init__(self, config: FusedLlavaConfig) -> None:
        super().__init__(config)
        self.model = FusedLlavaModel(config)
        self.post_init()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model; :meth:`FusedLlavaModel.get_image_features` says what films take."""
        return super().forward(*args, **kwargs)

    forward.__signature__ = _with_extra(LlavaForConditionalGeneration.forward)  # type: ignore[attr-defined]


class FusedOnevision(_Classifies, LlavaOnevisionForConditionalGeneration):
    """LLaVA-OneVision with more inputs to its projector."""

    config_class = FusedOnevisionConfig

    def __init__(self, config: FusedOnevisionConfig) -> None:
        super().__init__(config)
        self.model = FusedOnevisionModel(config)
        self.post_init()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model; :meth:`FusedOnevisionModel.get_image_features` says what films take."""
        return super().forward(*args, **kwargs)

    forward.__signature__ = _with_extra(LlavaOnevisionForConditionalGeneration.forward)  # type: ignore[attr-defined]


for _model, _base in ((FusedLlava, "llava"), (FusedOnevision, "llava_onevision")):
    # Published weights have older names, which transformers maps by the model's type.
    register_checkpoint_conversion_mapping(
        _model.config_class.model_type,
        get_checkpoint_conversion_mapping(_base) or [],
        overwrite=True,
    )
