"""Comparison of several systems: every pair tested, Holm's correction, compact letter display.

Systems that share a letter do not differ significantly (Piepho 2004): a system with the letters
"ab" differs neither from one with "a" nor from one with "b", though these two differ.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Unpack

from plainfilm.core import MetricError, Score
from plainfilm.metrics.bootstrap import Bootstrap, differences, quantiles
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import Reports, align, measure, scores_of
from plainfilm.metrics.significance import holm, randomisation

LEVEL = 0.05


@dataclass(frozen=True)
class PairTest:
    """The test of a pair of systems by one metric."""

    first: str
    second: str
    difference: float
    """Second system's value minus the first's."""
    interval: tuple[float, float]
    """95 % bootstrap interval of :attr:`difference`."""
    p_value: float
    """Two-sided p-value of paired randomisation; NaN if the difference is undefined."""
    corrected_p_value: float
    """p-value after Holm's correction over all pairs and metrics tested together."""


@dataclass(frozen=True)
class Ranking:
    """Several systems on the same studies, compared by one metric."""

    scores: Mapping[str, Score]
    """System → value, with interval and signature, in the order given."""
    tests: tuple[PairTest, ...]
    letters: Mapping[str, str]
    """System → letters; the best system has "a"."""


def rank(
    references: Reports,
    systems: Mapping[str, Reports],
    metrics: Sequence[str] | None = None,
    *,
    samples: int = 10_000,
    seed: int = 0,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Ranking]:
    """Compare several systems' reports on the same studies, by each metric.

    Args:
        references: the radiologists' reports.
        systems: name → the system's reports; at least two systems.
        metrics: names as for :func:`plainfilm.score`.
        samples: number of random swaps for each p-value; a tenth as many resamples for intervals.
        seed: random seed of both.
        scoring: how reports are scored.
        options: fields of :class:`Scoring`, as for :func:`plainfilm.score`.

    Raises:
        MetricError: as for :func:`plainfilm.score`; or there are fewer than two systems, or too few
            samples.
    """
    if len(systems) < 2:
        raise MetricError(f"a comparison needs at least two systems, got {len(systems)}")
    if samples < 100:
        raise MetricError(f"samples must be at least 100 for a p-value, got {samples}")
    chosen = resolve(metrics)
    scoring = Scoring.of(scoring, options)
    sides = {name: align(references, said, scoring=scoring) for name, said in systems.items()}
    shared = next(iter(sides.values())).read
    sides = {name: replace(one, read=shared) for name, one in sides.items()}
    measured = {name: measure(one, chosen) for name, one in sides.items()}
    bootstrap = Bootstrap(samples=samples // 10, seed=seed)
    draws = {name: bootstrap.values(one) for name, one in measured.items()}
    scores = {
        name: scores_of(sides[name], chosen, one, intervals=bootstrap)
        for name, one in measured.items()
    }
    pairs = list(combinations(systems, 2))
    p_values = {
        f"{metric}\0{number}": randomisation(
            measured[first][metric], measured[second][metric], samples, seed
        )
        for metric in chosen
        for number, (first, second) in enumerate(pairs)
    }
    corrected = holm(p_values)
    found = {}
    for metric, described in chosen.items():
        tests = tuple(
            PairTest(
                first,
                second,
                difference=scores[second][metric].value - scores[first][metric].value,
                interval=quantiles(differences(draws[second][metric], draws[first][metric]), 0.025),
                p_value=p_values[f"{metric}\0{number}"],
                corrected_p_value=corrected[f"{metric}\0{number}"],
            )
            for number, (first, second) in enumerate(pairs)
        )
        values = {name: scores[name][metric].value for name in systems}
        sign = -1 if described.higher_is_better else 1
        order = sorted(
            values,
            key=lambda name: math.inf if math.isnan(values[name]) else sign * values[name],
        )
        apart = [(t.first, t.second) for t in tests if t.corrected_p_value < LEVEL]
        found[metric] = Ranking(
            {name: scores[name][metric] for name in systems},
            tests,
            compact_letters(order, apart),
        )
    return found


def compact_letters(order: Sequence[str], apart: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return each system's letters; two systems share one if they don't differ significantly.

    The algorithm is insertion and absorption (Piepho 2004).

    Args:
        order: the systems, best first.
        apart: the pairs that differ significantly.
    """
    groups: list[frozenset[str]] = [frozenset(order)]
    for first, second in apart:
        split: list[frozenset[str]] = []
        for group in groups:
            if first in group and second in group:
                split += [group - {first}, group - {second}]
            else:
                split.append(group)
        kept = [group for group in dict.fromkeys(split) if group]
        groups = [one for one in kept if not any(one < other for other in kept)]
    place = {name: number for number, name in enumerate(order)}
    groups.sort(key=lambda group: sorted(place[name] for name in group))
    return {
        name: "".join(_letter(number) for number, group in enumerate(groups) if name in group)
        for name in order
    }


def _letter(number: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return alphabet[number] if number < len(alphabet) else f"({number + 1})"
