"""Error table: what is wrong with each report, and how often over a set.

Both reports are read into findings and compared observation by observation ("Other" by its finer
term); present and uncertain both count as mentioned. The kinds are those that clinical error
tables of this field count: hallucinated and omitted findings, each in two grades, wrong side or
place, wrong severity, wrong or invented comparison, and a report that contradicts itself.

An error of a finding that usually changes what is done next (:data:`GRAVE`) is major, or critical
when omitted, unless both its grade is slight and it is no pneumothorax; any other is minor. That
line is a convention of this table, not a radiologist's judgement of the case.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from plainfilm.core import Change, Finding, Observation, Score, Severity, Status
from plainfilm.metrics.bootstrap import Bootstrap
from plainfilm.metrics.clinical import labeler
from plainfilm.metrics.finding import sides
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.scoring import signature
from plainfilm.metrics.statistics import mean_of


class ErrorKind(StrEnum):
    """What can be wrong with a report."""

    HALLUCINATED_MAJOR = "hallucinated finding (major)"
    HALLUCINATED_MINOR = "hallucinated finding (minor)"
    OMITTED_CRITICAL = "omitted finding (critical)"
    OMITTED_MINOR = "omitted finding (minor)"
    WRONG_PLACE = "wrong side or place"
    WRONG_SEVERITY = "wrong severity"
    WRONG_COMPARISON = "wrong or invented comparison"
    CONTRADICTION = "contradiction inside the report"


ACCURATE = "fully accurate"
"""The row of reports without any error."""

ROWS: tuple[str, ...] = (ACCURATE, *ErrorKind)
"""The rows of the table."""

GRAVE = frozenset(
    {
        Observation.ENLARGED_CARDIOMEDIASTINUM,
        Observation.LUNG_LESION,
        Observation.EDEMA,
        Observation.CONSOLIDATION,
        Observation.PNEUMONIA,
        Observation.PNEUMOTHORAX,
        Observation.PLEURAL_EFFUSION,
        Observation.FRACTURE,
    }
)
"""Observations whose error is grave."""

_RANK = {
    Severity.TRACE: 0,
    Severity.SMALL: 1,
    Severity.MILD: 1,
    Severity.MODERATE: 2,
    Severity.LARGE: 3,
    Severity.SEVERE: 3,
}
"""Amounts and grades on one scale: small is mild, large is severe."""

_SLIGHT = 1

_LIMITING = re.compile(
    r"\b(?:acute|additional|definite|focal|gross|large|new|obvious|other|overt|significant|sizable|suspicious)\b",
    re.IGNORECASE,
)
"""Words that limit what a sentence denies."""


@dataclass(frozen=True)
class ReportError:
    """One error of one report."""

    kind: ErrorKind
    what: str
    """The finding, and what was said against what is so."""


@dataclass(frozen=True)
class ErrorTable:
    """The errors of every report of a set."""

    errors: Mapping[str, tuple[ReportError, ...]]
    """Report id → its errors, none for an accurate report."""

    def reports(self, kind: ErrorKind | str) -> list[str]:
        """Return the ids of reports with an error of ``kind``, or of the accurate ones."""
        if kind == ACCURATE:
            return [key for key, errors in self.errors.items() if not errors]
        wanted = ErrorKind(kind)
        return [
            key
            for key, errors in self.errors.items()
            if any(error.kind is wanted for error in errors)
        ]

    def shares(self) -> dict[str, float]:
        """Return each row's share of all reports; a report counts in every row it belongs to."""
        return {row: len(self.reports(row)) / len(self.errors) for row in ROWS}

    def scores(
        self, pairs: Pairs, *, section: str | None = None, split: str | None = None
    ) -> dict[str, Score]:
        """Return each row's share of ``pairs``, with its interval and signature.

        Args:
            pairs: the reports that the table was made of.
            section: the text that was read, for the signature.
            split: the data that was read, for the signature.
        """
        members = {row: set(self.reports(row)) for row in ROWS}
        measured = {
            row: mean_of(
                np.array([key in members[row] for key in self.errors], dtype=np.float64),
                labeler=labeler(pairs.language),
            )
            for row in ROWS
        }
        bootstrap = Bootstrap()
        intervals = bootstrap.intervals(measured)
        return {
            row: Score(
                value=float(found.value(found.totals)),
                interval=intervals[row],
                interval_method=str(bootstrap),
                signature=signature(
                    f"share of reports: {row}", found, pairs, section=section, split=split
                ),
            )
            for row, found in measured.items()
        }

    def to_dict(self, shares: Mapping[str, Score], *, only: str | None = None) -> dict[str, object]:
        """Return the shares and each report's errors for JSON; of the reports of one row if asked.

        Args:
            shares: what :meth:`scores` returned.
            only: the row whose reports are wanted.
        """
        wanted = self.errors if only is None else self.reports(only)
        return {
            "shares": {row: share.to_dict() for row, share in shares.items()},
            "reports": {
                key: [{"kind": error.kind, "what": error.what} for error in self.errors[key]]
                for key in wanted
            },
        }


def error_table(pairs: Pairs) -> ErrorTable:
    """Return the errors of each prediction against its reference."""
    return ErrorTable(
        {
            key: tuple(_errors(reference, prediction, text))
            for key, reference, prediction, text in zip(
                pairs.ids, *pairs.findings, pairs.predictions, strict=True
            )
        }
    )


