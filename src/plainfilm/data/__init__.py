"""Films, studies and datasets: reading them, and one layout on disk for all of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plainfilm.data.dataset import Dataset, Row
    from plainfilm.data.films.own_png import write_png
    from plainfilm.data.films.reader import read_image
    from plainfilm.data.study import load_study

_HOMES = {
    "Dataset": "dataset",
    "Row": "dataset",
    "load_study": "study",
    "read_image": "films.reader",
    "write_png": "films.own_png",
}

__all__ = ["Dataset", "Row", "load_study", "read_image", "write_png"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'plainfilm.data' has no attribute {name!r}")
    return getattr(import_module(f"plainfilm.data.{_HOMES[name]}"), name)
