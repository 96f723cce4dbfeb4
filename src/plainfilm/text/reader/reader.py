"""The reader: report text to findings, by explicit rules.

    text → sections → sentences → tokens → phrases → mentions → status, attributes, links → findings

The engine is independent of language: words, cues and rules are data (``rules/<language>``).
Reading is one pass over the text, in time linear in its length.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from plainfilm.core import Change, Finding, InputError, Observation, Severity, Side, Span, Status
from plainfilm.text.languages import LanguageWarning, foreign
from plainfilm.text.reader.attributes import Attributes, attach, combine
from plainfilm.text.reader.context import OTHER, SAME, settle
from plainfilm.text.reader.headings import readable
from plainfilm.text.reader.layout import Plain, plain
from plainfilm.text.reader.lexicon import Item, Lexicon, Rule, load_lexicon
from plainfilm.text.reader.links import Reading, describe, link, refer
from plainfilm.text.reader.mentions import Mention, find_items, find_mentions
from plainfilm.text.reader.scope import Scopes, lasts
from plainfilm.text.reader.sentences import split_sentences, tokenize

_ORDER = {Status.ABSENT: 0, Status.UNCERTAIN: 1, Status.PRESENT: 2}
_IMPLIED_SIDES = {"lingula": Side.LEFT, "middle lobe": Side.RIGHT}
_OF_ABSENT = (Change.RESOLVED, Change.STABLE)
"""Changes that an absent finding may have ("the lungs remain clear")."""
_ALIKE = ({Severity.MILD, Severity.SMALL}, {Severity.MILD, Severity.TRACE})
"""Severities that do not contradict each other."""
_OF_LUNGS = {Observation.LUNG_OPACITY, Observation.LUNG_LESION, Observation.EDEMA}
_ELSEWHERE = {"axilla", "neck", "abdomen", "upper quadrant", "shoulder", "humerus", "scapula"}
"""Places where an opacity, nodule or edema isn't in the lung."""
_OUTSIDE = "mass outside the lung"
_WHOLE = "whole"
"""The place of a finding that fills its whole side; it is reported without a place."""
_REFERRING = ("pronoun", "differential")
"""Cues that open a sentence about the one before ("Differential includes …")."""
REMEMBERED = 8192
"""Number of sentences whose reading is cached."""
_RIGHT_BEFORE = 5
_RIGHT_AFTER = 1
"""Most tokens between a fracture and the fractured device ("fracture of the lateral screw", "screw
is fractured")."""


class Stated(NamedTuple):
    """A statement of a sentence, with token positions only."""

    rule: Rule
    status: Status
    detail: str | None
    location: str | None
    side: Side | None
    severity: Severity | None
    change: Change | None
    tokens: tuple[tuple[int, int], ...]
    """Ranges of the words that name it."""
    cues: tuple[tuple[int, int], ...]
    """Ranges of the cues that changed its status."""
    qualifiers: tuple[tuple[str, int, int], ...]
    """Its qualifiers (side, place, severity, change) and the ranges of their words."""


