"""The writer: findings to report text in natural radiology language.

:func:`write` says each finding once in the findings section and restates the urgent ones in the
impression; nothing is said that was not given. How things are said (terms, sentences, order of
urgency) is data: ``writing/<language>.yaml`` and ``writing/<language>_terms.yaml``.

What is written, precisely:

- Findings go by group (devices, heart, lungs, pleura, bones, other, or as the style orders them),
  abnormal ones first, then what is absent. Plain absences may share a sentence.
- "No acute cardiopulmonary abnormality" is written only for a given ``No Finding``; "the lungs are
  clear" only for a given absence of Lung Opacity. No findings give an empty report.
- The impression restates the most urgent present and uncertain findings, word for word as complete
  as in the findings. Without any: No Finding where given, else what is not urgent (including
  devices), else the absences.
- A style without comparison leaves every ``change`` out, in the text and in the statements;
  a resolved finding is then an absent one.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from plainfilm.core import (
    Finding,
    InputError,
    Observation,
    Report,
    Side,
    Span,
    Status,
    Word,
)
from plainfilm.text.consistency import check, check_together
from plainfilm.text.phrasebook import Noun, Phrasebook, Sentences, Term, Wording, load_phrasebook

Number = Literal["one", "many", "mass"]
LONGEST_LIST = 4
"""How many absences one sentence may list."""


class Style(Word):
    """How an institution writes.

    ``order`` names the groups in the order they are written; those left out follow.
    """

    layout: Literal["prose", "structured"] = "prose"
    wording: Wording = "wordy"
    impression: bool = True
    comparison: bool = True
    order: tuple[str, ...] = ()
    language: str = "english"


STYLES: Mapping[str, Style] = {
    "teaching": Style(),
    "community": Style(wording="terse", order=("heart", "lungs", "pleura", "bones", "devices")),
    "structured": Style(layout="structured", wording="terse"),
    "checklist": Style(layout="structured", wording="wordy", comparison=False),
    "emergency": Style(wording="terse", impression=False, comparison=False),
}
"""Ready-made styles, as of different institutions."""


@dataclass(frozen=True)
class _Sentence:
    text: str
    said: tuple[tuple[Finding, Span], ...]
    """Which finding is said by which characters of ``text``."""


Piece = tuple[str, Finding | None]
"""Text, and the finding that it names."""


def write(findings: Sequence[Finding], rng: random.Random, style: Style | None = None) -> Report:
    """Return a report that says ``findings`` and nothing else.

    Args:
        findings: what to say; their sentences and spans are ignored.
        rng: picks among phrasings; the same state writes the same report.
        style: how the institution writes; ``Style()`` if None.

    Returns:
        The report. Its statements are the given findings in their order, with the first sentence
        that says each and the spans of its words in ``report.text`` (findings, then impression).

    Raises:
        InputError: a finding cannot be expressed (unknown detail or place, a severity, side or
            change that it does not take), or two findings contradict each other.
    """
    style = style or Style()
    book = load_phrasebook(style.language)
    order = (*style.order, *(group for group in book.groups if group not in style.order))
    if unknown := sorted(set(order) - set(book.groups)):
        raise InputError(f"no such groups: {unknown}; a style orders {', '.join(book.groups)}")
    given = [_plain(finding, style) for finding in findings]
    for finding in given:
        check(finding, book)
    check_together(given)
    scribe = _Scribe(book, rng, style.wording)
    distinct = list({finding.statement: finding for finding in given}.values())
    sections = scribe.sections(distinct, order, merge=style.layout == "prose", style=style)
    findings_text, located = _join_sections(sections, book, style)
    impression_text = ""
    if style.impression and distinct:
        sentences = scribe.impression(distinct)
        numbered = style.layout == "structured" and len(sentences) > 1
        labels = [f"{n}. " if numbered else "" for n in range(1, len(sentences) + 1)]
        impression_text, more = _join(zip(labels, sentences, strict=True), len(findings_text) + 1)
        located += more
    return Report(
        findings=findings_text,
        impression=impression_text,
        statements=tuple(_locate(finding, located) for finding in given),
    )


def _plain(finding: Finding, style: Style) -> Finding:
    change = finding.change if style.comparison else None
    return finding.model_copy(update={"change": change, "sentence": None, "spans": ()})


class _Scribe:
    """Chooses words: one phrasebook, one source of randomness, one wording."""

    def __init__(self, book: Phrasebook, rng: random.Random, wording: Wording) -> None:
        self.book, self.rng, self.wording = book, rng, wording

    def sections(
        self, findings: Sequence[Finding], order: Sequence[str], *, merge: bool, style: Style
    ) -> list[tuple[str, list[_Sentence]]]:
        """Return (group, sentences) in order; ``merge`` lets absences of groups share one."""
        told = [f for f in findings if f.observation is not Observation.NO_FINDING]
        if not told or not style.impression:
            told = list(findings)
        pooled: list[Finding] = []
        sections = []
        merging = [g for g in order if g in self.book.absences_merge] if merge else []
        if self.rng.random() < 0.3:
            merging = []
        for group in order:
            members = [f for f in told if self._term(f).group == group]
            abnormal = [f for f in members if f.status is not Status.ABSENT]
            sentences = [self.sentence(f) for f in self._by_urgency(abnormal)]
            more, plain = self._absences(members, clear=not abnormal)
            sentences += more
            pooled += plain
            if group not in merging[:-1]:
                sentences += self._lists(pooled)
                pooled = []
            sections.append((group, sentences))
        return sections

    def impression(self, findings: Sequence[Finding]) -> list[_Sentence]:
        """Return what the impression says of ``findings``, most urgent first."""
        rules = self.book.impression
        abnormal = [f for f in findings if f.status is not Status.ABSENT]
        urgent = [f for f in abnormal if f.observation in rules.order]
        normal = [f for f in abnormal if f.observation is Observation.NO_FINDING]
        chosen = urgent or normal or abnormal
        if chosen:
            return [self.sentence(f) for f in self._by_urgency(chosen)[: rules.at_most]]
        own, plain = self._absences(findings, clear=True)
        return [*own, *self._lists(plain)][:1]

    def _by_urgency(self, findings: Sequence[Finding]) -> list[Finding]:
        order = self.book.impression.order
        return sorted(
            findings,
            key=lambda f: order.index(f.observation) if f.observation in order else len(order),
        )

    def _term(self, finding: Finding) -> Term:
        return self.book.terms[finding.observation][finding.detail or ""]

    def _absences(
        self, findings: Iterable[Finding], *, clear: bool
    ) -> tuple[list[_Sentence], list[Finding]]:
        """Return the sentences of absences that stand alone, and the plain absences to list."""
        absent = [f for f in findings if f.status is Status.ABSENT]
        plain = [f for f in absent if not (f.side or f.location or f.change)]
        sentences = [self.sentence(f) for f in absent if f not in plain]
        for entry in self.book.together:
            both = [f for f in plain if f.observation in entry.absent and not f.detail]
            if len(both) == len(entry.absent) and self.rng.random() < 0.7:
                template = self.rng.choice(entry.sentences[self.wording])
                sentences.append(_whole(template, both))
                plain = [f for f in plain if f not in both]
        listed = []
        for finding in plain:
            term = self._term(finding)
            own = "absent" in term.sentences and (clear or not term.clears_group)
            if own and self.rng.random() < 0.7:
                sentences.append(self.sentence(finding))
            else:
                listed.append(finding)
        return sentences, listed

    def _lists(self, findings: Sequence[Finding]) -> list[_Sentence]:
        """Return sentences that list plain absences, a few in each."""
        shuffled = self.rng.sample(findings, len(findings))
        chunks = [shuffled[i : i + LONGEST_LIST] for i in range(0, len(shuffled), LONGEST_LIST)]
        return [self._list(chunk) for chunk in chunks]

    def _list(self, findings: Sequence[Finding]) -> _Sentence:
        named = [(self._noun_phrase(finding), finding) for finding in findings]
        if len(named) == 1:
            (phrase, number), finding = named[0]
            template = self.rng.choice(self.book.sentences["absent"][self.wording])
            return self._fill(template, {"np": [(phrase, finding)]}, number)
        pieces: list[Piece] = []
        for i, ((phrase, _), finding) in enumerate(named):
            if i:
                pieces.append((self.book.join["or" if i == len(named) - 1 else "comma"], None))
            pieces.append((phrase, finding))
        template = self.rng.choice(self.book.absent_lists[self.wording])
        return self._fill(template, {"list": pieces}, "mass")

    def sentence(self, finding: Finding) -> _Sentence:
        """Return one sentence that says ``finding`` completely."""
        key = " ".join(filter(None, (finding.status, finding.change)))
        term = self._term(finding)
        templates = self._eligible(term.sentences.get(key), finding)
        templates = templates or self._eligible(self.book.sentences[key], finding)
        template = self.rng.choice(templates)
        slots: dict[str, list[Piece]] = {}
        number: Number = "mass"
        if "{np}" in template:
            phrase, number = self._noun_phrase(finding)
            slots["np"] = [(phrase, finding)]
        words = self.book.severities[finding.severity] if finding.severity else None
        slots["severity"] = [(self.rng.choice(words.adjectives) if words else "", None)]
        slots["severely"] = [(words.adverb if words else "", None)]
        side = self.rng.choice(self.book.sides[finding.side]) if finding.side else ""
        slots["side"] = [(side, None)]
        sentence = self._fill(template, slots, number)
        return sentence if sentence.said else _whole(sentence.text, [finding])

    def _eligible(self, sentences: Sentences | None, finding: Finding) -> list[str]:
        """Return the templates that say everything that ``finding`` says."""

        def says_all(template: str) -> bool:
            slots = set(re.findall(r"{(\w+)}", template))
            if "np" in slots:
                return bool(self._term(finding).nouns)
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

    def _noun_phrase(self, finding: Finding) -> tuple[str, Number]:
        """Return "small right pleural effusion" and the noun's number."""
        term = self._term(finding)
        nouns = (finding.status is Status.ABSENT and term.absent) or term.nouns
        fitting = [
            noun for noun in nouns
            if finding.severity is None or noun.severities is None
            or finding.severity in noun.severities
        ]  # fmt: skip
        number, noun = _number(self.rng.choice(fitting), finding.side is Side.BILATERAL)
        side = self.rng.choice(self.book.sides[finding.side]) if finding.side else ""
        before, after = "", ""
        place = self.book.place(term, finding.location) if finding.location else None
        if place:
            both = finding.side is Side.BILATERAL
            after_forms = [a for a in place.after if not (both and "{side}" in a)]
            if both:
                after_forms += place.both
            forms = [(form, "") for form in place.before] + [("", form) for form in after_forms]
            before, after = self.rng.choice(forms)
            if "{side}" in after or (both and after in place.both) or place.implies:
                after, side = after.replace("{side}", side), ""
        severity = ""
        if finding.severity:
            severity = self.rng.choice(self.book.severities[finding.severity].adjectives)
        phrase = self.book.noun_phrase.format(
            severity=severity, side=side, before=before, noun=noun, after=after
        )
        return " ".join(phrase.split()), number

    def _fill(
        self, template: str, slots: Mapping[str, Sequence[Piece]], number: Number
    ) -> _Sentence:
        """Return ``template`` with its slots filled; a blank slot takes its space along."""
        pieces: list[Piece] = []
        for part in re.split(r"({\w+})", template):
            name = part[1:-1] if part.startswith("{") else ""
            if name in self.book.agreement:
                pieces.append((self.book.agreement[name][number], None))
            elif name:
                pieces += slots[name]
            else:
                pieces.append((part, None))
        text = ""
        said = []
        for i, (piece, finding) in enumerate(pieces):
            following = "".join(p for p, _ in pieces[i + 1 :]).lstrip()
            if piece in self.book.before_vowel and following[:1].lower() in tuple("aeiou"):
                piece = self.book.before_vowel[piece]
            if piece.startswith(" ") and (not text or text.endswith(" ")):
                piece = piece[1:]
            if finding:
                said.append((finding, (len(text), len(text) + len(piece))))
            text += piece
        return _Sentence(text[0].upper() + text[1:], tuple(said))


