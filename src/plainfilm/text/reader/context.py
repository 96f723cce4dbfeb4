"""Phrases whose meaning depends on their context, resolved before mentions are made.

"Either" is bilateral before a lung and a conjunction before a finding; "moderate before" grades
the past; edema of the ankle is no finding of the chest. Words that only give context are removed
here. The words themselves are data (``rules/<language>/context.yaml``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from plainfilm.core import Change, Observation, Severity, Side
from plainfilm.text.reader.lexicon import Item

_HELPERS = {"when", "organ", "each", "opening", "spared", "list_of", "not_so", "prefers"}
"""Roles that only this module uses."""
OTHER = "other"
"""The side opposite to the one mentioned before."""
SAME = "same"
"""The anatomy or side mentioned before."""
_OTHER_SIDE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
_GRADES = list(Severity)
_MISPLACED = {
    Observation.EDEMA, Observation.PNEUMONIA, Observation.LUNG_LESION, Observation.LUNG_OPACITY,
    Observation.PLEURAL_EFFUSION, Observation.CONSOLIDATION, Observation.ATELECTASIS,
}  # fmt: skip
"""Findings that other organs have as well."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?\Z")
_MILLIMETERS = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "millimetres": 1.0, "cm": 10.0,
                "centimeter": 10.0, "centimeters": 10.0, "centimetres": 10.0, "%": 1.0,
                "ml": 1.0, "cc": 1.0}  # fmt: skip
_AFTER_NUMBER = 2
"""Most tokens between a measurement and the word that dates it ("4 cm deep before")."""
_START = 2
"""Most tokens before a side that opens its sentence ("On the left")."""


@dataclass
class Context:
    """A sentence's phrases with their meaning in context."""

    items: list[Item]
    past: list[int] = field(default_factory=list)
    """Tokens that place a statement in the past ("formerly")."""


def settle(items: Sequence[Item], words: Sequence[str], before: Sequence[Item] = ()) -> Context:
    """Return the phrases of a sentence with their meaning in context.

    Args:
        items: the phrases found in the sentence.
        words: the sentence's words.
        before: the settled phrases of the sentence before.
    """
    past = [item.start for item in items if item.roles.get("when") == "past"]
    changed = _by_numbers(items, words)
    found = _then_and_now(list(items))
    found = _of_other_organs(found)
    settled: list[Item] = []
    skipping = False
    for number, item in enumerate(found):
        after = found[number + 1] if number + 1 < len(found) else None
        if skipping and (item.cue is not None or "rules" in item.roles):
            skipping = False
        if skipping and {"side", "place", "anatomy", "partial"} & item.roles.keys():
            continue
        if "spared" in item.roles:
            skipping = True
            continue
        roles = item.roles
        if (
            item.start > _START
            and not _HELPERS & roles.keys()
            and item.cue != "replaced"
            and roles.get("side") not in (OTHER, SAME)
            and roles.get("anatomy") != SAME
        ):
            settled.append(item)
        else:
            settled += _settled(item, after, [*before, *settled])
    settled += changed
    if not any(item.cue == "differential_for" for item in settled):
        return Context(sorted(settled, key=_start) if changed else settled, past)
    return Context(_with_list_causes(sorted(settled, key=_start)), past)


def _start(item: Item) -> int:
    return item.start


def _settled(item: Item, after: Item | None, before: Sequence[Item]) -> list[Item]:
    roles: Mapping[str, Any] = item.roles
    adjacent = after is not None and after.start == item.end
    if "each" in roles:
        located = after is not None and adjacent and (
            {"place", "anatomy", "partial"} & after.roles.keys() and "rules" not in after.roles
        )  # fmt: skip
        roles = {**roles, "side": Side.BILATERAL} if located else roles
    if roles.get("side") == OTHER:
        known = [one.roles["side"] for one in before if one.roles.get("side") in _OTHER_SIDE]
        roles = {name: value for name, value in roles.items() if name != "side"}
        if known:
            roles = {**roles, "side": _OTHER_SIDE[known[-1]]}
    if roles.get("side") == SAME:  # "the left lung, with a nodule in its apex"
        known = [one.roles["side"] for one in before if one.roles.get("side") in _OTHER_SIDE]
        roles = {name: value for name, value in roles.items() if name != "side"}
        placed = after is not None and adjacent and "place" in after.roles
        if known and (placed or item.end - item.start > 1):
            roles = {"side": known[-1]}
    if roles.get("anatomy") == SAME:
        named = [one.roles["anatomy"] for one in before if "anatomy" in one.roles]
        roles = {name: value for name, value in roles.items() if name != "anatomy"}
        if named:
            roles = {**roles, "anatomy": named[-1]}
    if "prefers" in roles:  # "favor atelectasis over pneumonia"
        hedged = any(one.cue and one.cue.startswith("uncertainty") for one in before)
        choice = before and "rules" in before[-1].roles and after is not None
        return [item._replace(roles={"cue": "versus"})] if hedged and choice else []
    if "not_so" in roles and not any("change" in one.roles for one in before):
        return []  # "have healed, those on the left have not"
    if "opening" in roles and item.start == 0:
        roles = {**roles, "cue": roles["opening"]}
    if item.cue == "replaced":  # "the line has been replaced by a port"
        return [
            Item(item.start, item.end - 1, {"cue": "negation_after", "change": Change.RESOLVED}),
            Item(item.end - 1, item.end, {"cue": "boundary", "change": Change.NEW}),
        ]
    if "side" in roles and item.start <= _START and after is not None and adjacent:
        opens = after.cue == "comma" or "list_of" in after.roles
        if opens and not any("rules" in one.roles for one in before if one.end <= item.start):
            roles = {**roles, "heads_list": True}
    roles = {name: value for name, value in roles.items() if name not in _HELPERS}
    return [Item(item.start, item.end, roles)] if roles else []


