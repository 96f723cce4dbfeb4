"""Report text: the reader (text → findings) and the writer (findings → text)."""

from plainfilm.text.labeler import labels
from plainfilm.text.languages import LanguageWarning
from plainfilm.text.outputs import (
    Measurement,
    SentenceLabels,
    chexpert_values,
    graph,
    measurements,
    sentence_labels,
)
from plainfilm.text.reader import explain, read, vocabulary
from plainfilm.text.reader.sections import Section, sections

__all__ = [
    "LanguageWarning",
    "Measurement",
    "Section",
    "SentenceLabels",
    "chexpert_values",
    "explain",
    "graph",
    "labels",
    "measurements",
    "read",
    "sections",
    "sentence_labels",
    "vocabulary",
]
