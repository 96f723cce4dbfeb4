"""Cut a report's text where its statements begin and end, so that each piece knows its own."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from plainfilm.core import Finding, Report, Span


@dataclass(frozen=True)
class Passage:
    """A piece of text, and the indices of the statements that it says (none for plain text)."""

    text: str
    statements: tuple[int, ...]


def sections(report: Report) -> dict[str, tuple[Passage, ...]]:
    """Return the passages of each section that the report has, by its title."""
    places = [_places(finding, report.text) for finding in report.statements]
    bounds = {"Findings": (0, len(report.findings))}
    bounds["Impression"] = (len(report.text) - len(report.impression), len(report.text))
    return {
        title: _cut(report.text, span, places)
        for title, span in bounds.items()
        if span[0] < span[1]
    }


def _places(finding: Finding, text: str) -> tuple[Span, ...]:
    """Return where the text says the finding: its sentence, and its spans outside of that."""
    sentence: tuple[Span, ...] = ()
    if finding.sentence and finding.sentence.strip():
        pattern = r"\s+".join(map(re.escape, finding.sentence.split()))
        found = [match.span() for match in re.finditer(pattern, text)]
        said = [span for span in found if any(_within(s, span) for s in finding.spans)]
        sentence = tuple(said or found[:1])
    outside = (s for s in finding.spans if not any(_within(s, span) for span in sentence))
    return (*sentence, *outside)


def _within(inner: Span, outer: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _cut(text: str, bounds: Span, places: list[tuple[Span, ...]]) -> tuple[Passage, ...]:
    first, last = bounds
    edges = {edge for spans in places for span in spans for edge in span if first < edge < last}
    cuts = [first, *sorted(edges), last]
    return tuple(
        Passage(text[start:end], tuple(_covering((start, end), places)))
        for start, end in itertools.pairwise(cuts)
    )


def _covering(piece: Span, places: list[tuple[Span, ...]]) -> Iterator[int]:
    for index, spans in enumerate(places):
        if any(_within(piece, span) for span in spans):
            yield index
