"""Reading what was written gives back what was put in.

Up to these normalisations, and no others:

- No Finding is no statement of its own to the reader: it is compared through ``labels``.
- The lingula is left, the middle lobe and the main bronchus that has a place right, said or not.
- An apical cap is at the apex, said or not.
- A removed device is read as absent, without a change.
- Statements that differ only in how they are located are one.
"""

import random
import re
from collections.abc import Iterator

import pytest

from plainfilm.core import Change, Finding, Observation, Side, Status
from plainfilm.text import labels, read
from plainfilm.text.writer import STYLES, Style, write
from plainfilm.text.writer.choice import Choice
from plainfilm.text.writer.phrasebook import IMPRESSION, Term, load_phrasebook

Statement = tuple[str | None, ...]
BOOK = load_phrasebook()


def statements(findings: Iterator[Finding] | list[Finding] | tuple[Finding, ...]) -> set[Statement]:
    return {
        _with_what_goes_without_saying(finding).statement
        for finding in findings
        if finding.observation is not Observation.NO_FINDING
    }


def _with_what_goes_without_saying(finding: Finding) -> Finding:
    sides = {"lingula": Side.LEFT, "middle lobe": Side.RIGHT, "main bronchus": Side.RIGHT}
    side = finding.side or sides.get(finding.location or "")
    location = "apex" if finding.detail == "apical cap" else finding.location
    device = finding.observation is Observation.SUPPORT_DEVICES
    change = None if device and finding.change is Change.RESOLVED else finding.change
    return finding.model_copy(update={"side": side, "location": location, "change": change})


def term_findings(observation: Observation, detail: str, term: Term) -> Iterator[Finding]:
    """Yield findings of ``term`` with every status and each attribute it takes."""
    named = Finding(observation=observation, detail=detail or None)
    places = [(name, p) for kind in term.places for name, p in BOOK.places[kind].items()]
    for status in term.statuses:
        stated = named.model_copy(update={"status": status})
        yield stated
        for side in term.sides:
            if not (status is Status.ABSENT and side is Side.BILATERAL):
                yield stated.model_copy(update={"side": side})
        for name, place in places:
            for side in (
                [place.only or place.implies]
                if place.only or place.implies
                else [None, *term.sides]
            ):
                if not (status is Status.ABSENT and side is Side.BILATERAL) and (
                    side is None or side in term.sides
                ):
                    yield stated.model_copy(update={"location": name, "side": side})
        if status is Status.ABSENT:
            if Change.RESOLVED in term.changes:
                yield stated.model_copy(update={"change": Change.RESOLVED})
            continue
        for severity in term.severities:
            yield stated.model_copy(update={"severity": severity})
        for change in term.changes:
            if change is not Change.RESOLVED:
                yield stated.model_copy(update={"change": change})


def every_finding() -> list[Finding]:
    return [
        finding
        for observation, terms in BOOK.terms.items()
        if observation is not Observation.NO_FINDING
        for detail, term in terms.items()
        for finding in term_findings(observation, detail, term)
    ]


def random_findings(rng: random.Random) -> list[Finding]:
    """Return findings of some observations that can stand in one report."""
    findings = []
    for observation, terms in BOOK.terms.items():
        if observation is Observation.NO_FINDING or rng.random() > 0.35:
            continue
        detail = rng.choice(list(terms))
        findings += _random_findings(observation, detail, terms[detail], rng)
    rng.shuffle(findings)
    return findings


