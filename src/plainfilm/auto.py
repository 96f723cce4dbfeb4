"""Makes transformers' Auto classes know plainfilm's models once plainfilm is imported.

``AutoConfig``, ``AutoModelForSeq2SeqLM``, ``AutoProcessor`` and ``AutoImageProcessor`` look their
classes up in tables. Each model family enters its classes there when it is imported; what stands
here makes the tables import a family when one of its names is first asked for. So neither torch
nor transformers is imported with plainfilm, and it does not matter which comes first.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_TABLES = {
    "transformers.models.auto.configuration_auto": "CONFIG_MAPPING",
    "transformers.models.auto.processing_auto": "PROCESSOR_MAPPING",
    "transformers.models.auto.image_processing_auto": "IMAGE_PROCESSOR_MAPPING",
}
"""Modules of transformers, and the table in each to which others can add."""


def model_types() -> dict[str, str]:
    """Return the family of each ``model_type`` of our own, by the names of their files."""
    found = (Path(__file__).parent / "models").glob("*/configuration_*.py")
    return {path.stem.removeprefix("configuration_"): path.parent.name for path in sorted(found)}


class _Added(dict[Any, Any]):
    """What was added to a table of transformers; ours is added when it is asked for."""

    def _import(self, model_type: str) -> None:
        import_module(f"plainfilm.models.{model_types()[model_type]}")

    def _import_all(self) -> None:
        with suppress(ImportError):  # without torch none of ours can be meant
            for model_type in model_types():
                self._import(model_type)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in model_types()

    def __missing__(self, key: Any) -> Any:
        if key in model_types():
            self._import(key)
        if super().__contains__(key):
            return super().__getitem__(key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        self._import_all()
        return super().__iter__()

    def keys(self) -> Any:
        self._import_all()
        return super().keys()

    def values(self) -> Any:
        self._import_all()
        return super().values()

    def items(self) -> Any:
        self._import_all()
        return super().items()


def _extend(module: ModuleType) -> None:
    """Let the table of a module of transformers know our families."""
    table = getattr(module, _TABLES[module.__name__], None)
    added = getattr(table, "_extra_content", None)
    if isinstance(added, dict) and not isinstance(added, _Added):
        table._extra_content = _Added(added)  # type: ignore[union-attr]


class _Finder(MetaPathFinder):
    """Extends the tables as soon as their modules are imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _TABLES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Extending(spec.loader)
        return spec


class _Extending(Loader):
    """Runs a module as its own loader does, then extends its table."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _extend(module)

    def __getattr__(self, name: str) -> Any:  # inspect asks loaders for their source
        return getattr(self._loader, name)


def install() -> None:
    """Extend the tables that are there, and those that are imported later."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name in _TABLES:
        if name in sys.modules:
            _extend(sys.modules[name])
