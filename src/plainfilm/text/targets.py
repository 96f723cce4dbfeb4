"""What a model learns to write: a report as one text, and such a text as a report again."""

import re
from collections.abc import Sequence
from typing import Any

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


def sentence_spans(
    report: Report, sentences: Sequence[str], tokenizer: Any, max_tokens: int
) -> tuple[list[int], list[list[bool]]]:
    """Return the tokens of a report as a model learns it, and which of them say each sentence.

    Args:
        report: the report.
        sentences: of it; none of the tokens says one that is empty or stands nowhere in it.
        tokenizer: a fast one, which knows where its tokens stand.
        max_tokens: longest report; the rest is cut off.
    """
    target = report_to_target(report)
    encoded = tokenizer(
        target,
        add_special_tokens=False,
        truncation=True,
        max_length=max_tokens,
        return_offsets_mapping=True,
    )
    spans = []
    for sentence in sentences:
        start = target.find(sentence) if sentence else -1
        end = start + len(sentence)
        spans.append([start >= 0 and a < end and b > start for a, b in encoded["offset_mapping"]])
    return encoded["input_ids"], spans
