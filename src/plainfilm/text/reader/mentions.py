"""Mentions: which words of a sentence name a finding.

A term names one by itself ("effusion"); an anatomy and a state name one together ("heart",
"enlarged"). The state goes with the anatomies right after it ("enlarged heart") or else with those
before it ("heart and mediastinum are normal").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from plainfilm.core import Status
from plainfilm.text.reader.lexicon import Lexicon, Rule
from plainfilm.text.reader.phrases import find

_TAKEN = ""
"""Stands for a word that a term has taken; no phrase has it."""


_GAP = 3
"""Words that may stand between a state and the anatomy that it is said of ("of the")."""
_PASSED = {"side", "severity", "change", "place", "partial"}
"""Roles of items that may stand there, too."""


class Item(NamedTuple):
    """A phrase of the lexicon found at tokens ``start:end``, and what it can be."""

    start: int
    end: int
    roles: Mapping[str, Any]

    @property
    def cue(self) -> str | None:
        """The kind of cue it is, if one."""
        return self.roles.get("cue")


@dataclass
class Mention:
    """A rule that fired on ``tokens``; the reader fills in the rest."""

    rules: tuple[Rule, ...]
    start: int
    end: int
    tokens: tuple[tuple[int, int], ...]
    """Token ranges of the words that named it."""
    predicate: int | None = None
    """Where the state stands, if it is said of an anatomy by a verb ("the heart is enlarged")."""


def find_items(words: Sequence[str], lexicon: Lexicon) -> list[Item]:
    """Return the lexicon's phrases in ``words``, from left to right."""
    named = [Item(*found) for found in find(lexicon.terms, words)]
    rest = list(words)
    for item in named:
        rest[item.start : item.end] = [_TAKEN] * (item.end - item.start)
    items = named + [Item(*found) for found in find(lexicon.words, rest)]
    return sorted(items, key=lambda item: item.start)


def find_mentions(
    items: Sequence[Item], lexicon: Lexicon, before: tuple[Rule, ...] = ()
) -> list[Mention]:
    """Return the mentions that ``items`` make, in the order of their first word.

    ``before`` is what the sentence before named last, which "one" and "none" may stand for.
    """
    mentions = [
        Mention(item.roles["rules"], item.start, item.end, ((item.start, item.end),))
        for item in items
        if "rules" in item.roles
    ]
    mentions += _anaphors(items, before)
    mentions += _Pairing(items, lexicon).mentions
    mentions.sort(key=lambda mention: (mention.start, mention.end))
    return _without_headings(mentions, items)


def _anaphors(items: Sequence[Item], named: tuple[Rule, ...]) -> list[Mention]:
    """Return a mention for each "one" or "none" that stands for what was ``named`` before.

    "One" has to be described ("a small one", "the right one"), "none" to begin a clause.
    """
    found = []
    for before, item in pairwise([None, *items]):
        if item is None:
            continue
        named = item.roles.get("rules", named)
        begins = before is None or before.cue in ("boundary", "comma")
        described = (
            before is not None
            and {"severity", "side", "change", "place"} & set(before.roles)
            and before.end == item.start
        )
        if not named or item.cue not in ("anaphor", "none"):
            continue
        rules = named
        if item.cue == "none":
            rules = tuple(rule._replace(status=Status.ABSENT) for rule in named)
        if begins if item.cue == "none" else described:
            found.append(Mention(rules, item.start, item.end, ((item.start, item.end),)))
    return found


def _without_headings(mentions: list[Mention], items: Sequence[Item]) -> list[Mention]:
    """Leave out what a heading names, where something is said after its colon."""
    colon = next((item.start for item in items if item.cue == "colon"), None)
    if colon is None or not any(mention.start > colon for mention in mentions):
        return mentions
    before = [item for item in items if item.start < colon]
    if any(item.cue in ("copula", "negation") for item in before):
        return mentions
    named = {
        rule.observation for mention in mentions if mention.end <= colon for rule in mention.rules
    }
    told = {
        rule.observation for mention in mentions if mention.start > colon for rule in mention.rules
    }
    if any({"side", "place"} & set(item.roles) for item in before) and not named & told:
        return mentions  # "left basilar opacity: atelectasis or pneumonia"
    return [mention for mention in mentions if mention.end > colon]


