"""Does a model use what it is told? Every test study once more, with something changed.

Each condition changes what the model reads; what it then writes otherwise hangs on that, and what
stays right doesn't. ``moved-value`` is a counterfactual: one value of the study's table crosses its
reference range, and all else stays as it is. A model that reads the table changes the observations
that the value speaks for, and no others.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Literal

import numpy as np

from plainfilm.core import OBSERVATIONS, Report, Study, UncertaintyPolicy, binarize
from plainfilm.text import labels
from plainfilm.text.clinical_table import Table, flag, limits, value_columns

CONDITIONS: Mapping[str, str] = {
    "other-context": "another patient's context",
    "no-table": "nothing measured",
    "other-table": "another patient's table",
    "table-only": "a black film",
    "moved-value": "one value moved",
    "agreement": "beams by agreement",
}
"""Condition → the words behind a model's name. ``other-context``: another patient's indication,
comparison, technique, table and earlier study; ``no-table``: a table in which nothing was measured;
``other-table``; ``table-only``: the words alone, the film is black; ``moved-value``; ``agreement``:
nothing is changed but the choice among beams, by agreement with the classification head."""
DECODING: Mapping[str, Mapping[str, Any]] = {"agreement": {"num_beams": 4, "agreement": 1.0}}
"""Condition → arguments of drafting."""


@dataclass(frozen=True)
class Move:
    """A value that crossed its reference range."""

    column: str
    before: float
    after: float
    to: Literal["high", "low", "normal"]


class Mover:
    """Moves one value of a table across its reference range.

    A normal value moves to the median of those that lie outside in other studies, on their
    commoner side; an abnormal one to the median of those inside. Which of a study's values moves is
    decided by its id.

    Args:
        tables: of the studies.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        found: dict[str, dict[str, list[float]]] = {}
        for table in tables:
            for name in value_columns(table):
                value = table[name]
                if isinstance(value, int | float) and limits(name, table) is not None:
                    groups = found.setdefault(name, {"normal": [], "high": [], "low": []})
                    groups[flag(name, table) or "normal"].append(float(value))
        self._groups = found

    def move(self, study_id: str, table: Table) -> tuple[dict[str, Any], Move] | None:
        """Return the table with one value moved, and which; None where no value can be moved."""
        choices = sorted(name for name in value_columns(table) if self._target(name, table))
        if not choices:
            return None
        name = choices[zlib.crc32(study_id.encode()) % len(choices)]
        target = self._target(name, table)
        value = table[name]
        assert target is not None  # noqa: S101
        assert isinstance(value, int | float)  # noqa: S101
        to, after = target
        return {**table, name: after}, Move(name, float(value), after, to)

    def _target(
        self, name: str, table: Table
    ) -> tuple[Literal["high", "low", "normal"], float] | None:
        """Return where a value goes; None where there is no value to move, or none to move to."""
        value, groups = table.get(name), self._groups.get(name)
        if not isinstance(value, int | float) or limits(name, table) is None or groups is None:
            return None
        if flag(name, table) is not None:
            return ("normal", median(groups["normal"])) if groups["normal"] else None
        to: Literal["high", "low"] = "high" if len(groups["high"]) >= len(groups["low"]) else "low"
        return (to, median(groups[to])) if groups[to] else None


def changed_study(condition: str, study: Study, other: Study, mover: Mover) -> Study:
    """Return a study as a condition changes it.

    Args:
        condition: one of :data:`CONDITIONS`.
        study: the study.
        other: another patient's.
        mover: for ``moved-value``.
    """
    context = ("indication", "comparison", "technique", "table", "prior")
    if condition == "other-context":
        return study.model_copy(update={name: getattr(other, name) for name in context})
    if condition == "no-table":
        return study.model_copy(update={"table": dict.fromkeys(study.table)})
    if condition == "other-table":
        return study.model_copy(update={"table": other.table})
    if condition == "table-only":
        films = tuple(
            film.model_copy(update={"pixels": np.zeros_like(film.pixels)}) for film in study.images
        )
        maps = tuple(
            one.model_copy(update={"values": np.zeros_like(one.values)}) for one in study.maps
        )
        features = {name: np.zeros_like(values) for name, values in study.features.items()}
        return study.model_copy(update={"images": films, "maps": maps, "features": features})
    if condition == "moved-value":
        moved = mover.move(study.id, study.table)
        return study if moved is None else study.model_copy(update={"table": moved[0]})
    return study


def changes(
    before: Mapping[str, Report],
    after: Mapping[str, Report],
    language: str = "en",
    studies: Sequence[str] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Return what a condition changed, by observation.

    Args:
        before: study id → the report.
        after: study id → the report under the condition.
        language: of the reports.
        studies: those that count; all where left out.

    Returns:
        Observation → ``before`` and ``after``, the shares of reports that state it; ``added`` and
        ``removed``, those in which it came and went; ``chance``, the mean change of the
        classifier's probability, None without one.
    """
    ids = list(before if studies is None else studies)
    said = [np.array([_stated(one[key], language) for key in ids]) for one in (before, after)]
    found: dict[str, dict[str, float | None]] = {}
    for place, name in enumerate(OBSERVATIONS):
        first, second = (one[:, place] for one in said)
        moved = [
            chances[1] - chances[0]
            for key in ids
            if None not in (chances := [_chance(one[key], name) for one in (before, after)])
        ]
        found[str(name)] = {
            "before": float(first.mean()),
            "after": float(second.mean()),
            "added": float((second & ~first).mean()),
            "removed": float((first & ~second).mean()),
            "chance": fmean(moved) if moved else None,
        }
    return found


def by_value(
    moves: Mapping[str, Move],
    before: Mapping[str, Report],
    after: Mapping[str, Report],
    language: str = "en",
) -> list[dict[str, Any]]:
    """Return what moved values changed: a row for each value and direction, by observation."""
    groups: dict[tuple[str, str], list[str]] = {}
    for key, move in moves.items():
        groups.setdefault((move.column, move.to), []).append(key)
    return [
        {
            "value": column,
            "to": to,
            "studies": len(ids),
            "observations": changes(before, after, language, ids),
        }
        for (column, to), ids in sorted(groups.items())
    ]


def largest_changes(
    observations: Mapping[str, Mapping[str, float | None]], count: int = 3
) -> list[tuple[str, float]]:
    """Return the observations whose share of reports changed most, with the change.

    Args:
        observations: what :func:`changes` returns.
        count: how many, at most; those that did not change are left out.
    """
    moved = {
        name: (one["after"] or 0.0) - (one["before"] or 0.0) for name, one in observations.items()
    }
    order = sorted(moved, key=lambda name: -abs(moved[name]))
    return [(name, moved[name]) for name in order[:count] if moved[name]]


def _stated(report: Report, language: str) -> tuple[bool, ...]:
    return binarize(labels(report.text, language=language), UncertaintyPolicy.POSITIVE)


def _chance(report: Report, name: str) -> Any:
    found = (one.probability for one in report.evidence if one.observation == name)
    return next(found, None)
