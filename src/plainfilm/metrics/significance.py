"""Is the difference real? Paired randomisation on one test set, Welch's test between repeated runs.

*Paired*: two systems wrote reports for the same studies. If they are equally good, each study's two
reports could be swapped; so they are swapped at random many times, and the p-value is the share of
swaps whose difference is at least as large (approximate randomisation, Noreen 1989; Riezler and
Maxwell 2005). A percentile bootstrap gives the interval of the difference. If several metrics are
tested, p-values are corrected by Holm's method (1979).

*Repeated*: each system was trained several times. Welch's t-test compares the means of the runs,
one-sided (is the second better?), with Holm's correction too.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from plainfilm.core import MetricError, MissingDependencyError, Signature
from plainfilm.metrics.bootstrap import Bootstrap, differences, quantiles
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import Reports, align, measure, score, signature
from plainfilm.metrics.statistics import Array, Statistics

_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same studies, compared by one metric."""

    first: float
    second: float
    interval: tuple[float, float]
    """95 % bootstrap interval of :attr:`difference`."""
    p_value: float
    """Two-sided p-value of paired randomisation; NaN if the difference is undefined."""
    corrected_p_value: float
    """Holm's correction over the metrics tested together."""

    signature: Signature
    """The protocol of both values."""

    @property
    def difference(self) -> float:
        """Second system's value minus the first's."""
        return float(differences(np.array(self.second), np.array(self.first)))


@dataclass(frozen=True)
class Repetition:
    """Two systems, each trained several times, compared by one metric."""

    first: tuple[float, ...]
    """The value of each of the first system's runs."""
    second: tuple[float, ...]
    p_value: float
    """One-sided p-value of Welch's t-test (is the second better?); NaN if undefined."""
    corrected_p_value: float
    """Holm's correction over the metrics tested together."""


def compare(
    references: Reports,
    first: Reports,
    second: Reports,
    metrics: Sequence[str] | None = None,
    *,
    samples: int = 10_000,
    seed: int = 0,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Comparison]:
    """Compare two systems' reports on the same studies.

    Args:
        references: the radiologists' reports.
        first: one system's reports.
        second: the other system's reports.
        metrics: names as for :func:`plainfilm.score`.
        samples: number of random swaps for the p-value; a tenth as many resamples for the interval.
        seed: random seed of both.
        scoring: how reports are scored.
        options: fields of :class:`Scoring`, as for :func:`plainfilm.score`.

    Raises:
        MetricError: as for :func:`plainfilm.score`; or ``samples`` is too small.
    """
    if samples < 100:
        raise MetricError(f"samples must be at least 100 for a p-value, got {samples}")
    chosen = resolve(metrics)
    scoring = Scoring.of(scoring, options)
    sides = [align(references, said, scoring=scoring) for said in (first, second)]
    sides[1] = replace(sides[1], read=sides[0].read)  # read the references only once
    measured = [measure(pairs, chosen) for pairs in sides]
    bootstrap = Bootstrap(samples=samples // 10, seed=seed)
    draws = [bootstrap.values(found) for found in measured]
    p_values = {
        name: randomisation(measured[0][name], measured[1][name], samples, seed) for name in chosen
    }
    corrected = holm(p_values)
    return {
        name: Comparison(
            first=_value(measured[0][name]),
            second=_value(measured[1][name]),
            interval=quantiles(differences(draws[1][name], draws[0][name]), 0.025),
            p_value=p_values[name],
            corrected_p_value=corrected[name],
            signature=signature(name, measured[0][name], sides[0]),
        )
        for name in chosen
    }


def _value(statistics: Statistics) -> float:
    return float(statistics.value(statistics.totals))


def randomisation(first: Statistics, second: Statistics, samples: int, seed: int) -> float:
    """Return the share of random swaps whose difference is at least as large as the observed one.

    Swaps that make the difference undefined are not counted.
    """
    seen = abs(_value(second) - _value(first))
    if math.isnan(seen):
        return math.nan
    change = second.rows - first.rows
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS_AT_ONCE // len(change))
    as_great = defined = 0
    for start in range(0, samples, at_once):
        exchanges = min(at_once, samples - start)
        exchanged = random.integers(0, 2, (exchanges, len(change))).astype(np.float64) @ change
        differences: Array = second.value(second.totals - exchanged) - first.value(
            first.totals + exchanged
        )
        defined += int((~np.isnan(differences)).sum())
        as_great += int((np.abs(differences) >= seen - 1e-12).sum())
    return (as_great + 1) / (defined + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected by Holm's step-down method, ignoring NaN."""
    tested = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    corrected = dict(p_values)
    highest = 0.0
    for rank, (p, name) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        corrected[name] = highest
    return corrected


def repeated(
    references: Reports,
    first: Sequence[Reports],
    second: Sequence[Reports],
    metrics: Sequence[str] | None = None,
    *,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Repetition]:
    """Compare two systems that were each trained several times, by each metric.

    Args:
        references: the radiologists' reports.
        first: the reports of each run of one system.
        second: the reports of each run of the other.
        metrics: names as for :func:`plainfilm.score`.
        scoring: how reports are scored.
        options: fields of :class:`Scoring`, as for :func:`plainfilm.score`.

    Raises:
        MetricError: as for :func:`plainfilm.score`; or a system has fewer than two runs.
        MissingDependencyError: scipy is not installed.
    """
    chosen = resolve(metrics)
    scoring = Scoring.of(scoring, options)
    values = [
        [
            {name: one.value for name, one in score(references, run, list(chosen),
                                                    scoring=scoring).items()}
            for run in runs
        ]
        for runs in (first, second)
    ]  # fmt: skip
    sides = {name: [tuple(run[name] for run in runs) for runs in values] for name in chosen}
    sign = {name: 1 if metric.higher_is_better else -1 for name, metric in chosen.items()}
    p_values = {
        name: welch(*([sign[name] * value for value in runs] for runs in sides[name]))
        for name in chosen
    }
    corrected = holm(p_values)
    return {
        name: Repetition(sides[name][0], sides[name][1], p_values[name], corrected[name])
        for name in chosen
    }


def welch(first: Iterable[float], second: Iterable[float], *, one_sided: bool = True) -> float:
    """Return the p-value of Welch's t-test between the scores of repeated runs.

    NaN if a run's value is undefined, or if neither system's values vary between its runs: without
    variance there is nothing to compare a difference with.

    Args:
        first: a metric's value in each run of one system.
        second: the same for the other system.
        one_sided: test whether ``second`` is greater; otherwise whether they differ.

    Raises:
        MetricError: a system has fewer than two runs.
        MissingDependencyError: scipy is not installed.
    """
    runs = [np.array(list(values), dtype=np.float64) for values in (first, second)]
    if min(map(len, runs)) < 2:
        raise MetricError(
            f"Welch's test needs at least two runs of each system, "
            f"got {len(runs[0])} and {len(runs[1])}"
        )
    try:
        from scipy.stats import ttest_ind_from_stats
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("scipy", "data") from error
    if not sum(values.std() for values in runs) > 0:  # no variance, or NaN
        return math.nan
    told = [(values.mean(), values.std(ddof=1), len(values)) for values in reversed(runs)]
    side = "greater" if one_sided else "two-sided"
    return float(ttest_ind_from_stats(*told[0], *told[1], equal_var=False, alternative=side).pvalue)
