"""Training targets: a report as one text, and such a text parsed back into a report."""

import re
from collections.abc import Sequence
from typing import Any

from plainfilm.core import Report

IGNORED = -100
"""The label of tokens that the loss ignores."""

_HEADINGS = re.compile(r"\s*\b(findings|impression):\s*", re.IGNORECASE)


def report_to_target(report: Report) -> str:
    """Return the target text: the report's sections under their headings."""
    sections = {"Findings": report.findings, "Impression": report.impression}
    return " ".join(f"{name}: {text}" for name, text in sections.items() if text)


def target_to_report(text: str) -> Report:
    """Parse a decoded target into a report; text under no heading belongs to the findings."""
    parts = _HEADINGS.split(text)
    sections = {"findings": [parts[0].strip()], "impression": []}
    for name, content in zip(parts[1::2], parts[2::2], strict=True):
        sections[name.lower()].append(content.strip())
    findings, impression = (" ".join(filter(None, part)) for part in sections.values())
    return Report(findings=findings, impression=impression)


def sentence_spans(
    report: Report, sentences: Sequence[str], tokenizer: Any, max_tokens: int
) -> tuple[list[int], list[list[bool]]]:
    """Return the tokens of a report's target text, and a mask of tokens for each sentence.

    Args:
        report: the report.
        sentences: sentences of the report; the mask of one that is empty or not found is all False.
        tokenizer: a fast tokenizer, which gives the character offsets of its tokens.
        max_tokens: longest target; the rest is truncated.
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
