"""The sections of a report, as a public function."""

from collections.abc import Iterator
from typing import NamedTuple

from plainfilm.core import InputError
from plainfilm.text.reader.headings import BODY, Part, split_sections
from plainfilm.text.reader.layout import plain
from plainfilm.text.reader.lexicon import load_lexicon

_BEFORE_FINDINGS = {"examination", "indication", "technique", "comparison", "findings"}


class Section(NamedTuple):
    """A section of a report.

    Names are ``findings``, ``impression``, ``addendum``, ``indication``, ``comparison``,
    ``technique``, ``examination`` (what was done to whom, and who signed), ``recommendation``, and
    ``body`` for text under no heading.
    """

    name: str
    text: str
    """The text under the heading, without markup."""
    start: int
    end: int
    """Position in the original report, in characters; ``end`` is exclusive."""
    study: int
    """Number of the study in a text that holds several reports, from 0."""


def sections(text: str, *, language: str = "en") -> list[Section]:
    """Return the sections of a report in their order.

    The layouts of MIMIC-CXR, CheXpert Plus, ReXGradient, PadChest and Open-i are known, in plain
    text, HTML or Markdown. A report that stands after another one's impression and begins anew with
    an examination, indication, technique, comparison or findings is another ``study``.

    Args:
        text: one or more whole reports.
        language: language of the headings.

    Raises:
        InputError: ``text`` is not a ``str``, or there are no rules for ``language``.
    """
    if not isinstance(text, str):
        raise InputError(f"a report must be text (str), got {type(text).__name__}: decode bytes")
    stripped = plain(text)
    parts = split_sections(stripped.text, load_lexicon(language).headings)
    found = []
    for part, study in _numbered(parts):
        content = stripped.text[part.start : part.end]
        if part.name == BODY and not content.strip():
            continue
        start = part.start + len(content) - len(content.lstrip())
        span = stripped.span(start, start + len(content.strip()))
        found.append(Section(part.name, content.strip(), *span, study))
    return found


def _numbered(parts: list[Part]) -> Iterator[tuple[Part, int]]:
    """Yield each section and the number of its study."""
    study, concluded = 0, False
    for part in parts:
        if concluded and part.name in _BEFORE_FINDINGS:
            study, concluded = study + 1, False
        concluded = concluded or part.name == "impression"
        yield part, study
