"""What a recipe says of a vision-language model."""

from pathlib import Path

from plainfilm.models.conversation.settings import Asked
from plainfilm.models.family import StageSettings


class VlmSettings(Asked):
    """The ``model`` part of a recipe."""

    checkpoint: Path
    """A local folder: configuration, weights, processor, as transformers saves them."""


class VlmStage(StageSettings):
    """A stage's keys: none, since there is one objective, the report's tokens."""
