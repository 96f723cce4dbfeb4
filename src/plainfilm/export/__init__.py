"""A drafted report for people and programs: page, text and JSON."""

from plainfilm.export.html import Entry, report_page
from plainfilm.export.plain import (
    DISCLAIMER,
    refusal_values,
    report_json,
    report_text,
    report_values,
)

__all__ = [
    "DISCLAIMER",
    "Entry",
    "refusal_values",
    "report_json",
    "report_page",
    "report_text",
    "report_values",
]
