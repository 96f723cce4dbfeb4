"""Any transformers vision-language model (``AutoModelForImageTextToText``) as a family.

The checkpoint is a local folder written by ``save_pretrained``.

Tested with LLaVA-1.5, LLaVA-OneVision, Qwen2.5-VL, Qwen3-VL, Gemma 3, PaliGemma, Idefics3, SmolVLM.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from plainfilm.core import ModelError, Provenance
from plainfilm.core.model_folder import loading
from plainfilm.data.examples import Examples
from plainfilm.models.conversation.base import ConversationFamily, known_columns
from plainfilm.models.family import Built
from plainfilm.models.vlm.presets import load_preset, preset_names
from plainfilm.models.vlm.settings import VlmSettings, VlmStage


class VlmFamily(ConversationFamily[VlmSettings, VlmStage]):
    """transformers' vision-language models."""

    settings = VlmSettings
    stage = VlmStage
    model_types = tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)

    def build(
        self,
        settings: VlmSettings,
        *,
        stages: Sequence[VlmStage],
        views: int,
        training: Examples | None,
        seed: int,
    ) -> Built:
        """See the base class."""
        folder = settings.checkpoint
        with loading(folder, "the checkpoint"):
            built = self.open_checkpoint(
                folder,
                known_columns(settings.context, training),
                views,
                getattr(torch, settings.dtype),
                attention=settings.attention,
                quantised=settings.adapter is not None and settings.adapter.kind == "qlora",
            )
        return self.configure(built, settings, folder, seed)

    def presets(self) -> tuple[str, ...]:
        """See the base class."""
        return preset_names()

    def open_published(
        self,
        folder: Path,
        preset: str,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
    ) -> tuple[Built, dict[str, Any]]:
        """See the base class."""
        asked = load_preset(preset)
        if asked.needs_code is not None:
            raise ModelError(
                f"{asked.name} can't be opened here: {asked.needs_code}; plainfilm runs no code "
                "from a model's folder"
            )
        with loading(folder):
            found = self.open_config(folder).model_type
            if found not in asked.model_types:
                raise ModelError(
                    f"{folder} holds a {found!r} model: the preset {preset} is for "
                    f"{', '.join(asked.model_types)}"
                )
            if dtype is None and torch.cuda.is_available():
                dtype = self.open_config(folder).dtype
            built = self.open_checkpoint(
                folder, asked.context, asked.views, dtype, device_map=device_map
            )
        card = {
            "name": preset,
            "family": self.name,
            "domain": str(Provenance.REAL),
            "target": asked.target,
            "language": asked.language,
            "warnings": asked.warnings,
        }
        return built, card


family = VlmFamily()
