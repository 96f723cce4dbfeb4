"""From findings to sentences: nouns, places, agreement, lists, and findings that share a sentence.

The composer is independent of language; words and templates come from the phrasebook.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from plainfilm.core import Finding, Observation, Side, Span, Status
from plainfilm.text.writer.choice import Choice
from plainfilm.text.writer.phrasebook import (
    Gender,
    Noun,
    Number,
    Phrasebook,
    Sentences,
    Term,
    Wording,
)

Form = tuple[Number, Gender]
"""Number and gender, with which articles, verbs and adjectives agree."""
Piece = tuple[str, Finding | None]
"""A piece of text, and the finding that it names."""

LONGEST_LIST = 4
"""Largest number of absences in one sentence."""
BIBASILAR = 0.5
"""Share of cases in which one word says place and both sides ("bibasilar")."""
SHARED = 0.7
"""Share of cases in which two sides share a sentence, absences come in their usual order, etc."""

_INFLECTED = re.compile(r"\(([^()|]*)\|([^()|]*)\|([^()|]*)\|([^()|]*)\)")
"""Alternative endings in a text: masculine, feminine, and their plurals."""


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the character spans that say each finding."""

    text: str
    said: tuple[tuple[Finding, Span], ...]


@dataclass
class Memory:
    """Words and templates that one report has used so far."""

    nouns: dict[tuple[str | None, ...], Noun] = field(default_factory=dict)
    """Statement → its noun, so that the impression does not call a hazy opacity a dense
    infiltrate."""
    templates: set[str] = field(default_factory=set)
    """Templates used for abnormal findings."""


