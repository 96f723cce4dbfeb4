"""Sections of a raw report: FINDINGS, IMPRESSION, INDICATION, COMPARISON, TECHNIQUE and the rest.

Headings are data (``rules/<language>/sections.yaml``). A heading is one of those phrases followed
by a colon, at the start of a line in any case or anywhere in capitals; or in capitals alone on its
line.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

BODY = "body"
"""The name of text that stands under no heading."""

_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_BRIEF = ("comparison", "technique")
"""Sections of one sentence, whatever follows it."""
_FIRST_STOP = re.compile(r"(?<=[a-z\d)])[.?][ \t]+(?=[A-Z])")


class Section(NamedTuple):
    """A section: its name, and the span of its content (without the heading) in the report."""

    name: str
    start: int
    end: int


class Headings(NamedTuple):
    """The compiled headings of one language."""

    pattern: re.Pattern[str]
    names: Mapping[str, str]
    """Heading in lower case → name of its section."""
    read: frozenset[str]
    """The names of the sections that say something about this film."""


def compile_headings(sections: Mapping[str, Sequence[str]], read: Iterable[str]) -> Headings:
    """Compile ``sections`` (section name → its headings)."""
    names = {heading.lower(): name for name, headings in sections.items() for heading in headings}
    longest_first = sorted(names, key=len, reverse=True)
    lower = "|".join(re.escape(heading) for heading in longest_first)
    upper = "|".join(re.escape(heading.upper()) for heading in longest_first)
    pattern = re.compile(
        rf"(?:^|(?<=[.!?])[ \t]+(?=[A-Z]))[ \t]*(?P<line>(?i:{lower}))[ \t]*:"
        rf"|(?<![^\W_])(?P<inline>{upper})[ \t]*:"
        rf"|^[ \t]*(?P<alone>{upper})[ \t]*$",
        re.MULTILINE,
    )
    return Headings(pattern, names, frozenset(read))


def split_sections(text: str, headings: Headings) -> list[Section]:
    """Return the sections of ``text`` in order; all of it is one ``body`` where no heading stands.

    Where the report has no section that is read, what follows the first paragraph of one that is
    not is body text; without a blank line, what follows the first sentence of the last one. Where
    it has no findings, what follows the first sentence of a comparison or a technique is, too.
    """
    marks = list(headings.pattern.finditer(text))
    names = [headings.names[(m["line"] or m["inline"] or m["alone"]).lower()] for m in marks]
    edges = [*(m.start() for m in marks), len(text)]
    found = []
    if text[: edges[0]].strip():
        found.append(Section(BODY, 0, edges[0]))
    told = any(name in headings.read for name in names)
    for mark, name, end in zip(marks, names, edges[1:], strict=True):
        blank = None
        if not told and name not in headings.read:
            blank = _BLANK_LINE.search(text, mark.end(), end)
        brief = name in _BRIEF and "findings" not in names
        if blank is None and (brief or (not told and mark is marks[-1])):
            blank = _FIRST_STOP.search(text, mark.end(), end)
        found.append(Section(name, mark.end(), blank.start() if blank else end))
        if blank and text[blank.end() : end].strip():
            found.append(Section(BODY, blank.end(), end))
    return found


def readable(text: str, headings: Headings) -> list[Section]:
    """Return the sections that say something about this film.

    These are findings and impression; text under no heading counts where there is no findings
    section, and where it stands before the first heading.
    """
    parts = split_sections(text, headings)
    if any(part.name == "findings" for part in parts):
        parts = [part for part in parts if part.name != BODY]
    return [part for part in parts if part.name == BODY or part.name in headings.read]
