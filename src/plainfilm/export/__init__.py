"""A drafted report for people and programs: page, text and JSON."""

from plainfilm.export.html import Entry, report_page
from plainfilm.export.plain import DISCLAIMER, report_json, report_text

__all__ = ["DISCLAIMER", "Entry", "report_json", "report_page", "report_text"]
