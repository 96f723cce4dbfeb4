"""``plainfilm table``: a whole table of a paper, from its recipes."""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from plainfilm.evaluation.plots import Bar, Curve
    from plainfilm.training.recipe import Stage
    from plainfilm.training.table_plan import Plan


def table(
    name: Annotated[
        str, typer.Argument(help="A table's name (radscribe), or a table.yaml.", show_default=False)
    ],
    dataset: Annotated[Path, typer.Argument(help="A prepared dataset.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to fill; tables/NAME-SIZE if left out."),
    ] = None,
    size: Annotated[str, typer.Option(help="Which of the table's sizes.")] = "small",
    seeds: Annotated[int, typer.Option(help="How often each row is trained.")] = 3,
    rows: Annotated[
        str | None, typer.Option(help="Only these rows, separated by commas.", metavar="A,B")
    ] = None,
    elsewhere: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DATASET",
            help="Another dataset whose test split (NAME=DATASET:all, all its studies) every row "
            "answers as well, such as one of institutions that nothing was learned from. May be "
            "repeated.",
        ),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change one value in every recipe, or in those whose row fits: "
            "--set 'vit*:model.initial.backbone=PATH'. May be repeated.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Train and score all rows of a table, beside the two rows that need no model.

    Each row is trained with several seeds, each in a run folder. The folder gets table.md,
    table.json and plots. If it was interrupted, the same command goes on where it stopped; a
    finished table is only printed.

        plainfilm data phantom 3000 films/ --size 128 --institution community
        plainfilm table radscribe films/
        plainfilm table radscribe /data/mimic-cxr --size paper --set model.initial.encoder=/bert
    """
    from plainfilm.core import InputError, check_folder, write_atomically
    from plainfilm.data import Dataset
    from plainfilm.evaluation.markdown import table_markdown
    from plainfilm.training.table import Scored, fill_table
    from plainfilm.training.table_plan import make_plan, table_path

    path = table_path(name)
    chosen = None if rows is None else [row.strip() for row in rows.split(",")]
    plan = make_plan(
        path, dataset, size=size, seeds=seeds, rows=chosen, changes=tuple(change or ())
    )
    out = output or Path("tables") / f"{path.parent.name}-{size}"
    check_folder(out)
    others = {}
    for given in elsewhere or ():
        other, equals, place = given.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", other):
            raise InputError(f"--elsewhere must read NAME=DATASET, a-z, 0-9 and -: got {given!r}")
        split = "all" if place.endswith(":all") else "test"
        others[other] = Scored(Dataset(Path(place.removesuffix(":all"))), split)
    results = fill_table(
        plan, Dataset(dataset), out, elsewhere=others, progress=not quiet, say=typer.echo
    )
    page = table_markdown(results, shlex.join(["plainfilm", *sys.argv[1:]]))
    write_atomically(out / "table.md", page)
    written = write_table_plots(results, plan, out)
    typer.echo(page)
    typer.echo(f"wrote table.md, table.json, {', '.join(p.name for p in written)} into {out}")


def write_table_plots(results: Mapping[str, Any], plan: "Plan", out: Path) -> list[Path]:
    """Draw F1 by observation and the training curves into ``out/plots``, and return the paths.

    The curves of drafts are those of the seed paper's Figs. 2 and 3.
    """
    from plainfilm.core import write_atomically
    from plainfilm.evaluation.plots import Curve, bar_chart, curve_chart
    from plainfilm.training.supervised import DRAFT_METRICS

    rows = results["rows"]
    drawn = {}
    measure = "macro-f1-14"
    if all(measure in row["metrics"] for row in rows.values()):
        drawn["observations.svg"] = bar_chart(
            "F1 by observation",
            _by_observation(rows, measure),
            note=f"mean over {len(plan.seeds)} seeds; whiskers: lowest and highest seed",
        )
    trained = {row: rows[row]["name"] for row in rows if row in plan.recipes}
    drawn["curves.svg"] = curve_chart(
        "Loss by epoch, a line for each seed and stage",
        {name: _curves(plan, row, out) for row, name in trained.items()},
        along="epochs, stage after stage",
        note="a stage for the classifier alone has another kind of loss than the report's",
    )
    scored = {
        metric: [
            Curve(name, points)
            for row, name in trained.items()
            if (points := _draft_curve(plan, row, out, metric))
        ]
        for metric in DRAFT_METRICS
    }
    if any(scored.values()):
        drawn["drafts.svg"] = curve_chart(
            "Drafts of validation studies while the report is learned",
            scored,
            along="epochs of the stages that learn reports",
            note=f"greedy; mean over {len(plan.seeds)} seeds",
        )
    (out / "plots").mkdir(exist_ok=True)
    for name, picture in drawn.items():
        write_atomically(out / "plots" / name, picture)
    return [out / "plots" / name for name in drawn]


def _by_observation(rows: Mapping[str, Any], measure: str) -> "dict[str, dict[str, Bar]]":
    def bar(values: list[float | None]) -> "Bar":
        defined = [value for value in values if value is not None]
        if not defined:
            return float("nan"), None
        span = (min(defined), max(defined)) if len(defined) > 1 else None
        return sum(defined) / len(defined), span

    parts = {row["name"]: row["metrics"][measure]["parts"] for row in rows.values()}
    observations = next(iter(parts.values()))
    return {
        observation: {name: bar(values[observation]) for name, values in parts.items()}
        for observation in observations
        if observation != "undefined as 0"  # the mean by another convention, no observation
    }


def _curves(plan: "Plan", row: str, out: Path) -> "list[Curve]":
    from plainfilm.evaluation.plots import Curve

    found = []
    for seed in plan.seeds:
        before = 0.0
        for _, log in _logs(plan, row, seed, out):
            for name, key in (("training", "loss"), ("validation", "eval_loss")):
                if points := _points(log, key, before):
                    found.append(Curve(name, points))
            before += max(entry["epoch"] for entry in log)
    return found


def _draft_curve(plan: "Plan", row: str, out: Path, metric: str) -> list[tuple[float, float]]:
    """Return (epoch, mean over the seeds) of the drafts' scores, where they were logged."""
    by_seed = []
    for seed in plan.seeds:
        before, points = 0.0, []
        for stage, log in _logs(plan, row, seed, out):
            if plan.recipes[row].family.writes(stage):
                points += _points(log, f"draft_{metric}", before)
                before += max(entry["epoch"] for entry in log)
        by_seed.append(points)
    shared = min(map(len, by_seed))  # a row that stopped early has fewer checks
    return [
        (by_seed[0][check][0], sum(points[check][1] for points in by_seed) / len(by_seed))
        for check in range(shared)
    ]


def _logs(
    plan: "Plan", row: str, seed: int, out: Path
) -> "Iterator[tuple[Stage, list[dict[str, float]]]]":
    from plainfilm.training.supervised import HISTORY
    from plainfilm.training.table import run_folder

    for number, stage in enumerate(plan.recipes[row].stages, start=1):
        folder = run_folder(out, row, seed) / "stages" / f"{number}-{stage.name}"
        yield stage, json.loads((folder / HISTORY).read_text(encoding="utf-8"))


def _points(log: list[dict[str, float]], key: str, before: float) -> list[tuple[float, float]]:
    return [(before + entry["epoch"], entry[key]) for entry in log if key in entry]
