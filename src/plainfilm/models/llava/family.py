"""LLaVA with more inputs to its projector, as a family (ASaRG).

The tower and the language model are a checkpoint's, or put together; the fusion is chosen by the
recipe (``fusion.py``). The rest is what all families share that are asked in words.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoConfig, PreTrainedConfig

from plainfilm.core import OBSERVATIONS, InputError, ModelError
from plainfilm.core.model_folder import OFFLINE, loading, read_json
from plainfilm.data.examples import Example, Examples
from plainfilm.models.conversation import adapters
from plainfilm.models.conversation.base import (
    PARTS,
    ConversationFamily,
    draft_settings,
    load_weights,
)
from plainfilm.models.conversation.processor import CONTEXT_FILE
from plainfilm.models.family import Batch, Built, Loss
from plainfilm.models.llava import FusedLlava, FusedLlavaConfig, FusedOnevisionConfig
from plainfilm.models.llava.frozen import keep_tokens
from plainfilm.models.llava.fusion_values import fusion_values
from plainfilm.models.llava.modeling_llava import fused_tokens
from plainfilm.models.llava.parts import put_together
from plainfilm.models.llava.processing_llava import FilmProcessor, fused_processor
from plainfilm.models.llava.settings import LlavaSettings, LlavaStage

_CONFIGS: Mapping[str, type[PreTrainedConfig]] = {
    "llava": FusedLlavaConfig,
    "llava_onevision": FusedOnevisionConfig,
    "plainfilm_llava": FusedLlavaConfig,
    "plainfilm_onevision": FusedOnevisionConfig,
}
"""Type of a checkpoint → the configuration that it gets here."""
_FILMS = ("pixel_values", "image_sizes", "batch_num_images", "image_features")
"""What of a batch the tower and its classifier read."""
_OWN = ("model_type", "architectures", "transformers_version", "auto_map", "fusion", "label_count")


class LlavaFamily(ConversationFamily[LlavaSettings, LlavaStage]):
    """LLaVA-1.5 and LLaVA-OneVision that read a specialist's feature and maps."""

    settings = LlavaSettings
    stage = LlavaStage
    model_types = ("plainfilm_llava", "plainfilm_onevision")
    model_parts: Mapping[str, str] = PARTS | {
        "fusion": r"model\.fusion\.",
        "label_head": r"model\.label_head\.",
    }
    processor = FilmProcessor

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """See the base class."""
        found = super().problems(values)
        model = values.get("model")
        fused = isinstance(model, dict) and model.get("fusion")
        stages = [stage for stage in values.get("stages") or () if isinstance(stage, dict)]
        for stage in stages:
            rates = stage.get("learning_rate")
            rates = rates if isinstance(rates, dict) else {}
            name = stage.get("name")
            if "fusion" in rates and not fused:
                found.append(f"stage {name}: learning_rate.fusion needs model.fusion")
            if "label_head" in rates and "labels" not in (stage.get("objectives") or ()):
                found.append(
                    f"stage {name}: learning_rate.label_head needs labels among the objectives"
                )
        return found

    def build(
        self,
        settings: LlavaSettings,
        *,
        stages: Sequence[LlavaStage],
        views: int,
        training: Examples | None,
        seed: int,
    ) -> Built:
        """See the base class."""
        fusion = None if settings.fusion is None else fusion_values(settings.fusion.values())
        labels = len(OBSERVATIONS) if any("labels" in one.objectives for one in stages) else 0
        folder = settings.checkpoint
        model: Any
        if folder is None:
            model, inner = put_together(settings, fusion, labels, training, seed)
            stops: Any = ()
        else:
            with loading(folder, "the checkpoint"):
                config = fused_config(folder, fusion, labels)
                inner = fused_processor(folder, config)
                torch.manual_seed(seed)
                model = load_weights(
                    folder,
                    config=config,
                    dtype=getattr(torch, settings.dtype),
                    attention=settings.attention,
                    quantised=settings.adapter is not None and settings.adapter.kind == "qlora",
                )
            stops = model.generation_config.eos_token_id or ()
            stops = [stops] if isinstance(stops, int) else stops
        inner.added_image_tokens = fused_tokens(model.config)
        context = settings.context
        if context.image_size is None:
            context = context.model_copy(update={"image_size": _film_size(model.config, folder)})
        processor = FilmProcessor(inner, context, views=views, stops=stops, fusion=settings.fusion)
        draft_settings(model, processor)
        return self.configure(Built(model, processor), settings, folder, seed)

    def base_config(self, folder: Path) -> PreTrainedConfig | None:
        """See the base class: a published LLaVA has no fusion of its own."""
        values = read_json(folder / "config.json")
        values.pop("quantization_config", None)
        kind = _CONFIGS[values.pop("model_type")]
        return kind(**values)

    def collate(
        self, built: Built, stage: LlavaStage | None
    ) -> Callable[[Sequence[Example]], Batch]:
        """See the base class; with ``observations`` where a stage learns labels."""
        batched = super().collate(built, stage)
        if stage is None or "labels" not in stage.objectives:
            return batched

        def with_labels(examples: Sequence[Example]) -> Batch:
            # The labels of each film; those of an earlier study's are not known.
            labels = [
                example.labels if study is example.study else example.labels * torch.nan
                for example in examples
                for study, _ in built.processor.placed(example.study)
            ]
            return {**batched(examples), "observations": torch.stack(labels).float()}

        return with_labels

    def keep_frozen(
        self, built: Built, stage: Any, examples: Sequence[Examples], folder: Path
    ) -> None:
        """See the base class: the tower's tokens are kept."""
        if "vision" in stage.learning_rate:
            raise InputError("keep_frozen: the tower trains in this stage: leave keep_frozen out")
        model = built.model
        if adapters.has_adapter(model):
            if any(".vision_tower." in name and ".lora_" in name for name, _ in
                   model.named_parameters()):  # fmt: skip
                raise InputError("keep_frozen: the adapter changes the tower: leave it out")
            model = model.get_base_model()
        if not isinstance(model, FusedLlava):
            raise InputError("keep_frozen: LLaVA-OneVision's tiles are not kept: leave it out")
        limit = int(stage.frozen_gib * 2**30)
        built.processor.kept = keep_tokens(model, built.processor, examples, folder, limit)

    def writes(self, stage: LlavaStage) -> bool:
        """See the base class."""
        return "report" in stage.objectives

    def counts(self, batch: Batch, stage: LlavaStage) -> dict[str, torch.Tensor]:
        """See the base class."""
        found: dict[str, torch.Tensor] = {}
        if set(stage.objectives) & {"report", "language"}:
            found |= super().counts(batch, stage)
        if "labels" in stage.objectives:
            found["labels"] = (~batch["observations"].isnan()).sum()
        return found

    def losses(self, model: Any, batch: Batch, stage: LlavaStage) -> dict[str, Loss]:
        """Return the losses of the stage's objectives, by name.

        ``report``: cross-entropy of the report's tokens; ``labels``: binary cross-entropy of the
        observations that are known.
        """
        inputs = dict(batch)
        observations = inputs.pop("observations", None)
        found: dict[str, Loss] = {}
        if observations is not None:
            films = {name: inputs[name] for name in _FILMS if name in inputs}
            logits = model(**films, labels_of_films=True).logits
            known = ~observations.isnan()
            total = binary_cross_entropy_with_logits(
                logits.float()[known], observations[known], reduction="sum"
            )
            found["labels"] = Loss(total, known.sum())
        if "language" in stage.objectives:
            config = getattr(model, "module", model).config
            films = inputs["input_ids"] == config.image_token_id
            inputs = {name: inputs[name] for name in ("input_ids", "labels")} | {
                "attention_mask": inputs["attention_mask"] * ~films
            }
        if set(stage.objectives) & {"report", "language"}:
            found |= super().losses(model, inputs, stage)
        return found

    def reads(self, processor: Any) -> frozenset[str]:
        """See the base class."""
        found = set(super().reads(processor))
        fusion = processor.fusion
        if fusion is not None and fusion.features is not None:
            found.add(f"features/{fusion.features.name}")
        if fusion is not None and fusion.maps is not None:
            found.add(f"maps/{fusion.maps.source}")
        return frozenset(found)


