"""Which side, place, severity and change belong to which mention."""

from collections.abc import Sequence
from typing import NamedTuple

from plainfilm.core import Change, Severity, Side
from plainfilm.text.mentions import Item, Mention

_CONNECTORS = {"with", "or", "boundary", "negation", "uncertainty", "affirmed", "history"}


class Attributes(NamedTuple):
    """What qualifies a mention; a mention of two sides has two of these."""

    side: Side | None = None
    location: str | None = None
    severity: Severity | None = None
    change: Change | None = None


def attach(items: Sequence[Item], mentions: Sequence[Mention]) -> list[list[Item]]:
    """Return for each mention the items that qualify it, in order."""
    owned: list[list[Item]] = [[] for _ in mentions]
    stops = [i for i in items if i.cue in _CONNECTORS or i.roles.get("comma")]
    for number, item in enumerate(items):
        if (
            not {"side", "place", "severity", "change", "state"} & set(item.roles)
            or "rules" in item.roles
        ):
            continue
        if _is_degree_of_change(items, number):
            continue
        for index in _owners(item, mentions, stops):
            owned[index].append(item)
    return owned


def _is_degree_of_change(items: Sequence[Item], number: int) -> bool:
    """Return whether the item is "slightly" in "slightly increased"."""
    if number + 1 >= len(items) or "severity" not in items[number].roles:
        return False
    following = items[number + 1]
    return following.start == items[number].end and "change" in following.roles


def _owners(item: Item, mentions: Sequence[Mention], stops: Sequence[Item]) -> list[int]:
    inside = [i for i, m in enumerate(mentions) if m.start <= item.start and item.end <= m.end]
    if inside:
        return [i for i in inside if _may_hold(item, mentions[i])]
    before = [i for i, m in enumerate(mentions) if m.end <= item.start]
    after = [i for i, m in enumerate(mentions) if m.start >= item.end]
    if not before or not after:
        group = before or after
        if not group:
            return []
        nearest = mentions[group[-1] if before else group[0]]
        return [i for i in group if mentions[i].tokens == nearest.tokens]
    last, first = mentions[before[-1]], mentions[after[0]]
    parted_left = any(last.end <= s.start < item.start for s in stops)
    parted_right = any(item.end <= s.start < first.start for s in stops)
    chosen = first if parted_left and not parted_right else last
    return [i for i, m in enumerate(mentions) if m.tokens == chosen.tokens]


def _may_hold(item: Item, mention: Mention) -> bool:
    """Return whether an item on the very words of the mention says more than they do."""
    same = any(start <= item.start and item.end <= end for start, end in mention.tokens)
    return not same or "change" in item.roles or "severity" in item.roles


def combine(items: Sequence[Item], mention: Mention) -> list[Attributes]:
    """Return what ``items`` say of ``mention``: one group per side and place."""
    groups: list[dict[str, object]] = [{}]
    shared: dict[str, object] = {}
    last_end = -1
    for item in items:
        roles = item.roles
        if "change" in roles and "change" not in shared:
            shared["change"] = roles["change"]
        fresh = {key: roles[key] for key in ("side", "place", "severity") if key in roles}
        clash = any(key in groups[-1] and groups[-1][key] != fresh[key] for key in fresh)
        if clash and not _restates(groups[-1], fresh):
            groups.append({})
        groups[-1].update({k: v for k, v in fresh.items() if k not in groups[-1]})
        last_end = item.end
    _share(groups)
    return _merged(groups, shared.get("change"))


def _restates(group: dict[str, object], fresh: dict[str, object]) -> bool:
    return fresh.get("side") is Side.BILATERAL or group.get("side") is Side.BILATERAL


def _share(groups: list[dict[str, object]]) -> None:
    """Give a side or severity that was said once to the groups around it that lack it."""
    for key in ("side", "severity"):
        said = [group[key] for group in groups if key in group]
        if len(said) == 1:
            for group in groups:
                group.setdefault(key, said[0])
    for earlier, later in zip(groups, groups[1:], strict=False):
        if "side" not in later and "side" in earlier:
            later["side"] = earlier["side"]
    for later, earlier in zip(groups[::-1], groups[-2::-1], strict=False):
        if "place" in later and "place" not in earlier:
            earlier["place"] = later["place"]


def _merged(groups: list[dict[str, object]], change: object) -> list[Attributes]:
    """Return the groups, left and right as one where they differ in nothing else."""
    found: list[Attributes] = []
    for group in groups:
        made = Attributes(
            group.get("side"),  # type: ignore[arg-type]
            group.get("place"),  # type: ignore[arg-type]
            group.get("severity"),  # type: ignore[arg-type]
            change,  # type: ignore[arg-type]
        )
        twin = next((f for f in found if f._replace(side=made.side) == made), None)
        if twin is not None and {twin.side, made.side} == {Side.LEFT, Side.RIGHT}:
            found[found.index(twin)] = twin._replace(side=Side.BILATERAL)
        elif made not in found:
            found.append(made)
    return found
