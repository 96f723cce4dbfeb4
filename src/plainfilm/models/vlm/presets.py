"""How published checkpoints are asked: ``presets/NAME.yaml``, each value with its source."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from plainfilm.core import InputError, ModelError, Word, describe
from plainfilm.core.yaml_text import parse_yaml
from plainfilm.models.conversation.settings import Context

FOLDER = Path(__file__).parent / "presets"


class Preset(Word):
    """A published checkpoint, and how it is asked."""

    name: str
    """As its authors write it."""
    where: str
    """Where its authors publish it; nothing is downloaded."""
    model_types: tuple[str, ...]
    """The ``model_type`` of its configuration."""
    context: Context
    views: int = 1
    """How many films of a study it reads, at most."""
    target: Literal["findings", "impression", "findings+impression"]
    """The part of the report that it writes."""
    language: str = "en"
    licence: str
    """Under what terms it may be used, in a sentence; it goes with every draft."""
    needs_code: str | None = None
    """Why the published folder can't be opened here, where it can't."""
    unconfirmed: tuple[str, ...] = ()
    """What is not known from its authors and was chosen here; it goes with every draft."""
    sources: dict[str, str]
    """Value → where it was read."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What every draft says."""
        told = tuple(f"{self.name}: {what}" for what in self.unconfirmed)
        return (f"{self.name}: {self.licence}", *told)


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def load_preset(name: str) -> Preset:
    """Return a preset.

    Raises:
        InputError: there is none of this name.
    """
    path = FOLDER / f"{name}.yaml"
    if name not in preset_names():
        raise InputError(f"no preset {name!r}: expected one of {', '.join(preset_names())}")
    try:
        return Preset.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ModelError(f"{path}: {describe(error)}") from error
