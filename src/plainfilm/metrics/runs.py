"""A system that was trained several times: its mean, and its variation over runs and over studies.

Two things make a number uncertain. Another seed gives another model: that is the standard deviation
over the runs. Other test studies give other scores: that is the interval, from the bootstrap over
studies of the *mean* over the runs, every run and system seeing the same draws.
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
    """A system's runs, by one metric."""

    values: tuple[float, ...]
    """The value of each run."""
    draws: Array
    """The mean over the runs in each bootstrap draw of the studies, ``(samples,)``."""
    interval: tuple[float, float]
    """95 % bootstrap interval of the mean, over studies."""
    parts: dict[str, tuple[float, ...]]
    """The values behind it by name, of each run."""
    signature: Signature

    @property
    def mean(self) -> float:
        """Of the runs; NaN where one is undefined."""
        return fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation over the runs; NaN of a single one."""
        return stdev(self.values) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Difference:
    """How much better the second of two systems is, by one metric, on the same studies."""

    value: float
    """Mean of the second's runs less mean of the first's."""
    interval: tuple[float, float]
    """95 % bootstrap interval, over studies."""
    p_value: float
    """Two-sided, by Welch's t-test between the runs; NaN where a system has a single one."""


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
        references: what radiologists wrote.
        runs: what each run wrote for the same studies.
        metrics: names as for :func:`plainfilm.score`.
        bootstrap: how intervals are made; 1000 samples, seed 0 where left out.
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
        aligned.append(replace(pairs, read=first.read))  # a text is read once
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


def difference(first: Runs, second: Runs) -> Difference:
    """Return how much better ``second`` is.

    Raises:
        MetricError: they were scored by different protocols.
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
        p_value=welch(first.values, second.values, one_sided=False) if several else math.nan,
    )
