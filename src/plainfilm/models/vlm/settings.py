"""What a recipe says of a vision-language model."""

from pathlib import Path

from plainfilm.models.conversation.settings import Asked, ChatStage


class VlmSettings(Asked):
    """The ``model`` part of a recipe."""

    checkpoint: Path
    """A local folder: configuration, weights, processor, as transformers saves them."""


class VlmStage(ChatStage):
    """A stage's keys: none of its own, since there is one objective, the report's tokens."""
