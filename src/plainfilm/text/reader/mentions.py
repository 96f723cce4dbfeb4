"""Mentions: the words of a sentence that name a finding.

A term names one by itself ("effusion"); an anatomy and a state name one together ("heart",
"enlarged"). The state goes with the anatomies right after it ("enlarged heart") or else with those
before it ("heart and mediastinum are normal").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from plainfilm.core import Observation, Status
from plainfilm.text.reader.lexicon import Item, Lexicon, Rule
from plainfilm.text.reader.phrases import find

_TAKEN = ""
"""Placeholder of a word that belongs to a term; no phrase contains it."""


_GAP = 3
"""Most words between a state and its anatomy ("of the")."""
_DESCRIPTION = {"severity", "side", "change", "place"}
"""Roles that describe which finding is meant."""
_LUNGS = "lungs"
"""An anatomy that places name as well ("the left base")."""
_DENIED = {
    Status.PRESENT: Status.ABSENT, Status.UNCERTAIN: Status.ABSENT, Status.ABSENT: Status.PRESENT,
}  # fmt: skip
_PASSED = {"side", "severity", "change", "place", "partial"}
"""Roles of items that may occur between a state and its anatomy."""


@dataclass
class Mention:
    """A rule that fired on ``tokens``; the reader adds the rest."""

    rules: tuple[Rule, ...]
    start: int
    end: int
    tokens: tuple[tuple[int, int], ...]
    """Token ranges of the words that named it."""
    predicate: int | None = None
    """Token of the state if a verb links it to an anatomy ("the heart is enlarged")."""
    anaphor: bool = False
    """Whether it stands for a finding named before it ("the left one")."""


def find_items(words: Sequence[str], lexicon: Lexicon) -> list[Item]:
    """Return the lexicon's phrases in ``words``, from left to right."""
    named = [Item(*found) for found in find(lexicon.terms, words)]
    rest = list(words)
    for item in named:
        rest[item.start : item.end] = [_TAKEN] * (item.end - item.start)
    items = named + [Item(*found) for found in find(lexicon.words, rest, lexicon.fillers)]
    items.sort(key=lambda item: item.start)
    if not any(rule.beside for item in named for rule in item.roles.get("rules", ())):
        return items
    return [one for item in items for one in _in_company(item, items)]


def _in_company(item: Item, items: Sequence[Item]) -> list[Item]:
    """Return the item with the rules whose required anatomy or place, if any, is present."""
    if not any(rule.beside for rule in item.roles.get("rules", ())):
        return [item]
    there = {item.roles.get(role) for item in items for role in ("anatomy", "place")}
    rules = [r for r in item.roles["rules"] if not r.beside or there.intersection(r.beside)]
    return [item._replace(roles={**item.roles, "rules": tuple(rules)})] if rules else []


def find_mentions(
    items: Sequence[Item],
    lexicon: Lexicon,
    before: tuple[Rule, ...] = (),
    words: Sequence[str] = (),
) -> list[Mention]:
    """Return the mentions in ``items``, in the order of their first word.

    Args:
        items: the phrases of a sentence.
        lexicon: the rules that they come from.
        before: the last finding of the sentence before, to which "one" and "none" may refer.
        words: the sentence's words.
    """
    mentions = [
        Mention(item.roles["rules"], item.start, item.end, ((item.start, item.end),))
        for item in items
        if "rules" in item.roles
    ]
    pairs = _Pairing(items, lexicon, words).mentions
    mentions += _anaphors(items, before, {pair.end: pair.rules for pair in pairs})
    mentions += pairs
    mentions.sort(key=lambda mention: (mention.start, mention.end))
    return _without_headings(mentions, items)


def _anaphors(
    items: Sequence[Item], named: tuple[Rule, ...], pairs: Mapping[int, tuple[Rule, ...]]
) -> list[Mention]:
    """Return a mention for each "one" or "none" that refers to what was ``named`` before.

    "One" must be described ("a small one", "those on the right"), "none" must begin a clause; "the
    left does not" and "but not on the left" deny it for a side. ``pairs`` maps the end of an
    anatomy with its state to what it names ("the left angle is blunted, the right is not").
    """
    found = []
    for before, item, after in zip([None, *items], items, [*items[1:], None], strict=False):
        named = item.roles.get("rules") or pairs.get(item.end) or named
        if not named or item.cue not in ("anaphor", "none", "ellipsis", "not_on"):
            continue
        rules, start, end = named, item.start, item.end
        told = _DESCRIPTION & item.roles.keys()
        if item.cue == "none":
            sided = before is not None and "side" in before.roles and before.end == start
            fits = sided or before is None or before.cue in ("boundary", "comma")
            start = before.start if before and sided else start
        elif item.cue == "ellipsis":
            fits = before is not None and "side" in before.roles and before.end == start
            start = before.start if before and fits else start
        elif item.cue == "not_on":
            fits = after is not None and "side" in after.roles and after.start == end
            end = after.end if after and fits else end
        else:
            exists = before is not None and before.cue == "copula" and before.end == start
            fits = (
                bool(told)
                or (exists and after is None)
                or any(
                    one is not None and _DESCRIPTION & one.roles.keys() and beside
                    for one, beside in (
                        (before, before is not None and before.end == start),
                        (after, after is not None and after.start == end and "after" in item.roles),
                    )
                )
            )
        if item.cue != "anaphor":
            rules = tuple(rule._replace(status=_DENIED[rule.status]) for rule in named)
        if fits:
            found.append(Mention(rules, start, end, ((item.start, item.end),), anaphor=True))
    return found


