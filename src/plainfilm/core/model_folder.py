"""External model and tokenizer folders: only data is loaded, never code.

transformers can run Python files in a folder if its JSON names them (``auto_map``,
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
"""Arguments for every ``from_pretrained``: download nothing, run no code from the folder."""

_CODE = ("auto_map", "custom_pipelines")
_DATA = ("tokenizer.json", "vocab.json")  # large files whose entries never name code
_LARGEST = 16 * 2**20
_MOST_LAYERS = 1000  # a million layers take hours to build before a missing weight is noticed


@contextmanager
def loading(folder: Path, what: str = "the model") -> Iterator[None]:
    """Refuse a folder that requires code, and convert any failure in the block to a ModelError.

    Args:
        folder: a folder with JSON, weights or a tokenizer, which the block loads.
        what: name of the object to load, for messages.

    Raises:
        ModelError: the folder requires code of its own, or one of its files is damaged, missing, or
            does not match the others.
    """
    with errors_as(ModelError, f"cannot load {what} from {folder}", "get the folder again"):
        refuse_code(folder)
        yield


def refuse_code(folder: Path) -> None:
    """Raise ModelError if a JSON file of a folder names code to run.

    An empty ``auto_map``, which some trainers write, is accepted. An absurd number of layers, the
    sign of a damaged file, is refused too.
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
    """Return the content of a JSON file of a model folder.

    Raises:
        ModelError: the file is missing, too large, or not JSON.
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
