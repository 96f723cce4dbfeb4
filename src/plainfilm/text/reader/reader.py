"""The reader: report text to findings, by rules that can be read.

    text → sections → sentences → tokens → phrases → mentions → status, attributes, links → findings

The engine knows no language: words, cues and rules are data (``rules/<language>``). Reading is one
pass over the text, in time linear in its length.
"""

from collections.abc import Iterator
from typing import NamedTuple

from plainfilm.core import Change, Finding, InputError, Observation, Severity, Side, Span, Status
from plainfilm.text.reader.attributes import Attributes, attach, combine
from plainfilm.text.reader.headings import readable
from plainfilm.text.reader.layout import plain
from plainfilm.text.reader.lexicon import Lexicon, Rule, load_lexicon
from plainfilm.text.reader.links import Reading, describe, link, refer
from plainfilm.text.reader.mentions import Mention, find_items, find_mentions
from plainfilm.text.reader.scope import Scopes
from plainfilm.text.reader.sentences import split_sentences, tokenize

_ORDER = {Status.ABSENT: 0, Status.UNCERTAIN: 1, Status.PRESENT: 2}
_IMPLIED_SIDES = {"lingula": Side.LEFT, "middle lobe": Side.RIGHT}
_OF_ABSENT = (Change.RESOLVED, Change.STABLE)
"""What an absent finding may have done ("the lungs remain clear")."""
_ALIKE = ({Severity.MILD, Severity.SMALL}, {Severity.MILD, Severity.TRACE})
"""Severities that do not contradict each other."""
_RIGHT_BEFORE = 5
_RIGHT_AFTER = 1
"""Tokens between a fracture and the device it is of ("fracture of the lateral screw", "screw is
fractured")."""


class Fired(NamedTuple):
    """A finding, the rule that made it and the cues that turned it, as words of the text."""

    finding: Finding
    rule: Rule
    cues: tuple[str, ...]


def read(text: str, *, language: str = "en") -> list[Finding]:
    """Return the findings that ``text`` states, in the order of their sentences.

    Args:
        text: a whole report with its headings, or bare findings and impression.
        language: whose rules to read by.

    Returns:
        One finding per distinct observation, finer term, status, side and place; a severity or
        change that another mention adds is added, one that contradicts makes a second finding.
        A normal report is read as what it denies, so that ``No Finding`` is found in
        :func:`labels` only. Empty text gives an empty list.

    Raises:
        InputError: ``text`` is not a ``str``, or there are no rules for ``language``.
    """
    found: list[_Statement] = []
    alike: dict[tuple[str | None, ...], list[_Statement]] = {}
    for fired in explain(text, language=language):
        finding = fired.finding
        if finding.observation is Observation.NO_FINDING:
            continue
        same = alike.setdefault(_place(finding), [])
        known = next((statement for statement in same if statement.agrees(finding)), None)
        if known is None:
            known = _Statement(finding)
            same.append(known)
            found.append(known)
        known.add(finding)
    return [statement.finding() for statement in found]


def _place(finding: Finding) -> tuple[str | None, ...]:
    return (
        finding.observation, finding.detail, finding.status, finding.location, finding.side
    )  # fmt: skip


class _Statement:
    """A finding and what its later mentions add."""

    def __init__(self, first: Finding) -> None:
        self.first = first
        self.severity, self.change = first.severity, first.change
        self.spans: list[Span] = []

    def agrees(self, other: Finding) -> bool:
        """Return whether neither grades or dates the finding otherwise than the other does."""
        graded = {self.severity, other.severity} - {None}
        dated = {self.change, other.change} - {None}
        return (len(graded) < 2 or graded in _ALIKE) and len(dated) < 2

    def add(self, again: Finding) -> None:
        if self.severity in (None, Severity.MILD):  # "minimal", then "small"
            self.severity = again.severity or self.severity
        self.change = self.change or again.change
        self.spans += again.spans

    def finding(self) -> Finding:
        if len(self.spans) == len(self.first.spans):
            return self.first
        told = {"severity": self.severity, "change": self.change, "spans": tuple(self.spans)}
        return self.first.model_copy(update=told)


def labels(text: str, *, language: str = "en") -> dict[Observation, Status]:
    """Return the status of each of the 14 observations that ``text`` mentions.

    Several mentions of one observation give present before uncertain before absent.

    Raises:
        InputError: as :func:`read`.
    """
    found: dict[Observation, Status] = {}
    normal, said = True, False
    for finding, rule, _ in explain(text, language=language):
        said = True
        if finding.observation is Observation.OTHER:
            normal = normal and not (rule.blocks and finding.status is not Status.ABSENT)
        elif finding.observation is not Observation.NO_FINDING:
            known = found.get(finding.observation, finding.status)
            found[finding.observation] = max(known, finding.status, key=_ORDER.__getitem__)
    abnormal = any(
        status is not Status.ABSENT
        for observation, status in found.items()
        if observation is not Observation.SUPPORT_DEVICES
    )
    if said and normal and not abnormal:
        found[Observation.NO_FINDING] = Status.PRESENT
    return {observation: found[observation] for observation in Observation if observation in found}