def _then_and_now(items: list[Item]) -> list[Item]:
    """Separate past from present grades ("moderate before, now mild")."""
    graded = [number for number, item in enumerate(items) if "severity" in item.roles]
    if len(graded) < 2:
        return items
    was = [number for number in graded if _is_marked(items, number, "past")]
    if not was or len(was) == len(graded):
        return items
    for number in was:
        roles = {name: value for name, value in items[number].roles.items() if name != "severity"}
        roles["past_severity"] = items[number].roles["severity"]
        items[number] = items[number]._replace(roles=roles)
    return items


def _is_marked(items: Sequence[Item], number: int, when: str) -> bool:
    """Return whether a word right before or after the item dates it as ``when``."""
    item = items[number]
    before = items[number - 1] if number else None
    after = items[number + 1] if number + 1 < len(items) else None
    return bool(
        (before and before.end == item.start and before.roles.get("when") == when)
        or (after and after.start == item.end and after.roles.get("when") == when)
    )


def graded_change(past: Severity, now: Severity) -> Change | None:
    """Return the change from the grade ``past`` to the grade ``now``."""
    if past == now:
        return None
    return Change.WORSE if _GRADES.index(now) > _GRADES.index(past) else Change.IMPROVED


def _of_other_organs(items: list[Item]) -> list[Item]:
    """Remove findings of other organs ("ankle edema", "opacity of the thyroid")."""
    gone = set()
    for number, (one, other) in enumerate(pairwise(items)):
        if one.end != other.start:
            continue
        if one.roles.get("organ") == "before" and _may_be_elsewhere(other):
            gone.add(number + 1)
        elif other.roles.get("organ") == "after" and _may_be_elsewhere(one):
            gone.add(number)
    return [item for number, item in enumerate(items) if number not in gone]


def _may_be_elsewhere(item: Item) -> bool:
    rules = item.roles.get("rules", ())
    return bool(rules) and all(rule.observation in _MISPLACED for rule in rules)


def _by_numbers(items: Sequence[Item], words: Sequence[str]) -> list[Item]:
    """Return the change between two measurements ("4 cm before, 2 cm now"), as a phrase."""
    numbers = [at for at, word in enumerate(words) if word[:1].isdigit() and _NUMBER.match(word)]
    if len(numbers) < 2:
        return []
    if any(
        rule.observation is Observation.SUPPORT_DEVICES
        for item in items
        for rule in item.roles.get("rules", ())
    ):
        return []  # where its tip is
    measured: list[tuple[int, float]] = []
    for at in numbers:
        unit = next((u for u in words[at + 1 : at + 4] if u in _MILLIMETERS), None)
        if unit is not None:
            measured.append((at, float(words[at].replace(",", ".")) * _MILLIMETERS[unit]))
    starts = {at for at, _ in measured}
    told = {
        when: {item.end for item in items if item.roles.get("when") == when}
        for when in ("past", "now")
    }
    after = [item.start for item in items
             if item.roles.get("when") == "past" and item.end not in starts]  # fmt: skip
    was = [
        (at, size)
        for at, size in measured
        if at in told["past"] or any(at + 1 < mark <= at + 2 + _AFTER_NUMBER for mark in after)
    ]
    if not was and len(measured) > 1 and measured[-1][0] in told["now"]:
        was = measured[:-1]  # "measured 3 cm, now 1 cm"
    now = [(at, size) for at, size in measured if (at, size) not in was]
    if not was or not now:
        return []
    then, size = was[0][1], now[-1][1]
    change = Change.STABLE if size == then else Change.WORSE if size > then else Change.IMPROVED
    at = min(was[0][0], now[-1][0])
    return [Item(at, at + 1, {"change": change})]


def _with_list_causes(items: list[Item]) -> list[Item]:
    """Make "the differential for the opacity is …" hedge the findings after its verb."""
    cue = next((n for n, item in enumerate(items) if item.cue == "differential_for"), None)
    if cue is None:
        return items
    verb = next(
        (n for n, item in enumerate(items) if n > cue and item.cue in ("copula", "verb", "with")),
        None,
    )
    if verb is not None:
        items[verb] = items[verb]._replace(roles={"cue": "differential"})
        del items[cue]
    else:
        items[cue] = items[cue]._replace(roles={"cue": "differential"})
    return items
