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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from plainfilm.core import Finding, InputError, Observation, Report, Span, Status, Word
from plainfilm.text.writer.composer import SHARED, Composer, Sentence
from plainfilm.text.writer.consistency import check, check_together
from plainfilm.text.writer.phrasebook import Phrasebook, Wording, load_phrasebook


class Style(Word):
    """How an institution writes.

    ``order`` names the groups in the order they are written; those left out follow.
    """

    layout: Literal["prose", "structured"] = "prose"
    wording: Wording = "wordy"
    impression: bool = True
    comparison: bool = True
    order: tuple[str, ...] = ()
    language: str = "en"


STYLES: Mapping[str, Style] = {
    "teaching": Style(),
    "community": Style(wording="terse", order=("heart", "lungs", "pleura", "bones", "devices")),
    "structured": Style(layout="structured", wording="terse"),
    "checklist": Style(layout="structured", wording="wordy", comparison=False),
    "emergency": Style(wording="terse", impression=False, comparison=False),
}
"""Ready-made styles, as of different institutions."""


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
    check_together(given, book)
    distinct = list({finding.statement: finding for finding in given}.values())
    told = [f for f in distinct if f.observation is not Observation.NO_FINDING]
    if not told or not style.impression:
        told = distinct
    composer = Composer(book, rng, style.wording)
    merge = style.layout == "prose" and rng.random() < SHARED
    sections = _sections(composer, told, order, merge=merge)
    findings_text, located = _join_sections(sections, book, style)
    impression_text = ""
    if style.impression:
        sentences = _impression(Composer(book, rng, "terse"), distinct)
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


def _sections(
    composer: Composer, findings: Sequence[Finding], order: Sequence[str], *, merge: bool
) -> list[tuple[str, list[Sentence]]]:
    """Return (group, sentences) in order; ``merge`` lets the absences of groups share one."""
    pooled: list[Finding] = []
    sections = []
    merging = [group for group in order if group in composer.book.absences_merge] if merge else []
    for group in order:
        members = [f for f in findings if composer.term(f).group == group]
        abnormal = [f for f in members if f.status is not Status.ABSENT]
        sentences = composer.state(_by_urgency(abnormal, composer.book))
        own, plain = composer.deny(members, clear=not abnormal)
        sentences += own
        pooled += plain
        if group not in merging[:-1]:
            sentences += composer.list_absences(pooled)
            pooled = []
        sections.append((group, sentences))
    return sections


def _impression(composer: Composer, findings: Sequence[Finding]) -> list[Sentence]:
    """Return what the impression says of ``findings``, most urgent first."""
    rules = composer.book.impression
    abnormal = [f for f in findings if f.status is not Status.ABSENT]
    urgent = [f for f in abnormal if f.observation in rules.order]
    normal = [f for f in abnormal if f.observation is Observation.NO_FINDING]
    chosen = urgent or normal or abnormal
    if chosen:
        return composer.state(_by_urgency(chosen, composer.book)[: rules.at_most])
    own, plain = composer.deny(findings, clear=True)
    return [*own, *composer.list_absences(plain)][:1]


def _by_urgency(findings: Sequence[Finding], book: Phrasebook) -> list[Finding]:
    order = book.impression.order
    last = len(order)
    return sorted(
        findings, key=lambda f: order.index(f.observation) if f.observation in order else last
    )


Located = list[tuple[tuple[str | None, ...], str, Span]]
"""(statement, sentence, span in the report's text) of each mention."""


def _join_sections(
    sections: Iterable[tuple[str, list[Sentence]]], book: Phrasebook, style: Style
) -> tuple[str, Located]:
    def labelled() -> Iterator[tuple[str, Sentence]]:
        for group, sentences in sections:
            heading = f"{book.groups[group]}: " if style.layout == "structured" else ""
            for i, sentence in enumerate(sentences):
                yield ("" if i else heading), sentence

    return _join(labelled(), 0)


def _join(sentences: Iterable[tuple[str, Sentence]], offset: int) -> tuple[str, Located]:
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
