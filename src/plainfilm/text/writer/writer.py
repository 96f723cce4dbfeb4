"""The writer: findings to report text in natural radiology language.

:func:`write` says each finding once in the findings section and restates the urgent ones in the
impression; it adds nothing. Terms, sentences and the order of urgency are data:
``language/<language>.yaml``, ``_terms.yaml`` and ``_remarks.yaml``.

The rules:

- Findings are grouped (devices, heart, lungs, pleura, bones, other, or in the style's order),
  abnormal ones first, then absent ones. Plain absences may share a sentence.
- "No acute cardiopulmonary abnormality" is written only for a given ``No Finding``; "the lungs are
  clear" only for a given absence of Lung Opacity. No findings give an empty report.
- The impression restates the most urgent present and uncertain findings with all their details;
  a misplaced device is urgent. If there are none: No Finding if given, else what is not urgent
  (including devices), else the absences.
- Remarks name no finding: a normal trachea, a limitation of the film, advice. Those of the
  impression come at its end, the others at the end of their group.
- A style without comparison omits every ``change``, in the text and in the statements;
  a resolved finding then becomes an absent one.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from plainfilm.core import Finding, InputError, Observation, Report, Span, Status, Word
from plainfilm.text.writer.choice import Choice
from plainfilm.text.writer.composer import SHARED, Composer, Memory, Sentence
from plainfilm.text.writer.consistency import check, check_remarks, check_together, misplaced
from plainfilm.text.writer.phrasebook import (
    IMPRESSION,
    MISPLACED,
    Phrasebook,
    Wording,
    load_phrasebook,
)


class Style(Word):
    """How an institution writes.

    ``order`` lists groups in the order in which they are written; the others follow. ``dialect`` is
    a number that determines the choice of words: of several phrases with the same meaning, each
    dialect has favourites, which it uses more often than the others. 0 has none.
    """

    layout: Literal["prose", "structured"] = "prose"
    wording: Wording = "wordy"
    impression: bool = True
    comparison: bool = True
    order: tuple[str, ...] = ()
    dialect: int = Field(default=0, ge=0)
    language: str = "en"


STYLES: Mapping[str, Style] = {
    "teaching": Style(dialect=11),
    "community": Style(
        wording="terse", order=("heart", "lungs", "pleura", "bones", "devices"), dialect=12
    ),
    "structured": Style(layout="structured", wording="terse", dialect=13),
    "checklist": Style(layout="structured", wording="wordy", comparison=False, dialect=14),
    "emergency": Style(wording="terse", impression=False, comparison=False, dialect=15),
}
"""Ready-made styles, as of different institutions."""


def write(
    findings: Sequence[Finding],
    rng: random.Random,
    style: Style | None = None,
    *,
    remarks: Sequence[str] = (),
    template: bool = False,
) -> Report:
    """Return a report that says ``findings`` and nothing else.

    Args:
        findings: what to say; their sentences and spans are ignored.
        rng: picks among phrasings; the same state writes the same report.
        style: how the institution writes; ``Style()`` if None.
        remarks: names of remarks in the phrasebook.
        template: whether normal findings are always worded alike, with the favourites of the
            style's dialect, so that all reports of a normal film are the same text.

    Returns:
        The report. Its statements are the given findings in their order, with the first sentence
        that says each and the spans of its words in ``report.text`` (findings, then impression).

    Raises:
        InputError: a finding cannot be expressed (unknown detail or place, a severity, side or
            change that it does not take), a remark is unknown, or two of them contradict each
            other.
    """
    style = style or Style()
    book = load_phrasebook(style.language)
    order = (*style.order, *(group for group in book.groups if group not in style.order))
    if unknown := sorted(set(order) - set(book.groups)):
        raise InputError(f"no such groups: {unknown}; a style orders {', '.join(book.groups)}")
    given = [_plain(finding, style) for finding in findings]
    for finding in given:
        check(finding, book)
    check_together(given, book)
    check_remarks(remarks, given, book)
    distinct = list({finding.statement: finding for finding in given}.values())
    told = [f for f in distinct if f.observation is not Observation.NO_FINDING]
    if not told or not style.impression:
        told = distinct
    free, fixed = Choice(rng, style.dialect), Choice(None, style.dialect)
    memory = Memory()
    composers = Composers(
        Composer(book, free, style.wording, memory),
        Composer(book, fixed if template else free, style.wording, memory),
    )
    merge = style.layout == "prose" and composers.normal.choice.chance(SHARED, "merge")
    sections = _sections(composers, told, order, remarks, merge=merge)
    findings_text, located = _join_sections(sections, book, style)
    impression_text = ""
    if style.impression:
        wording: Wording = "wordy" if fixed.chance(WORDY_IMPRESSION, "impression") else "terse"
        composers = Composers(*(Composer(book, one.choice, wording, memory) for one in composers))
        sentences = _impression(composers, distinct, remarks)
        numbered = style.layout == "structured" and len(sentences) > 1
        labels = [f"{n}. " if numbered else "" for n in range(1, len(sentences) + 1)]
        impression_text, more = _join(zip(labels, sentences, strict=True), len(findings_text) + 1)
        located += more
    return Report(
        findings=findings_text,
        impression=impression_text,
        statements=tuple(_locate(finding, located) for finding in given),
    )


WORDY_IMPRESSION = 0.25
"""Share of dialects that write whole sentences in the impression."""


class Composers(NamedTuple):
    """The composers of abnormal and of normal findings."""

    abnormal: Composer
    normal: Composer


def _plain(finding: Finding, style: Style) -> Finding:
    change = finding.change if style.comparison else None
    return finding.model_copy(update={"change": change, "sentence": None, "spans": ()})


def _sections(
    composers: Composers,
    findings: Sequence[Finding],
    order: Sequence[str],
    remarks: Sequence[str],
    *,
    merge: bool,
) -> list[tuple[str, list[Sentence]]]:
    """Return (group, sentences) in order; ``merge`` lets the absences of groups share one."""
    book = composers.normal.book
    pooled: list[Finding] = []
    sections = []
    merging = [group for group in order if group in book.absences_merge] if merge else []
    for group in order:
        members = [f for f in findings if composers.normal.term(f).group == group]
        abnormal = [f for f in members if f.status is not Status.ABSENT]
        sentences = composers.abnormal.state(_by_urgency(abnormal, book))
        own, plain = composers.normal.deny(members, clear=not abnormal)
        sentences += own
        pooled += plain
        if group not in merging[:-1]:
            sentences += composers.normal.list_absences(pooled)
            pooled = []
        own_remarks = [name for name in remarks if book.remarks[name].group == group]
        sentences += [composers.normal.remark(name) for name in own_remarks]
        sections.append((group, sentences))
    return sections


def _impression(
    composers: Composers, findings: Sequence[Finding], remarks: Sequence[str]
) -> list[Sentence]:
    """Return the impression's sentences on ``findings``, most urgent first, and its remarks."""
    book = composers.normal.book
    abnormal = [f for f in findings if f.status is not Status.ABSENT]
    urgent = [f for f in abnormal if _urgency(f, book) is not None]
    normal = [f for f in abnormal if f.observation is Observation.NO_FINDING]
    chosen = urgent or normal or abnormal
    if chosen:
        composer = composers.normal if chosen is normal else composers.abnormal
        sentences = composer.state(_by_urgency(chosen, book))[: book.impression.at_most]
    else:
        own, plain = composers.normal.deny(findings, clear=True)
        sentences = [*own, *composers.normal.list_absences(plain)][:1]
    closing = [name for name in remarks if book.remarks[name].group == IMPRESSION]
    return sentences + [composers.abnormal.remark(name) for name in closing]


