"""``plainfilm compare``: is the difference between two systems real?"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from plainfilm.metrics.significance import Comparison

_RUN = "A folder from plainfilm evaluate --output, or a file with references and predictions."


def compare(
    first: Annotated[Path, typer.Argument(help=_RUN, show_default=False)],
    second: Annotated[Path, typer.Argument(help=_RUN, show_default=False)],
    metrics: Annotated[
        str | None, typer.Option(help="Names of metrics, separated by commas.", metavar="A,B")
    ] = None,
    first_run: Annotated[
        list[Path] | None, typer.Option(help="A further run of the first system; repeat it.")
    ] = None,
    second_run: Annotated[
        list[Path] | None, typer.Option(help="A further run of the second system; repeat it.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Random exchanges for the p-value.")] = 10_000,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Compare two systems that wrote reports for the same studies.

    The p-value comes from paired randomisation, corrected for the number of metrics (Holm); the
    interval of the difference from the bootstrap. Where each system was trained several times,
    name the further runs, and Welch's t-test compares the means of the runs (one-sided: is the
    second better?).

        plainfilm compare runs/baseline runs/ours --metrics bleu-4,micro-f1-14
    """
    from json import dumps

    from rich.console import Console

    from plainfilm.core import InputError
    from plainfilm.metrics import significance
    from plainfilm.metrics.files import read_run

    names = [name.strip() for name in metrics.split(",")] if metrics is not None else None
    systems = [[first, *(first_run or [])], [second, *(second_run or [])]]
    runs = {path: read_run(path) for paths in systems for path in paths}
    references = runs[first][0]
    for path, (others, _) in runs.items():
        if others != references:
            raise InputError(
                f"{first} and {path} hold different references: compare systems on the same studies"
            )
    found = significance.compare(
        references, runs[first][1], runs[second][1], names, samples=samples
    )
    repeated = {}
    if first_run or second_run:
        written = [[runs[path][1] for path in paths] for paths in systems]
        repeated = _welch(references, written[0], written[1], list(found))
    if json:
        typer.echo(dumps({name: _entry(one, repeated.get(name)) for name, one in found.items()}))
        return
    console = Console()
    console.print(_table(found, repeated, f"{len(references)} studies: {second} against {first}"))


def _welch(
    references: dict[str, str],
    first: list[dict[str, str]],
    second: list[dict[str, str]],
    metrics: list[str],
) -> dict[str, float]:
    """Return Welch's one-sided p-value of each metric over repeated runs."""
    from plainfilm.metrics import METRICS, score
    from plainfilm.metrics.significance import welch

    values = [
        [
            {name: found.value for name, found in score(references, run, metrics).items()}
            for run in runs
        ]
        for runs in (first, second)
    ]
    sign = {name: 1 if METRICS[name].higher_is_better else -1 for name in metrics}
    return {
        name: welch(*([sign[name] * run[name] for run in runs] for runs in values))
        for name in metrics
    }


def _entry(one: "Comparison", welch_p_value: float | None) -> dict[str, object]:
    """Return a comparison for JSON, undefined values as null."""

    def defined(value: float | None) -> float | None:
        return None if value is None or value != value else value

    return {
        "first": defined(one.first),
        "second": defined(one.second),
        "difference": defined(one.difference),
        "interval": [defined(bound) for bound in one.interval],
        "p_value": defined(one.p_value),
        "corrected_p_value": defined(one.corrected_p_value),
        "welch_p_value": defined(welch_p_value),
    }


def _table(found: "Mapping[str, Comparison]", repeated: Mapping[str, float], title: str) -> "Table":
    from rich.table import Table

    columns = ["metric", "first", "second", "difference", "95 % interval", "p", "p corrected"]
    table = Table(*columns, *(["Welch p"] if repeated else []), title=title)
    for name, one in found.items():
        cells = [
            f"{one.first:.4f}",
            f"{one.second:.4f}",
            f"{one.difference:+.4f}",
            " to ".join(f"{bound:+.4f}" for bound in one.interval),
            f"{one.p_value:.4f}",
            f"{one.corrected_p_value:.4f}",
            *([f"{repeated[name]:.4f}"] if repeated else []),
        ]
        table.add_row(name, *(cell.replace("nan", "undefined") for cell in cells))
    return table