def _film_size(config: PreTrainedConfig, checkpoint: Path | None) -> int | None:
    """Return the side of the square into which films are fitted where a recipe does not say.

    A tower that is put together here sees films as plainfilm fits them; a checkpoint as it was
    trained; a published one as its own processor does.
    """
    if checkpoint is None:
        return int(config.vision_config.image_size)
    if not (checkpoint / CONTEXT_FILE).is_file():
        return None
    found: int | None = read_json(checkpoint / CONTEXT_FILE)["context"].get("image_size")
    return found


def fused_config(folder: Path, fusion: dict[str, Any] | None, labels: int) -> PreTrainedConfig:
    """Return a LLaVA checkpoint's configuration with a fusion.

    Raises:
        ModelError: the folder holds another kind of model.
    """
    config = AutoConfig.from_pretrained(folder, **OFFLINE)
    kind = _CONFIGS.get(config.model_type)
    if kind is None:
        raise ModelError(
            f"{folder} holds a {config.model_type!r} model: expected LLaVA-1.5 or LLaVA-OneVision"
        )
    values = {name: value for name, value in config.to_dict().items() if name not in _OWN}
    labels = labels or getattr(config, "label_count", 0)
    before = getattr(config, "fusion", None)
    if before and fusion:
        differing = [name for name in before if name not in ("kind", "weight")
                     and before[name] != fusion[name]]  # fmt: skip
        if differing:
            raise ModelError(
                f"{folder} was trained with other {', '.join(differing)} than the recipe's "
                "model.fusion has: give the same, or begin with a checkpoint without a fusion"
            )
    return kind(**values, fusion=fusion, label_count=labels)


family = LlavaFamily()
