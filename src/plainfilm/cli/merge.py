"""``plainfilm merge``: an adapter and its base as one model."""

import shutil
from pathlib import Path
from typing import Annotated

import typer


def merge(
    model: Annotated[
        Path,
        typer.Argument(help="A run folder or model folder with an adapter.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)
    ],
) -> None:
    """Write a model whose adapter (LoRA, QLoRA) is merged into its base, whole.

    plainfilm merge runs/onevision-qlora -o merged/
    """
    from plainfilm.core import InputError, check_folder
    from plainfilm.pipeline import DOMAIN_FILE, merge_adapter

    check_folder(output)
    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty: choose another --output")
    folder = model / "model" if (model / "model").is_dir() else model
    part = output.with_name(f".{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    merge_adapter(folder, part)
    for name in ("card.json", DOMAIN_FILE):
        if (folder / name).is_file():
            shutil.copy(folder / name, part / name)
    if output.exists():
        output.rmdir()
    part.replace(output)
    typer.echo(f"wrote {output}")