def _random_findings(
    observation: Observation, detail: str, term: Term, rng: random.Random
) -> list[Finding]:
    weights = {Status.PRESENT: 4, Status.ABSENT: 4, Status.UNCERTAIN: 2}
    status = rng.choices(term.statuses, [weights[s] for s in term.statuses])[0]
    severity = rng.choice([None, *term.severities])
    change = rng.choice([None, None, *(c for c in term.changes if c is not Change.RESOLVED)])
    side = rng.choice([None, *term.sides])
    places = {name: p for kind in term.places for name, p in BOOK.places[kind].items()}
    location = rng.choice([None, *places]) if rng.random() < 0.6 else None
    if location and (only := places[location].only or places[location].implies):
        side = only
    if status is Status.ABSENT:
        gone = [Change.RESOLVED] if Change.RESOLVED in term.changes else []
        severity, change = None, rng.choice([None, None, None, *gone])
        plain = rng.random() < 0.8 or side is Side.BILATERAL
        side, location = (None, None) if plain else (side, location)
    finding = Finding(
        observation=observation,
        detail=detail or None,
        status=status,
        location=location,
        side=side,
        severity=severity,
        change=change,
    )
    if side is Side.RIGHT and status is not Status.ABSENT and not location and rng.random() < 0.3:
        other = {"side": Side.LEFT, "severity": rng.choice([None, *term.severities])}
        return [finding, finding.model_copy(update=other)]
    return [finding]


def difference(findings: list[Finding], style: Style, rng: random.Random) -> str:
    """Return what reading back adds or loses, or "" if nothing."""
    report = write(findings, rng, style)
    put_in, got = statements(report.statements), statements(read(report.text))
    if put_in == got:
        return ""
    lost = ["; ".join(filter(None, map(str, s))) for s in sorted(put_in - got, key=str)]
    added = ["; ".join(filter(None, map(str, s))) for s in sorted(got - put_in, key=str)]
    return f"{report.text!r}\n    lost: {lost}\n    read instead: {added}"


def test_each_finding_alone_is_read_back() -> None:
    failures = []
    for finding in every_finding():
        for seed in range(4):
            style = list(STYLES.values())[seed % len(STYLES)]
            if found := difference([finding], style, random.Random(seed)):
                failures.append(found)
    assert not failures, f"{len(failures)} of them:\n" + "\n".join(failures[:40])


@pytest.mark.parametrize("name", STYLES)
def test_random_reports_are_read_back(name: str) -> None:
    failures = []
    for seed in range(600):
        rng = random.Random(seed)
        if found := difference(random_findings(rng), STYLES[name], rng):
            failures.append(found)
    assert not failures, f"{len(failures)} of 600:\n" + "\n".join(failures[:40])


def test_no_finding_is_read_back_as_a_label() -> None:
    normal = Finding(observation=Observation.NO_FINDING)
    absent = Finding(observation=Observation.PNEUMOTHORAX, status=Status.ABSENT)
    pacemaker = Finding(observation=Observation.SUPPORT_DEVICES, detail="pacemaker")
    for beside in ([], [absent], [pacemaker], [absent, pacemaker]):
        for seed, style in enumerate(list(STYLES.values()) * 4):
            report = write([normal, *beside], random.Random(seed), style)
            read_labels = labels(report.text)
            assert read_labels.pop(Observation.NO_FINDING) is Status.PRESENT, report.text
            assert read_labels == {f.observation: f.status for f in beside}, report.text


def test_the_generator_of_findings_is_not_tame() -> None:
    drawn = [random_findings(random.Random(seed)) for seed in range(300)]
    assert {f.observation for fs in drawn for f in fs} == set(Observation) - {"No Finding"}
    assert {f.change for fs in drawn for f in fs} == {None, *Change}
    assert max(map(len, drawn)) > 8


def test_remarks_name_no_finding_under_their_headings_either() -> None:
    book = load_phrasebook()
    for name, remark in book.remarks.items():
        headings = ["Impression"]
        if remark.group != IMPRESSION:
            headings = re.sub("[<>]", "", book.groups[remark.group]).split("|")
        for seed, template in enumerate({t for s in remark.sentences.values() for t in s}):
            for heading in headings:
                sentence = " ".join(Choice(random.Random(seed), 0).expand(template).split())
                assert read(f"{heading}: {sentence}") == [], (name, heading, sentence)
