"""``plainfilm data``: any source into one layout on disk."""

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(
    name="data",
    help="Prepare a data set: the phantom, IU X-ray, or films with a table of your own.\n\n"
    "Each source becomes a dataset directory: manifest.parquet, images/, card.json. Splits are by "
    "patient. An interrupted preparation goes on where it stopped.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Out = Annotated[
    Path, typer.Argument(metavar="OUT", help="Dataset directory to make.", show_default=False)
]


@data_app.command()
def phantom(
    studies: Annotated[
        int, typer.Argument(metavar="N", min=1, help="How many studies.", show_default=False)
    ],
    out: Out,
    seed: Annotated[int, typer.Option(min=0, help="The series; another seed, other patients.")] = 0,
    size: Annotated[int, typer.Option(min=32, max=4096, help="Side of the films in pixels.")] = 256,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores if left out.")
    ] = None,
) -> None:
    """Simulate chest films whose truth is known exactly.

    plainfilm data phantom 500 phantom/
    """
    from plainfilm.data.phantom import prepare_phantom

    _done(prepare_phantom(studies, out, seed=seed, size=size, workers=workers).path)


def _done(path: Path) -> None:
    from plainfilm.data import Dataset

    card = Dataset(path).card
    counts = ", ".join(f"{count} {split}" for split, count in card.studies.items())
    typer.echo(f"{path}: {counts}; fingerprint {card.fingerprint[:12]}")
    for reason, count in card.skipped.items():
        typer.echo(f"  left out: {count} ({reason})")
