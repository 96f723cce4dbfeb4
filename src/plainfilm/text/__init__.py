"""Report text: the reader (text → findings) and the writer (findings → text)."""

from plainfilm.text.labeler import labels
from plainfilm.text.reader import explain, read, vocabulary
from plainfilm.text.reader.sections import Section, sections

__all__ = ["Section", "explain", "labels", "read", "sections", "vocabulary"]
