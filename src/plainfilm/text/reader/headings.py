"""Sections of a raw report: FINDINGS, IMPRESSION, INDICATION, COMPARISON, TECHNIQUE and the rest.

Headings are data (``rules/<language>/sections.yaml``). A heading is one of those phrases followed
by a colon or a dash, at the start of a line or sentence in any case, or anywhere in capitals; alone
on its line; or in capitals before a sentence that is not.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

BODY = "body"
"""The section name of text under no heading."""

_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_BRIEF = ("comparison", "technique")
"""Sections that are taken to have only one sentence."""
_CLOSING = "recommendation"
"""Section after which no text about the film follows."""
_FIRST_STOP = re.compile(r"(?:(?<=[a-z\d)])|(?<=[A-Z]{2}))[.?][ \t]+(?=[A-Z])")


class Part(NamedTuple):
    """A section: its name, and the span of its content (without the heading) in the plain text."""

    name: str
    start: int
    end: int


class Headings(NamedTuple):
    """The compiled headings of one language."""

    pattern: re.Pattern[str]
    names: Mapping[str, str]
    """Heading in lower case → name of its section."""
    read: frozenset[str]
    """The names of the sections that describe this film."""


def compile_headings(sections: Mapping[str, Sequence[str]], read: Iterable[str]) -> Headings:
    """Compile ``sections`` (section name → its headings)."""
    names = {heading.lower(): name for name, headings in sections.items() for heading in headings}
    longest_first = sorted(names, key=len, reverse=True)
    lower = "|".join(re.escape(heading) for heading in longest_first)
    upper = "|".join(re.escape(heading.upper()) for heading in longest_first)
    opening = r"^[ \t\"'#]*+(?:(?:[-*]|\(?\d{1,2}[.)])[ \t]*+)?|(?<=[.!?])[ \t]++"
    pattern = re.compile(
        rf"(?:{opening})(?P<line>(?i:{lower}))[\"']?(?:[ \t]*+:|[ \t]++[-\u2013\u2014]+(?=\s))"
        rf"|(?<![^\W_])(?P<inline>{upper})[ \t]*:"
        rf"|^[ \t#]*+(?P<alone>(?i:{lower}))[ \t]*+$"
        rf"|(?:^[ \t]*+|(?<=[.!?])[ \t]++)(?P<bare>{upper})(?=[ \t]+[A-Z][a-z])",
        re.MULTILINE,
    )
    return Headings(pattern, names, frozenset(read))


def split_sections(text: str, headings: Headings) -> list[Part]:
    """Return the sections of plain ``text`` in order; without headings, all of it is one ``body``.

    If the report has no findings section, the text after a blank line in an unread section counts
    as body. If there is no blank line, so does the text after the first sentence of a comparison or
    technique, or of the last section if no section is read.
    """
    marks = list(headings.pattern.finditer(text))
    names = [headings.names[mark[mark.lastgroup or 0].lower()] for mark in marks]
    edges = [*(m.start() for m in marks), len(text)]
    found = []
    if text[: edges[0]].strip():
        found.append(Part(BODY, 0, edges[0]))
    told = any(name in headings.read or name == BODY for name in names)
    for mark, name, end in zip(marks, names, edges[1:], strict=True):
        rest = None
        if "findings" not in names and name not in {*headings.read, BODY, _CLOSING}:
            rest = _BLANK_LINE.search(text, mark.end(), end)
            if rest is None and (name in _BRIEF or (not told and mark is marks[-1])):
                rest = _FIRST_STOP.search(text, mark.end(), end)
        found.append(Part(name, mark.end(), rest.start() if rest else end))
        if rest and text[rest.end() : end].strip():
            found.append(Part(BODY, rest.end(), end))
    return found


def readable(text: str, headings: Headings) -> list[Part]:
    """Return the sections that describe this film.

    These are findings, impression and addenda, and text under no heading if there is no findings
    section.
    """
    parts = split_sections(text, headings)
    if any(part.name == "findings" for part in parts):
        parts = [part for part in parts if part.name != BODY]
    return [part for part in parts if part.name == BODY or part.name in headings.read]
