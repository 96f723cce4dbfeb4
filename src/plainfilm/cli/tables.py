"""Scores as tables on a terminal."""

from collections.abc import Mapping

from rich.table import Table

from plainfilm.core import Score


def score_table(rows: Mapping[str, Mapping[str, Score]], title: str) -> Table:
    """Return a table of scores: a row for each metric, a column for each system."""
    table = Table("", *rows, title=title)
    for metric in next(iter(rows.values())):
        table.add_row(metric, *(_with_interval(scores[metric]) for scores in rows.values()))
    return table


def part_table(rows: Mapping[str, Mapping[str, Score]], metric: str, title: str) -> Table:
    """Return a metric's parts (F1 by observation, say): a row each, a column for each system."""
    table = Table("", *rows, title=title)
    parts = {name: scores[metric].parts for name, scores in rows.items()}
    for part in dict.fromkeys(part for values in parts.values() for part in values):
        table.add_row(part, *(_cell(values.get(part, float("nan"))) for values in parts.values()))
    return table


def signature_lines(scores: Mapping[str, Score]) -> list[str]:
    """Return the signature of each score, a line each."""
    return [str(score.signature) for score in scores.values()]


def _with_interval(score: Score) -> str:
    """Return the value and, behind it, its confidence interval where there is one."""
    value = _cell(score.value)
    return f"{value} [{', '.join(map(_cell, score.interval))}]" if score.interval else value


def _cell(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"  # NaN alone differs from itself
