"""Configuration of LLaVA-OneVision whose projector reads more than the tower."""

from dataclasses import field
from typing import Any

from transformers import LlavaOnevisionConfig


class FusedOnevisionConfig(LlavaOnevisionConfig):
    """LLaVA-OneVision with more inputs to its projector; see :class:`FusedLlavaConfig
    <plainfilm.models.llava.configuration_plainfilm_llava.FusedLlavaConfig>`."""

    model_type = "plainfilm_onevision"

    fusion: dict[str, Any] | None = None
    label_count: int = 0
    classification: dict[str, Any] | None = None
    auto_map: dict[str, str] = field(default_factory=dict)
