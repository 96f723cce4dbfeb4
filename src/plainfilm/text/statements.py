"""What a report says, each thing once: findings gathered into the statements that are compared.

A report says things in its findings and again in its impression, on one side and on both. So its
findings are gathered: "bilateral" becomes left and right, and a mention without side or place joins
the more definite ones that it may mean.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from plainfilm.core import Change, Finding, Observation, Severity, Side, Status
from plainfilm.text.significance import MISPLACED, load_significance

RANK = {
    Severity.TRACE: 0,
    Severity.SMALL: 1,
    Severity.MILD: 1,
    Severity.MODERATE: 2,
    Severity.LARGE: 3,
    Severity.SEVERE: 3,
}
"""Amounts and grades on one scale: small is mild, large is severe."""

LEVELS = {
    "status": (),
    "detail": ("detail",),
    "side": ("side",),
    "place": ("side", "location"),
    "severity": ("side", "location", "severity"),
    "change": ("side", "location", "severity", "change"),
}
"""What :func:`claims` compare at each level beside observation, its finer term where it is Other,
and status."""

Claim = tuple[str | None, ...]

_STATUS_ORDER = {Status.ABSENT: 0, Status.UNCERTAIN: 1, Status.PRESENT: 2}
_NO_NEW = re.compile(
    r"\b(?:no|without|not|sin)\b(?:\W+\w+){0,2}?\W+(?:new|additional|other|nuev[oa]s?|otr[oa]s?)\b",
    re.IGNORECASE,
)
"""What "no new effusion" leaves open is whether there is an old one."""
_SIZE_UNSAID = (Observation.CARDIOMEGALY, Observation.ENLARGED_CARDIOMEDIASTINUM)
_MEASURED = re.compile(
    r"(?<![\d.])(\d+(?:[.,]\d+)?)(?:\s*(?:x|by|-|to|×)\s*(\d+(?:[.,]\d+)?))*[\s-]*"
    r"(mm|cm|millimet\w*|centimet\w*)\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(slots=True, eq=False)
class Statement:
    """One thing that a report says of one subject on one side."""

    name: str
    """The observation; for Other its finer term, for a device its kind."""
    observation: Observation
    status: Status
    """The firmest of its mentions: present before uncertain before absent."""
    side: Side | None
    """Left, right or None: a bilateral finding makes two statements."""
    places: list[str] = field(default_factory=list)
    ranks: set[int] = field(default_factory=set)
    """Severities on the scale of :data:`RANK`."""
    changes: set[Change] = field(default_factory=set)
    sizes_mm: set[float] = field(default_factory=set)
    findings: list[int] = field(default_factory=list)
    """Which findings say it, by their place in the report's list."""
    critical: bool = False
    """Whether leaving it out would usually change what is done next."""
    detail: str | None = None
    """The kind of a device; None for any, and for what is no device."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a report says."""

    findings: tuple[Finding, ...]
    mentions: tuple[Statement, ...]
    """What is present or uncertain."""
    denials: tuple[Statement, ...]
    """What is absent."""
    open: frozenset[int]
    """Findings that neither state nor deny anything ("no new effusion", "heart size stable")."""


def sides(finding: Finding) -> tuple[Side | None, ...]:
    """Return the sides of a finding: both for bilateral, None alone where it names none."""
    return (Side.LEFT, Side.RIGHT) if finding.side is Side.BILATERAL else (finding.side,)


def name_of(finding: Finding) -> str:
    """Return what a finding is about: its observation, or a finer term that is a thing of its own.

    For Other and for devices that is every finer term.
    """
    if finding.observation in (Observation.OTHER, Observation.SUPPORT_DEVICES):
        return finding.detail or str(finding.observation)
    return load_significance().own_names.get(finding.detail or "", str(finding.observation))


def claims(findings: Iterable[Finding], level: str) -> Iterator[Claim]:
    """Yield what each finding says, down to a level of :data:`LEVELS`; status comes first.

    Claims compare by equality: what one report leaves unsaid differs from what the other says.
    """
    attributes = LEVELS[level]
    for finding in findings:
        name = finding.detail if finding.observation is Observation.OTHER else None
        for side in sides(finding):
            said = (side if key == "side" else getattr(finding, key) for key in attributes)
            yield (finding.status, finding.observation, name, *said)


