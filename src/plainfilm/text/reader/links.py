"""Relations between the mentions of one sentence.

A cause takes over the side and place of its opacity ("left basilar opacity, likely atelectasis");
alternative causes are uncertain ("atelectasis or pneumonia").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from plainfilm.core import Change, Observation, Severity, Status
from plainfilm.text.reader.attributes import Attributes, combine
from plainfilm.text.reader.lexicon import Item, Rule
from plainfilm.text.reader.mentions import Mention
from plainfilm.text.reader.scope import Scopes

_CAUSE = {"uncertainty", "differential", "affirmed", "uncertainty_either"}
_ALTERNATIVE = {"or", "versus"}
_APART = {"boundary", "negation", "copula"}
_NO_CAUSE = {"boundary", "negation", "and", "with"}
_JOINT = {"slash", "adjacent", "contrast"}
_SIZES = (Severity.TRACE, Severity.SMALL, Severity.LARGE)
_MEASURED = (Observation.PLEURAL_EFFUSION, Observation.PNEUMOTHORAX)
"""Findings whose size does not carry over to an alternative ("small effusion or scarring")."""
_OPACITIES = (Observation.LUNG_OPACITY, Observation.LUNG_LESION, Observation.CONSOLIDATION)


@dataclass
class Reading:
    """A mention under one of its rules, from which a finding is made."""

    mention: Mention
    rule: Rule
    status: Status
    cues: list[Item]
    attributes: list[Attributes]
    qualifiers: list[Item]

    @property
    def located(self) -> bool:
        """Whether it has a side or a place."""
        return any(a.side or a.location for a in self.attributes)


def link(readings: Sequence[Reading], scopes: Scopes) -> list[Reading]:
    """Resolve alternatives and give causes their opacity's place; return the readings kept."""
    groups: list[list[Reading]] = []
    for reading in readings:
        if groups and groups[-1][0].mention.tokens == reading.mention.tokens:
            groups[-1].append(reading)
        else:
            groups.append([reading])
    pairs = [(a, b, scopes.between(a[0].mention, b[0].mention)) for a, b in pairwise(groups)]
    for earlier, later, order in pairs:
        if _are_alternatives(order):
            _hedge(earlier, later)
        elif _is_other_choice(order):
            _hedge(later, later)
    for group in groups[-1:]:
        if scopes.offers_another(group[0].mention):
            _hedge(group, group)
    explained = [id(r) for pair in pairs for r in _relate(*pair)]
    return [reading for reading in readings if id(reading) not in explained]


def _relate(
    earlier: Sequence[Reading], later: Sequence[Reading], order: Sequence[str]
) -> list[Reading]:
    """Pass on side, place and grade between neighbours; return those that the later explains."""
    kinds = set(order)
    hedged = later[0].status is Status.UNCERTAIN
    alternative = (_are_alternatives(order) or _is_other_choice(order)) and hedged
    joint = kinds & _JOINT and not kinds & _APART
    pair = _is_pair(earlier[0], later[0], kinds)
    inside = "paren" in kinds and kinds <= {"paren", "copula"} | _CAUSE
    guess = (
        hedged
        and earlier[0].status is Status.PRESENT
        and (kinds == {"comma"} or (kinds == {"and"} and earlier[0].rule.observation in _OPACITIES))
    )
    cause = guess or bool(kinds & _CAUSE and not kinds & _NO_CAUSE)
    alike = alternative and earlier[0].status is Status.UNCERTAIN
    if kinds == {"and"} and _shares_side(earlier[0], later[0]):
        _tell(later, side=earlier[0].attributes[0].side)
    listed = kinds <= {"comma", "and"} and _share_differential(earlier[0], later[0])
    if alternative or cause or joint or pair or inside or listed:
        placed = any(one.location for one in later[0].attributes)
        sized = earlier[0].attributes[0].severity in _SIZES
        measured = sized and earlier[0].rule.observation in _MEASURED
        graded = (pair and not (placed and sized)) or (
            alike and "article" not in kinds and not measured
        )
        _inherit(earlier, later, graded=graded)
    if alike or "slash" in kinds:
        _inherit(later, earlier, graded=False)
    told = cause and later[0].status is Status.PRESENT
    return [reading for reading in earlier if reading.rule.explained and told]


