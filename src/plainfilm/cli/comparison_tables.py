"""Comparisons of systems as tables and for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from plainfilm.evaluation.tables import Sheet, Value

if TYPE_CHECKING:
    from plainfilm.metrics.ranking import Ranking
    from plainfilm.metrics.significance import Comparison, Repetition


def _defined(value: float) -> float | None:
    return None if value != value else value


def comparison_entry(one: "Comparison", runs: "Repetition | None") -> dict[str, object]:
    """Return a comparison for JSON, undefined values as null."""
    entry: dict[str, object] = {
        "first": _defined(one.first),
        "second": _defined(one.second),
        "difference": _defined(one.difference),
        "interval": [_defined(bound) for bound in one.interval],
        "p_value": _defined(one.p_value),
        "corrected_p_value": _defined(one.corrected_p_value),
        "signature": one.signature.to_dict(),
    }
    if runs is None:
        return entry
    return entry | {
        "first_runs": [_defined(value) for value in runs.first],
        "second_runs": [_defined(value) for value in runs.second],
        "welch_p_value": _defined(runs.p_value),
        "corrected_welch_p_value": _defined(runs.corrected_p_value),
    }


def ranking_entry(one: "Ranking") -> dict[str, object]:
    """Return a ranking for JSON, undefined values as null."""
    return {
        "scores": {name: score.to_dict() for name, score in one.scores.items()},
        "letters": dict(one.letters),
        "pairs": [
            {
                "first": test.first,
                "second": test.second,
                "difference": _defined(test.difference),
                "interval": [_defined(bound) for bound in test.interval],
                "p_value": _defined(test.p_value),
                "corrected_p_value": _defined(test.corrected_p_value),
            }
            for test in one.tests
        ],
    }


def comparison_sheet(
    found: "Mapping[str, Comparison]", repeated: "Mapping[str, Repetition]", title: str
) -> Sheet:
    """Return the comparison of two systems, a row for each metric."""
    columns = ["metric", "first", "second", "difference", "p", "p corrected"]
    if repeated:
        columns += ["first, all runs", "second, all runs", "Welch p", "Welch p corrected"]
    rows: list[list[str | Value]] = []
    for name, one in found.items():
        row: list[str | Value] = [name, *_difference_cells(one)]
        if repeated:
            runs = repeated[name]
            row += [_spread(runs.first), _spread(runs.second)]
            row += [Value(p, form=".4f") for p in (runs.p_value, runs.corrected_p_value)]
        rows.append(row)
    signatures = [str(one.signature) for one in found.values()]
    return Sheet(columns, rows, title, "in brackets: 95 % interval of the difference", signatures)


def group_sheet(groups: "Mapping[str, Mapping[str, Comparison]]", by: str) -> Sheet:
    """Return the comparison of two systems by group."""
    columns = [by, "studies", "metric", "first", "second", "difference", "p", "p corrected"]
    rows: list[list[str | Value]] = [
        [group, str(one.signature.count), name, *_difference_cells(one)]
        for group, values in groups.items()
        for name, one in values.items()
    ]
    return Sheet(columns, rows, f"by {by}", "p corrected over groups and metrics (Holm)")


def ranking_sheet(found: "Mapping[str, Ranking]", title: str) -> Sheet:
    """Return the values of several systems, a row for each metric, with compact letters."""
    systems = list(next(iter(found.values())).scores)
    rows: list[list[str | Value]] = [
        [
            name,
            *(
                replace(Value.of(one.scores[system]), letters=one.letters[system])
                for system in systems
            ),
        ]
        for name, one in found.items()
    ]
    signatures = [str(next(iter(one.scores.values())).signature) for one in found.values()]
    caption = (
        "Systems that share a letter can't be told apart (paired randomisation, Holm's "
        "correction over all pairs and metrics, level .05)"
    )
    return Sheet(["metric", *systems], rows, title, caption, signatures)


def pairs_sheet(found: "Mapping[str, Ranking]") -> Sheet:
    """Return the test of every pair of several systems."""
    rows: list[list[str | Value]] = [
        [
            name,
            test.second,
            test.first,
            Value(test.difference, test.interval, form="+.4f"),
            Value(test.p_value, form=".4f"),
            Value(test.corrected_p_value, form=".4f"),
        ]
        for name, one in found.items()
        for test in one.tests
    ]
    columns = ["metric", "second", "against first", "difference", "p", "p corrected"]
    return Sheet(columns, rows, "every pair")


def _difference_cells(one: "Comparison") -> list[Value]:
    return [
        Value(one.first, form=".4f"),
        Value(one.second, form=".4f"),
        Value(one.difference, one.interval, form="+.4f"),
        Value(one.p_value, form=".4f"),
        Value(one.corrected_p_value, form=".4f"),
    ]


def _spread(values: Sequence[float]) -> str:
    """Return mean ± standard deviation over runs."""
    mean = fmean(values)
    return f"{mean:.4f} ± {stdev(values):.4f}" if mean == mean else "undefined"
