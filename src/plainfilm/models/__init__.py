"""Model families, each with configuration_*, modeling_* and processing_* of its own."""

from importlib import import_module
from typing import Any, NamedTuple

FAMILIES = {
    "medvill": ("MedViLLConfig", "MedViLLForConditionalGeneration", "MedViLLProcessor"),
    "radscribe": ("RadScribeConfig", "RadScribeForConditionalGeneration", "RadScribeProcessor"),
}
"""Model families by the ``model_type`` of their configuration; the classes of :class:`Family`."""


class Family(NamedTuple):
    """The three classes of a model family."""

    config: Any
    model: Any
    processor: Any


def load_family(name: str) -> Family:
    """Return the classes of one of :data:`FAMILIES`; torch is imported here, not before."""
    module = import_module(f"plainfilm.models.{name}")
    return Family(*(getattr(module, member) for member in FAMILIES[name]))