class Composer:
    """Composes sentences from one phrasebook, source of choices and wording. The composers of one
    report share a memory."""

    def __init__(
        self, book: Phrasebook, choice: Choice, wording: Wording, memory: "Memory | None" = None
    ) -> None:
        self.book, self.choice, self.wording = book, choice, wording
        self.memory = memory or Memory()

    def term(self, finding: Finding) -> Term:
        """Return the phrasebook's term for ``finding``."""
        return self.book.terms[finding.observation][finding.detail or ""]

    def state(self, findings: Sequence[Finding]) -> list[Sentence]:
        """Return sentences that say present and uncertain ``findings``, in order."""
        told: set[int] = set()
        first: dict[int, Sentence] = {}
        for i, j in combinations(range(len(findings)), 2):
            if told & {i, j}:
                continue
            one, two = findings[i], findings[j]
            sentence = self._cause(one, two) or self._cause(two, one)
            if not sentence and self.choice.chance(SHARED, "sides"):
                sentence = self._sides(one, two)
            if sentence:
                first[i] = sentence
                told |= {i, j}
        return [
            first[i] if i in first else self.sentence(finding)
            for i, finding in enumerate(findings)
            if i in first or i not in told
        ]

    def deny(
        self, findings: Iterable[Finding], *, clear: bool
    ) -> tuple[list[Sentence], list[Finding]]:
        """Return the absences that get sentences of their own, and the plain ones to list.

        ``clear`` means that the group has no abnormal finding.
        """
        absent = [f for f in findings if f.status is Status.ABSENT]
        plain = [f for f in absent if not (f.side or f.location or f.change)]
        sentences = [self.sentence(f) for f in absent if f not in plain]
        for entry in self.book.together:
            members = [f for f in plain if f.observation in entry.absent and not f.detail]
            if len(members) == len(entry.absent) and self.choice.chance(SHARED, "together"):
                template = self.choice.pick(entry.sentences[self.wording])
                sentences.append(_whole(self._say(template), members))
                plain = [f for f in plain if f not in members]
        listed = []
        for finding in plain:
            term = self.term(finding)
            own = "absent" in term.sentences and (clear or not term.clears_group)
            if own and self.choice.chance(SHARED, f"own {finding.observation}"):
                sentences.append(self.sentence(finding))
            else:
                listed.append(finding)
        return sentences, listed

    def list_absences(self, findings: Sequence[Finding]) -> list[Sentence]:
        """Return sentences that list plain absences, a few in each."""
        usual = list(self.book.terms)
        ordered = sorted(findings, key=lambda f: usual.index(f.observation))
        ordered = self.choice.order(ordered, lambda f: f.observation, SHARED)
        chunks = [ordered[i : i + LONGEST_LIST] for i in range(0, len(ordered), LONGEST_LIST)]
        return [self._list(chunk) for chunk in chunks]

    def sentence(self, finding: Finding) -> Sentence:
        """Return one sentence that says ``finding`` completely."""
        key = _key(finding)
        term = self.term(finding)
        templates = self._eligible(term.sentences.get(key), finding)
        templates = templates or self._eligible(self.book.sentences[key], finding)
        if finding.status is not Status.ABSENT:
            templates = self._fresh(templates)
        template = self.choice.pick(templates)
        self.memory.templates.add(template)
        slots: dict[str, list[Piece]] = {}
        form: Form = ("mass", "m")
        if "{np}" in template:
            phrase, form = self._noun_phrase(finding, self._noun(finding))
            slots["np"] = [(phrase, finding)]
        words = self.book.severities[finding.severity] if finding.severity else None
        slots["severity"] = [(self.choice.pick(words.adjectives) if words else "", None)]
        slots["severely"] = [(self.choice.expand(words.adverb) if words else "", None)]
        slots["side"] = [(self.book.sides[finding.side][0] if finding.side else "", None)]
        sentence = self._fill(template, slots, form)
        return sentence if sentence.said else _whole(sentence.text, [finding])

    def remark(self, name: str) -> Sentence:
        """Return a sentence that names no finding."""
        template = self.choice.pick(self.book.remarks[name].sentences[self.wording])
        return _whole(self._say(template), [])

    def _list(self, findings: Sequence[Finding]) -> Sentence:
        named = [(self._noun_phrase(f, self._noun(f)), f) for f in findings]
        if len(named) == 1:
            (phrase, form), finding = named[0]
            template = self.choice.pick(self.book.sentences["absent"][self.wording])
            return self._fill(template, {"np": [(phrase, finding)]}, form)
        pieces: list[Piece] = []
        last = self.book.join["or"]
        if len(named) > 2 and "serial" in self.book.join:
            last = self.choice.pick([last, self.book.join["serial"]])
        for i, ((phrase, _), finding) in enumerate(named):
            if i:
                pieces.append((last if i == len(named) - 1 else self.book.join["comma"], None))
            pieces.append((phrase, finding))
        template = self.choice.pick(self.book.absent_lists[self.wording])
        nearest = 0 if template.index("{list}") > template.find("{is}") > -1 else -1
        return self._fill(template, {"list": pieces}, named[nearest][0][1])

    def _cause(self, effect: Finding, cause: Finding) -> Sentence | None:
        """Return "right basilar opacity, possibly pneumonia" if that says both, else None."""
        here = (effect.side, effect.location) == (cause.side, cause.location)
        plain = not (cause.severity or cause.change or effect.change)
        if effect.status is not Status.PRESENT or not here or not plain:
            return None
        for entry in self.book.causes:
            if (
                effect.observation in entry.of
                and (cause.detail or cause.observation) in entry.causes
            ):
                template = self.choice.pick(entry.sentences[cause.status][self.wording])
                phrase, form = self._noun_phrase(effect, self._noun(effect))
                name = self._say(_number(self._noun(cause), bilateral=False)[1])
                slots: dict[str, list[Piece]] = {"np": [(phrase, effect)], "cause": [(name, cause)]}
                return self._fill(template, slots, form)
        return None

    def _sides(self, one: Finding, two: Finding) -> Sentence | None:
        """Return "small right and large left effusions" if that says both, else None."""
        key = _key(one)
        alike = key == _key(two) and self.term(one) is self.term(two)
        sides = {one.side, two.side} == {Side.LEFT, Side.RIGHT}
        unequal = one.severity and two.severity and one.severity is not two.severity
        placed = one.location or two.location
        if "and" not in self.book.join or not (alike and sides and unequal) or placed:
            return None
        noun = self._noun(one)
        fits = not noun.severities or two.severity in noun.severities
        if not noun.many or not fits or key in self.term(one).sentences:
            return None
        self.memory.nouns[two.statement] = noun
        pieces: list[Piece] = [
            (self._noun_phrase(one, noun.model_copy(update={"one": ""}), plain=True)[0], one),
            (self.book.join["and"], None),
            (
                self._noun_phrase(
                    two,
                    noun.model_copy(update={"one": None, "mass": None, "adjective": ""}),
                    plain=True,
                )[0],
                two,
            ),
        ]
        template = self.choice.pick(self.book.sentences[key][self.wording])
        return self._fill(template, {"np": pieces}, ("many", noun.gender))

    def _eligible(self, sentences: Sentences | None, finding: Finding) -> list[str]:
        """Return the templates that express every attribute of ``finding``."""

        def says_all(template: str) -> bool:
            slots = set(re.findall(r"{(\w+)}", template))
            if "np" in slots:
                return bool(self.term(finding).nouns)
            adverb = finding.severity and self.book.severities[finding.severity].adverb
            severity = "severity" in slots or ("severely" in slots and bool(adverb))
            side = "side" in slots and finding.side is not Side.BILATERAL
            return (
                (severity or not finding.severity)
                and (side or not finding.side)
                and ("side" not in slots or bool(finding.side))
                and not finding.location
            )

        return [t for t in (sentences or {}).get(self.wording, ()) if says_all(t)]

    def _fresh(self, templates: Sequence[str]) -> list[str]:
        """Return the first of ``templates``, the plain one, and those not used before, so that a
        striking phrase occurs only once."""
        return [t for t in templates if t == templates[0] or t not in self.memory.templates]

    def _fitting(self, finding: Finding) -> list[Noun]:
        term = self.term(finding)
        denied = finding.status is Status.ABSENT and not finding.change
        nouns = (denied and term.absent) or term.nouns
        severity, place = finding.severity, finding.location
        return [
            noun
            for noun in nouns
            if severity is None or noun.severities is None or severity in noun.severities
            if noun.at is None or place in noun.at
        ]

    def _noun(self, finding: Finding) -> Noun:
        if finding.statement not in self.memory.nouns:
            noun = self.choice.pick(self._fitting(finding), _noun_text)
            words = {
                name: self._say(text)
                for name in ("one", "many", "mass", "adjective")
                if (text := getattr(noun, name)) is not None
            }
            self.memory.nouns[finding.statement] = noun.model_copy(update=words)
        return self.memory.nouns[finding.statement]

    def _say(self, text: str) -> str:
        """Return ``text`` with its alternatives chosen and superfluous spaces removed."""
        return " ".join(self.choice.expand(text).split())

    def _noun_phrase(
        self, finding: Finding, noun: Noun, *, plain: bool = False
    ) -> tuple[str, Form]:
        """Return "small right pleural effusion" and the noun's form; ``plain`` keeps the side
        before the noun."""
        both = finding.side is Side.BILATERAL
        number, name = _number(noun, bilateral=both)
        if plain and finding.side:
            side, before, after = self.book.sides[finding.side][0], "", ""
        else:
            side, before, after = self._where(finding, both=both)
        severity = ""
        if finding.severity:
            severity = self.choice.pick(self.book.severities[finding.severity].adjectives)
        phrase = self.book.noun_phrase.format(
            severity=severity,
            adjective=noun.adjective,
            side=side,
            before=before,
            noun=name,
            after=after,
        )
        form = (number, noun.gender)
        return _inflect(self._say(phrase), form), form

    def _where(self, finding: Finding, *, both: bool) -> tuple[str, str, str]:
        """Return the side as an adjective, and the words of place before and after the noun."""
        place = self.book.place(self.term(finding), finding.location) if finding.location else None
        if finding.side is None and place is None:
            return "", "", ""
        plain = self.book.sides[finding.side][0] if finding.side else ""
        if place is None:
            assert finding.side is not None  # noqa: S101
            adjectives = [(side, "", "") for side in self.book.sides[finding.side]]
            behind = [("", "", after) for after in self.book.sides_after.get(finding.side, ())]
            if finding.observation is Observation.SUPPORT_DEVICES:
                behind = []  # a device isn't part of the anatomy in which it lies
            return self.choice.pick(adjectives + behind, " ".join)
        after_forms = [form for form in place.after if not (both and "{side}" in form)]
        if both:
            after_forms += place.both
        forms = [(form, "") for form in place.before] + [("", form) for form in after_forms]
        before, after = self.choice.pick(forms, " ".join)
        if both and place.both_before and self.choice.chance(BIBASILAR, "both before"):
            return "", self.choice.pick(place.both_before), ""
        if "{side}" in after or (both and after in place.both) or place.implies:
            return "", before, after.replace("{side}", _inflect(plain, ("one", place.gender)))
        return plain, before, after

    def _fill(self, template: str, slots: Mapping[str, Sequence[Piece]], form: Form) -> Sentence:
        """Return ``template`` with its slots filled; an empty slot is removed with its space."""
        pieces: list[Piece] = []
        for part in re.split(r"({\w+})", re.sub(" {2,}", " ", self.choice.expand(template))):
            name = part[1:-1] if part.startswith("{") else ""
            if name in self.book.agreement:
                pieces.append((_inflect(self.book.agreement[name][form[0]], form), None))
            elif name:
                pieces += slots[name]
            else:
                pieces.append((_inflect(part, form), None))
        text = ""
        said = []
        for i, (piece, finding) in enumerate(pieces):
            following = "".join(text for text, _ in pieces[i + 1 :]).lstrip()
            if piece in self.book.before_vowel and following[:1].lower() in tuple("aeiou"):
                piece = self.book.before_vowel[piece]
            if piece.startswith(" ") and (not text or text.endswith(" ")):
                piece = piece[1:]
            if finding:
                said.append((finding, (len(text), len(text) + len(piece))))
            text += piece
        return Sentence(text[0].upper() + text[1:], tuple(said))


def _key(finding: Finding) -> str:
    """Return the phrasebook's key of sentences for the finding's status and change."""
    return " ".join(filter(None, (finding.status, finding.change)))


def _inflect(text: str, form: Form) -> str:
    """Return ``text`` with each "(o|a|os|as)" resolved to the ending that agrees with ``form``."""
    number, gender = form
    index = (2 if number == "many" else 0) + (gender == "f")
    return _INFLECTED.sub(lambda match: match.group(index + 1), text)


def _number(noun: Noun, *, bilateral: bool) -> tuple[Number, str]:
    order: tuple[Number, ...] = ("one", "mass", "many")
    if bilateral and noun.many:
        order = ("many",)
    named = ((number, getattr(noun, number)) for number in order)
    return next((number, word) for number, word in named if word is not None)


def _noun_text(noun: Noun) -> str:
    return " ".join(filter(None, (noun.adjective, noun.one, noun.many, noun.mass)))


def _whole(text: str, findings: Iterable[Finding]) -> Sentence:
    span = (0, len(text.rstrip(".")))
    return Sentence(text[:1].upper() + text[1:], tuple((finding, span) for finding in findings))
