"""Is the difference real? Paired randomisation on one test set, Welch's test between repeated runs.

*Paired*: two systems wrote reports for the same studies. If they are equally good, each study's two
reports could as well have been exchanged; so they are exchanged at random many times, and the
p-value is the share of exchanges whose difference is at least as great (approximate randomisation,
Noreen 1989; Riezler and Maxwell 2005). A percentile bootstrap gives the difference an interval.
Where several metrics are tested, p-values are corrected by Holm's method (1979).

*Repeated*: each system was trained several times. Welch's t-test compares the means of the runs.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from plainfilm.core import MetricError, MissingDependencyError, UncertaintyPolicy
from plainfilm.metrics.bootstrap import Bootstrap, quantiles
from plainfilm.metrics.pairs import Track
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import Reports, align, measure
from plainfilm.metrics.statistics import Array, Statistics

_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same studies, by one metric."""

    first: float
    second: float
    interval: tuple[float, float]
    """95 % bootstrap interval of :attr:`difference`."""
    p_value: float
    """Two-sided, by paired randomisation; NaN where the difference is undefined."""
    corrected_p_value: float
    """Holm's correction over the metrics tested together."""

    @property
    def difference(self) -> float:
        """Second less first."""
        return self.second - self.first


def compare(
    references: Reports,
    first: Reports,
    second: Reports,
    metrics: Sequence[str] | None = None,
    *,
    samples: int = 10_000,
    seed: int = 0,
    policy: UncertaintyPolicy = UncertaintyPolicy.POSITIVE,
    track: Track | None = None,
) -> dict[str, Comparison]:
    """Compare two systems' reports on the same studies.

    Args:
        references: what radiologists wrote.
        first: what one system wrote.
        second: what the other wrote.
        metrics: names as for :func:`plainfilm.score`.
        samples: random exchanges for the p-value; a tenth as many draws for the interval.
        seed: of the exchanges and the draws.
        policy: what an uncertain mention counts as in label metrics.
        track: wraps an iterable of texts to show progress.

    Raises:
        MetricError: as for :func:`plainfilm.score`; or ``samples`` is too small.
    """
    if samples < 100:
        raise MetricError(f"samples must be at least 100 for a p-value, got {samples}")
    chosen = resolve(metrics)
    sides = [align(references, said, policy=policy, track=track) for said in (first, second)]
    sides[1] = replace(sides[1], read=sides[0].read)  # the references are read once
    measured = [measure(pairs, chosen) for pairs in sides]
    bootstrap = Bootstrap(samples=samples // 10, seed=seed)
    draws = [bootstrap.values(found) for found in measured]
    p_values = {
        name: _randomisation(measured[0][name], measured[1][name], samples, seed) for name in chosen
    }
    corrected = holm(p_values)
    return {
        name: Comparison(
            first=_value(measured[0][name]),
            second=_value(measured[1][name]),
            interval=quantiles(draws[1][name] - draws[0][name], 0.025),
            p_value=p_values[name],
            corrected_p_value=corrected[name],
        )
        for name in chosen
    }


def _value(statistics: Statistics) -> float:
    return float(statistics.value(statistics.totals))


def _randomisation(first: Statistics, second: Statistics, samples: int, seed: int) -> float:
    """Return the share of random exchanges with a difference as great as the one seen."""
    seen = abs(_value(second) - _value(first))
    if math.isnan(seen):
        return math.nan
    change = second.rows - first.rows
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS_AT_ONCE // len(change))
    as_great = 0
    for start in range(0, samples, at_once):
        exchanges = min(at_once, samples - start)
        exchanged = random.integers(0, 2, (exchanges, len(change))).astype(np.float64) @ change
        differences: Array = second.value(second.totals - exchanged) - first.value(
            first.totals + exchanged
        )
        as_great += int((np.abs(differences) >= seen - 1e-12).sum())
    return (as_great + 1) / (samples + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected by Holm's step-down method; NaN stays out."""
    tested = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    corrected = dict(p_values)
    highest = 0.0
    for rank, (p, name) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        corrected[name] = highest
    return corrected


def welch(first: Iterable[float], second: Iterable[float], *, one_sided: bool = True) -> float:
    """Return the p-value of Welch's t-test between the scores of repeated runs.

    Args:
        first: a metric's value in each run of one system.
        second: the same of the other system.
        one_sided: test that ``second`` is greater; otherwise that they differ.

    Raises:
        MetricError: fewer than two runs of a system, or an undefined value.
        MissingDependencyError: scipy is not installed.
    """
    runs = [np.array(list(values), dtype=np.float64) for values in (first, second)]
    if min(map(len, runs)) < 2:
        raise MetricError(
            f"Welch's test needs at least two runs of each system, "
            f"got {len(runs[0])} and {len(runs[1])}"
        )
    if any(np.isnan(values).any() for values in runs):
        raise MetricError("Welch's test needs defined values: a run's value is undefined (NaN)")
    try:
        from scipy.stats import ttest_ind
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("scipy", "data") from error
    alternative = "greater" if one_sided else "two-sided"
    return float(ttest_ind(runs[1], runs[0], equal_var=False, alternative=alternative).pvalue)
