"""The reader: report text to findings."""

from plainfilm.text.reader.lexicon import vocabulary
from plainfilm.text.reader.reader import Fired, explain, labels, read

__all__ = ["Fired", "explain", "labels", "read", "vocabulary"]
