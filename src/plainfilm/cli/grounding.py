"""``plainfilm grounding``: statements held against maps, scored against the truth."""

import json
from pathlib import Path
from typing import Annotated

import typer

from plainfilm.cli.options import DeviceOption, ThreadsOption, use_threads

ModelArgument = Annotated[
    str,
    typer.Argument(help="A shipped model, a run folder or a checkpoint.", show_default=False),
]
DatasetArgument = Annotated[
    Path, typer.Argument(help="A simulated dataset with its maps.", show_default=False)
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for the numbers and the plot.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many studies.")]


def grounding(
    model: ModelArgument,
    dataset: DatasetArgument,
    source: Annotated[
        str | None,
        typer.Option(help="Of the maps; those that the model reads, or segmenter, if left out."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="From which value on a cell of a map shows something.")
    ] = None,
    split: Annotated[str, typer.Option(help="The split to draft.")] = "test",
    limit: Limit = None,
    output: Output = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Hold drafts against maps and score that against the truth.

    Does the map lie where the finding is; does "supported" predict "true", and how well calibrated
    is that; is what is possibly missed there? The dataset needs its true maps.

        plainfilm maps phantom/ --source truth
        plainfilm grounding runs/mine phantom/ --source segmenter -o grounding/
    """
    from plainfilm.core import check_folder, write_atomically
    from plainfilm.data import Dataset
    from plainfilm.evaluation.grounding import score_grounding, summary
    from plainfilm.pipeline import load_model

    if output is not None:
        check_folder(output)
    loaded = load_model(model, device=device)
    use_threads(loaded.model, threads)
    found = score_grounding(
        loaded, Dataset(dataset), source or loaded.own_maps or "segmenter",
        split=split, limit=limit, threshold=threshold,
    )  # fmt: skip
    values = found.to_dict()
    for line in summary(values):
        typer.echo(line)
    if output is not None:
        from plainfilm.evaluation.plots import Curve, curve_chart

        points = [(one["confidence"], one["true"]) for one in values["calibration"]]
        plot = curve_chart(
            "Does a supporting map predict a true statement?",
            {"share of true statements": [
                Curve("statements", points), Curve("calibrated", [(0.0, 0.0), (1.0, 1.0)]),
            ]},
            along="greatest value of the statement's map",
            note=f"{len(found.pairs)} statements; maps of {found.source}",
        )  # fmt: skip
        output.mkdir(parents=True, exist_ok=True)
        write_atomically(output / "grounding.json", json.dumps(values, indent=1))
        write_atomically(output / "calibration.svg", plot)
        typer.echo(f"wrote grounding.json and calibration.svg into {output}")


def counterfactual(
    model: ModelArgument,
    dataset: DatasetArgument,
    split: Annotated[str, typer.Option(help="The split to draft.")] = "test",
    limit: Limit = None,
    output: Output = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Change one finding's map and draft again: does its sentence follow?

    The map is deleted, moved to the other side, and as a control another structure's is deleted.

        plainfilm counterfactual tables/asarg-small/runs/features-maps/seed-0 phantom/
    """
    from plainfilm.core import check_folder, write_atomically
    from plainfilm.data import Dataset
    from plainfilm.evaluation.grounding import counterfactual as test
    from plainfilm.pipeline import load_model

    if output is not None:
        check_folder(output)
    loaded = load_model(model, device=device)
    use_threads(loaded.model, threads)
    values = test(loaded, Dataset(dataset), split=split, limit=limit)
    for one in values["changes"].values():
        low, high = one["interval"] or (0.0, 1.0)
        share = "–" if one["share"] is None else f"{one['share']:.3f} [{low:.3f}, {high:.3f}]"
        typer.echo(f"{one['meaning']}: {one['followed']} of {one['of']}, {share}")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_atomically(output / "counterfactual.json", json.dumps(values, indent=1))
        typer.echo(f"wrote counterfactual.json into {output}")