def explain(text: str, *, language: str = "en") -> Iterator[Fired]:
    """Yield every finding with the rule that fired and the cues that turned it.

    Raises:
        InputError: as :func:`read`.
    """
    if not isinstance(text, str):
        raise InputError(
            f"a report to read must be text (str), got {type(text).__name__}: decode bytes first"
        )
    lexicon = load_lexicon(language)
    report, text = text, (stripped := plain(text)).text
    for section in readable(text, lexicon.headings):
        before: list[Reading] = []
        waiting: list[Iterator[Fired]] = []  # for what the next sentence says of them
        for start, end in split_sentences(text, lexicon.boundaries, section.start, section.end):
            sentence = text[start:end]
            words, spans = tokenize(sentence)
            if any(capital in sentence for capital in lexicon.capitals):
                words = _spelled_out(words, spans, sentence, lexicon)
            words, spans = lexicon.spelling.whole(words, spans)
            before = _read_sentence(words, lexicon, before)
            for fired in waiting:
                yield from fired
            spans = [stripped.span(start + a, start + b) for a, b in spans]
            first, last = stripped.span(start, end)
            waiting = [_fire(reading, report, (first, last), spans, lexicon) for reading in before]
        for fired in waiting:
            yield from fired


def _spelled_out(
    words: list[str], spans: list[tuple[int, int]], sentence: str, lexicon: Lexicon
) -> list[str]:
    """Return ``words`` with the abbreviations in capitals spelled out, but not after a number."""
    return [
        lexicon.capitals.get(sentence[slice(*span)], word) if not before[:1].isdigit() else word
        for before, word, span in zip(["", *words], words, spans, strict=False)
    ]


def _read_sentence(words: list[str], lexicon: Lexicon, before: list[Reading]) -> list[Reading]:
    """Return what a sentence says, given the readings of the sentence before it."""
    items = find_items(words, lexicon)
    named = before[-1].mention.rules if before else ()
    mentions = _without_weak(find_mentions(items, lexicon, named))
    opener = items[0].cue if items and items[0].start == 0 else None
    if not mentions:
        if opener == "pronoun":
            describe(before, items)
        return []
    scopes = Scopes(items, mentions)
    readings = []
    for mention, qualifiers in zip(mentions, attach(items, mentions), strict=True):
        for rule in mention.rules:
            status, cues = scopes.status(mention, rule.status)
            if status is not None:
                attributes = combine(qualifiers)
                readings.append(Reading(mention, rule, status, cues, attributes, qualifiers))
    readings = _without_void(readings, scopes)
    readings = link(readings, scopes)
    if opener == "pronoun":
        refer(before, readings)
    return readings


def _fire(
    reading: Reading,
    report: str,
    sentence: tuple[int, int],
    spans: list[tuple[int, int]],
    lexicon: Lexicon,
) -> Iterator[Fired]:
    where = tuple((spans[start][0], spans[end - 1][1]) for start, end in reading.mention.tokens)
    cues = tuple(report[spans[c.start][0] : spans[c.end - 1][1]] for c in reading.cues)
    for attributes in reading.attributes:
        finding = _finding(reading, attributes, report[slice(*sentence)], where, lexicon)
        yield Fired(finding, reading.rule, cues)


def _without_weak(mentions: list[Mention]) -> list[Mention]:
    """Leave out what a stronger mention of the same observation says better."""
    strong = {rule.observation for m in mentions for rule in m.rules if not rule.weak}
    found = []
    for mention in mentions:
        mention.rules = tuple(r for r in mention.rules if not (r.weak and r.observation in strong))
        if mention.rules:
            found.append(mention)
    return found


def _without_void(readings: list[Reading], scopes: Scopes) -> list[Reading]:
    """Leave out a "fracture" that is the fracture of a device."""
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


def _finding(
    reading: Reading,
    attributes: Attributes,
    sentence: str,
    where: tuple[tuple[int, int], ...],
    lexicon: Lexicon,
) -> Finding:
    rule, status = reading.rule, reading.status
    side, location, severity, change = attributes
    if rule.place == "none":
        side = location = None
    elif rule.place == "side":
        location = None
    location = rule.location or location or rule.site
    side = rule.side or side or _IMPLIED_SIDES.get(location or "")
    detail = rule.detail
    for item in reading.qualifiers:
        detail = lexicon.refined.get((detail or "", item.roles.get("state", "")), detail)
    severity = rule.severity or severity
    change = rule.change or change
    if status is Status.ABSENT:
        severity = None
        prior = any("prior" in item.roles for item in reading.qualifiers)
        change = Change.RESOLVED if prior else change if change in _OF_ABSENT else None
    elif change is Change.RESOLVED:
        change = None
    return Finding(
        observation=rule.observation,
        status=status,
        detail=detail,
        location=location,
        side=side,
        severity=severity,
        change=change,
        sentence=sentence,
        spans=where,
    )
