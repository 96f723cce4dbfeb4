"""The scope of cues, which make mentions absent, uncertain, or not about this film.

A cue reaches forward ("no effusion or pneumothorax") or backward ("effusion has resolved") until
something ends its scope: a boundary ("but"), a verb after the mentions in it, a new statement.
"""

from bisect import bisect_left
from collections.abc import Sequence

from plainfilm.core import Change, Status
from plainfilm.text.reader.lexicon import Item
from plainfilm.text.reader.mentions import Mention

_FORWARD = {
    "negation", "uncertainty", "differential", "history", "advice", "presupposed", "disclaimer",
    "no_claim",
}  # fmt: skip
_THROUGH = {"advice", "history", "disclaimer", "no_claim"}
"""Cues that reach a state beyond its subject ("it cannot be said that the lungs are clear")."""
_BACKWARD = {"negation_after", "uncertainty_after", "left_out_after"}
_LIST = {"comma", "and", "with"}
_AHEAD = 10
"""Most tokens between a cue of either direction and a mention after it."""
_NEARBY = 8
"""Most tokens between a cue and the "or" of the list after it."""


def _only_locates(item: Item) -> bool:
    return bool({"side", "place"} & set(item.roles)) and item.cue is None


def lasts(item: Item) -> bool:
    """Return whether a verb means "persists"; denied, the finding is gone ("no fluid remains")."""
    return item.cue == "copula" and item.roles.get("change") is Change.STABLE


def _locating_brackets(items: Sequence[Item]) -> set[int]:
    """Return the positions of brackets around nothing but a side or place ("effusion (R)")."""
    found: set[int] = set()
    for opening, inside, closing in zip(items, items[1:], items[2:], strict=False):
        if opening.cue == "paren" and closing.cue == "paren_end" and _only_locates(inside):
            found |= {opening.start, closing.start}
    return found


