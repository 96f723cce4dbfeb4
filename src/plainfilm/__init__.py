"""plainfilm trains, runs and honestly scores chest X-ray report generators.

Importing the package is fast: each name below is imported, with its dependencies, on first use.
Importing it also registers the models with transformers' Auto classes (:mod:`plainfilm.auto`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plainfilm import auto as _auto

__version__ = "0.1.0"

if TYPE_CHECKING:
    from plainfilm.core import Finding, Image, Observation, Report, Score, Signature, Status, Study
    from plainfilm.data import load_study
    from plainfilm.metrics import score
    from plainfilm.pipeline import load_model
    from plainfilm.text import labels, read

_HOMES = {
    "Finding": "plainfilm.core",
    "Image": "plainfilm.core",
    "Observation": "plainfilm.core",
    "Report": "plainfilm.core",
    "Score": "plainfilm.core",
    "Signature": "plainfilm.core",
    "Status": "plainfilm.core",
    "Study": "plainfilm.core",
    "labels": "plainfilm.text",
    "load_model": "plainfilm.pipeline",
    "load_study": "plainfilm.data",
    "read": "plainfilm.text",
    "score": "plainfilm.metrics",
}

__all__ = [
    "Finding",
    "Image",
    "Observation",
    "Report",
    "Score",
    "Signature",
    "Status",
    "Study",
    "__version__",
    "labels",
    "load_model",
    "load_study",
    "read",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'plainfilm' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)


_auto.install()
