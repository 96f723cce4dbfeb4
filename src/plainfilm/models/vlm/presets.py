"""Prompts and settings of published checkpoints: ``presets/NAME.yaml``, each value with a
source."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from plainfilm.core import InputError, ModelError, Word, describe
from plainfilm.core.yaml_text import parse_yaml
from plainfilm.models.conversation.settings import Context

FOLDER = Path(__file__).parent / "presets"


class Preset(Word):
    """A published checkpoint, with its prompt and settings."""

    name: str
    """Name of the model, as its authors write it."""
    where: str
    """Where its authors publish it; nothing is downloaded."""
    model_types: tuple[str, ...]
    """Possible ``model_type`` of its configuration."""
    context: Context
    views: int = 1
    """Maximum number of films of a study that it reads."""
    target: Literal["findings", "impression", "findings+impression"]
    """The part of the report that it writes."""
    language: str = "en"
    licence: str
    """Terms of use in one sentence, shown with every draft."""
    needs_code: str | None = None
    """Why plainfilm can't open the published folder; None if it can."""
    unconfirmed: tuple[str, ...] = ()
    """Choices made here because the authors do not specify them; shown with every draft."""
    sources: dict[str, str]
    """Value → its source."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of every draft."""
        told = tuple(f"{self.name}: {what}" for what in self.unconfirmed)
        return (f"{self.name}: {self.licence}", *told)


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def load_preset(name: str) -> Preset:
    """Return a preset.

    Raises:
        InputError: there is no preset with this name.
    """
    path = FOLDER / f"{name}.yaml"
    if name not in preset_names():
        raise InputError(f"no preset {name!r}: expected one of {', '.join(preset_names())}")
    try:
        return Preset.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ModelError(f"{path}: {describe(error)}") from error
