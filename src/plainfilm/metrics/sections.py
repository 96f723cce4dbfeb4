"""The section of a report that is scored: findings, impression, or both."""

import re

from plainfilm.core import InputError

SECTION_NAMES = {
    "findings": ("section_findings", "findings"),
    "impression": ("section_impression", "impression"),
}
"""Section → possible names of its column in files."""

SECTIONS = ("findings", "impression", "findings+impression")
"""Possible values of ``section``."""


_WITHIN_A_LINE = re.compile(
    r"(?<=\S)[ \t]+(?=(?:Findings|Impression|Hallazgos|Impresión|Conclusión):(?:\s|$))"
)
"""A heading in the middle of a line, as in ReXrank's format: "Findings: … Impression: …"."""


def check_section(section: str | None) -> None:
    """Raise InputError if ``section`` is not one of :data:`SECTIONS`."""
    if section is not None and section not in SECTIONS:
        raise InputError(f"no section {section!r}: choose from {', '.join(SECTIONS)}")


def section_of(text: str, section: str, language: str, *, where: str, required: bool) -> str | None:
    """Return the text under a section's heading in ``text``.

    Args:
        text: a whole report.
        section: one of :data:`SECTIONS`.
        language: language of the headings.
        where: describes the text, for messages.
        required: refuse a text without any heading; otherwise it is returned whole, since a model
            that writes one section writes no heading.

    Returns:
        The section's text; for two sections, those that exist, one per line; None if the text has
        headings but not this one.

    Raises:
        InputError: the text has no heading, and ``required`` is set.
    """
    from plainfilm.text import sections

    parts = sections(_WITHIN_A_LINE.sub("\n", text), language=language)
    wanted = section.split("+")
    found = [part.text for part in parts if part.name in wanted]
    if found:
        return "\n".join(filter(None, found))
    if any(part.name != "body" for part in parts):
        return None
    if required and text.strip():
        raise InputError(
            f"{where} has no heading {wanted[0].capitalize()!r}, so that its {section} cannot be "
            "told from the rest: give them in a column of that name, or leave --section out"
        )
    return text