class Found(NamedTuple):
    """A statement, and the position of its sentence in the report."""

    stated: Stated
    said: "Said"
    start: int
    end: int
    plain: Plain

    def spans(self, ranges: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
        """Return the spans of ranges of words in the original report."""
        words, start = self.said.spans, self.start
        return tuple(
            self.plain.span(start + words[a][0], start + words[b - 1][1]) for a, b in ranges
        )

    @property
    def sentence(self) -> Span:
        """The span of its sentence in the original report."""
        return self.plain.span(self.start, self.end)

    def qualifiers(self) -> Iterator[tuple[str, Span]]:
        """Yield its qualifiers (side, place, severity, change) and the spans of their words."""
        for role, first, last in self.stated.qualifiers:
            yield role, self.spans([(first, last)])[0]

    def finding(self, report: str, **told: Any) -> Finding:
        """Return the finding, with the fields ``told`` from other mentions."""
        stated = self.stated
        given = {
            "observation": stated.rule.observation,
            "status": stated.status,
            "detail": stated.detail,
            "location": stated.location,
            "side": stated.side,
            "severity": stated.severity,
            "change": stated.change,
            "sentence": report[slice(*self.sentence)],
            "spans": self.spans(stated.tokens),
        }
        return Finding.model_construct(**{**given, **told})


class Fired(NamedTuple):
    """A finding, the rule that fired and the cues that changed its status, as text."""

    finding: Finding
    rule: Rule
    cues: tuple[str, ...]


def read(text: str, *, language: str = "en") -> list[Finding]:
    """Return the findings that ``text`` states, in the order of their sentences.

    Args:
        text: a whole report with its headings, or bare findings and impression.
        language: language of the rules.

    Returns:
        One finding per distinct observation, finer term, status, side and place. Other mentions may
        add a severity or change; a contradictory one makes a second finding. A normal report gives
        the findings that it denies; ``No Finding`` occurs in :func:`labels` only. Empty text gives
        an empty list. So does text in another language, with a warning, because the rules would
        find terms in it but not their negations.

    Raises:
        InputError: ``text`` is not a ``str``, or there are no rules for ``language``.
    """
    known: list[_Statement] = []
    alike: dict[tuple[str | None, ...], list[_Statement]] = {}
    for found in find_statements(text, language):
        stated = found.stated
        if stated.rule.observation is Observation.NO_FINDING:
            continue
        place = (
            stated.rule.observation, stated.detail, stated.status, stated.location, stated.side,
        )  # fmt: skip
        same = alike.setdefault(place, [])
        statement = next((one for one in same if one.agrees(stated)), None)
        if statement is None:
            statement = _Statement(found)
            same.append(statement)
            known.append(statement)
        else:
            statement.add(found)
    return [statement.finding(text) for statement in known]


class _Statement:
    """A finding, completed by its later mentions."""

    def __init__(self, first: Found) -> None:
        self.first = first
        self.severity, self.change = first.stated.severity, first.stated.change
        self.again: list[Found] = []

    def agrees(self, other: Stated) -> bool:
        """Return whether severity and change of the two don't contradict each other."""
        graded = {self.severity, other.severity} - {None}
        dated = {self.change, other.change} - {None}
        return (len(graded) < 2 or graded in _ALIKE) and len(dated) < 2

    def add(self, again: Found) -> None:
        if self.severity in (None, Severity.MILD):  # "minimal", then "small"
            self.severity = again.stated.severity or self.severity
        self.change = self.change or again.stated.change
        self.again.append(again)

    def finding(self, report: str) -> Finding:
        if not self.again:
            return self.first.finding(report)
        spans = [span for one in (self.first, *self.again) for span in one.spans(one.stated.tokens)]
        return self.first.finding(
            report, severity=self.severity, change=self.change, spans=tuple(spans)
        )


def labels(text: str, *, language: str = "en") -> dict[Observation, Status]:
    """Return the status of each of the 14 observations that ``text`` mentions.

    If mentions of one observation differ, present takes precedence over uncertain over absent.

    Raises:
        InputError: as :func:`read`.
    """
    return labels_of(found.stated for found in find_statements(text, language))


def labels_of(statements: Iterable[Stated]) -> dict[Observation, Status]:
    """Return the status of each of the 14 observations in ``statements``."""
    found: dict[Observation, Status] = {}
    normal, said = True, False
    for rule, status, *_ in statements:
        said = True
        if rule.observation is Observation.OTHER:
            normal = normal and not (rule.blocks and status is not Status.ABSENT)
        elif rule.observation is not Observation.NO_FINDING:
            known = found.get(rule.observation, status)
            found[rule.observation] = max(known, status, key=_ORDER.__getitem__)
    abnormal = any(
        status is not Status.ABSENT
        for observation, status in found.items()
        if observation is not Observation.SUPPORT_DEVICES
    )
    if said and normal and not abnormal:
        found[Observation.NO_FINDING] = Status.PRESENT
    return {observation: found[observation] for observation in Observation if observation in found}


def explain(text: str, *, language: str = "en") -> Iterator[Fired]:
    """Yield every finding with the rule that fired and the cues that changed its status.

    Raises:
        InputError: as :func:`read`.
    """
    for found in find_statements(text, language):
        cues = tuple(text[slice(*span)] for span in found.spans(found.stated.cues))
        yield Fired(found.finding(text), found.stated.rule, cues)


def find_statements(text: str, language: str) -> Iterator[Found]:
    """Yield every statement of a report.

    Raises:
        InputError: as :func:`read`.
    """
    if not isinstance(text, str):
        raise InputError(
            f"a report to read must be text (str), got {type(text).__name__}: decode bytes first"
        )
    if (other := foreign(text, language)) is not None:
        warnings.warn(
            f"a report seems to be in language {other!r}, not {language!r}: nothing is read of it",
            LanguageWarning,
            stacklevel=3,
        )
        return
    every = list(_every(text, language))
    sized = {found.stated.rule.observation for found in every if not found.stated.rule.weak}
    for found in every:  # "Heart size is stable. The heart is not enlarged."
        rule = found.stated.rule
        vague = rule.weak and rule.status is Status.UNCERTAIN
        if not (vague and rule.observation in sized):
            yield found


def _every(report: str, language: str) -> Iterator[Found]:
    """Yield the statements of each sentence, including vague ones."""
    lexicon = load_lexicon(language)
    text = (stripped := plain(report)).text
    for section in readable(text, lexicon.headings):
        before: Said | None = None
        where = (0, 0)
        for start, end in split_sentences(text, lexicon.boundaries, section.start, section.end):
            heard = _hear(text[start:end], language)
            said = heard.said or _understand(heard, lexicon, before)
            if before is not None:
                if said.opener == "pronoun":  # it completes the sentence before
                    before = _told(before, said, lexicon)
                for stated in before.statements:
                    yield Found(stated, before, *where, stripped)
            before, where = said, (start, end)
        if before is not None:
            for stated in before.statements:
                yield Found(stated, before, *where, stripped)


def _spelled_out(
    words: list[str], spans: list[tuple[int, int]], sentence: str, lexicon: Lexicon
) -> list[str]:
    """Return ``words`` with the abbreviations in capitals spelled out, but not after a number."""
    return [
        lexicon.capitals.get(sentence[slice(*span)], word) if not before[:1].isdigit() else word
        for before, word, span in zip(["", *words], words, spans, strict=False)
    ]


class Said(NamedTuple):
    """The interpretation of a sentence."""

    readings: list[Reading]
    items: list[Item]
    """Its phrases."""
    spans: Sequence[Span]
    """The spans of its words within it."""
    opener: str | None
    """The kind of cue that it begins with, if any."""
    statements: list[Stated]


class Heard(NamedTuple):
    """The words and phrases of a sentence, and its interpretation if independent of others."""

    words: list[str]
    spans: Sequence[Span]
    items: list[Item]
    said: "Said | None"


@lru_cache(maxsize=REMEMBERED)
def _hear(sentence: str, language: str) -> Heard:
    """Return the words and phrases of a sentence; cached, as most real sentences recur."""
    lexicon = load_lexicon(language)
    words, spans = tokenize(sentence)
    if any(capital in sentence for capital in lexicon.capitals):
        words = _spelled_out(words, spans, sentence, lexicon)
    words, spans = lexicon.spelling.whole(words, spans)
    items = find_items(words, lexicon)
    heard = Heard(words, spans, items, None)
    return heard if _leans(items) else heard._replace(said=_understand(heard, lexicon, None))


def _leans(items: Sequence[Item]) -> bool:
    """Return whether a sentence may refer to findings of the one before it."""
    return bool(items) and (
        (items[0].start == 0 and items[0].cue in _REFERRING)
        or any(
            item.cue in ("anaphor", "none", "ellipsis", "not_on")
            or item.roles.get("side") in (OTHER, SAME)
            or item.roles.get("anatomy") == SAME
            for item in items
        )
    )


def _understand(heard: Heard, lexicon: Lexicon, before: Said | None) -> Said:
    """Return the interpretation of a sentence in the context of the one before it."""
    words, spans, found, _ = heard
    context = settle(found, words, before.items if before else ())
    items = context.items
    opener = items[0].cue if items and items[0].start == 0 else None
    named = before.readings[-1].mention.rules if before and before.readings else ()
    mentions = _without_weak(find_mentions(items, lexicon, named, words))
    if not mentions:
        return Said([], items, spans, opener, [])
    scopes = Scopes(items, mentions)
    readings: list[Reading] = []
    for mention, qualifiers in zip(mentions, attach(items, mentions), strict=True):
        attributes = combine(qualifiers)
        changed = any(one.change for one in attributes)
        for rule in mention.rules:
            status, cues = scopes.status(mention, rule.status, changed=changed)
            if status is None:
                continue
            own = attributes
            if any(cue.cue in ("disclaimer", "no_claim") for cue in cues) and changed:
                own = [one._replace(change=Change.STABLE) for one in attributes]
            readings.append(Reading(mention, rule, status, cues, own, qualifiers))
    readings = _without_void(readings, scopes)
    readings = _of_now(link(readings, scopes), context.past)
    _place_anaphors(readings)
    if opener in _REFERRING and before is not None:
        refer(before.readings, readings)
    return Said(readings, items, spans, opener, _stated(readings, lexicon))


def _told(before: Said, after: Said, lexicon: Lexicon) -> Said:
    """Return a sentence completed by the next one ("This has increased.")."""
    if after.readings:
        return before
    readings = describe(before.readings, after.items)
    return before._replace(readings=readings, statements=_stated(readings, lexicon))


def _of_now(readings: list[Reading], past: Sequence[int]) -> list[Reading]:
    """Drop past states if the sentence gives the present one ("was enlarged and is normal now")."""
    found = list(readings)
    for was, now in pairwise(readings):
        mention = was.mention
        marked = any(mention.start <= mark <= mention.end + 1 for mark in past)
        again = any(mention.end + 1 < mark <= now.mention.end for mark in past)
        same = was.rule.observation is now.rule.observation and was.rule.detail == now.rule.detail
        if not marked or again or not same or Status.UNCERTAIN in (was.status, now.status):
            continue
        if was.status is not now.status:
            change = Change.RESOLVED if now.status is Status.ABSENT else Change.NEW
            now.attributes = [one._replace(change=change) for one in now.attributes]
            found.remove(was)
    return found


def _place_anaphors(readings: Sequence[Reading]) -> None:
    """Give "those on the left" the place of the findings that they refer to ("rib fractures")."""
    for number, reading in enumerate(readings):
        if not reading.mention.anaphor or any(one.location for one in reading.attributes):
            continue
        named = [
            one for one in readings[:number] if one.rule.observation is reading.rule.observation
        ]
        if named and named[-1].rule.observation is not Observation.SUPPORT_DEVICES:
            place = named[-1].attributes[0].location
            reading.attributes = [one._replace(location=place) for one in reading.attributes]


def _stated(readings: Sequence[Reading], lexicon: Lexicon) -> list[Stated]:
    return [
        _statement(reading, attributes, lexicon)
        for reading in readings
        for attributes in reading.attributes
    ]


def _without_weak(mentions: list[Mention]) -> list[Mention]:
    """Drop weak mentions of an observation that has a stronger one."""
    strong = {rule.observation for m in mentions for rule in m.rules if not rule.weak}
    found = []
    for mention in mentions:
        mention.rules = tuple(r for r in mention.rules if not (r.weak and r.observation in strong))
        if mention.rules:
            found.append(mention)
    return found


def _without_void(readings: list[Reading], scopes: Scopes) -> list[Reading]:
    """Drop a "fracture" if it is that of a device."""
    return [
        reading
        for reading in readings
        if reading.rule.not_of is None
        or not any(
            other.rule.observation == reading.rule.not_of
            and (
                (
                    0 <= other.mention.start - reading.mention.end <= _RIGHT_BEFORE
                    and not scopes.between(reading.mention, other.mention)
                )
                or 0 <= reading.mention.start - other.mention.end <= _RIGHT_AFTER
            )
            for other in readings
        )
    ]


def _statement(reading: Reading, attributes: Attributes, lexicon: Lexicon) -> Stated:
    rule, status = reading.rule, reading.status
    side, location, severity, change = attributes
    if rule.place == "none":
        side = location = None
    elif rule.place == "side":
        location = None
    location = rule.location or location or rule.site
    side = rule.side or side or _IMPLIED_SIDES.get(location or "")
    if location == _WHOLE:
        location = None
    if location in _ELSEWHERE and rule.observation in _OF_LUNGS:
        rule = rule._replace(observation=Observation.OTHER, detail=_OUTSIDE, code=None)
    detail = rule.detail
    for item in reading.qualifiers:
        detail = lexicon.refined.get((detail or "", item.roles.get("state", "")), detail)
    severity = rule.severity or severity
    change = rule.change or change
    if status is Status.ABSENT:
        severity = None
        prior = any("prior" in item.roles for item in reading.qualifiers) or (
            rule.status is Status.PRESENT and any(map(lasts, reading.qualifiers))
        )
        change = Change.RESOLVED if prior else change if change in _OF_ABSENT else None
    elif change is Change.RESOLVED:
        change = None
    cues = tuple((cue.start, cue.end) for cue in reading.cues)
    qualifiers = tuple(
        (role, item.start, item.end)
        for item in reading.qualifiers
        for role in ("place", "side", "severity", "change")
        if role in item.roles
    )
    return Stated(
        rule,
        status,
        detail,
        location,
        side,
        severity,
        change,
        reading.mention.tokens,
        cues,
        qualifiers,
    )
