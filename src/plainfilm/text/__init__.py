"""Report text: the reader (text → findings) and the writer (findings → text)."""

from plainfilm.text.reader import explain, labels, read

__all__ = ["explain", "labels", "read"]
