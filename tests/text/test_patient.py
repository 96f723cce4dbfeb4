"""Plain language for patients: every statement is told, and told apart from every other."""

import itertools
import random
import re

import pytest

from plainfilm.core import (
    Change,
    Finding,
    InputError,
    Observation,
    Report,
    Severity,
    Side,
    Status,
)
from plainfilm.text.reader.lexicon import load_lexicon
from plainfilm.text.writer import write
from plainfilm.text.writer.patient import explain, load_plain_words
from plainfilm.text.writer.phrasebook import load_phrasebook

EFFUSION = Finding(
    observation=Observation.PLEURAL_EFFUSION,
    side=Side.RIGHT,
    severity=Severity.SMALL,
    change=Change.WORSE,
)


def lines(*findings: Finding) -> list[str]:
    text = explain(Report(statements=findings))
    return [line[2:] for line in text.splitlines() if line.startswith("- ")]


def test_it_says_that_it_is_a_draft_and_no_diagnosis() -> None:
    text = explain(Report(statements=(EFFUSION,)))
    assert text.startswith("This is a draft")
    assert "A radiologist (a doctor who reads X-rays) still has to check it" in text
    assert "It is not a diagnosis." in text


def test_a_finding_keeps_side_severity_and_change() -> None:
    assert lines(EFFUSION) == [
        "The X-ray shows fluid around the lung (pleural effusion) on your right side. "
        "This is small. It has become worse since the last X-ray."
    ]


def test_each_status_has_its_heading() -> None:
    statuses = [
        Finding(observation=Observation.EDEMA, status=Status.UNCERTAIN),
        Finding(observation=Observation.PNEUMOTHORAX, status=Status.ABSENT),
        EFFUSION,
    ]
    text = explain(Report(statements=tuple(statuses)))
    shown, unsure, absent = (
        text.index(heading)
        for heading in ("What the X-ray shows:", "What is not certain:", "does not show:")
    )
    assert shown < text.index("pleural effusion") < unsure < text.index("(edema)") < absent
    assert absent < text.index("does not show air between the lung and the chest wall")
    assert "What is not certain" not in explain(Report(statements=(EFFUSION,)))


def test_a_resolved_finding_is_no_longer_shown() -> None:
    gone = Finding(observation=Observation.EDEMA, status=Status.ABSENT, change=Change.RESOLVED)
    assert lines(gone) == [
        "The X-ray no longer shows extra fluid in the lungs (edema). It was there before."
    ]


NORMAL = "The report names no sudden (acute) problem of the heart or lungs."


def test_a_normal_report_is_told_as_no_sudden_problem() -> None:
    stated = Report(statements=(Finding(observation=Observation.NO_FINDING),))
    written = Report(findings="No acute cardiopulmonary abnormality.")
    for report in (stated, written):
        assert explain(report).endswith(f"\n\n{NORMAL}\n")
    assert NORMAL not in explain(Report(findings="Right effusion.", statements=(EFFUSION,)))


def test_a_statement_inside_another_is_told_by_that_one() -> None:
    plain = Finding(observation=Observation.PLEURAL_EFFUSION, side=Side.RIGHT)
    assert lines(plain, EFFUSION) == lines(EFFUSION)
    other_side = plain.model_copy(update={"side": Side.LEFT})
    absent = plain.model_copy(update={"status": Status.ABSENT})
    assert len(lines(other_side, absent, EFFUSION)) == 3


