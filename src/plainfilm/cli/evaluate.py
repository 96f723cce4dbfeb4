"""``plainfilm evaluate``: a model's scores on a dataset, beside the template rows."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped model, a run folder or a checkpoint directory.", show_default=False
        ),
    ],
    dataset: Annotated[
        Path, typer.Argument(help="A dataset directory (plainfilm data).", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for predictions.jsonl and scores.json."),
    ] = None,
    split: Annotated[str, typer.Option(help="The split to score.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many studies.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names of metrics, separated by commas.")
    ] = None,
) -> None:
    """Score a model on the studies of a dataset's test split.

    Beside it stand two rows that need no model: the most common training report, and the report of
    the training film that looks most alike.

        plainfilm data phantom 500 phantom/
        plainfilm evaluate plainfilm-small phantom/
    """
    from rich.console import Console

    from plainfilm.cli.tables import part_table, score_table, signature_lines
    from plainfilm.data import Dataset
    from plainfilm.metrics import align
    from plainfilm.metrics.outputs import output_profile
    from plainfilm.pipeline import load_model
    from plainfilm.training.evaluation import evaluate as carry_out

    names = [name.strip() for name in metrics.split(",")] if metrics else None
    opened = Dataset(dataset)
    result = carry_out(load_model(model), opened, split=split, limit=limit, metrics=names)
    console = Console()
    count = len(result.references)
    console.print(score_table(result.scores, f"{count} studies of {dataset}, {split} split"))
    for name, texts in result.predictions.items():
        console.print(f"{name}: {output_profile(align(result.references, texts))}")
    first = next(iter(result.scores.values()))
    for metric, value in first.items():
        if value.parts:
            console.print(part_table(result.scores, metric, f"{metric} by observation"))
            break
    for line in signature_lines(first):
        console.print(line, style="dim", highlight=False)
    if output is not None:
        result.save(output)
        typer.echo(f"wrote predictions.jsonl and scores.json into {output}")
