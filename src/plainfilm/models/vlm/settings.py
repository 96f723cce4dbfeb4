"""Recipe settings of a vision-language model."""

from pathlib import Path

from plainfilm.models.conversation.settings import Asked, ChatStage


class VlmSettings(Asked):
    """The ``model`` part of a recipe."""

    checkpoint: Path
    """A local folder with configuration, weights and processor in transformers' format."""


class VlmStage(ChatStage):
    """No stage keys of its own, since the only objective is the report's tokens."""