def gather(findings: Iterable[Finding]) -> Said:
    """Return what ``findings``, read from one report, say together."""
    findings = tuple(findings)
    weight = load_significance()
    mentions: list[Statement] = []
    denials: list[Statement] = []
    left_open = set()
    sizes = _sizes(findings)
    for index, finding in enumerate(findings):
        if finding.observation is Observation.NO_FINDING:
            continue
        if _is_open(finding):
            left_open.add(index)
            continue
        made = _statements(index, finding, sizes.get(index, ()))
        if finding.status is Status.ABSENT:
            denials += made
            continue
        mentions += made
        if finding.observation is Observation.SUPPORT_DEVICES and weight.misplaced(finding):
            mentions += _statements(index, finding, (), f"misplaced {name_of(finding)}")
    merged = _merge(mentions)
    for statement in merged:
        listed = MISPLACED if statement.name.startswith("misplaced ") else statement.name
        statement.critical = weight.critical(listed, [findings[i] for i in statement.findings])
    return Said(findings, tuple(merged), tuple(_merge(denials)), frozenset(left_open))


def _is_open(finding: Finding) -> bool:
    if finding.status is not Status.UNCERTAIN:
        return False
    if finding.observation in _SIZE_UNSAID and finding.change is Change.STABLE:
        return True  # how large it is, is not said
    return bool(finding.sentence and _NO_NEW.search(finding.sentence))


def _statements(
    index: int, finding: Finding, sizes: Iterable[float], name: str | None = None
) -> list[Statement]:
    device = finding.observation is Observation.SUPPORT_DEVICES
    return [
        Statement(
            name=name or name_of(finding),
            observation=finding.observation,
            status=finding.status,
            side=side,
            places=[finding.location] if finding.location else [],
            ranks={RANK[finding.severity]} if finding.severity else set(),
            changes={finding.change} if finding.change else set(),
            sizes_mm=set(sizes),
            findings=[index],
            detail=finding.detail if device and name is None else None,
        )
        for side in sides(finding)
    ]


def _merge(statements: list[Statement]) -> list[Statement]:
    """Return the statements with those that may be the same made one; the first is first."""
    order = {id(statement): number for number, statement in enumerate(statements)}
    kept: list[Statement] = []
    for statement in sorted(statements, key=_indefiniteness):
        same = [other for other in kept if _may_be(statement, other)]
        if not same:
            kept.append(statement)
        for other in same:
            other.status = max(other.status, statement.status, key=_STATUS_ORDER.__getitem__)
            other.places += [place for place in statement.places if place not in other.places]
            other.ranks |= statement.ranks
            other.changes |= statement.changes
            other.sizes_mm |= statement.sizes_mm
            other.findings += statement.findings
    return sorted(kept, key=lambda statement: order[id(statement)])


def _indefiniteness(statement: Statement) -> int:
    unnamed = statement.observation is Observation.SUPPORT_DEVICES and statement.detail is None
    return 2 * unnamed + (statement.side is None) + (not statement.places)


def _may_be(vague: Statement, other: Statement) -> bool:
    """Return whether ``vague`` may be about the same thing as ``other``, which is as definite."""
    device = vague.observation is Observation.SUPPORT_DEVICES is other.observation
    named = vague.name == other.name or (device and vague.name == Observation.SUPPORT_DEVICES)
    if not named or (vague.side is not None and vague.side is not other.side):
        return False
    return device or not vague.places or overlap(vague.places, other.places)


def overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether any place of one statement overlaps any of the other."""
    overlaps = load_significance().overlap
    return any(overlaps(ours, theirs) for ours in one for theirs in other)


def _sizes(findings: Sequence[Finding]) -> dict[int, set[float]]:
    """Return the sizes in mm of findings whose sentence measures one thing alone.

    A device's measure is a distance ("4 cm above the carina"), not a size.
    """
    by_sentence: dict[str, list[int]] = {}
    for index, finding in enumerate(findings):
        if finding.sentence and _DIGIT.search(finding.sentence):
            by_sentence.setdefault(finding.sentence, []).append(index)
    found: dict[int, set[float]] = {}
    for sentence, indices in by_sentence.items():
        stated = [i for i in indices if findings[i].status is not Status.ABSENT]
        names = {name_of(findings[i]) for i in stated}
        measured = set(measurements_mm(sentence))
        # A nodular opacity is both, and of one size.
        one = len(names) == 1 or names <= {Observation.LUNG_LESION, Observation.LUNG_OPACITY}
        devices = any(findings[i].observation is Observation.SUPPORT_DEVICES for i in stated)
        if measured and one and not devices:
            found |= dict.fromkeys(stated, measured)
    return found


def measurements_mm(sentence: str) -> Iterator[float]:
    """Yield the measurements of a sentence in millimetres; of "5 x 3 cm" the largest."""
    for match in _MEASURED.finditer(sentence):
        scale = 10.0 if match[3].lower().startswith("c") else 1.0
        numbers = _NUMBER.findall(match[0])
        yield max(float(number.replace(",", ".")) for number in numbers) * scale
