"""Splitting a whole report into the sections of a dataset's columns."""

from plainfilm.text import sections

_KEPT = ("findings", "impression", "indication", "comparison", "technique")


def sections_of(text: str, language: str = "en") -> dict[str, str]:
    """Return section → text with single spaces, otherwise as written (including ``___``).

    If a section occurs several times, the last one is used; indications are joined.
    """
    found: dict[str, str] = {}
    for section in sections(text, language=language):
        words = " ".join(text[section.start : section.end].split())
        if words and section.name == "indication" and "indication" in found:
            found["indication"] += f" {words}"
        elif words:
            found[section.name] = words
    return found


def texts_of_report(text: str, language: str = "en") -> dict[str, str]:
    """Return findings, impression, indication, comparison and technique, if present.

    If a report has neither findings nor impression, its text without a heading becomes findings.
    """
    found = sections_of(text, language)
    if "findings" not in found and "impression" not in found and "body" in found:
        found["findings"] = found["body"]
    return {name: found[name] for name in _KEPT if name in found}
