"""Scores as tables: on a terminal, in full width in a file or a pipe, as Markdown, LaTeX or CSV."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track as progress

from plainfilm.core import OBSERVATIONS, Score
from plainfilm.evaluation.tables import Sheet, Value

if TYPE_CHECKING:
    from plainfilm.evaluation.evaluate import Evaluation


class Form(StrEnum):
    """How tables are printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"


FormOption = Annotated[
    Form, typer.Option("--format", help="How tables are printed; anything but text prints no more.")
]

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


def show(out: Console, sheets: Iterable[Sheet], form: Form, notes: Iterable[str] = ()) -> None:
    """Print tables, and on a terminal or in a text the notes before and the signatures after."""
    sheets = list(sheets)
    if form is not Form.TEXT:
        typer.echo("\n".join(sheet.shown(form) for sheet in sheets), nl=False)
        return
    for note in notes:
        out.print(note, style="dim", soft_wrap=True)
    for sheet in sheets:
        out.print(sheet)
    for signature in dict.fromkeys(one for sheet in sheets for one in sheet.signatures):
        out.print(signature, style="dim", soft_wrap=True)


def score_table(
    rows: Mapping[str, Mapping[str, Score]], metrics: Sequence[str], title: str
) -> Sheet:
    """Return a table of scores: a row for each metric, a column for each system."""
    first = next(iter(rows.values()))
    return Sheet(
        ["metric", *rows],
        [[metric, *(Value.of(scores[metric]) for scores in rows.values())] for metric in metrics],
        title,
        _methods(rows, metrics),
        [str(first[metric].signature) for metric in metrics],
    )


def observation_table(
    rows: Mapping[str, Mapping[str, Score]],
    metrics: Sequence[str],
    positives: Mapping[str, int] | None = None,
) -> Sheet:
    """Return the values by observation: every measure of the first system, F1 of the others.

    Args:
        rows: system → metric → score.
        metrics: macro precision, recall and F1, whose parts are the observations.
        positives: in how many references each observation is positive.
    """
    precision, recall, f1 = metrics
    system, *others = rows
    columns = [(system, precision), (system, recall), *((name, f1) for name in rows)]
    names = ["precision", "recall", "F1", *(f"F1, {name}" for name in others)]
    parts = [rows[name][metric].parts for name, metric in columns]
    return Sheet(
        ["observation", *(["positives"] if positives else []), *names],
        [
            [
                observation,
                *([str(positives[observation])] if positives else []),
                *(Value(values[observation]) for values in parts),
            ]
            for observation in map(str, OBSERVATIONS)
            if observation in parts[0]
        ],
        f"by observation: {system}",
    )


def error_table(shares: Mapping[str, Mapping[str, Score]]) -> Sheet:
    """Return the shares of reports with each kind of error, a column for each system."""
    first = next(iter(shares.values()))
    return Sheet(
        ["errors: share of reports", *shares],
        [[row, *(Value.of(scores[row], ".1%") for scores in shares.values())] for row in first],
        caption=_methods(shares, list(first)),
    )


def group_table(
    groups: Mapping[str, Mapping[str, Score]], metrics: Sequence[str], column: str, system: str
) -> Sheet:
    """Return one system's scores by group: a row for each group, a column for each metric."""
    return Sheet(
        [column, "reports", *metrics],
        [
            [
                group,
                str(scores[metrics[0]].signature.count),
                *(Value.of(scores[metric]) for metric in metrics),
            ]
            for group, scores in groups.items()
        ],
        f"by {column}: {system}",
        _methods(groups, metrics),
    )


def consistency_tables(result: "Evaluation") -> list[Sheet]:
    """Return how classifier and text agree, whole and by observation; none without a classifier."""
    from plainfilm.evaluation.consistency import observations_table

    found = result.consistency
    if found is None:
        return []
    rows: list[list[str | Value]] = [[name, Value.of(one)] for name, one in found.scores.items()]
    rows.append(["mean AUC", "–" if found.auc is None else f"{found.auc:.3f}"])
    caption = _methods({"": found.scores}, list(found.scores))
    columns = ["observation", "positives", "AUC", "F1, classifier", "F1, text", "agreement",
               "known but unsaid"]  # fmt: skip
    return [
        Sheet(["classifier and text", "value"], rows, caption=caption),
        Sheet(columns, observations_table(found.observations)),
    ]


def condition_tables(result: "Evaluation") -> list[Sheet]:
    """Return what each condition changed, by observation."""
    from plainfilm.evaluation.conditions import CONDITIONS, largest_changes

    sheets = []
    for condition, told in result.conditions.items():
        name = CONDITIONS[condition]
        if "values" not in told:
            rows = [[one, *map(_change, row.items())] for one, row in told["observations"].items()]
            columns = ["observation", "before", "after", "added", "removed", "chance"]
            sheets.append(Sheet(columns, rows, f"{name}: share of reports"))
            continue
        rows = [
            [
                one["value"],
                one["to"],
                str(one["studies"]),
                ", ".join(f"{seen} {by:+.1%}" for seen, by in largest_changes(one["observations"])),
            ]
            for one in told["values"]
        ]
        columns = ["value", "moved to", "studies", "share of reports that state it"]
        sheets.append(Sheet(columns, rows, name))
    return sheets


def _change(entry: tuple[str, float | None]) -> str:
    name, value = entry
    if value is None:
        return "–"
    return f"{value:+.3f}" if name == "chance" else f"{value:.1%}"


def _methods(rows: Mapping[str, Mapping[str, Score]], metrics: Sequence[str]) -> str:
    """Return how the intervals of a table were made, each way once."""
    methods = (scores[name].interval_method for scores in rows.values() for name in metrics)
    return "; ".join(dict.fromkeys(filter(None, methods)))


def print_signatures(console: Console, scores: Iterable[Score]) -> None:
    """Print the signature of each score, a line each."""
    for score in scores:
        console.print(str(score.signature), style="dim", soft_wrap=True)