def _urgency(finding: Finding, book: Phrasebook) -> int | None:
    """Return the rank of a finding in the order of urgency; None if it isn't urgent."""
    order = book.impression.order
    if misplaced(finding, book):
        return order.index(MISPLACED)
    names = (finding.detail, finding.observation)
    return next((order.index(name) for name in names if name in order), None)


def _by_urgency(findings: Sequence[Finding], book: Phrasebook) -> list[Finding]:
    def place(finding: Finding) -> int:
        urgency = _urgency(finding, book)
        return len(book.impression.order) if urgency is None else urgency

    return sorted(findings, key=place)


Located = list[tuple[tuple[str | None, ...], str, Span]]
"""(statement, sentence, span in the report's text) of each mention."""


def _join_sections(
    sections: Iterable[tuple[str, list[Sentence]]], book: Phrasebook, style: Style
) -> tuple[str, Located]:
    headings, structured = Choice(None, style.dialect), style.layout == "structured"

    def labelled() -> Iterator[tuple[str, Sentence]]:
        for group, sentences in sections:
            heading = f"{headings.expand(book.groups[group])}: " if structured else ""
            for i, sentence in enumerate(sentences):
                yield ("" if i else heading), sentence

    return _join(labelled(), 0)


def _join(sentences: Iterable[tuple[str, Sentence]], offset: int) -> tuple[str, Located]:
    """Return the text of (label, sentence) pairs and the position of each mention + ``offset``."""
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
