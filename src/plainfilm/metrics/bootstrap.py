"""Confidence intervals from statistics: reports are drawn again, no text is read again.

*Percentile bootstrap* (Efron and Tibshirani 1993, chapter 13): draw as many reports as there are,
with replacement, take the metric of the draw, and report the middle share of many such values.
All metrics see the same draws. What a metric takes from the whole set stays as it is: CIDEr-D's
document frequencies are those of the references given.

*Smoothed bootstrap*, for counts of decisions (F1, precision, recall, error rates): each draw gets a
random half of a decision, Gamma(½, 1), in each count, as Jeffreys' prior of a count would add. A
class that is right in 0 of 2 reports is not certain to be always wrong; without it the percentile
interval of macro-F1 covers the truth in 74 of 100 samples of 50 reports (``docs/metrics/
intervals.md`` has the simulation).

Of more than 20,000 reports, each is drawn by itself, as often as Poisson(1) says, so that no row of
a report need be kept.

*Wilson's interval* (1927), for shares of reports (a row of the error table, exact match).

Reports are drawn as if independent; several studies of one patient make the truth wider.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from plainfilm.core import MetricError
from plainfilm.metrics.statistics import Array, Statistics

_CELLS_AT_ONCE = 4_000_000  # bounds memory: weights of a chunk of draws, in float64

LARGE = 20_000
"""From more reports on, draws are summed block by block."""
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
        return self._named("percentile")

    @property
    def _z(self) -> float:
        """How many standard errors of a normal value the level leaves to either side."""
        from statistics import NormalDist

        return NormalDist().inv_cdf((1 + self.level) / 2)

    def _named(self, kind: str) -> str:
        return (
            f"{self.level:.0%} {kind} bootstrap over reports, "
            f"{self.samples} samples, seed {self.seed}"
        )

    def method(self, statistics: Statistics) -> str:
        """Return how the interval of a metric is made, in words."""
        if statistics.share:
            return f"{self.level:.0%} Wilson interval of a share"
        return self._named("percentile" if statistics.pseudo is None else "smoothed")

    def intervals(self, statistics: Mapping[str, Statistics]) -> dict[str, tuple[float, float]]:
        """Return the interval of each metric; draws in which it is undefined are left out."""
        drawn = {name: found for name, found in statistics.items() if not found.share}
        values = self.values(drawn, smooth=True) if drawn else {}
        tail = (1 - self.level) / 2
        return {
            name: self._wilson(found) if found.share else _around(found, values[name], tail)
            for name, found in statistics.items()
        }

    def values(
        self, statistics: Mapping[str, Statistics], *, smooth: bool = False
    ) -> dict[str, Array]:
        """Return each metric's value in every draw, shape (samples,).

        Args:
            statistics: of each metric, on the same reports.
            smooth: give counts of decisions their random half of one.
        """
        random = np.random.default_rng([self.seed, 1])
        values = {}
        for name, totals in self._totals(statistics).items():
            found = statistics[name]
            if smooth and found.pseudo is not None:
                pseudo = random.standard_gamma(found.pseudo(found.totals), totals.shape)
                totals = totals + pseudo
            values[name] = found.value(totals)
        return values

    def _totals(self, statistics: Mapping[str, Statistics]) -> dict[str, Array]:
        """Return each metric's sum of rows in every draw, (samples, columns)."""
        found = {name: one.drawn for name, one in statistics.items() if one.drawn is not None}
        kept = {name: one.rows for name, one in statistics.items() if one.drawn is None}
        if kept:
            sums: dict[str, list[Array]] = {name: [] for name in kept}
            for weights in self._draws(len(next(iter(kept.values())))):
                for name, rows in kept.items():
                    sums[name].append(weights @ rows)
            found |= {name: np.vstack(parts) for name, parts in sums.items()}
        return {name: found[name] for name in statistics}

    def block_weights(self, block: int, reports: int) -> Array:
        """Return how often each report of a block is drawn, (samples, reports): Poisson draws.

        Of a large set each report is drawn about as often as if all were drawn together, and no
        block needs to know the others (Hanley and MacGibbon 2006).
        """
        random = np.random.default_rng([self.seed, 2, block])
        return random.poisson(1.0, (self.samples, reports)).astype(np.float64)

    def around_one_value(
        self, value: float, ends: tuple[float, float], reports: int
    ) -> tuple[float, float]:
        """Return the interval of a value that every draw has: all reports are alike, or there is
        one.

        No report differs from the others; by Wilson's interval of none, up to a share of
        z² / (reports + z²) may, and these lie at an end of the range at worst.

        Args:
            value: of the metric.
            ends: of its range, in any order.
            reports: how many reports it was made of.
        """
        z = self._z
        share = z**2 / (reports + z**2)
        bounds = [value + (end - value) * share for end in ends]
        return min(value, *bounds), max(value, *bounds)

    def _wilson(self, share: Statistics) -> tuple[float, float]:
        """Return Wilson's interval of a share of reports."""
        yes, reports = share.totals[0], share.totals[1]
        if reports == 0:
            return math.nan, math.nan
        z = self._z
        middle = (yes + z**2 / 2) / (reports + z**2)
        half = z / (reports + z**2) * math.sqrt(yes * (reports - yes) / reports + z**2 / 4)
        # Rounding must not leave the value outside.
        value = yes / reports
        return min(max(0.0, middle - half), value), max(min(1.0, middle + half), value)

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


def _around(found: Statistics, values: Array, tail: float) -> tuple[float, float]:
    """Return the interval by the values of the draws; an undefined value has none."""
    value = float(found.value(found.totals))
    if math.isnan(value):
        return math.nan, math.nan
    interval = quantiles(values, tail)
    return interval if found.pseudo is None else holding(interval, value)


def holding(interval: tuple[float, float], value: float) -> tuple[float, float]:
    """Return the interval made as wide as needed to hold ``value``, where both are defined."""
    low, high = interval
    if math.isnan(low) or math.isnan(value):
        return interval
    return min(low, value), max(high, value)


def differences(second: Array, first: Array) -> Array:
    """Return second less first, 0 where only the order of sums makes them differ."""
    found: Array = second - first
    return np.where(np.abs(found) <= _ROUNDING * np.maximum(1, np.abs(second)), 0.0, found)


def is_one_value(interval: tuple[float, float]) -> bool:
    """Return whether an interval has no width but that of rounding."""
    low, high = interval
    return high - low <= _ROUNDING * max(1, abs(low))


def quantiles(values: Array, tail: float) -> tuple[float, float]:
    """Return the values that cut off ``tail`` at either end; NaN among ``values`` is left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
