"""``plainfilm score``: metrics of predicted reports against references, from plain files."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plainfilm.core import Score


def score(
    references: Annotated[
        Path, typer.Argument(help="What radiologists wrote: .txt, .csv, .jsonl or .json.")
    ],
    predictions: Annotated[
        Path, typer.Argument(help="What a model wrote; the same file where it holds both.")
    ],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Names of metrics, separated by commas; see docs/metrics.", metavar="A,B"
        ),
    ] = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Add 95 % bootstrap intervals (1000 samples).")
    ] = False,
    uncertain: Annotated[
        str, typer.Option(help="What an uncertain mention counts as: positive or negative.")
    ] = "positive",
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="A model that a metric asks, as its page in docs/metrics says; repeatable.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print values, parts and signatures as JSON.")
    ] = False,
) -> None:
    """Score predicted reports against references, without any model.

    A .txt file holds one report a line. The other forms hold an id and a text for each report
    (columns or keys "id" and "text"); reports are paired by id. ReXrank's JSON is read as it is:
    give the same file twice.

        plainfilm score references.csv predictions.csv --metrics bleu-4,micro-f1-14
    """
    from rich.console import Console
    from rich.progress import track as progress

    from plainfilm.core import UncertaintyPolicy
    from plainfilm.metrics import align
    from plainfilm.metrics import score as compute
    from plainfilm.metrics.files import read_reports
    from plainfilm.metrics.models import load_models
    from plainfilm.metrics.outputs import output_profile

    policies = {policy.value.removeprefix("uncertain-"): policy for policy in UncertaintyPolicy}
    if uncertain not in policies:
        raise typer.BadParameter(
            f"must be {' or '.join(policies)}, got {uncertain!r}", param_hint="--uncertain"
        )
    stderr = Console(stderr=True)

    def track(texts: Iterable[str], task: str) -> Iterable[str]:
        return progress(
            list(texts), task, console=stderr, transient=True, disable=not stderr.is_terminal
        )

    truth = read_reports(references, "references")
    said = read_reports(predictions, "predictions")
    scores = compute(
        truth,
        said,
        [name.strip() for name in metrics.split(",")] if metrics is not None else None,
        intervals=intervals,
        policy=policies[uncertain],
        models=load_models(model or []),
        track=track,
    )
    if json:
        from json import dumps

        typer.echo(dumps({name: score.to_dict() for name, score in scores.items()}, indent=2))
        return
    _print(scores)
    typer.echo(output_profile(align(truth, said)))


def _print(scores: "dict[str, Score]") -> None:
    from rich.console import Console
    from rich.table import Table

    count = next(iter(scores.values())).signature.count
    method = next(iter(scores.values())).interval_method
    table = Table("metric", "value", "undefined", title=f"{count} reports", caption=method)
    if method:
        table.add_column("interval")
    for name, score in scores.items():
        interval = [" – ".join(map(_number, score.interval))] if score.interval else []
        table.add_row(name, _number(score.value), str(score.undefined or ""), *interval)
    console = Console()
    console.print(table)
    for score in scores.values():
        console.print(str(score.signature), style="dim", highlight=False, soft_wrap=True)


def _number(value: float) -> str:
    return "undefined" if value != value else f"{value:.4f}"  # NaN alone differs from itself
