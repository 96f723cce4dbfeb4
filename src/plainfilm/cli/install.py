"""``plainfilm metrics install``: an environment for a metric of another package."""

from pathlib import Path
from typing import Annotated

import typer


def install(
    metric: Annotated[str, typer.Argument(help="radgraph, ratescore or green.")],
    folder: Annotated[
        Path, typer.Argument(help="Where to make it: a folder that is not there yet.")
    ],
) -> None:
    """Make the environment that a metric of another package needs; this uses the network.

        plainfilm metrics install radgraph environments/radgraph

        plainfilm score references.csv predictions.csv --metrics radgraph-f1-partial \\
            --model radgraph=environments/radgraph
    """
    from plainfilm.metrics.bridge import install as make

    name = make(metric, folder)
    typer.echo(f"{name} answers; give --model {metric}={folder}")
