"""Assignment of side, place, severity and change to mentions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from plainfilm.core import Change, Observation, Severity, Side
from plainfilm.text.reader.context import graded_change
from plainfilm.text.reader.lexicon import Item
from plainfilm.text.reader.mentions import Mention
from plainfilm.text.reader.scope import lasts

_QUALIFIERS = {
    "side", "place", "partial", "severity", "past_severity", "change", "state", "prior",
}  # fmt: skip
_STOPS = {
    "with", "and", "comma", "or", "versus", "boundary", "negation", "uncertainty", "affirmed",
    "history", "negation_after", "uncertainty_after", "uncertainty_either", "copula", "verb",
    "paren", "paren_end", "latter", "article",
}  # fmt: skip


_STRENGTH = {"and": 1, "or": 1, "copula": 1, "verb": 1, "article": 1, "boundary": 3}
"""How strongly a stop separates a word from a mention; 2 for all others."""


class Attributes(NamedTuple):
    """The qualifiers of a mention; a mention of two sides has two of these."""

    side: Side | None = None
    location: str | None = None
    severity: Severity | None = None
    change: Change | None = None


def attach(items: Sequence[Item], mentions: Sequence[Mention]) -> list[list[Item]]:
    """Return for each mention the items that qualify it, in order."""
    owned: list[list[Item]] = [[] for _ in mentions]
    shared: list[tuple[int, Item]] = []
    stops = [item for item in items if item.cue in _STOPS and "rules" not in item.roles]
    for number, item in enumerate(items):
        if not _QUALIFIERS & set(item.roles) or "rules" in item.roles:
            continue
        if _grades_change(items, number, mentions):
            continue
        if "side" in item.roles and _means_all(items, number):
            continue
        predicate = {"change", "place", "side"} & set(item.roles) and _is_predicate(items, number)
        if any({"anatomy", "place"} & set(other.roles) for other in items[:number]):
            item = item._replace(roles={**item.roles, "subject": True})
        if _is_beside(items, number):
            item = item._replace(roles={**item.roles, "beside": True})
        owners = _owners(item, mentions, stops, predicate=bool(predicate))
        for index in owners:
            owned[index].append(item)
        if {"side", "place"} & set(item.roles) and not predicate:
            shared += [(index, item) for index in _also(item, owners, mentions, items, stops)]
    for item in items:
        if "heads_list" in item.roles:
            _head(item, items, mentions, owned)
    located = [any({"side", "place"} & set(item.roles) for item in items) for items in owned]
    for index, item in shared:
        if not located[index]:
            owned[index].append(item)
    return owned


def _head(
    head: Item, items: Sequence[Item], mentions: Sequence[Mention], owned: list[list[Item]]
) -> None:
    """Give the side that opens a sentence to all of its list ("On the left there is …")."""
    stops = (
        item.start
        for item in items
        if item.start > head.end
        and (item.cue == "boundary" or ("side" in item.roles and not _within(item, mentions)))
    )
    end = next(stops, mentions[-1].end if mentions else 0)
    for mention, own in zip(mentions, owned, strict=True):
        told = any("side" in item.roles for item in own)
        if not told and head.end <= mention.start and mention.end <= end:
            own.insert(0, head)


def _within(item: Item, mentions: Sequence[Mention]) -> bool:
    return any(m.start <= item.start and item.end <= m.end for m in mentions)


def _also(
    item: Item,
    owners: Sequence[int],
    mentions: Sequence[Mention],
    items: Sequence[Item],
    stops: Sequence[Item],
) -> list[int]:
    """Return the mentions of the list before the item ("X, Y and Z on the left")."""
    if not owners or owners[0] == 0 or mentions[owners[0]].end > item.start:
        return []
    this = mentions[owners[0]]
    if any(this.end <= stop.start < item.start for stop in stops) or _is_apart(this):
        return []
    found: list[int] = []
    later = this
    for index in range(owners[0] - 1, -1, -1):
        other = mentions[index]
        between = [
            stop.cue
            for stop in stops
            if other.end <= stop.start < later.start and stop.cue != "article"
        ]
        joined = ["and"] if not found else ["comma"]
        placed = any(
            other.end <= one.start < later.start and {"side", "place"} & set(one.roles)
            for one in items
        )
        if _is_apart(other) or between != joined or placed:
            break
        found.append(index)
        later = other
    return found


def _is_bone(item: Item, mention: Mention) -> bool:
    """Return whether the item is the fractured bone ("broken right clavicle")."""
    broken = any(rule.observation is Observation.FRACTURE for rule in mention.rules)
    return broken and {"anatomy", "place"} <= set(item.roles)


def _is_apart(mention: Mention) -> bool:
    """Return whether the mention shares no place with others: a fracture or a device."""
    apart = (Observation.FRACTURE, Observation.SUPPORT_DEVICES)
    return any(rule.observation in apart for rule in mention.rules)


def _grades_change(items: Sequence[Item], number: int, mentions: Sequence[Mention]) -> bool:
    """Return whether the item grades a change ("slightly" in "slightly increased")."""
    item = items[number]
    if number + 1 >= len(items) or "severity" not in item.roles:
        return False
    following = items[number + 1]
    graded = "change" in following.roles and (
        "degree" in item.roles or "change_noun" in following.roles
    )
    naming = any(_is_named_by(following, mention) for mention in mentions)
    return graded and not naming and following.start == item.end


def _means_all(items: Sequence[Item], number: int) -> bool:
    """Return whether "both" means both findings ("both improved", "both edema and effusion")."""
    if "all" not in items[number].roles or number + 1 == len(items):
        return False
    after = items[number + 1]
    if "rules" in after.roles and number + 3 < len(items):
        following = items[number + 2 : number + 4]
        return following[0].cue == "and" and "rules" in following[1].roles
    later = any({"rules", "anatomy"} & set(item.roles) for item in items[number + 1 :])
    return "change" in after.roles and after.start == items[number].end and not later


def _is_beside(items: Sequence[Item], number: int) -> bool:
    """Return whether the item is a place over which something projects, or its side."""
    end = items[number].start
    for item in items[number - 1 :: -1] if number else ():
        if end - item.end > 2:
            return False
        if item.cue == "adjacent":
            return True
        if not {"side", "place"} & set(item.roles):
            return False
        end = item.start
    return False


def _is_predicate(items: Sequence[Item], number: int) -> bool:
    """Return whether a verb says the item ("are unchanged", "are present in the right base")."""
    end = items[number].start
    if "predicate" in items[number].roles:
        return True
    if "change" in items[number].roles and _stands_alone(items, number):
        return True
    for item in items[number::-1]:
        if end - item.end > 2:
            return False
        if item.cue in ("copula", "verb", "negation_after"):
            return True
        if item is not items[number] and not _QUALIFIERS & set(item.roles):
            return False
        end = item.start
    return False


def _stands_alone(items: Sequence[Item], number: int) -> bool:
    """Return whether the item closes a list after a comma ("effusion and edema, unchanged")."""
    before = items[number - 1] if number else None
    if before is not None and before.roles.get("side") is Side.BILATERAL:
        before = items[number - 2] if number > 1 else None
    later = any("rules" in item.roles or "anatomy" in item.roles for item in items[number + 1 :])
    return before is not None and before.cue == "comma" and not later


def _owners(
    item: Item, mentions: Sequence[Mention], stops: Sequence[Item], *, predicate: bool
) -> list[int]:
    """Return the indices of the mentions that ``item`` qualifies."""
    inside = [i for i, m in enumerate(mentions) if m.start <= item.start and item.end <= m.end]
    if inside:
        found = {j for i in inside for j in _named_alike(mentions[i], mentions)}
        sided = {"anatomy", "side"} <= set(item.roles)
        return [
            i
            for i in sorted(found)
            if sided
            or item.cue == "anaphor"
            or _is_bone(item, mentions[i])
            or not _is_named_by(item, mentions[i])
        ]
    before = [i for i, m in enumerate(mentions) if m.end <= item.start]
    after = [i for i, m in enumerate(mentions) if m.start >= item.end]
    if predicate and before and not _goes_before(item, before, after, mentions, stops):
        last = mentions[before[-1]].end
        latter = any(last <= stop.start < item.start and stop.cue == "latter" for stop in stops)
        return before[-1:] if latter else _listed(before[::-1], mentions, stops)
    if not before and not after:
        return []
    if not before and _is_cut_off(item, mentions[after[0]], stops):
        return []
    if predicate and not before and after and "subject" in item.roles:
        first = mentions[after[0]].start
        if any(item.end <= stop.start < first and stop.cue == "boundary" for stop in stops):
            return []  # "disc height is reduced; old fracture"
    if after and (not before or _goes_before(item, before, after, mentions, stops)):
        if "through_list" in item.roles:  # "no change in cardiomegaly, edema or effusions"
            return _listed(after, mentions, stops)
        return _named_alike(mentions[after[0]], mentions)
    nearest = max((mentions[i] for i in before), key=lambda mention: mention.end)
    between = {stop.cue for stop in stops if nearest.end <= stop.start < item.start}
    if {"with", "negation"} & between and "severity" in item.roles:
        return []
    if "boundary" in between and {"side", "place"} & set(item.roles):
        return []
    return _named_alike(nearest, mentions)


def _is_cut_off(item: Item, mention: Mention, stops: Sequence[Item]) -> bool:
    """Return whether a semicolon separates a side or place from the finding after it."""
    return bool({"side", "place"} & set(item.roles)) and any(
        item.end <= stop.start < mention.start and "semicolon" in stop.roles for stop in stops
    )


def _goes_before(
    item: Item,
    before: list[int],
    after: list[int],
    mentions: Sequence[Mention],
    stops: Sequence[Item],
) -> bool:
    """Return whether the item belongs to the mention after it, not to the one before it."""
    if not before or not after:
        return bool(after)
    last, first = max(mentions[i].end for i in before), mentions[after[0]]
    adjacent = next((stop.cue for stop in stops if stop.end == item.start), None)
    if adjacent in ("with", "paren"):
        return adjacent == "with"  # "effusion (left)"
    if _is_in_brackets(stops, last, item.start):
        return False
    return _parting(stops, last, item.start) > _parting(stops, item.end, first.start)


def _is_in_brackets(stops: Sequence[Item], start: int, at: int) -> bool:
    """Return whether brackets that open at ``start`` or later are still open ``at`` a token."""
    edges = [stop.cue for stop in stops if start <= stop.start < at]
    return "paren" in edges and "paren_end" not in edges


def _parting(stops: Sequence[Item], start: int, end: int) -> int:
    """Return the strength of the strongest stop that stands in ``start:end``, 0 if none does."""
    return max(
        (_STRENGTH.get(str(stop.cue), 2) for stop in stops if start <= stop.start < end), default=0
    )


def _named_alike(mention: Mention, mentions: Sequence[Mention]) -> list[int]:
    """Return the indices of the mentions that share a word with ``mention``."""
    words = set(mention.tokens)
    return [i for i, other in enumerate(mentions) if words & set(other.tokens)]


def _listed(near: list[int], mentions: Sequence[Mention], stops: Sequence[Item]) -> list[int]:
    """Return the mentions of the list that starts with the first of ``near``."""
    found = near[:1]
    for one, other in pairwise(near):
        earlier, later = sorted((mentions[one], mentions[other]), key=lambda m: m.start)
        kinds = {
            "or" if "joins" in stop.roles else stop.cue
            for stop in stops
            if earlier.end <= stop.start < later.start
        }
        kinds.discard("article")
        same = bool(set(earlier.tokens) & set(later.tokens))
        if not same and not (kinds and kinds <= {"and", "comma", "or"}):
            break
        found.append(other)
    return found


def _is_named_by(item: Item, mention: Mention) -> bool:
    """Return whether the item is among the very words that name the mention."""
    return any(start <= item.start and item.end <= end for start, end in mention.tokens)


def combine(items: Sequence[Item]) -> list[Attributes]:
    """Return the attributes of one mention from ``items``: one group per side and place."""
    groups: list[dict[str, Any]] = [{}]
    items = _told_by_side(items)
    for item, roles in zip(items, _completed(items), strict=True):
        fresh = {k: roles[k] for k in ("side", "place", "severity", "change") if k in roles}
        if _goes_elsewhere(groups[-1], items, item):
            groups.append({})
        if "beside" in roles and "place" in groups[-1]:
            continue
        located = {k: v for k, v in fresh.items() if k in ("side", "place")}
        if _overrules(item, groups[-1], items):
            groups[-1]["change"] = fresh["change"]
            continue
        clash = any(k in groups[-1] and groups[-1][k] != v for k, v in fresh.items())
        general = Side.BILATERAL in (fresh.get("side"), groups[-1].get("side"))
        if clash and not (general and set(fresh) == {"side"}):
            if not located and not _opens_group(items, item):
                if "change" in fresh and any(map(lasts, items)):
                    groups[-1]["change"] = fresh["change"]  # "remains on the left but is smaller"
                continue
            groups.append({})
        for key, value in fresh.items():
            groups[-1].setdefault(key, value)
        if general and fresh.get("side") is Side.BILATERAL:
            groups[-1]["side"] = Side.BILATERAL
    _share(groups)
    was = next((i.roles["past_severity"] for i in items if "past_severity" in i.roles), None)
    if was is not None:
        for group in groups:
            if "severity" in group and group.get("change") in (None, Change.STABLE):
                group["change"] = graded_change(was, group["severity"])
    return _merged(groups)


def _overrules(item: Item, group: Mapping[str, Any], items: Sequence[Item]) -> bool:
    """Return whether a change replaces an earlier "stable" one ("persistent but smaller")."""
    told = {"side", "place", "severity", "change"}
    return (
        told & set(item.roles) == {"change"}
        and group.get("change") is Change.STABLE
        and not {"side", "place"} & set(group)
        and all(other.end != item.start for other in items)  # "stable increased markings"
    )


def _goes_elsewhere(group: Mapping[str, Any], items: Sequence[Item], item: Item) -> bool:
    """Return whether one side is told after both, at another place ("… and the right mid lung")."""
    if group.get("side") is not Side.BILATERAL or item.roles.get("side") in (None, Side.BILATERAL):
        return False
    number = next(n for n, other in enumerate(items) if other is item)
    place = item.roles.get("place")
    if place is None and number + 1 < len(items) and items[number + 1].start == item.end:
        place = items[number + 1].roles.get("place")
    return place is not None and "place" in group and place != group["place"]


def _told_by_side(items: Sequence[Item]) -> Sequence[Item]:
    """Drop "bilateral" if each side is described: "moderate on the right, small on the left"."""
    sides = {item.roles.get("side") for item in items}
    grades = {item.roles.get("severity") for item in items} - {None}
    if sides >= set(Side) and len(grades) > 1:
        return [item for item in items if item.roles.get("side") is not Side.BILATERAL]
    return items


def _opens_group(items: Sequence[Item], item: Item) -> bool:
    """Return whether a severity or change stands before another side or place."""
    later = [other for other in items if other.start >= item.end]
    return any({"side", "place"} & set(other.roles) for other in later)


def _completed(items: Sequence[Item]) -> list[Mapping[str, Any]]:
    """Return the items' roles with incomplete places completed ("upper … lower lobes")."""
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
    """Copy attributes to neighbouring groups that lack them."""
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
    """Return the groups, merging left and right if they differ in nothing else."""
    found: list[Attributes] = []
    for group in groups:
        made = Attributes(*(group.get(k) for k in ("side", "place", "severity", "change")))
        twin = next((f for f in found if f._replace(side=made.side) == made), None)
        if twin is not None and {twin.side, made.side} == {Side.LEFT, Side.RIGHT}:
            found[found.index(twin)] = twin._replace(side=Side.BILATERAL)
        elif made not in found:
            found.append(made)
    return found
