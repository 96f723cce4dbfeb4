"""What a model learns to write: a report as one text, and such a text as a report again."""

import re

from plainfilm.core import Report

IGNORED = -100
"""The label that a loss leaves out."""

_HEADINGS = re.compile(r"\s*\b(findings|impression):\s*", re.IGNORECASE)


def report_to_target(report: Report) -> str:
    """Return the text that a model learns: the report's sections under their headings."""
    sections = {"Findings": report.findings, "Impression": report.impression}
    return " ".join(f"{name}: {text}" for name, text in sections.items() if text)


def target_to_report(text: str) -> Report:
    """Return the report that a decoded target stands for; text under no heading is findings."""
    parts = _HEADINGS.split(text)
    sections = {"findings": [parts[0].strip()], "impression": []}
    for name, content in zip(parts[1::2], parts[2::2], strict=True):
        sections[name.lower()].append(content.strip())
    findings, impression = (" ".join(filter(None, part)) for part in sections.values())
    return Report(findings=findings, impression=impression)
