"""Report text: the reader (text → findings) and the writer (findings → text)."""

from plainfilm.text.labeler import labels
from plainfilm.text.reader import explain, read, vocabulary

__all__ = ["explain", "labels", "read", "vocabulary"]
