"""Scores as tables on a terminal, or in full width where the output is a file or a pipe."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress import track as progress
from rich.table import Column, Table

from plainfilm.core import OBSERVATIONS, Score

_WIDE = 10_000  # columns of a file or a pipe: nothing is cut or folded


def console() -> Console:
    """Return the console for standard output; brackets in names and texts are no markup."""
    found = Console(markup=False, highlight=False, emoji=False)
    if not found.is_terminal:
        found.width = _WIDE
    return found


def track(texts: Iterable[str], task: str) -> Iterable[str]:
    """Show the progress of a long iteration on standard error, where that is a terminal."""
    stderr = Console(stderr=True)
    return progress(
        list(texts), task, console=stderr, transient=True, disable=not stderr.is_terminal
    )


def table(*columns: str, title: str | None = None, caption: str | None = None) -> Table:
    """Return a table whose first column, the names, is never cut."""
    first, *others = columns
    return Table(Column(first, no_wrap=True), *others, title=title, caption=caption)


def score_table(
    rows: Mapping[str, Mapping[str, Score]], metrics: Sequence[str], title: str
) -> Table:
    """Return a table of scores: a row for each metric, a column for each system."""
    found = table("", *rows, title=title, caption=_methods(rows, metrics))
    for metric in metrics:
        found.add_row(metric, *(_with_interval(scores[metric]) for scores in rows.values()))
    return found


def observation_table(rows: Mapping[str, Mapping[str, Score]], metrics: Sequence[str]) -> Table:
    """Return the values by observation: every measure of the first system, F1 of the others.

    ``metrics`` names macro precision, recall and F1, whose parts are the observations.
    """
    precision, recall, f1 = metrics
    system, *others = rows
    columns = [(system, precision), (system, recall), *((name, f1) for name in rows)]
    names = ["precision", "recall", "F1", *(f"F1, {name}" for name in others)]
    found = table("", *names, title=f"by observation: {system}")
    parts = [rows[name][metric].parts for name, metric in columns]
    for observation in map(str, OBSERVATIONS):
        if observation in parts[0]:
            found.add_row(observation, *(_cell(values[observation]) for values in parts))
    return found


def error_table(shares: Mapping[str, Mapping[str, Score]]) -> Table:
    """Return the shares of reports with each kind of error, a column for each system."""
    first = next(iter(shares.values()))
    found = table("errors: share of reports", *shares, caption=_methods(shares, list(first)))
    for row in first:
        found.add_row(row, *(_percent(scores[row]) for scores in shares.values()))
    return found


def _methods(rows: Mapping[str, Mapping[str, Score]], metrics: Sequence[str]) -> str | None:
    """Return how the intervals of a table were made, each way once."""
    methods = (scores[name].interval_method for scores in rows.values() for name in metrics)
    return "; ".join(dict.fromkeys(filter(None, methods))) or None


def print_signatures(console: Console, scores: Iterable[Score]) -> None:
    """Print the signature of each score, a line each."""
    for score in scores:
        console.print(str(score.signature), style="dim", soft_wrap=True)


def _with_interval(score: Score) -> str:
    """Return the value, its interval and the count of undefined parts, where there are any."""
    value = _cell(score.value)
    if score.interval and value != "undefined":
        value += f" [{', '.join(map(_cell, score.interval))}]"
    return f"{value} ({score.undefined} undefined)" if score.undefined else value


def cell(value: float, form: str) -> str:
    """Return a value in a format such as ``+.4f``; NaN is "undefined"."""
    return "undefined" if value != value else format(value, form)  # NaN alone differs from itself


def _percent(score: Score) -> str:
    low, high = score.interval or (score.value, score.value)
    return f"{score.value:.1%} [{low:.1%}, {high:.1%}]"


def _cell(value: float) -> str:
    return cell(value, ".3f")