def test_any_two_different_statements_are_told_differently() -> None:
    kinds: list[tuple[Observation, str | None]] = [
        (Observation.LUNG_OPACITY, None),
        (Observation.SUPPORT_DEVICES, "PICC"),
        (Observation.OTHER, "no such thing"),
    ]
    places = [None, "lower lobe", "behind the moon"]
    changes = [c for c in Change if c is not Change.RESOLVED]
    kinds_and_attributes = [
        *itertools.product(
            kinds, Status, places, [None, *Side], [None, *Severity], [None, *changes]
        ),
        *itertools.product(
            [(o, None) for o in Observation if o not in ("No Finding", "Lung Opacity")],
            Status, [None], [None], [None], [None],
        ),
    ]  # fmt: skip
    told: dict[str, tuple[str | None, ...]] = {}
    for (observation, detail), status, place, side, severity, change in kinds_and_attributes:
        finding = Finding.model_construct(
            observation=observation, detail=detail, status=status, location=place, side=side,
            severity=severity, change=change, sentence=None, spans=(), evidence=(),
        )  # fmt: skip
        (line,) = re.findall(
            r"^- (.*)$", explain(Report.model_construct(statements=(finding,), warnings=())), re.M
        )
        assert line not in told, f"{told.get(line)} and {finding.statement} read the same"
        told[line] = finding.statement


def test_what_the_vocabulary_lacks_is_quoted() -> None:
    finding = Finding(
        observation=Observation.OTHER, detail="shrapnel", location="pterion", side=Side.LEFT
    )
    assert lines(finding) == [
        'The X-ray shows something that the report calls "shrapnel" '
        'in the place that the report calls "pterion" on your left side.'
    ]


def test_a_repeated_statement_is_told_once() -> None:
    assert len(lines(EFFUSION, EFFUSION.model_copy(update={"sentence": "again"}))) == 1


def test_what_the_writer_wrote_is_told_completely() -> None:
    findings = [
        EFFUSION,
        Finding(observation=Observation.SUPPORT_DEVICES, detail="PICC", location="right atrium"),
        Finding(observation=Observation.FRACTURE, status=Status.ABSENT),
    ]
    report = write(findings, random.Random(0))
    assert lines(*report.statements) == lines(*findings)
    assert len(lines(*findings)) == 3


def test_warnings_are_passed_on() -> None:
    text = explain(Report(statements=(EFFUSION,), warnings=("The film is simulated.",)))
    assert text.endswith("Please also note:\n- The film is simulated.\n")


def test_a_report_without_statements_is_refused() -> None:
    with pytest.raises(InputError, match=r"cannot explain a report without statements; give them"):
        explain(Report(findings="Small right pleural effusion."))


def test_every_term_and_place_of_the_writer_has_plain_words() -> None:
    book, words = load_phrasebook(), load_plain_words()
    details = {detail for terms in book.terms.values() for detail in terms if detail}
    assert sorted(details - set(words.details)) == []
    places = {place for kind in book.places.values() for place in kind}
    assert sorted(places - set(words.places)) == []


def test_few_terms_of_the_reader_have_to_be_quoted() -> None:
    details = {rule.detail for rule in load_lexicon().rules if rule.detail}
    lacking = sorted(details - set(load_plain_words().details))
    assert len(lacking) <= 0.05 * len(details), lacking


def test_plain_words_tell_terms_apart() -> None:
    words = load_plain_words()
    for plain in (words.details, words.places, words.severities, words.changes, words.sides):
        assert len(set(plain.values())) == len(plain)


def test_it_reads_at_eighth_grade_or_below() -> None:
    words = load_plain_words()
    findings = [Finding(observation=o) for o in Observation]
    findings += [
        Finding(observation=Observation.OTHER, detail=d, side=Side.LEFT) for d in words.details
    ]
    text = re.sub(r"\([^)]*\)", "", explain(Report(statements=tuple(findings))))
    sentences = [s for s in re.split(r"[.:]\s", text) if s.strip()]
    tokens = re.findall(r"[A-Za-z]+(?:-[a-z]+)?", text)
    syllables = sum(_syllables(token) for token in tokens)
    # Flesch-Kincaid grade level (Kincaid et al. 1975)
    grade = 0.39 * len(tokens) / len(sentences) + 11.8 * syllables / len(tokens) - 15.59
    assert grade <= 8, f"grade {grade:.1f}"


def _syllables(word: str) -> int:
    vowels = len(re.findall(r"[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith("le")
    return max(1, vowels - silent)
