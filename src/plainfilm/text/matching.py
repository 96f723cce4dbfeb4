"""Hold a draft's statements against the truth's, for a person to read.

Not a metric: a score is made elsewhere, with its signature. Here each statement is given one of
:data:`WORDS`. A finding that one report says is absent and the other leaves out gets none: reports
name only some of what is normal. Two statements may be held against the same one, since a report
says things in its findings and again in its impression.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.core import Finding, Observation, Status

WORDS = {
    "hallucinated": "Drafted as present or uncertain, and not in the truth.",
    "omitted": "Present or uncertain in the truth, and not in the draft.",
    "contradicted": "A normal statement where the other report has an abnormal one.",
    "differs": "The other report says it with another status, side, place, severity or change.",
    "agrees": "The other report says it too, and no attribute that both give differs.",
}
"""The words and what they mean, the gravest first."""

_ATTRIBUTES = ("status", "detail", "side", "location", "severity", "change")


@dataclass(frozen=True)
class Mark:
    """The word for one statement, and what the other report says where it differs."""

    word: str
    other: str = ""


def compare(
    drafted: Sequence[Finding], truth: Sequence[Finding]
) -> tuple[tuple[Mark | None, ...], tuple[Mark | None, ...]]:
    """Return the mark of each drafted statement and of each of the truth's."""
    return (
        tuple(_mark(finding, truth, alone="hallucinated") for finding in drafted),
        tuple(_mark(finding, drafted, alone="omitted") for finding in truth),
    )


def _mark(finding: Finding, others: Sequence[Finding], alone: str) -> Mark | None:
    if finding.observation == Observation.NO_FINDING:
        if any(other.observation == Observation.NO_FINDING for other in others):
            return Mark("agrees")
        return Mark("contradicted") if any(map(_abnormal, others)) else None
    same = [other for other in others if _same_subject(finding, other)]
    if not _abnormal(finding):
        near = [other for other in same if "side" not in _conflicts(finding, other)]
        if any(map(_abnormal, near)):
            return Mark("contradicted")
        return Mark("agrees") if near else None
    abnormal = [other for other in same if _abnormal(other)]
    if not abnormal:
        return Mark(alone)
    closest = min(abnormal, key=lambda other: len(_conflicts(finding, other)))
    conflicts = _conflicts(finding, closest)
    said = ", ".join(str(getattr(closest, attribute)) for attribute in conflicts)
    return Mark("differs", said) if conflicts else Mark("agrees")


def _abnormal(finding: Finding) -> bool:
    return finding.status != Status.ABSENT and finding.observation != Observation.NO_FINDING


def _same_subject(finding: Finding, other: Finding) -> bool:
    if finding.observation == Observation.OTHER and finding.detail != other.detail:
        return False
    return finding.observation == other.observation


def _conflicts(finding: Finding, other: Finding) -> list[str]:
    """Return the attributes that both give and that differ."""
    return [
        attribute
        for attribute in _ATTRIBUTES
        if (ours := getattr(finding, attribute))
        and (theirs := getattr(other, attribute))
        and ours != theirs
    ]
