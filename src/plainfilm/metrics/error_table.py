"""Error table: the errors of each report, and their frequency over a set.

Both reports are read into findings and compared by :mod:`plainfilm.text.matching`, which the error
page and the finding-level metrics use too. The kinds of error are those of this field's clinical
error tables: hallucinated and omitted findings, each in two grades, wrong side or place, wrong
severity or size, wrong certainty, wrong or invented comparison, a report that contradicts itself,
and an unreadable report.

Which findings make an invention major, or an omission critical, is a list that a radiologist can
read and revise (``plainfilm/text/significance.yaml``). It is a convention of this table, not a
radiologist's judgement of the case.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from plainfilm.core import Score
from plainfilm.metrics.bootstrap import Bootstrap
from plainfilm.metrics.clinical import labeler, matcher
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.scoring import signature
from plainfilm.metrics.statistics import share_of
from plainfilm.text.contradictions import Contradiction
from plainfilm.text.matching import Kind, Matching


class ErrorKind(StrEnum):
    """Kinds of error in a report."""

    HALLUCINATED_MAJOR = "hallucinated finding (major)"
    HALLUCINATED_MINOR = "hallucinated finding (minor)"
    OMITTED_CRITICAL = "omitted finding (critical)"
    OMITTED_MINOR = "omitted finding (minor)"
    WRONG_PLACE = "wrong side or place"
    WRONG_SEVERITY = "wrong severity"
    WRONG_CERTAINTY = "wrong certainty"
    WRONG_COMPARISON = "wrong or invented comparison"
    CONTRADICTION = "contradiction inside the report"
    UNREADABLE = "unreadable or empty"


ACCURATE = "fully accurate"
"""Name of the row for reports without any error."""

ROWS: tuple[str, ...] = (ACCURATE, *ErrorKind)
"""The rows of the table."""

_KINDS: Mapping[tuple[Kind, bool], ErrorKind] = {
    (Kind.HALLUCINATED, True): ErrorKind.HALLUCINATED_MAJOR,
    (Kind.HALLUCINATED, False): ErrorKind.HALLUCINATED_MINOR,
    (Kind.OMITTED, True): ErrorKind.OMITTED_CRITICAL,
    (Kind.OMITTED, False): ErrorKind.OMITTED_MINOR,
    **{
        (kind, significant): row
        for kind, row in (
            (Kind.PLACE, ErrorKind.WRONG_PLACE),
            (Kind.SEVERITY, ErrorKind.WRONG_SEVERITY),
            (Kind.CERTAINTY, ErrorKind.WRONG_CERTAINTY),
            (Kind.COMPARISON, ErrorKind.WRONG_COMPARISON),
        )
        for significant in (True, False)
    },
}
"""The row of each kind of difference; an omitted comparison is not an error in this table."""


@dataclass(frozen=True)
class ReportError:
    """One error of one report."""

    kind: ErrorKind
    what: str
    """The finding, and the prediction's statement beside the reference's."""


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
        """Return each row's share of all reports; a report counts in every row that applies."""
        return {row: len(self.reports(row)) / len(self.errors) for row in ROWS}

    def scores(
        self, pairs: Pairs, *, section: str | None = None, split: str | None = None
    ) -> dict[str, Score]:
        """Return each row's share of ``pairs``, with its interval and signature.

        Args:
            pairs: the reports that the table was made from.
            section: the text that was read, if the pairs do not say it.
            split: the split that was read, likewise.
        """
        pairs = replace(pairs, section=section or pairs.section, split=split or pairs.split)
        members = {row: set(self.reports(row)) for row in ROWS}
        measured = {
            row: share_of(
                np.array([key in members[row] for key in self.errors], dtype=np.float64),
                labels=f"findings,{matcher()}",
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
                interval_method=bootstrap.method(found),
                signature=signature(f"share of reports: {row}", found, pairs),
            )
            for row, found in measured.items()
        }

    def to_dict(self, shares: Mapping[str, Score], *, only: str | None = None) -> dict[str, object]:
        """Return the shares and each report's errors, for JSON.

        Args:
            shares: the output of :meth:`scores`.
            only: name of a row, to include only its reports.
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
            key: tuple(_errors(matching, found, why))
            for key, matching, found, why in zip(
                pairs.ids, pairs.matchings, pairs.contradictions, pairs.unreadable, strict=True
            )
        }
    )


def _errors(
    matching: Matching, contradictions: Sequence[Contradiction], unreadable: str | None
) -> Iterator[ReportError]:
    for difference in matching.differences:
        if kind := _KINDS.get((difference.kind, difference.significant)):
            yield ReportError(kind, difference.what)
    for found in contradictions:
        yield ReportError(ErrorKind.CONTRADICTION, found.what)
    if unreadable is not None:
        yield ReportError(ErrorKind.UNREADABLE, unreadable)
