"""Metrics of matched findings, computed for each report, without a neural network.

Both reports are read into findings and compared by :mod:`plainfilm.text.matching`; the error table
counts the same differences. Each metric is a mean over reports or computed from sums over them, so
that each can serve as a reward.

Two empty texts are undefined. An unreadable prediction (empty, a loop, another language) gets the
worst value, whatever its reference says.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from plainfilm.core import Change, Finding, Observation
from plainfilm.metrics.clinical import labeler, matcher
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import HALF, Array, Statistics, mean_of, ratio
from plainfilm.text.contradictions import Contradiction
from plainfilm.text.matching import Kind, Mark, Matching
from plainfilm.text.statements import Statement, name_of

COUNTED = (*Kind, "contradiction", "unreadable")
"""Kinds of error that are counted."""

_WRONG = ("hallucinated", "omitted", "contradicted", "differs")


def error_score(pairs: Pairs, *, significant: bool) -> Statistics:
    """Return the mean of 1 / (1 + errors) over reports; its parts are the errors by kind.

    The kinds are those that CheXprompt has a language model count (Zambrano Chaves et al. 2024):
    false and omitted findings, wrong place, wrong severity, invented and omitted comparisons, each
    clinically significant or not; and in addition wrong certainty, contradictions and an
    unreadable report. In UniRG's reward this value has weight one half.

    Args:
        pairs: the reports.
        significant: count only errors that would usually change the patient's management.
    """
    rows = []
    for report in _reports(pairs):
        counts = _errors(report)
        counted = counts[:, 1] if significant else counts.sum(axis=1)
        value = 0.0 if report.unreadable or report.empty else 1 / (1 + counted.sum())
        rows.append([value, not report.empty, report.empty, *counts.ravel()])
    return Statistics(
        rows=np.array(rows, dtype=np.float64),
        value=lambda totals: ratio(totals[..., 0], totals[..., 1]),
        parts=_error_parts,
        undefined=lambda totals: int(totals[2]),
        protocol=_protocol(pairs, "errors"),
    )


def _errors(report: "_Report") -> Array:
    """Return a report's number of errors of each kind: (kinds, [insignificant, significant])."""
    counts = np.zeros((len(COUNTED), 2))
    place = {kind: number for number, kind in enumerate(COUNTED)}
    for difference in report.matching.differences:
        counts[place[difference.kind], int(difference.significant)] += 1
    for found in report.contradictions:
        counts[place["contradiction"], int(found.significant)] += 1
    counts[place["unreadable"], 1] += report.unreadable
    return counts


def _error_parts(totals: Array) -> dict[str, float]:
    reports = totals[1] + totals[2]
    counts = totals[3:].reshape(len(COUNTED), 2) / reports
    found = {"errors": counts.sum(), "significant errors": counts[:, 1].sum()}
    for number, kind in enumerate(COUNTED):
        found[str(kind)] = counts[number].sum()
        found[f"{kind}, significant"] = counts[number, 1]
    return {name: float(value) for name, value in found.items()}


def matched_findings(pairs: Pairs) -> Statistics:
    """Return matched / (matched + significant errors), mean over reports: GREEN's formula.

    Matched are the statements, including denials, that both reports make without a significant
    error. GREEN (Ostmeier et al. 2024) has a language model count both; here the reader does, so
    the values differ from GREEN's.
    """

    def value(report: _Report) -> float:
        if report.unreadable:
            return 0.0
        matched = report.matching.matched
        wrong = report.matching.significant + sum(one.significant for one in report.contradictions)
        return matched / (matched + wrong) if matched + wrong else math.nan

    return _mean(pairs, value, "matched")


def finding_match(pairs: Pairs) -> Statistics:
    """Return the F1 of abnormal findings with partial credit, mean over reports.

    Findings are paired as in the error table. A pair's credit is the share of the reference's
    attributes of the finding (presence, side, place, grade or size, certainty, change) that the
    prediction does not contradict. Undefined if neither report mentions anything abnormal.
    """

    def value(report: _Report) -> float:
        matching = report.matching
        mentions = len(matching.reference.mentions) + len(matching.prediction.mentions)
        if not mentions:
            return math.nan
        wrong: dict[int, set[Kind]] = {}
        for difference in matching.differences:
            for index in difference.prediction:
                wrong.setdefault(index, set()).add(difference.kind)
        credit = sum(_credit(one, other, wrong) for one, other in matching.pairs)
        return 2 * credit / mentions

    return _mean(pairs, value, "partial credit")


