"""``plainfilm evaluate``: a model's scores on a dataset, beside the template rows."""

from pathlib import Path
from typing import Annotated

import typer

from plainfilm.cli.options import (
    By,
    DeviceOption,
    Metrics,
    Models,
    PresetOption,
    ThreadsOption,
    Uncertain,
    UncertainOption,
    protocol,
    use_threads,
)


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
        typer.Option(
            "--output", "-o", help="Folder for reports, scores, errors, plots and errors.html."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="The split to score.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many studies.")
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            help="The dataset whose training split feeds the template rows, where the "
            "scored one has none."
        ),
    ] = None,
    metrics: Metrics = None,
    uncertain: UncertainOption = Uncertain.POSITIVE,
    metric_model: Models = None,
    by: By = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            help="Also draft every study with something changed: other-context, no-table, "
            "other-table, table-only, moved-value (one value crosses its reference range), "
            "agreement (beams ranked by agreement with the classifier). May be repeated.",
        ),
    ] = None,
    preset: PresetOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Score a model on the studies of a dataset's test split.

    Beside it stand rows that need no model: the most common training report, the report of the
    training film that looks most alike, what the indication or the clinical table alone would tell,
    and, for simulated studies, what perfect vision would write. With --output, everything is kept:
    plainfilm score, compare, metrics errors and metrics plot read that folder.

        plainfilm data phantom 500 phantom/
        plainfilm evaluate plainfilm-small phantom/ -o scores/
        plainfilm evaluate runs/mine mimic/ --by institution -o scores/
        torchrun --nproc-per-node 8 -m plainfilm evaluate runs/mine mimic/ -o scores/
    """  # fmt: skip
    from plainfilm.cli import tables
    from plainfilm.core import check_folder
    from plainfilm.core.processes import processes
    from plainfilm.data import Dataset
    from plainfilm.evaluation.evaluate import evaluate as carry_out
    from plainfilm.pipeline import load_model

    if output is not None:
        check_folder(output)
    chosen = protocol(metrics, uncertain, metric_model)
    opened = Dataset(dataset)
    loaded = load_model(model, preset=preset, device=device)
    use_threads(loaded.model, threads)
    result = carry_out(
        loaded, opened, split=split, limit=limit,
        metrics=chosen.scored, training=Dataset(training) if training else None,
        conditions=tuple(condition or ()), by=by, output=output, progress=not quiet,
        **chosen.options,
    )  # fmt: skip
    if processes()[0] > 0:
        return  # the first process speaks
    out = tables.console()
    title = f"{len(result.references)} studies of {dataset}, {split} split"
    out.print(tables.score_table(result.scores, chosen.metrics, title))
    for note in result.notes:
        out.print(note, soft_wrap=True)
    for name, profile in result.outputs.items():
        out.print(f"{name}: {profile}", soft_wrap=True)
    for name, groups in result.groups.items():
        out.print(tables.group_table(groups, chosen.metrics, by or "", name))
    if chosen.by_observation:
        out.print(tables.observation_table(result.scores, chosen.by_observation))
    for sheet in (*tables.consistency_tables(result), *tables.condition_tables(result)):
        out.print(sheet)
    out.print(tables.error_table(result.error_shares))
    first, shares = (next(iter(rows.values())) for rows in (result.scores, result.error_shares))
    tables.print_signatures(out, [first[name] for name in chosen.metrics])
    tables.print_signatures(out, list(shares.values())[:1])
    if output is not None:
        from plainfilm.cli.pages import write_pages

        names = ", ".join(path.name for path in write_pages(output, opened))
        typer.echo(f"wrote reports, scores, errors, {names} into {output}")