def _errors(
    reference: Sequence[Finding], prediction: Sequence[Finding], text: str
) -> Iterator[ReportError]:
    """Yield the errors of ``prediction``, which was read from ``text``."""
    truth, said = _by_name(reference), _by_name(prediction)
    for name in sorted(said.keys() - truth.keys()):
        grave = _is_grave(said[name])
        yield ReportError(
            ErrorKind.HALLUCINATED_MAJOR if grave else ErrorKind.HALLUCINATED_MINOR, name
        )
    for name in sorted(truth.keys() - said.keys()):
        grave = _is_grave(truth[name])
        yield ReportError(ErrorKind.OMITTED_CRITICAL if grave else ErrorKind.OMITTED_MINOR, name)
    for name in sorted(said.keys() & truth.keys()):
        yield from _attribute_errors(name, truth[name], said[name])
    yield from _comparison_errors(reference, prediction)
    yield from _contradictions(text, prediction)


def _by_name(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Return the mentioned findings by what they are about."""
    named = defaultdict(list)
    for finding in findings:
        if (
            finding.status is not Status.ABSENT
            and finding.observation is not Observation.NO_FINDING
        ):
            named[_name(finding)].append(finding)
    return dict(sorted(named.items()))


def _name(finding: Finding) -> str:
    if finding.observation is Observation.OTHER:
        return finding.detail or str(finding.observation)
    return str(finding.observation)


def _is_grave(findings: Sequence[Finding]) -> bool:
    return any(
        finding.observation in GRAVE
        and (
            finding.observation is Observation.PNEUMOTHORAX
            or finding.severity is None
            or _RANK[finding.severity] > _SLIGHT
        )
        for finding in findings
    )


def _attribute_errors(
    name: str, truth: Sequence[Finding], said: Sequence[Finding]
) -> Iterator[ReportError]:
    """Yield what is said of a finding and is not so; what is left unsaid is no error here."""
    for kind, so, claimed in (
        (ErrorKind.WRONG_PLACE, _places(truth), _places(said)),
        (ErrorKind.WRONG_SEVERITY, _ranks(truth), _ranks(said)),
    ):
        if any(so[of] and claimed[of] - so[of] for of in so):
            yield ReportError(kind, f"{name}: {_words(said)} for {_words(truth)}")


def _places(findings: Sequence[Finding]) -> dict[str, set[str]]:
    return {
        "side": {side for finding in findings for side in sides(finding) if side},
        "place": {finding.location for finding in findings if finding.location},
    }


def _ranks(findings: Sequence[Finding]) -> dict[str, set[int]]:
    return {"severity": {_RANK[finding.severity] for finding in findings if finding.severity}}


def _comparison_errors(
    reference: Sequence[Finding], prediction: Sequence[Finding]
) -> Iterator[ReportError]:
    """Yield each observation with a change that the reference does not state, denied or not."""
    stated, claimed = _changes(reference), _changes(prediction)
    for name, changes in claimed.items():
        if wrong := changes - stated.get(name, set()):
            so = ", ".join(sorted(stated.get(name, ()))) or "no comparison"
            what = f"{name}: {', '.join(sorted(wrong))} for {so}"
            yield ReportError(ErrorKind.WRONG_COMPARISON, what)


def _changes(findings: Sequence[Finding]) -> dict[str, set[str]]:
    changes = defaultdict(set)
    for finding in findings:
        if finding.change:
            changes[_name(finding)].add(str(finding.change))
    return changes


def _words(findings: Sequence[Finding]) -> str:
    """Return severity, side and place of findings, in words."""
    described = (
        " ".join(filter(None, (finding.severity, finding.side, finding.location)))
        for finding in findings
    )
    return ", ".join(text or "unspecified" for text in described)


def _contradictions(text: str, findings: Sequence[Finding]) -> Iterator[ReportError]:
    """Yield each observation that a report denies and states in the same words, at one place.

    "No large effusion" beside a small one, or "no focal infiltrate" beside an opacity, contradict
    nothing; so a denial with a limiting word, or of another term, is passed over.
    """
    for name, mentioned in _by_name(findings).items():
        stated = [finding for finding in mentioned if finding.status is Status.PRESENT]
        denials = [
            finding
            for finding in findings
            if finding.status is Status.ABSENT
            and finding.change is not Change.RESOLVED
            and _name(finding) == name
            and not _LIMITING.search(finding.sentence or "")
        ]
        if any(_denies(denial, finding, text) for denial in denials for finding in stated):
            yield ReportError(ErrorKind.CONTRADICTION, f"{name} is denied and stated")


def _denies(denial: Finding, stated: Finding, text: str) -> bool:
    """Return whether ``denial`` is of the same term as ``stated``, and reaches its place."""
    same_side = denial.side is None or bool(set(sides(denial)) & set(sides(stated)))
    same_place = denial.location in (None, stated.location)
    return same_side and same_place and _term(denial, text) == _term(stated, text)


def _term(finding: Finding, text: str) -> tuple[str, ...]:
    """Return the words that named a finding, in the singular."""
    return tuple(text[start:end].lower().removesuffix("s") for start, end in finding.spans[:1])
