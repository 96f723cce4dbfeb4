"""The words that every room shares, and the error tree; no torch."""

from plainfilm.core.errors import (
    DatasetError,
    ImageError,
    InputError,
    MetricError,
    MissingDependencyError,
    ModelError,
    OutputError,
    PlainfilmError,
    PlainfilmWarning,
    RecipeError,
    TrainingError,
    errors_as,
    one_line,
    printable,
)
from plainfilm.core.files import GrowingFile, check_folder, check_writable, write_atomically
from plainfilm.core.image import Image, Pixels, Provenance, View
from plainfilm.core.observation import (
    FIVE_OBSERVATIONS,
    OBSERVATIONS,
    Change,
    Observation,
    Severity,
    Side,
    Status,
    UncertaintyPolicy,
    binarize,
)
from plainfilm.core.report import Evidence, Finding, Report, Span
from plainfilm.core.score import Score, Signature
from plainfilm.core.study import Study
from plainfilm.core.word import Word, describe

__all__ = [
    "FIVE_OBSERVATIONS",
    "OBSERVATIONS",
    "Change",
    "DatasetError",
    "Evidence",
    "Finding",
    "GrowingFile",
    "Image",
    "ImageError",
    "InputError",
    "MetricError",
    "MissingDependencyError",
    "ModelError",
    "Observation",
    "OutputError",
    "Pixels",
    "PlainfilmError",
    "PlainfilmWarning",
    "Provenance",
    "RecipeError",
    "Report",
    "Score",
    "Severity",
    "Side",
    "Signature",
    "Span",
    "Status",
    "Study",
    "TrainingError",
    "UncertaintyPolicy",
    "View",
    "Word",
    "binarize",
    "check_folder",
    "check_writable",
    "describe",
    "errors_as",
    "one_line",
    "printable",
    "write_atomically",
]