def _without_headings(mentions: list[Mention], items: Sequence[Item]) -> list[Mention]:
    """Drop the mentions in a heading if something is said after its colon."""
    colon = next((item.start for item in items if item.cue == "colon"), None)
    if colon is not None and _is_list(mentions, items, colon):
        return mentions  # "consolidation and air bronchograms: pneumonia"
    if colon is None or not any(mention.start > colon for mention in mentions):
        return mentions
    if all(mention.anaphor for mention in mentions if mention.start > colon):
        return mentions  # "effusions: right: small, left: none"
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


def _is_list(mentions: Sequence[Mention], items: Sequence[Item], colon: int) -> bool:
    """Return whether a list of findings precedes the colon; devices there make it a heading."""
    listed = [rule for mention in mentions if mention.end <= colon for rule in mention.rules]
    return (
        any(item.cue in ("comma", "and") and item.start < colon for item in items)
        and bool(listed)
        and all(rule.observation is not Observation.SUPPORT_DEVICES for rule in listed)
    )


class _Pairing:
    """Pairs anatomies with states, in one pass."""

    def __init__(self, items: Sequence[Item], lexicon: Lexicon, words: Sequence[str]) -> None:
        self.items, self.pairs = items, lexicon.pairs
        self.mentions: list[Mention] = []

        def headed(subjects: Sequence[Item]) -> bool:
            """Return whether the last anatomy is a heading, which yields to one that is named
            under it ("Cardiac: hila are normal")."""
            return bool(subjects and words) and words[subjects[-1].end - 1] == ":"

        subjects: list[Item] = []
        told = False
        taken = -1
        for index, item in enumerate(items):
            if self._starts_anew(index):
                subjects, told = [], False
            if "rules" in item.roles:
                continue
            named = "anatomy" in item.roles and index > taken
            if named and not (self._before_term(index) or self._is_place_of_term(index)):
                if told or headed(subjects):
                    subjects, told = [], False
                subjects.append(item)
            if "state" not in item.roles:
                continue
            linked = bool(subjects) and not headed(subjects)
            following = self._following(index, predicate=linked)
            if following:
                taken = items.index(following[-1])
                for subject in following:
                    self._pair(subject, item, verb=False)
                if not all("rules" in subject.roles for subject in following):
                    subjects, told = following, True
            elif subjects and not self._before_term(index):
                after = items[index + 1] if index + 1 < len(items) else item
                if headed(subjects) and "anatomy" in after.roles and after.start == item.end:
                    continue  # "Cardiac: the large airways are patent"
                told = self._pair_all(subjects, index) or told

    def _starts_anew(self, index: int) -> bool:
        """Return whether a new clause begins, whose subject is not what was named before."""
        item = self.items[index]
        heading = item.cue == "colon" and any(
            {"anatomy", "rules"} & set(later.roles)
            for later in takewhile(lambda one: one.cue != "boundary", self.items[index + 1 :])
        )
        boundary = item.cue == "boundary" and not self._goes_on(index)
        return boundary or "rules" in item.roles or heading

    def _goes_on(self, index: int) -> bool:
        """Return whether a state after "but" has the same subject ("enlarged but stable")."""
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

    def _is_place_of_term(self, index: int) -> bool:
        """Return whether the item is the place of the term before ("atelectasis at the base")."""
        item, before = self.items[index], self.items[index - 1] if index else None
        return (
            before is not None
            and "rules" in before.roles
            and item.roles["anatomy"] == _LUNGS
            and "place" in item.roles
            and 0 < item.start - before.end < _GAP
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
        """Return the anatomies that follow the state at ``index``."""
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
                or item.cue in ("article", "pronoun")
                or ("state" in item.roles and not found and item.start == end)
                or (not found and not predicate and self._joins_states(number))
                or (found and item.cue in ("and", "comma"))
                or (item.cue == "copula" and not found and not predicate)
            ):
                break
            if item.cue in ("and", "comma"):
                joined = item.cue == "and"
            end = item.end
        return found if joined else found[:1]

    def _joins_states(self, number: int) -> bool:
        """Return whether a comma or "and" joins two states ("unremarkable and unchanged heart")."""
        item = self.items[number]
        after = self.items[number + 1] if number + 1 < len(self.items) else None
        return bool(
            item.cue in ("and", "comma")
            and "state" in self.items[number - 1].roles
            and self.items[number - 1].end == item.start
            and after is not None
            and "state" in after.roles
            and "anatomy" not in after.roles
            and after.start == item.end
        )

    def _has_verb(self, index: int) -> bool:
        """Return whether a verb follows whose subject is the item."""
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