def _share_differential(first: Reading, second: Reading) -> bool:
    """Return whether both are in one list of causes ("the differential is scar, mass and …")."""
    return any(cue.cue == "differential" and cue in second.cues for cue in first.cues)


def _tell(readings: Sequence[Reading], **said: Any) -> None:
    """Set the fields of ``said`` that the readings lack."""
    for reading in readings:
        reading.attributes = [
            one._replace(**{field: getattr(one, field) or value for field, value in said.items()})
            for one in reading.attributes
        ]


def _are_alternatives(kinds: Sequence[str]) -> bool:
    """Return whether an "or" without a hedge before it joins two mentions."""
    joining = next((k for k in kinds if k in _ALTERNATIVE or k in _CAUSE or k == "comma"), None)
    return joining in _ALTERNATIVE and not _APART & set(kinds)


def _is_other_choice(kinds: Sequence[str]) -> bool:
    """Return whether the second mention follows an unknown alternative ("X, sarcoid or Y")."""
    return list(kinds) in (["comma", "or"], ["comma", "versus"])


def refer(before: Sequence[Reading], readings: Sequence[Reading]) -> None:
    """Take over side and place from the sentence before ("This may represent pneumonia.")."""
    given = [r for r in before if r.located and r.status is not Status.ABSENT]
    if given:
        _inherit(given[-1:], [r for r in readings if r.status is not Status.ABSENT], graded=False)


def describe(before: Sequence[Reading], items: Sequence[Item]) -> list[Reading]:
    """Return readings, the last finding completed by the next sentence.

    For example "This has increased and is now large."
    """
    first = combine(items)[0]
    told = []
    for reading in before:
        if reading.mention.tokens == before[-1].mention.tokens and (
            reading.status is not Status.ABSENT
        ):
            gone = first.change is Change.RESOLVED
            reading = replace(reading, status=Status.ABSENT if gone else reading.status)
            _tell([reading], **first._asdict())
        told.append(reading)
    return told


def _hedge(earlier: Sequence[Reading], later: Sequence[Reading]) -> None:
    shared = [item for item in earlier[0].qualifiers if "through_list" in item.roles]
    if shared:  # "no change in effusion or edema" leaves no choice between the two
        for reading in later:
            reading.qualifiers = [*reading.qualifiers, *shared]
        _tell(later, change=shared[0].roles["change"])
        return
    both = [*earlier, *later]
    if all(reading.status is not Status.ABSENT for reading in both):
        for reading in both:
            reading.status = Status.UNCERTAIN


def _shares_side(first: Reading, second: Reading) -> bool:
    """Return whether a side applies to both ("left effusion and basilar atelectasis")."""
    one, other = first.attributes[0], second.attributes[0]
    devices = Observation.SUPPORT_DEVICES in (first.rule.observation, second.rule.observation)
    return bool(
        one.side and not one.location and other.location and not other.side
        and first.status is second.status is not Status.ABSENT and not devices
    )  # fmt: skip


def _is_pair(first: Reading, second: Reading, kinds: set[str]) -> bool:
    """Return whether the two share their adjectives ("left basilar scarring and atelectasis")."""
    near = second.mention.start - first.mention.end == 1 and bool(kinds & {"and", "slash"})
    same = first.status is second.status is not Status.ABSENT
    devices = Observation.SUPPORT_DEVICES in (first.rule.observation, second.rule.observation)
    return near and same and not devices


def _inherit(source: Sequence[Reading], target: Sequence[Reading], *, graded: bool) -> None:
    """Copy side and place to readings that have neither; if ``graded``, the severity too."""
    if graded:
        _tell(target, severity=source[0].attributes[0].severity)
    given = next((reading for reading in source if reading.located), None)
    for reading in target:
        if given is None or reading.located or reading.rule.place == "none":
            continue
        own = reading.attributes[0]
        of_bone = (
            given.rule.observation is Observation.FRACTURE
            and reading.rule.observation is not Observation.FRACTURE
        )
        reading.attributes = [
            own._replace(
                side=there.side,
                location=None if of_bone else there.location or given.rule.location,
            )
            for there in given.attributes
        ]
