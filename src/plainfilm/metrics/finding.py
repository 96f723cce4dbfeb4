"""Finding-level F1: the statements of two reports compared as sets, at several levels of detail.

A report is read into findings. At the coarsest level a statement is an observation (for Other, its
finer term) with its status; each further level adds an attribute: side, place, severity, change.
A separate level compares the finer term of every finding, so that a central line does not match a
pacemaker. The counts of matched, invented and missed statements are summed over reports.
"Bilateral" counts as left and right, so that one of two sides earns half.
"""

import numpy as np

from plainfilm.core import Status
from plainfilm.metrics.clinical import labeler, matcher
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import HALF, Array, Statistics, ratio
from plainfilm.text.statements import LEVELS, Claim, claims

__all__ = ["LEVELS", "finding_f1"]

_STATUSES = tuple(Status)


def finding_f1(pairs: Pairs, *, level: str) -> Statistics:
    """Return the F1 of statements at one of :data:`plainfilm.text.statements.LEVELS`."""
    rows = np.array(
        [
            _counts(set(claims(reference, level)), set(claims(prediction, level)))
            for reference, prediction in zip(*pairs.findings, strict=True)
        ]
    )
    return Statistics(
        rows=rows.reshape(len(pairs), -1),
        value=_f1,
        parts=_parts,
        pseudo=lambda totals: np.full(len(totals), HALF / len(_STATUSES)),
        protocol={"labels": f"findings,{level},{matcher()}", "labeler": labeler(pairs.language)},
    )


def _counts(reference: set[Claim], prediction: set[Claim]) -> list[list[int]]:
    """Return the numbers of matched, invented and missed statements, each by status."""
    return [
        [sum(statement[0] == status for statement in part) for status in _STATUSES]
        for part in (reference & prediction, prediction - reference, reference - prediction)
    ]


def _by_status(totals: Array) -> Array:
    return totals.reshape(*totals.shape[:-1], 3, len(_STATUSES))


def _f1(totals: Array) -> Array:
    matched, invented, missed = np.moveaxis(_by_status(totals).sum(axis=-1), -1, 0)
    return ratio(2 * matched, 2 * matched + invented + missed)


def _parts(totals: Array) -> dict[str, float]:
    matched, invented, missed = _by_status(totals)
    found = {
        "precision": ratio(matched.sum(), matched.sum() + invented.sum()),
        "recall": ratio(matched.sum(), matched.sum() + missed.sum()),
    }
    of_status = ratio(2 * matched, 2 * matched + invented + missed)
    found |= dict(zip((f"f1 of {status}" for status in _STATUSES), of_status, strict=True))
    return {name: float(value) for name, value in found.items()}
