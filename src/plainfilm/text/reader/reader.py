"""The reader: report text to findings, by rules that can be read.

    text → sections → sentences → tokens → phrases → mentions → status, attributes, links → findings

The engine knows no language: words, cues and rules are data (``rules/<language>``). Reading is one
pass over the text, in time linear in its length.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from plainfilm.core import Change, Finding, InputError, Observation, Severity, Side, Span, Status
from plainfilm.text.reader.attributes import Attributes, attach, combine
from plainfilm.text.reader.context import settle
from plainfilm.text.reader.headings import readable
from plainfilm.text.reader.layout import Plain, plain
from plainfilm.text.reader.lexicon import Item, Lexicon, Rule, load_lexicon
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
_WHOLE = "whole"
"""The place of what is all over its side, which is as good as none."""
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
    found = list(_every(text, lexicon))
    sized = {fired.finding.observation for fired in found if not fired.rule.weak}
    for fired in found:  # "Heart size is stable. The heart is not enlarged."
        vague = fired.rule.weak and fired.rule.status is Status.UNCERTAIN
        if not (vague and fired.finding.observation in sized):
            yield fired


def _every(report: str, lexicon: Lexicon) -> Iterator[Fired]:
    """Yield what each sentence says, the weak statements too."""
    text = (stripped := plain(report)).text
    for section in readable(text, lexicon.headings):
        before: Said | None = None
        where = (0, 0)
        for start, end in split_sentences(text, lexicon.boundaries, section.start, section.end):
            said = _hear(text[start:end], lexicon, before)
            if before is not None:
                if said.opener == "pronoun":  # it says something of the sentence before
                    before = _told(before, said)
                yield from _fire(before, where, report, stripped, lexicon)
            before, where = said, (start, end)
        if before is not None:
            yield from _fire(before, where, report, stripped, lexicon)


def _spelled_out(
    words: list[str], spans: list[tuple[int, int]], sentence: str, lexicon: Lexicon
) -> list[str]:
    """Return ``words`` with the abbreviations in capitals spelled out, but not after a number."""
    return [
        lexicon.capitals.get(sentence[slice(*span)], word) if not before[:1].isdigit() else word
        for before, word, span in zip(["", *words], words, spans, strict=False)
    ]


class Said(NamedTuple):
    """What a sentence says."""

    readings: list[Reading]
    items: list[Item]
    """Its phrases."""
    spans: Sequence[Span]
    """Where its words stand in it."""
    opener: str | None = None
    """The kind of cue that it begins with, if any."""


def _hear(sentence: str, lexicon: Lexicon, before: Said | None) -> Said:
    """Return what a sentence says, after the one before it."""
    words, spans = tokenize(sentence)
    if any(capital in sentence for capital in lexicon.capitals):
        words = _spelled_out(words, spans, sentence, lexicon)
    words, spans = lexicon.spelling.whole(words, spans)
    context = settle(find_items(words, lexicon), words, before.items if before else ())
    items = context.items
    opener = items[0].cue if items and items[0].start == 0 else None
    named = before.readings[-1].mention.rules if before and before.readings else ()
    mentions = _without_weak(find_mentions(items, lexicon, named))
    if not mentions:
        return Said([], items, spans, opener)
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
    if opener == "pronoun" and before is not None:
        refer(before.readings, readings)
    return Said(readings, items, spans, opener)


def _told(before: Said, after: Said) -> Said:
    """Return a sentence with what the next one says of it ("This has increased.")."""
    if after.readings:
        return before
    return before._replace(readings=describe(before.readings, after.items))


def _of_now(readings: list[Reading], past: Sequence[int]) -> list[Reading]:
    """Leave out what was, where the sentence says what is ("was enlarged and is normal now")."""
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
    """Give "those on the left" the place of what they stand for ("rib fractures")."""
    for number, reading in enumerate(readings):
        if not reading.mention.anaphor or any(one.location for one in reading.attributes):
            continue
        named = [
            one for one in readings[:number] if one.rule.observation is reading.rule.observation
        ]
        if named and named[-1].rule.observation is not Observation.SUPPORT_DEVICES:
            place = named[-1].attributes[0].location
            reading.attributes = [one._replace(location=place) for one in reading.attributes]


def _fire(
    said: Said, where: Span, report: str, stripped: Plain, lexicon: Lexicon
) -> Iterator[Fired]:
    start, _ = where
    if not said.readings:
        return
    spans = [stripped.span(start + a, start + b) for a, b in said.spans]
    sentence = report[slice(*stripped.span(*where))]
    for reading in said.readings:
        tokens = tuple((spans[a][0], spans[b - 1][1]) for a, b in reading.mention.tokens)
        cues = tuple(report[spans[c.start][0] : spans[c.end - 1][1]] for c in reading.cues)
        for attributes in reading.attributes:
            finding = _finding(reading, attributes, sentence, tokens, lexicon)
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
    if location == _WHOLE:
        location = None
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
