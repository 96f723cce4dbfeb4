"""Which side, place, severity and change belong to which mention."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from plainfilm.core import Change, Severity, Side
from plainfilm.text.mentions import Item, Mention

_QUALIFIERS = {"side", "place", "partial", "severity", "change", "state"}
_STOPS = {
    "with", "and", "comma", "or", "versus", "boundary", "negation", "uncertainty", "affirmed",
    "history", "negation_after", "uncertainty_after", "uncertainty_either", "copula", "verb", "paren",
}  # fmt: skip


class Attributes(NamedTuple):
    """What qualifies a mention; a mention of two sides has two of these."""

    side: Side | None = None
    location: str | None = None
    severity: Severity | None = None
    change: Change | None = None


def attach(items: Sequence[Item], mentions: Sequence[Mention]) -> list[list[Item]]:
    """Return for each mention the items that qualify it, in order."""
    owned: list[list[Item]] = [[] for _ in mentions]
    stops = [item for item in items if item.cue in _STOPS and "rules" not in item.roles]
    for number, item in enumerate(items):
        if not _QUALIFIERS & set(item.roles) or "rules" in item.roles:
            continue
        if _is_degree_of_change(items, number):
            continue
        predicate = "change" in item.roles and _is_predicate(items, number)
        for index in _owners(item, mentions, stops, predicate=predicate):
            owned[index].append(item)
    return owned


def _is_degree_of_change(items: Sequence[Item], number: int) -> bool:
    """Return whether the item is "slightly" in "slightly increased"."""
    if number + 1 >= len(items) or "severity" not in items[number].roles:
        return False
    following = items[number + 1]
    return following.start == items[number].end and "change" in following.roles


def _is_predicate(items: Sequence[Item], number: int) -> bool:
    """Return whether a verb says the change ("are unchanged")."""
    before = items[number - 1] if number else None
    verb = (
        before is not None
        and before.cue in ("copula", "verb")
        and before.end == items[number].start
    )
    return verb or items[number].cue in ("copula", "negation_after")


def _owners(
    item: Item, mentions: Sequence[Mention], stops: Sequence[Item], *, predicate: bool
) -> list[int]:
    """Return the indices of the mentions that ``item`` qualifies."""
    inside = [i for i, m in enumerate(mentions) if m.start <= item.start and item.end <= m.end]
    if inside:
        return [i for i in inside if not _is_named_by(item, mentions[i])]
    before = [i for i, m in enumerate(mentions) if m.end <= item.start]
    after = [i for i, m in enumerate(mentions) if m.start >= item.end]
    if predicate and before:
        return _listed(before, mentions, stops)
    if not before and not after:
        return []
    if not before or not after:
        chosen = mentions[before[-1]] if before else mentions[after[0]]
    else:
        last, first = mentions[before[-1]], mentions[after[0]]
        parted_left = any(last.end <= stop.start < item.start for stop in stops)
        parted_right = any(item.end <= stop.start < first.start for stop in stops)
        chosen = first if parted_left and not parted_right else last
    return [i for i, m in enumerate(mentions) if m.tokens == chosen.tokens]


def _listed(before: list[int], mentions: Sequence[Mention], stops: Sequence[Item]) -> list[int]:
    """Return the mentions of the list that ends with the last of ``before``."""
    found = [before[-1]]
    for earlier, later in zip(before[-2::-1], before[:0:-1], strict=True):
        kinds = {
            stop.cue
            for stop in stops
            if mentions[earlier].end <= stop.start < mentions[later].start
        }
        same = mentions[earlier].start == mentions[later].start
        if not same and not (kinds and kinds <= {"and", "comma", "or"}):
            break
        found.append(earlier)
    return found


def _is_named_by(item: Item, mention: Mention) -> bool:
    """Return whether the item is among the very words that name the mention."""
    return any(start <= item.start and item.end <= end for start, end in mention.tokens)


def combine(items: Sequence[Item]) -> list[Attributes]:
    """Return what ``items`` say of one mention: one group per side and place."""
    groups: list[dict[str, Any]] = [{}]
    for item, roles in zip(items, _completed(items), strict=True):
        fresh = {k: roles[k] for k in ("side", "place", "severity", "change") if k in roles}
        located = {k: v for k, v in fresh.items() if k in ("side", "place")}
        clash = any(k in groups[-1] and groups[-1][k] != v for k, v in fresh.items())
        general = Side.BILATERAL in (fresh.get("side"), groups[-1].get("side"))
        if clash and not (general and set(fresh) == {"side"}):
            if not located and not _opens_group(items, item):
                continue
            groups.append({})
        for key, value in fresh.items():
            groups[-1].setdefault(key, value)
        if general and fresh.get("side") is Side.BILATERAL:
            groups[-1]["side"] = Side.BILATERAL
    _share(groups)
    return _merged(groups)


def _opens_group(items: Sequence[Item], item: Item) -> bool:
    """Return whether a severity or change stands before another side or place."""
    later = [other for other in items if other.start >= item.end]
    return any({"side", "place"} & set(other.roles) for other in later)


def _completed(items: Sequence[Item]) -> list[Mapping[str, Any]]:
    """Return the items' roles with half places made whole ("upper … lower lobes")."""
    found: list[Mapping[str, Any]] = []
    for number, item in enumerate(items):
        roles = item.roles
        if "partial" in roles:
            rest = next(
                (
                    other.roles["place"].split(" ", 1)[1]
                    for other in items[number + 1 :]
                    if other.roles.get("place", "").split(" ")[0]
                    in ("upper", "lower", "middle", "mid")
                ),
                None,
            )
            if rest:
                roles = {**roles, "place": f"{roles['partial']} {rest}"}
        found.append(roles)
    return found


def _share(groups: list[dict[str, Any]]) -> None:
    """Give what was said once to the groups around it that lack it."""
    for key in ("side", "severity", "change"):
        said = [group[key] for group in groups if key in group]
        if len(said) == 1:
            for group in groups:
                group.setdefault(key, said[0])
    for earlier, later in pairwise(groups):
        if "side" not in later and "side" in earlier:
            later["side"] = earlier["side"]
    for later, earlier in pairwise(groups[::-1]):
        if "place" in later and "place" not in earlier:
            earlier["place"] = later["place"]


def _merged(groups: list[dict[str, Any]]) -> list[Attributes]:
    """Return the groups, left and right as one where they differ in nothing else."""
    found: list[Attributes] = []
    for group in groups:
        made = Attributes(*(group.get(k) for k in ("side", "place", "severity", "change")))
        twin = next((f for f in found if f._replace(side=made.side) == made), None)
        if twin is not None and {twin.side, made.side} == {Side.LEFT, Side.RIGHT}:
            found[found.index(twin)] = twin._replace(side=Side.BILATERAL)
        elif made not in found:
            found.append(made)
    return found
