"""Scores by group: for each institution, view, sex, or value of any other column of the studies.

Every report is measured once, together with all others; a group's value is computed from the rows
of its reports. Statistics that a metric takes from the whole set (CIDEr-D's document frequencies)
remain those of the whole set, so that groups are comparable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plainfilm.core import MetricError, Score
from plainfilm.metrics.bootstrap import Bootstrap
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.registry import Metric
from plainfilm.metrics.scoring import measure, scores_of

UNKNOWN = "unknown"
"""Name of the group of studies with an empty value."""


def groups_of(values: Sequence[Any], reports: int) -> dict[str, list[int]]:
    """Return the groups by name, in order, each with the positions of its reports.

    Raises:
        MetricError: there is not one value for each report.
    """
    if len(values) != reports:
        raise MetricError(
            f"a breakdown needs a value for each report, got {len(values)} for {reports} reports"
        )
    found: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        empty = value is None or (isinstance(value, str) and not value.strip())
        name = UNKNOWN if empty or value != value else str(value).strip()
        found.setdefault(name, []).append(place)
    return dict(sorted(found.items(), key=lambda group: (group[0] == UNKNOWN, group[0])))


def score_by(
    pairs: Pairs,
    metrics: Mapping[str, Metric],
    values: Sequence[Any],
    *,
    intervals: bool | Bootstrap = False,
) -> dict[str, dict[str, Score]]:
    """Return the scores of each group: group → metric → score.

    Args:
        pairs: all reports.
        metrics: name → metric.
        values: the column's value for each report, in order.
        intervals: as for :func:`plainfilm.score`.

    Raises:
        MetricError: there is not one value for each report.
    """
    groups = groups_of(values, len(pairs))
    measured = measure(pairs, metrics)
    found = {}
    for name, places in groups.items():
        rows = np.array(places)
        part = {metric: replace(one, rows=one.rows[rows]) for metric, one in measured.items()}
        found[name] = scores_of(subset(pairs, places), metrics, part, intervals=intervals)
    return found


def subset(pairs: Pairs, places: Sequence[int]) -> Pairs:
    """Return the pairs at the given positions; what was read from the texts is shared."""
    return replace(
        pairs,
        ids=tuple(pairs.ids[place] for place in places),
        references=tuple(pairs.references[place] for place in places),
        predictions=tuple(pairs.predictions[place] for place in places),
        part_of=pairs.whole,
    )
