"""Model and tokenizer folders that come from outside: data alone, never code.

transformers offers to run Python files that lie in a folder whose JSON names them (``auto_map``,
``custom_pipelines``). plainfilm never does: such a folder is refused, and every ``from_pretrained``
gets :data:`OFFLINE`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plainfilm.core.errors import ModelError, errors_as

OFFLINE: dict[str, bool] = {"local_files_only": True, "trust_remote_code": False}
"""For every ``from_pretrained``: nothing is downloaded, no code of the folder's is run."""

_CODE = ("auto_map", "custom_pipelines")
_DATA = ("tokenizer.json", "vocab.json")  # large, and never looked at for code
_LARGEST = 16 * 2**20
_MOST_LAYERS = 1000  # a million of them take hours to build before any weight is missed


@contextmanager
def loading(folder: Path, what: str = "the model") -> Iterator[None]:
    """Load a folder inside: it asks for no code, and whatever goes wrong is a ModelError.

    Args:
        folder: with JSON, weights, a tokenizer.
        what: it is called in messages.

    Raises:
        ModelError: the folder asks for code of its own, or one of its files is damaged, missing, or
            does not fit the others.
    """
    with errors_as(ModelError, f"cannot load {what} from {folder}", "get the folder again"):
        refuse_code(folder)
        yield


def refuse_code(folder: Path) -> None:
    """Raise ModelError where a JSON file of a folder names code that is to be run.

    An empty ``auto_map``, as some trainers write it, names none. A number of layers that only a
    damaged file has is refused, too.
    """
    for path in sorted(folder.glob("*.json")):
        if path.name in _DATA:
            continue
        for name, value in _entries(read_json(path)):
            if name in _CODE and value:
                raise ModelError(
                    f"{path} asks for code of its own ({name}); plainfilm runs no code from a "
                    "folder: remove that entry if the model works without it"
                )
            if "layer" in name and isinstance(value, int) and value > _MOST_LAYERS:
                raise ModelError(
                    f"{path} says {name} {value}; a network has at most {_MOST_LAYERS} layers"
                )


def read_json(path: Path) -> Any:
    """Return what a JSON file of a model folder holds.

    Raises:
        ModelError: the file is missing, too large, or no JSON.
    """
    what = f"{path} cannot be read as JSON"
    with errors_as(ModelError, what, "the folder is no model that plainfilm can load"):
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
        return json.loads(path.read_bytes())


def _entries(values: Any) -> Iterator[tuple[str, Any]]:
    """Yield all entries of all objects in a JSON value, at any depth."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
