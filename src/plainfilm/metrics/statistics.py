"""Statistics: what a metric keeps of each report, enough to give its value on any set of them.

Every metric here is a function of sums over reports: BLEU of summed n-gram counts, F1 of summed
true and false positives, ROUGE-L and CIDEr of summed values and a count. A metric therefore returns
one row of numbers per report and the function from summed rows to the value. The corpus value, the
value of each single report, bootstrap intervals and randomisation tests all follow from the rows,
without reading any text again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

HALF = 0.5
"""What Jeffreys' prior adds to a count."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The rows of one metric, and how to read their sum."""

    rows: Array
    """Shape (reports, columns)."""
    value: Callable[[Array], Array]
    """From sums of rows, (..., columns), to values, (...,); NaN where undefined."""
    parts: Callable[[Array], dict[str, float]] = lambda totals: {}
    """From one sum of rows, (columns,), to the values behind the value, by name."""
    undefined: Callable[[Array], int] | None = None
    """From one sum of rows, (columns,), to how many parts of an average were undefined; None for a
    value that is no average of parts."""
    protocol: dict[str, str] = field(default_factory=dict)
    """The signature's fields that this metric sets: tokenizer, case, labels, labeler…"""
    pseudo: Callable[[Array], Array] | None = None
    """For counts of decisions: from the sum of rows, (columns,), to how much of a decision each
    column is given in a draw of the bootstrap, (columns,), so that a class which is never right in
    a small sample keeps an interval of some width."""
    drawn: Array | None = None
    """Sums of rows in the draws of a bootstrap, (samples, columns), where these were summed block
    by block and the rows were not kept."""
    share: bool = False
    """Whether the value is the share of reports with a yes, the first column over the second."""

    @property
    def totals(self) -> Array:
        """The sum over all reports, shape (columns,)."""
        totals: Array = self.rows.sum(axis=0)
        return totals

    def undefined_count(self) -> int:
        """Return how many parts of the value are undefined; at least 1 where it is so itself."""
        parts = 0 if self.undefined is None else self.undefined(self.totals)
        return max(parts, int(np.isnan(self.value(self.totals))))


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return ``numerator / denominator``, NaN where the denominator is 0."""
    undefined = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    quotient: Array = np.divide(
        numerator, denominator, out=undefined, where=np.asarray(denominator) != 0
    )
    return quotient


def share_of(values: Array, **protocol: str) -> Statistics:
    """Return the statistics of a share of reports: ``values`` (reports,) are 0 or 1."""
    return replace(mean_of(values, **protocol), share=True)


def mean_of(values: Array, **protocol: str) -> Statistics:
    """Return the statistics of a mean over reports; a NaN in ``values`` (reports,) is left out."""
    undefined = np.isnan(values)
    return Statistics(
        rows=np.column_stack([np.where(undefined, 0.0, values), ~undefined, undefined]),
        value=lambda totals: ratio(totals[..., 0], totals[..., 1]),
        undefined=lambda totals: int(totals[2]),
        protocol=protocol,
    )