def _credit(truth: Statement, said: Statement, wrong: Mapping[int, set[Kind]]) -> float:
    """Return the share of the attributes of ``truth`` that ``said`` does not contradict."""
    told = {
        Kind.CERTAINTY: True,
        Kind.PLACE: bool(truth.side or truth.places),
        Kind.SEVERITY: bool(truth.ranks or truth.sizes_mm),
        Kind.COMPARISON: bool(truth.changes),
    }
    kinds = set().union(*(wrong.get(index, set()) for index in said.findings))
    stated = [kind for kind, there in told.items() if there or kind in kinds]
    return (1 + sum(kind not in kinds for kind in stated)) / (1 + len(stated))


def sentence_score(pairs: Pairs, *, measure: Literal["precision", "recall", "f1"]) -> Statistics:
    """Return the share of sentences that the other report supports, summed over reports.

    Precision is over the prediction's sentences, recall over the reference's. A sentence is
    supported if each of its findings is in the other report with no conflicting attribute.
    Sentences without a finding, and denials of something the other report does not mention, are
    left out.
    """
    rows = []
    for matching in pairs.matchings:
        of_truth, of_said = matching.marks()
        rows.append(
            [
                *_judged(matching.prediction.findings, of_said),
                *_judged(matching.reference.findings, of_truth),
            ]
        )

    def value(totals: Array) -> Array:
        right, wrong, covered, lacking = np.moveaxis(totals, -1, 0)
        precision, recall = ratio(right, right + wrong), ratio(covered, covered + lacking)
        if measure == "precision":
            return precision
        if measure == "recall":
            return recall
        either = (right + wrong + covered + lacking) > 0
        both = np.nan_to_num(precision) + np.nan_to_num(recall)
        product = 2 * np.nan_to_num(precision) * np.nan_to_num(recall)
        mean = np.divide(product, both, out=np.zeros(both.shape), where=both > 0)
        return np.where(either, mean, np.nan)

    return Statistics(
        rows=np.array(rows, dtype=np.float64).reshape(len(pairs), 4),
        value=value,
        protocol=_protocol(pairs, "sentences"),
        pseudo=lambda totals: np.full(4, HALF),
    )


def _judged(findings: Iterable[Finding], marks: Iterable[Mark | None]) -> tuple[int, int]:
    """Return the numbers of supported and of unsupported sentences."""
    words: dict[str, list[str]] = {}
    for number, (finding, mark) in enumerate(zip(findings, marks, strict=True)):
        if mark is not None:
            words.setdefault(finding.sentence or f"\0{number}", []).append(mark.word)
    wrong = sum(any(word in _WRONG for word in said) for said in words.values())
    return len(words) - wrong, wrong


def temporal_f1(pairs: Pairs) -> Statistics:
    """Return the F1 of changes since the prior study, mean over reports.

    A change is a pair such as (edema, worse). Two reports without any change score 1.
    """

    def value(report: _Report) -> float:
        if report.unreadable:
            return 0.0
        matching = report.matching
        stated, claimed = (
            _changes(said.findings) for said in (matching.reference, matching.prediction)
        )
        both = len(stated) + len(claimed)
        return 2 * len(stated & claimed) / both if both else 1.0

    return _mean(pairs, value, "changes")


def _changes(findings: Iterable[Finding]) -> set[tuple[str, Change]]:
    return {
        (name_of(finding), finding.change)
        for finding in findings
        if finding.change is not None and finding.observation is not Observation.NO_FINDING
    }


class _Report(NamedTuple):
    """The comparison of one pair of reports."""

    matching: Matching
    contradictions: Sequence[Contradiction]
    unreadable: bool
    empty: bool
    """Whether both texts are empty."""


def _reports(pairs: Pairs) -> Iterator[_Report]:
    for matching, contradictions, unreadable, reference, prediction in zip(
        pairs.matchings,
        pairs.contradictions,
        pairs.unreadable,
        pairs.references,
        pairs.predictions,
        strict=True,
    ):
        empty = not reference.strip() and not prediction.strip()
        yield _Report(matching, contradictions, unreadable is not None, empty)


def _mean(pairs: Pairs, value: Callable[[_Report], float], what: str) -> Statistics:
    """Return the mean over reports of a value; pairs of empty texts are left out."""
    values = [math.nan if report.empty else value(report) for report in _reports(pairs)]
    return mean_of(np.array(values), **_protocol(pairs, what))


def _protocol(pairs: Pairs, what: str) -> dict[str, str]:
    return {"labels": f"findings,{what},{matcher()}", "labeler": labeler(pairs.language),
            "undefined": "left-out"}  # fmt: skip
