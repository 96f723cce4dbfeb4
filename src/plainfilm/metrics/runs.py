"""Scores of a system trained several times: mean, and variation over runs and over studies.

A score has two sources of uncertainty. Another seed gives another model: the standard deviation
over the runs. Other test studies give other scores: the interval, from bootstrapping the *mean*
over the runs, with the same resamples of studies for every run and system.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Unpack

import numpy as np

from plainfilm.core import MetricError, Signature
from plainfilm.metrics.bootstrap import Bootstrap, differences, holding, quantiles
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import Reports, align, measure, signature
from plainfilm.metrics.significance import welch
from plainfilm.metrics.statistics import Array


@dataclass(frozen=True)
class Runs:
    """A system's runs, scored by one metric."""

    values: tuple[float, ...]
    """The value of each run."""
    draws: Array
    """The mean over the runs in each bootstrap resample of the studies, ``(samples,)``."""
    interval: tuple[float, float]
    """95 % bootstrap interval of the mean, over studies."""
    parts: dict[str, tuple[float, ...]]
    """Name → the parts behind each run's value."""
    signature: Signature

    @property
    def mean(self) -> float:
        """Mean over the runs; NaN if one is undefined."""
        return fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation over the runs; NaN for a single run."""
        return stdev(self.values) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Difference:
    """Difference between two systems on the same studies, by one metric."""

    value: float
    """Mean of the second system's runs minus mean of the first's."""
    interval: tuple[float, float]
    """95 % bootstrap interval, over studies."""
    p_value: float
    """P-value of Welch's t-test between the runs, two-sided unless requested otherwise; NaN if a
    system has only one run."""


def over_runs(
    references: Reports,
    runs: Sequence[Reports],
    metrics: Sequence[str] | None = None,
    *,
    bootstrap: Bootstrap | None = None,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Runs]:
    """Score every run of a system.

    Args:
        references: the radiologists' reports.
        runs: the reports of each run for the same studies.
        metrics: names as for :func:`plainfilm.score`.
        bootstrap: settings of intervals; default: 1000 samples, seed 0.
        scoring: how reports are scored.
        options: fields of :class:`Scoring`, as for :func:`plainfilm.score`.

    Raises:
        MetricError: as for :func:`plainfilm.score`; or there is no run.
    """
    if not runs:
        raise MetricError("runs is empty: give what at least one run wrote")
    chosen = resolve(metrics)
    bootstrap = bootstrap or Bootstrap()
    scoring = Scoring.of(scoring, options)
    first = align(references, runs[0], scoring=scoring)
    aligned = [first]
    for run in runs[1:]:
        pairs = align(references, run, scoring=scoring)
        aligned.append(replace(pairs, read=first.read))  # share the cache of read texts
    measured = [measure(pairs, chosen) for pairs in aligned]
    draws = [bootstrap.values(found) for found in measured]
    smoothed = [bootstrap.values(found, smooth=True) for found in measured]
    found = {}
    for name in chosen:
        statistics = [one[name] for one in measured]
        parts = [one.parts(one.totals) for one in statistics]
        values = tuple(float(one.value(one.totals)) for one in statistics)
        drawn = quantiles(np.mean([one[name] for one in smoothed], axis=0), 0.025)
        found[name] = Runs(
            values=values,
            draws=np.mean([one[name] for one in draws], axis=0),
            interval=holding(drawn, fmean(values)),
            parts={part: tuple(one[part] for one in parts) for part in parts[0]},
            signature=signature(name, statistics[0], first),
        )
    return found


def difference(first: Runs, second: Runs, *, one_sided: bool = False) -> Difference:
    """Return the difference ``second`` minus ``first``.

    Args:
        first: one system's runs.
        second: the other's.
        one_sided: whether the test asks only if ``second`` is better.

    Raises:
        MetricError: the systems were scored by different protocols.
    """
    if differing := first.signature.differences(second.signature):
        raise MetricError(
            f"scores of different protocols do not compare ({'; '.join(differing)}): "
            "score both systems in the same way"
        )
    several = min(len(first.values), len(second.values)) > 1
    return Difference(
        value=float(differences(np.array(second.mean), np.array(first.mean))),
        interval=quantiles(differences(second.draws, first.draws), 0.025),
        p_value=welch(first.values, second.values, one_sided=one_sided) if several else math.nan,
    )
