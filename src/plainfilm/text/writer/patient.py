"""A report in plain language for the patient: every statement, and nothing else.

The vocabulary is data: ``writing/en_patient.yaml``. A term, place or detail that is not listed
there is quoted from the report, so that nothing is lost.
"""

from functools import cache
from importlib import resources

import yaml
from pydantic import ValidationError

from plainfilm.core import (
    Change,
    Finding,
    InputError,
    Observation,
    Report,
    Severity,
    Side,
    Status,
    Word,
    describe,
)
from plainfilm.text import reader


class PlainWords(Word):
    """The plain-language vocabulary; ``writing/en_patient.yaml`` explains each entry."""

    introduction: str
    no_finding: str
    warnings: str
    headings: dict[Status, str]
    statements: dict[Status, str]
    resolved: str
    severities: dict[Severity, str]
    sides: dict[Side, str]
    changes: dict[Change, str]
    places: dict[str, str]
    unknown_place: str
    unknown_detail: str
    unknown_other: str
    observations: dict[Observation, str]
    details: dict[str, str]


@cache
def load_plain_words() -> PlainWords:
    """Return the vocabulary.

    Raises:
        InputError: its file is wrong; all mistakes are listed.
    """
    source = resources.files("plainfilm.text.writer") / "language" / "en_patient.yaml"
    try:
        return PlainWords.model_validate(yaml.safe_load(source.read_text("utf-8")))
    except ValidationError as error:
        raise InputError(f"writing/en_patient: {describe(error)}") from error


def explain(report: Report) -> str:
    """Return ``report`` in plain English for the patient it is about.

    The text opens by saying that this is a draft for a radiologist to check, not a diagnosis. One
    line for each of ``report.statements`` follows: what is seen, what is uncertain, what was not
    seen. A statement contained in another one (an effusion in a left effusion) gets no line. If the
    report says that there is no acute abnormality, so does the explanation. The report's warnings
    come last, unchanged.

    Raises:
        InputError: the report has no statements, and its text does not say that it is normal.
    """
    statements = [f for f in report.statements if f.observation is not Observation.NO_FINDING]
    normal = len(statements) < len(report.statements) or _says_normal(report.text)
    if not statements and not normal:
        raise InputError(
            "cannot explain a report without statements; "
            "give them: report.model_copy(update={'statements': tuple(read(report.text))})"
        )
    words = load_plain_words()
    parts = [words.introduction.strip()]
    if normal:
        parts.append(words.no_finding)
    for status, heading in words.headings.items():
        told = [
            _sentence(finding, words)
            for finding in statements
            if finding.status is status
            and not any(_contains(other, finding) for other in statements)
        ]
        if told:
            parts.append("\n".join([heading, *(f"- {line}" for line in dict.fromkeys(told))]))
    if report.warnings:
        parts.append("\n".join([words.warnings, *(f"- {line}" for line in report.warnings)]))
    return "\n\n".join(parts) + "\n"


def _says_normal(text: str) -> bool:
    """Return whether ``text`` says explicitly that there is no acute abnormality."""
    return any(
        fired.finding.observation is Observation.NO_FINDING for fired in reader.explain(text)
    )


def _contains(whole: Finding, part: Finding) -> bool:
    """Return whether ``whole`` says everything that ``part`` says, and more."""
    pairs = list(zip(whole.statement, part.statement, strict=True))
    same_kind = all(a == b for a, b in pairs[:3])
    return same_kind and all(b in (a, None) for a, b in pairs) and any(a != b for a, b in pairs)


def _sentence(finding: Finding, words: PlainWords) -> str:
    """Return the line that says ``finding``."""
    resolved = finding.change is Change.RESOLVED
    template = words.resolved if resolved else words.statements[finding.status]
    where = [""]
    if finding.location:
        unknown = words.unknown_place.format(place=finding.location)
        where.append(words.places.get(finding.location, unknown))
    if finding.side:
        where.append(words.sides[finding.side])
    line = template.format(name=_name(finding, words), where=" ".join(where))
    if finding.severity:
        line += " " + words.severities[finding.severity]
    if finding.change and not resolved:
        line += " " + words.changes[finding.change]
    return line


def _name(finding: Finding, words: PlainWords) -> str:
    if finding.detail is None:
        return words.observations[finding.observation]
    if finding.detail in words.details:
        return words.details[finding.detail]
    if finding.observation is Observation.OTHER:
        return words.unknown_other.format(detail=finding.detail)
    name = words.observations[finding.observation]
    return words.unknown_detail.format(name=name, detail=finding.detail)
