"""The part of a report that is scored: findings, impression, or both."""

import re

from plainfilm.core import InputError

SECTION_NAMES = {
    "findings": ("section_findings", "findings"),
    "impression": ("section_impression", "impression"),
}
"""Section → the columns under which files hold it."""

SECTIONS = ("findings", "impression", "findings+impression")
"""What can be chosen."""


_WITHIN_A_LINE = re.compile(
    r"(?<=\S)[ \t]+(?=(?:Findings|Impression|Hallazgos|Impresión|Conclusión):(?:\s|$))"
)
"""Where ReXrank's form, "Findings: … Impression: …", puts a heading after a text without a stop."""


def check_section(section: str | None) -> None:
    """Raise InputError where ``section`` is none of :data:`SECTIONS`."""
    if section is not None and section not in SECTIONS:
        raise InputError(f"no section {section!r}: choose from {', '.join(SECTIONS)}")


def section_of(text: str, section: str, language: str, *, where: str, required: bool) -> str | None:
    """Return what stands under a section's heading in ``text``.

    Args:
        text: a whole report.
        section: one of :data:`SECTIONS`.
        language: whose headings are looked for.
        where: whose text it is, for messages.
        required: refuse a text without any heading; otherwise it is returned whole, since a model
            that writes one section writes no heading.

    Returns:
        The section's text; of two sections those that there are, a line each; None where the text
        has headings, and not this one.

    Raises:
        InputError: the text has no heading, and is required to.
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
