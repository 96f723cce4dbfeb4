"""The writer: findings to report text."""

from plainfilm.text.writer.writer import STYLES, Style, write

__all__ = ["STYLES", "Style", "write"]