class _Pairing:
    """Pairs anatomies with states, in one pass."""

    def __init__(self, items: Sequence[Item], lexicon: Lexicon) -> None:
        self.items, self.pairs = items, lexicon.pairs
        self.mentions: list[Mention] = []
        subjects: list[Item] = []
        told = False
        taken = -1
        for index, item in enumerate(items):
            if self._starts_anew(index):
                subjects, told = [], False
            if "rules" in item.roles:
                continue
            if "anatomy" in item.roles and index > taken and not self._before_term(index):
                if told:
                    subjects, told = [], False
                subjects.append(item)
            if "state" not in item.roles:
                continue
            following = self._following(index, predicate=bool(subjects))
            if following:
                taken = items.index(following[-1])
                for subject in following:
                    self._pair(subject, item, verb=False)
                if not all("rules" in subject.roles for subject in following):
                    subjects, told = following, True
            elif subjects and not self._before_term(index):
                told = self._pair_all(subjects, index) or told

    def _starts_anew(self, index: int) -> bool:
        """Return whether what was named before the item is no subject of what comes after it."""
        item = self.items[index]
        heading = item.cue == "colon" and any(
            {"anatomy", "rules"} & set(later.roles) for later in self.items[index + 1 :]
        )
        boundary = item.cue == "boundary" and not self._goes_on(index)
        return boundary or "rules" in item.roles or heading

    def _goes_on(self, index: int) -> bool:
        """Return whether a state right after "but" is said of the same ("enlarged but stable")."""
        at = index + 1
        if at < len(self.items) and self.items[at].cue == "copula":
            at += 1
        return (
            at < len(self.items)
            and "state" in self.items[at].roles
            and self.items[at].start - self.items[index].end <= _GAP
            and not self._before_term(at)
            and not self._following(at, predicate=False)
        )

    def _before_term(self, index: int) -> bool:
        """Return whether the item stands right before a term, as its adjective."""
        end = self.items[index].end
        for after in self.items[index + 1 :]:
            if after.start != end:
                return False
            if "rules" in after.roles:
                return True
            if not {"side", "severity"} & set(after.roles) or "anatomy" in after.roles:
                return False
            end = after.end
        return False

    def _following(self, index: int, *, predicate: bool) -> list[Item]:
        """Return the anatomies that the state at ``index`` stands before."""
        state = self.items[index]
        found: list[Item] = []
        before = self.items[index - 1] if index else None
        close = before is not None and before.end == state.start and predicate
        if close and before and (before.cue == "copula" or "anatomy" in before.roles):
            return []
        end = state.end
        joined = True
        for number, item in enumerate(self.items[index + 1 :], index + 1):
            if item.start - end > _GAP:
                break
            if "anatomy" in item.roles:
                known = (item.roles["anatomy"], state.roles["state"]) in self.pairs
                if known and not (self._before_term(number) or (found and self._has_verb(number))):
                    found.append(item)
                elif not (found or "place" in item.roles):
                    break
            elif "rules" in item.roles or not (
                (_PASSED & set(item.roles) and not (found and "state" in item.roles))
                or item.cue == "article"
                or ("state" in item.roles and not found and item.start == end)
                or (found and item.cue in ("and", "comma"))
                or (item.cue == "copula" and not found and not predicate)
            ):
                break
            if item.cue in ("and", "comma"):
                joined = item.cue == "and"
            end = item.end
        return found if joined else found[:1]

    def _has_verb(self, index: int) -> bool:
        """Return whether a verb follows, which the item is the subject of."""
        after = self.items[index + 1] if index + 1 < len(self.items) else None
        return after is not None and after.cue in ("copula", "verb")

    def _pair_all(self, subjects: Sequence[Item], index: int) -> bool:
        state = self.items[index]
        verb = state.start != subjects[-1].end
        done = [self._pair(subject, state, verb=verb) for subject in subjects]
        return any(done)

    def _pair(self, subject: Item, state: Item, *, verb: bool) -> bool:
        rules = self.pairs.get((subject.roles["anatomy"], state.roles["state"]))
        if not rules:
            return False
        first, last = sorted((subject, state), key=lambda item: item.start)
        tokens = ((first.start, first.end), (last.start, last.end))
        named = (subject.start, subject.end)
        for mention in self.mentions:
            if mention.rules == rules and named in mention.tokens:
                mention.tokens = tuple(sorted({*mention.tokens, *tokens}))
                mention.start = min(mention.start, first.start)
                mention.end = max(mention.end, last.end)
                return True
        predicate = state.start if verb else None
        self.mentions.append(Mention(rules, first.start, last.end, tokens, predicate))
        return True
