"""``plainfilm train``: carry out a recipe."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe, e.g. recipes/radscribe/tiny.yaml.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Run folder; runs/RECIPE'S NAME if left out."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change one value, e.g. --set data.dataset=PATH. May be repeated."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Train a model by a recipe.

    The run folder holds the resolved recipe, versions and seeds, checkpoints, and at the end the
    model. If training was interrupted, the same command goes on where it stopped, to the same
    weights.

        plainfilm train recipes/radscribe/tiny.yaml
        plainfilm train recipes/radscribe/vit-label.yaml --set data.dataset=/data/mimic-cxr
        torchrun --nproc-per-node 2 -m plainfilm train recipes/radscribe/tiny.yaml
    """
    import os
    from contextlib import nullcontext

    from plainfilm.core import TrainingError, check_folder
    from plainfilm.core.files import locked
    from plainfilm.training.recipe import load_recipe

    resolved = load_recipe(recipe, tuple(change or ()))
    run = output or Path("runs") / resolved.name
    check_folder(run)
    from plainfilm.training.run import train as carry_out

    first = os.environ.get("RANK", "0") == "0"  # under torchrun, the first process speaks
    run.mkdir(parents=True, exist_ok=True)
    with locked(run) if first else nullcontext(True) as free:
        if not free:
            raise TrainingError(f"another process is training in {run}: wait for it")
        model = carry_out(resolved, run, progress=not quiet, say=typer.echo)
    if first:
        typer.echo(f"the model is in {model}: plainfilm report FILM --model {run}")
