"""Whether a report can be read at all: not empty, no loop, no other language, not gibberish."""

import re
from collections.abc import Sequence

from plainfilm.core import Finding
from plainfilm.text.languages import foreign
from plainfilm.text.repetition import LOOPING, repetition
from plainfilm.text.word_order import disordered

_WORD = re.compile(r"[^\W_]")


def unreadable(
    text: str, findings: Sequence[Finding], reference: str = "", language: str = "en"
) -> str | None:
    """Return why nothing that was read of a report counts, in words; None where it does.

    Args:
        text: the report.
        findings: what :func:`plainfilm.text.read` read of it.
        reference: the report that it is held against; one that says the same in the same words
            needs no reading.
        language: by whose rules.
    """
    from plainfilm.text import labels

    if not _WORD.search(text):
        return "the report is empty"
    share = repetition(text)
    if share >= LOOPING:
        return f"{share:.0%} of the report is repetition"
    if other := foreign(text, language):
        return f"the report seems to be in another language ({other})"
    if text.split() != reference.split() and disordered(text, language):
        return "the words stand in no order"
    if findings or text.split() == reference.split():
        return None
    said = labels(text, language=language)  # which knows "normal chest" too
    return None if said else "the reader finds no statement"
