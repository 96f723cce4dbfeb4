"""Bootstrap intervals from statistics: reports are drawn again, no text is read again.

Percentile bootstrap (Efron and Tibshirani 1993, chapter 13): draw as many reports as there are,
with replacement, take the metric of the draw, and report the middle share of many such values.
All metrics see the same draws. What a metric takes from the whole set stays as it is: CIDEr-D's
document frequencies are those of the references given.

Reports are drawn as if independent; several studies of one patient make the truth wider.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from plainfilm.core import MetricError
from plainfilm.metrics.statistics import Array, Statistics

_CELLS_AT_ONCE = 4_000_000  # bounds memory: weights of a chunk of draws, in float64

_ROUNDING = 1e-12  # what is less than that share of a value is no difference


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are made."""

    samples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 < self.level < 1:
            raise MetricError(
                f"a bootstrap needs at least 1 sample and a level between 0 and 1, "
                f"got {self.samples} samples and a level of {self.level}"
            )

    def __str__(self) -> str:
        return (
            f"{self.level:.0%} percentile bootstrap over reports, "
            f"{self.samples} samples, seed {self.seed}"
        )

    def intervals(self, statistics: Mapping[str, Statistics]) -> dict[str, tuple[float, float]]:
        """Return the interval of each metric; draws in which it is undefined are left out."""
        values = self.values(statistics)
        tail = (1 - self.level) / 2
        return {name: quantiles(found, tail) for name, found in values.items()}

    def values(self, statistics: Mapping[str, Statistics]) -> dict[str, Array]:
        """Return each metric's value in every draw, shape (samples,)."""
        rows = np.hstack([found.rows for found in statistics.values()])
        edges = np.cumsum([found.rows.shape[1] for found in statistics.values()])[:-1]
        totals = np.vstack([weights @ rows for weights in self._draws(len(rows))])
        parts = np.split(totals, edges, axis=1)
        return {
            name: found.value(part)
            for (name, found), part in zip(statistics.items(), parts, strict=True)
        }

    def _draws(self, reports: int) -> Iterator[Array]:
        """Yield how often each report is drawn, (draws, reports), a chunk of draws at a time."""
        random = np.random.default_rng(self.seed)
        at_once = max(1, _CELLS_AT_ONCE // reports)
        for start in range(0, self.samples, at_once):
            draws = min(at_once, self.samples - start)
            drawn = random.integers(0, reports, (draws, reports))
            drawn += np.arange(draws)[:, None] * reports
            counts = np.bincount(drawn.ravel(), minlength=draws * reports)
            yield counts.reshape(draws, reports).astype(np.float64)


def differences(second: Array, first: Array) -> Array:
    """Return second less first, 0 where only the order of sums makes them differ."""
    found: Array = second - first
    return np.where(np.abs(found) <= _ROUNDING * np.maximum(1, np.abs(second)), 0.0, found)


def quantiles(values: Array, tail: float) -> tuple[float, float]:
    """Return the values that cut off ``tail`` at either end; NaN among ``values`` is left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