class Scopes:
    """The cues of one sentence and their scopes."""

    def __init__(self, items: Sequence[Item], mentions: Sequence[Mention]) -> None:
        self.items = items
        aside = _locating_brackets(items)
        self.cues = [
            item
            for item in items
            if item.cue and "rules" not in item.roles and item.start not in aside
        ]
        self.heads = sorted({(mention.start, mention.end) for mention in mentions})
        self.first_end = min((end for _, end in self.heads), default=0)
        self.choices = [cue.start for cue in self.cues if cue.cue in ("or", "versus")]
        self.kinds = [self._resolved(index) for index in range(len(self.cues))]
        self.at = {item.start: item for item in items}

    def _resolved(self, index: int) -> str:
        """Return the cue's kind; one of either direction reaches forward to a close mention."""
        cue = self.cues[index]
        kind = "negation" if cue.cue == "contrast" else str(cue.cue)
        if not kind.endswith("_either"):
            return kind
        stop = min(
            (c.start for c in self.cues[index + 1 :] if c.cue not in ("article", "and", "or")),
            default=cue.end + _AHEAD,
        )
        ahead = any(cue.end <= start < min(stop, cue.end + _AHEAD) for start, _ in self.heads)
        return kind.replace("_either", "" if ahead else "_after")

    def status(
        self, mention: Mention, stated: Status, *, changed: bool = False
    ) -> tuple[Status | None, list[Item]]:
        """Return the mention's status (None if nothing is asserted) and the cues that made it.

        ``changed``: the sentence says of the mention that it changed.
        """
        found = self._before(mention) + self._after(mention)
        fired = [self.cues[index] for index in found]
        kinds = {self.kinds[index] for index in found}
        if kinds & {"history", "advice", "left_out_after"}:
            if "presupposed" not in kinds:
                return None, fired
            kinds -= {"negation", "negation_after"}
        if kinds & {"disclaimer", "no_claim"}:  # "one cannot say that the effusion has grown"
            if changed:
                return Status.PRESENT, fired
            sure = "no_claim" in kinds and stated is Status.PRESENT
            return (Status.ABSENT if sure else Status.UNCERTAIN), fired
        if stated is Status.ABSENT:
            denied = any(
                self.kinds[at] == "negation" and self._next_to(at, mention) for at in found
            )
            return (Status.PRESENT if denied else stated), fired
        if {"negation", "uncertainty_after"} <= kinds:
            return Status.UNCERTAIN, fired  # "absence of pneumothorax cannot be confirmed"
        if kinds & {"negation", "negation_after"}:
            return Status.ABSENT, fired
        if kinds & {"uncertainty", "uncertainty_after", "differential"}:
            return Status.UNCERTAIN, fired
        return stated, fired

    def between(self, first: Mention, second: Mention) -> list[str]:
        """Return the kinds of the cues that stand between two mentions, in order.

        A comma right before another cue (", or") is left out.
        """
        return [
            "contrast" if cue.cue == "contrast" else kind
            for index, (cue, kind) in enumerate(zip(self.cues, self.kinds, strict=True))
            if first.end <= cue.start
            and cue.end <= second.start
            and not (kind == "comma" and self._adjoins_next(index))
        ]

    def offers_another(self, mention: Mention) -> bool:
        """Return whether "or" after the mention introduces an alternative unknown to the rules."""
        return any(
            kind in ("or", "versus")
            and cue.start == mention.end
            and not any(start >= cue.end for start, _ in self.heads)
            and not {"change", "severity"} & set(getattr(self.at.get(cue.end), "roles", ()))
            for cue, kind in zip(self.cues, self.kinds, strict=True)
        )

    def _adjoins_next(self, index: int) -> bool:
        after = index + 1 < len(self.cues) and self.cues[index + 1]
        return bool(after and after.start == self.cues[index].end)

    def _next_to(self, index: int, mention: Mention) -> bool:
        """Return whether no other mention stands between the cue and the mention."""
        end = self.cues[index].end
        return not any(end <= start < mention.start for start, _ in self.heads)

    def _before(self, mention: Mention) -> list[int]:
        """Return the forward cues that reach the mention, nearest first."""
        found: list[int] = []
        alone = False
        start = mention.start if mention.predicate is None else mention.predicate
        low = -1 if mention.predicate is None else mention.start
        blocked: set[str] = set()
        for index in range(len(self.cues) - 1, -1, -1):
            cue, kind = self.cues[index], self.kinds[index]
            if cue.start >= start:
                continue
            if kind in ("boundary", "paren"):
                break
            if cue.start < low and kind not in _THROUGH and "refutes" not in cue.roles:
                continue
            if kind in ("copula", "verb") and self._ends_list(index):
                blocked |= {"negation", "uncertainty", "history", "differential"}
                blocked |= {"disclaimer", "no_claim"}
            elif kind == "with":
                blocked.add("history")
            if kind == "comma" and (len(mention.tokens) > 1 or self._begins_anew(index)):
                blocked.add("history")  # "s/p CABG, lungs clear", "s/p surgery, no effusion"
            if kind in _LIST and self._past_a_mention(cue):
                blocked.add("history" if kind != "and" else "")
                if not self._goes_on(cue, start):
                    blocked.add("uncertainty")
                    alone = alone or kind == "comma"
                if self._opens_statement(cue):
                    blocked |= {"negation", "uncertainty"}
            elif kind == "closer" and self._closes(index):
                blocked |= {"negation", "uncertainty", "differential"}
            elif kind == "negation" and alone and self._after_list_mark(index):
                blocked.add(kind)  # "no effusion, no pneumothorax, chest tube on the right"
            elif kind in _FORWARD and kind not in blocked:
                found.append(index)
                if kind == "uncertainty" and self._after_list_mark(index):
                    blocked.add("negation")
                if kind == "negation":
                    blocked.add("uncertainty")
        return found

    def _past_a_mention(self, cue: Item) -> bool:
        return bool(self.heads) and self.first_end <= cue.start

    def _ends_list(self, index: int) -> bool:
        """Return whether the verb closes what came before ("no effusion is seen and …")."""
        relative = index > 0 and self.kinds[index - 1] == "relative"
        return not relative and self._past_a_mention(self.cues[index])

    def _closes(self, index: int) -> bool:
        """Return whether the participle closes what came before ("no effusion seen, …")."""
        listed = self._adjoins_next(index) and self.kinds[index + 1] in _LIST
        return bool(listed and self._past_a_mention(self.cues[index]))

    def _goes_on(self, cue: Item, start: int) -> bool:
        """Return whether the list goes on after ``cue`` to an "or" or a "versus"."""
        at = bisect_left(self.choices, cue.end)
        return at < len(self.choices) and self.choices[at] < start + _NEARBY

    def _opens_statement(self, cue: Item) -> bool:
        """Return whether a positive statement of its own follows a comma, "and" or "with"."""
        item = self.at.get(cue.end)
        while item is not None and (item.cue in _LIST or _only_locates(item)):
            item = self.at.get(item.end)
        if item is None:
            return False
        if item.cue in ("article", "affirmed"):
            return True
        changed = item.roles.get("change")
        graded = "severity" in item.roles and item.roles["severity"] != "large"
        return graded or (changed is not None and changed != "resolved")

    def _begins_anew(self, index: int) -> bool:
        """Return whether a denial stands right after the comma."""
        return self._adjoins_next(index) and self.kinds[index + 1] == "negation"

    def _after_list_mark(self, index: int) -> bool:
        """Return whether the cue stands right after a comma or "and", and so starts anew."""
        return index > 0 and (
            self.kinds[index - 1] in _LIST and self.cues[index - 1].end == self.cues[index].start
        )

    def _second_clause(self, mention: Mention, index: int) -> int:
        """Return where ", and Y cannot be excluded" begins, -1 if it does not; it is of Y alone."""
        between = [at for at in range(index) if self.cues[at].start >= mention.end]
        kinds = [self.kinds[at] for at in between]
        if kinds[:2] == ["comma", "and"] and not {"comma", "and"} & set(kinds[2:]):
            first, second = self.cues[between[0]], self.cues[between[1]]
            alone = not any(c.cue == "comma" and c.end <= mention.start for c in self.cues)
            if first.end == second.start and alone:
                return second.end
        return -1

    def _after(self, mention: Mention) -> list[int]:
        """Return the backward cue that reaches the mention, if any."""
        comma = clause = -1
        for index, (cue, kind) in enumerate(zip(self.cues, self.kinds, strict=True)):
            if cue.start < mention.end:
                continue
            if kind in _BACKWARD:
                if kind == "uncertainty_after" and comma < 0 and clause < 0:
                    comma = self._second_clause(mention, index)
                if "answers" in cue.roles:
                    comma = -1  # "effusion, pneumothorax, consolidation: none"
                edges = [edge for edge in (comma, clause) if edge >= 0]
                apart = any(min(edges, default=cue.start) <= s < cue.start for s, _ in self.heads)
                return [] if apart else [index]
            if kind in ("boundary", "paren", "uncertainty", "negation", "affirmed", "advice"):
                break
            if kind in _LIST and self._opens_statement(cue):
                break
            if kind == "with" and any(start >= cue.end for start, _ in self.heads):
                break
            if kind == "copula" and cue.end > mention.end and clause < 0:
                clause = cue.end  # "a tube is in place, and the effusion has resolved"
            if kind == "comma":
                comma = cue.end
            elif kind in ("and", "or"):
                comma = -1
        return []
