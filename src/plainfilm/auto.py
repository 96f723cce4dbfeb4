"""Lazy registration of plainfilm's models with transformers' Auto classes.

``AutoConfig``, ``AutoModelForSeq2SeqLM``, ``AutoProcessor`` and ``AutoImageProcessor`` look up
their classes in mappings. Each model family registers its classes there when it is imported; this
module makes the mappings import a family when one of its names is first looked up. So importing
plainfilm imports neither torch nor transformers, and the order of imports does not matter.
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
"""Modules of transformers, and the extensible mapping in each."""


def model_types() -> dict[str, str]:
    """Return plainfilm's ``model_type`` → family, found by the names of configuration files."""
    found = (Path(__file__).parent / "models").glob("*/configuration_*.py")
    return {path.stem.removeprefix("configuration_"): path.parent.name for path in sorted(found)}


class _Added(dict[Any, Any]):
    """The added entries of a transformers mapping; ours are imported when looked up."""

    def _import(self, model_type: str) -> None:
        import_module(f"plainfilm.models.{model_types()[model_type]}")

    def _import_all(self) -> None:
        with suppress(ImportError):  # without torch none of our models can be used
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
    """Add our families to the mapping of a transformers module."""
    table = getattr(module, _TABLES[module.__name__], None)
    added = getattr(table, "_extra_content", None)
    if isinstance(added, dict) and not isinstance(added, _Added):
        table._extra_content = _Added(added)  # type: ignore[union-attr]


class _Finder(MetaPathFinder):
    """Extends the mappings as soon as their modules are imported."""

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
    """Runs a module with its own loader, then extends its mapping."""

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
    """Extend the mappings already imported, and those imported later."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name in _TABLES:
        if name in sys.modules:
            _extend(sys.modules[name])
