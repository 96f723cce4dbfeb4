"""Configuration of LLaVA-1.5 whose projector reads more than the tower."""

from dataclasses import field
from typing import Any

from transformers import LlavaConfig


class FusedLlavaConfig(LlavaConfig):
    """LLaVA-1.5 with more inputs to its projector.

    ``fusion`` is what :func:`plainfilm.models.llava.fusion_values.fusion_values` returns; None is
    LLaVA itself. ``label_count`` is the number of labels of a classifier on the tower's tokens; 0
    without one. ``token_grid`` is the side of the raster to which the tower's tokens are averaged;
    None leaves them as they are. ``classification`` is what the head on the language model's
    states tells (``observations``, by name), of which ``layer``, by which ``pooling``; None without
    one.
    """

    model_type = "plainfilm_llava"

    fusion: dict[str, Any] | None = None
    label_count: int = 0
    token_grid: int | None = None
    classification: dict[str, Any] | None = None
    # TRL reads it unguarded where it opens a reference model.
    auto_map: dict[str, str] = field(default_factory=dict)
