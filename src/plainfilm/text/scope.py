"""What cues do to mentions: absent, uncertain, or nothing said of this film."""

from collections.abc import Sequence

from plainfilm.core import Status
from plainfilm.text.mentions import Item, Mention

_FORWARD = {"negation", "uncertainty", "history", "advice"}


class Scopes:
    """The cues of one sentence and how far they reach."""

    def __init__(self, items: Sequence[Item], mentions: Sequence[Mention]) -> None:
        self.items = items
        self.cues = [item for item in items if item.cue and "rules" not in item.roles]
        self.starts = {mention.start for mention in mentions}
        self.heads = sorted((mention.start, mention.end) for mention in mentions)
        self.kinds = [self._resolved(index) for index in range(len(self.cues))]

    def _resolved(self, index: int) -> str:
        """Return the cue's kind; one that goes either way goes forward to a mention close by."""
        cue = self.cues[index]
        kind = str(cue.cue)
        if not kind.endswith("_either"):
            return kind
        stop = self.cues[index + 1].start if index + 1 < len(self.cues) else cue.end + 9
        ahead = any(cue.end <= start < min(stop, cue.end + 7) for start, _ in self.heads)
        return kind.replace("_either", "" if ahead else "_after")

    def status(self, mention: Mention, stated: Status) -> tuple[Status | None, list[Item]]:
        """Return the mention's status (None if nothing is asserted) and the cues that made it."""
        found = self._before(mention) + self._after(mention)
        fired = [self.cues[index] for index in found]
        kinds = {self.kinds[index] for index in found}
        if kinds & {"history", "advice"}:
            if "presupposed" not in kinds:
                return None, fired
            return Status.PRESENT, fired
        if stated is Status.ABSENT:
            return (Status.PRESENT if kinds & {"negation"} else stated), fired
        if "negation" in kinds or "negation_after" in kinds:
            return Status.ABSENT, fired
        if kinds & {"uncertainty", "uncertainty_after"}:
            return Status.UNCERTAIN, fired
        return stated, fired

    def _before(self, mention: Mention) -> list[int]:
        """Return the forward cues that reach the mention, nearest first."""
        found: list[int] = []
        start = mention.start if mention.predicate is None else mention.predicate
        low = -1 if mention.predicate is None else mention.start
        blocked: set[str] = set()
        comma = False
        for index in range(len(self.cues) - 1, -1, -1):
            cue = self.cues[index]
            if cue.start >= start:
                continue
            kind = self.kinds[index]
            if cue.start < low and kind != "advice":
                break
            if kind == "boundary":
                break
            if kind == "copula" and not self._is_relative(index):
                between = any(cue.end <= s < start for s, _ in self.heads)
                earlier = any(s < cue.start for s, _ in self.heads)
                if earlier and (between or True):
                    blocked |= {"negation", "uncertainty"}
            if kind == "with" and self._breaks(cue, start):
                blocked.add("uncertainty")
                if self._statement_follows(cue):
                    blocked.add("negation")
            if kind in _FORWARD and kind not in blocked:
                found.append(index)
                if kind == "uncertainty" and self._opens(index):
                    blocked.add("negation")
                if kind == "negation":
                    blocked.add("uncertainty")
            if kind == "presupposed":
                found.append(index)
        return found

    def _is_relative(self, index: int) -> bool:
        return index > 0 and self.cues[index - 1].cue == "relative"

    def _breaks(self, cue: Item, start: int) -> bool:
        """Return whether ``cue`` (a comma, "with") starts something new before ``start``."""
        past = any(end <= cue.start for _, end in self.heads)
        listed = any(c.cue == "or" and cue.end <= c.start < start + 8 for c in self.cues)
        return past and not listed

    def _statement_follows(self, cue: Item) -> bool:
        """Return whether what follows a connector is a positive statement of its own."""
        for item in self.items:
            if item.start == cue.end:
                severity = "severity" in item.roles and item.roles["severity"] not in ("large",)
                changed = item.roles.get("change") in ("stable", "improved", "worse", "new")
                return severity or changed
        return False

    def _opens(self, index: int) -> bool:
        """Return whether the cue stands right after a comma, and so starts something new."""
        before = self.cues[index - 1] if index else None
        return bool(before and before.cue == "with" and before.end == self.cues[index].start)

    def _after(self, mention: Mention) -> list[int]:
        """Return the backward cues that reach the mention."""
        found: list[int] = []
        for index, cue in enumerate(self.cues):
            kind = self.kinds[index]
            if cue.start < mention.end:
                continue
            if kind in ("boundary", "uncertainty", "negation", "affirmed"):
                break
            if kind in ("negation_after", "uncertainty_after"):
                found.append(index)
                break
            if kind == "with" and self._clause_follows(cue):
                break
        return found

    def _clause_follows(self, cue: Item) -> bool:
        """Return whether a comma or "and" is followed by a mention with its own modifiers."""
        return self._statement_follows(cue)
