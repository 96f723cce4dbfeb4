"""``plainfilm metrics``: what there is, how it reacts, and the errors behind the numbers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

metrics = typer.Typer(help="List metrics, probe how they react to errors, list reports' errors.")


def _track(texts: Iterable[str], task: str) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    stderr = Console(stderr=True)
    return track(list(texts), task, console=stderr, transient=True, disable=not stderr.is_terminal)


@metrics.command("list")
def list_metrics() -> None:
    """List every metric with its range and its page in docs/metrics."""
    from rich.console import Console
    from rich.table import Table

    from plainfilm.metrics import DEFAULT_METRICS, METRICS

    table = Table("metric", "worst", "best", "by default", "page")
    for name, metric in METRICS.items():
        default = "yes" if name in DEFAULT_METRICS else ""
        table.add_row(name, f"{metric.worst:g}", f"{metric.best:g}", default, f"{metric.card}.md")
    Console().print(table)


@metrics.command()
def probe(
    reports: Annotated[
        Path, typer.Argument(help="Reports as radiologists wrote them: .txt, .csv, .jsonl, .json.")
    ],
    names: Annotated[
        str | None,
        typer.Option("--metrics", help="Names of metrics, separated by commas.", metavar="A,B"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many reports.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of places.")] = 0,
) -> None:
    """Make one small error in each report, and print what share of each metric it costs.

    A metric that reads reports has to react to all edits but the last (shuffled sentences), which
    changes no finding.

        plainfilm metrics probe references.csv --metrics bleu-4,rouge-l,micro-f1-14,finding-f1-side
    """
    from rich.console import Console
    from rich.table import Table

    from plainfilm.metrics.files import read_reports
    from plainfilm.metrics.probe import probe as carry_out

    found = read_reports(reports, "references")
    texts = (found if isinstance(found, list) else list(found.values()))[:limit]
    wanted = [name.strip() for name in names.split(",")] if names is not None else None
    reactions = carry_out(texts, wanted, seed=seed, track=_track)
    columns = list(next(iter(reactions.values())).before)
    table = Table(
        "edit", "reports", *columns, title=f"share of the value lost by one edit, {reports}"
    )
    for edit, reaction in reactions.items():
        drops = (reaction.drop(name) for name in columns)
        cells = ("undefined" if drop != drop else f"{drop:.1%}" for drop in drops)
        table.add_row(edit, str(reaction.applied), *cells)
    Console().print(table)


@metrics.command()
def errors(
    references: Annotated[Path, typer.Argument(help="What radiologists wrote.")],
    predictions: Annotated[
        Path, typer.Argument(help="What a model wrote; the same file where it holds both.")
    ],
    show: Annotated[
        str | None,
        typer.Option(help="Print the reports of one row of the table, by its name."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every error as JSON.")] = False,
) -> None:
    """Print what is wrong with predicted reports: the share of reports in each row.

    plainfilm metrics errors references.csv predictions.csv
    plainfilm metrics errors references.csv predictions.csv --show "wrong severity"
    """
    from json import dumps

    from rich.console import Console
    from rich.table import Table

    from plainfilm.core import InputError
    from plainfilm.metrics import align
    from plainfilm.metrics.error_table import error_table
    from plainfilm.metrics.files import read_reports

    pairs = align(
        read_reports(references, "references"),
        read_reports(predictions, "predictions"),
        track=_track,
    )
    found = error_table(pairs)
    shares = found.shares()
    if show is not None and show not in shares:
        raise InputError(f"no row {show!r} in the error table: choose from {'; '.join(shares)}")
    if json:
        entries = {
            key: [{"kind": error.kind, "what": error.what} for error in errors_]
            for key, errors_ in found.errors.items()
        }
        typer.echo(dumps(entries, indent=2))
        return
    console = Console(highlight=False)
    if show is None:
        table = Table("", "reports", "share", title=f"{len(pairs)} reports")
        for row, share in shares.items():
            table.add_row(row, str(len(found.reports(row))), f"{share:.1%}")
        console.print(table)
        return
    wanted = set(found.reports(show))
    for key, reference, prediction in zip(
        pairs.ids, pairs.references, pairs.predictions, strict=True
    ):
        if key in wanted:
            console.print(f"[bold]{key}[/bold]")
            for error in found.errors[key]:
                console.print(f"  {error.kind}: {error.what}", markup=False)
            console.print(f"  reference:  {reference}", markup=False, soft_wrap=True)
            console.print(f"  prediction: {prediction}\n", markup=False, soft_wrap=True)