def _number(noun: Noun, bilateral: bool) -> tuple[Number, str]:
    numbers: tuple[Number, ...] = ("one", "mass", "many")
    if bilateral and noun.many:
        numbers = ("many",)
    return next((number, word) for number in numbers if (word := getattr(noun, number)))


def _whole(text: str, findings: Iterable[Finding]) -> _Sentence:
    span = (0, len(text.rstrip(".")))
    return _Sentence(text, tuple((finding, span) for finding in findings))


Located = list[tuple[tuple[str | None, ...], str, Span]]
"""(statement, sentence, span in the report's text) of each mention."""


def _join_sections(
    sections: Iterable[tuple[str, list[_Sentence]]], book: Phrasebook, style: Style
) -> tuple[str, Located]:
    def labelled() -> Iterator[tuple[str, _Sentence]]:
        for group, sentences in sections:
            heading = f"{book.groups[group]}: " if style.layout == "structured" else ""
            for i, sentence in enumerate(sentences):
                yield ("" if i else heading), sentence

    return _join(labelled(), 0)


def _join(sentences: Iterable[tuple[str, _Sentence]], offset: int) -> tuple[str, Located]:
    """Return the text of (label, sentence) pairs and where it says what, shifted by ``offset``."""
    text = ""
    located: Located = []
    for label, sentence in sentences:
        text += (" " if text else "") + label
        start = offset + len(text)
        for finding, (first, last) in sentence.said:
            span = (start + first, start + last)
            located.append((finding.statement, sentence.text, span))
        text += sentence.text
    return text, located


def _locate(finding: Finding, located: Located) -> Finding:
    mentions = [(sentence, span) for said, sentence, span in located if said == finding.statement]
    return finding.model_copy(
        update={"sentence": mentions[0][0], "spans": tuple(span for _, span in mentions)}
    )
