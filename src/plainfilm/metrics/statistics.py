"""Sufficient statistics of a metric: a row of numbers per report, from which the value of any set
of reports can be computed.

Every metric here is a function of sums over reports: BLEU of summed n-gram counts, F1 of summed
true and false positives, ROUGE-L and CIDEr of summed values and a count. A metric therefore returns
one row per report and the function from summed rows to the value. The corpus value, the value of
each single report, bootstrap intervals and randomisation tests are all computed from the rows,
without reading any text again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HALF = 0.5
"""Pseudo-count of Jeffreys' prior."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The rows of one metric, and the functions that turn their sum into values."""

    rows: Array
    """Shape (reports, columns)."""
    value: Callable[[Array], Array]
    """Maps sums of rows, (..., columns), to values, (...,); NaN if undefined."""
    parts: Callable[[Array], dict[str, float]] = lambda totals: {}
    """Maps one sum of rows, (columns,), to the named parts of the value."""
    undefined: Callable[[Array], int] | None = None
    """Maps one sum of rows, (columns,), to the number of undefined parts of an average; None for a
    value that is not an average of parts."""
    protocol: dict[str, str] = field(default_factory=dict)
    """The signature fields that this metric sets: tokenizer, case, labels, labeler…"""
    pseudo: Callable[[Array], Array] | None = None
    """For counts of decisions: maps the sum of rows, (columns,), to the pseudo-count of each column
    in a bootstrap resample, (columns,), so that a class that is never right in a small sample still
    has an interval of some width."""
    drawn: Array | None = None
    """Sums of rows in bootstrap resamples, (samples, columns), if they were summed block by block
    and the rows were not kept."""
    share: bool = False
    """Whether the value is a share of reports: the first column divided by the second."""

    @property
    def totals(self) -> Array:
        """The sum over all reports, shape (columns,)."""
        totals: Array = self.rows.sum(axis=0)
        return totals

    def undefined_count(self) -> int:
        """Return the number of undefined parts; at least 1 if the value itself is undefined."""
        parts = 0 if self.undefined is None else self.undefined(self.totals)
        return max(parts, int(np.isnan(self.value(self.totals))))


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return ``numerator / denominator``, with NaN where the denominator is 0."""
    undefined = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    quotient: Array = np.divide(
        numerator, denominator, out=undefined, where=np.asarray(denominator) != 0
    )
    return quotient


def share_of(values: Array, **protocol: str) -> Statistics:
    """Return the statistics of a share of reports; ``values``, (reports,), are 0 or 1."""
    return replace(mean_of(values, **protocol), share=True)


def mean_of(values: Array, **protocol: str) -> Statistics:
    """Return the statistics of a mean over reports; NaN in ``values``, (reports,), is left out."""
    undefined = np.isnan(values)
    return Statistics(
        rows=np.column_stack([np.where(undefined, 0.0, values), ~undefined, undefined]),
        value=lambda totals: ratio(totals[..., 0], totals[..., 1]),
        undefined=lambda totals: int(totals[2]),
        protocol=protocol,
    )
