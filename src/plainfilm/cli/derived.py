"""``plainfilm maps``, ``features`` and ``values``: what is kept beside a dataset."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path, typer.Argument(metavar="DATASET", help="A dataset directory.", show_default=False)
]


def maps(
    dataset: Folder,
    source: Annotated[
        str,
        typer.Option(
            help="truth (the phantom's), segmenter, a segmenter's folder, or one with files that "
            "CXAS wrote (npz, npy, png, json, DICOM SEG)."
        ),
    ] = "segmenter",
    superclasses: Annotated[
        bool,
        typer.Option("--superclasses", help="Of truth and files: the 20 superclasses, not all."),
    ] = False,
    classes: Annotated[
        Path | None,
        typer.Option(
            help="Names of the files' classes in their order, where these have none: CXAS's "
            "paxray_labels.json, or a text with a name a line."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What maps from files are called; cxas if left out.")
    ] = None,
) -> None:
    """Keep segmentation maps of a dataset's films, for models that read them.

    plainfilm maps phantom/ --source truth

    plainfilm maps mimic/ --source cxas-output/ --classes paxray_labels.json
    """
    from plainfilm.data import Dataset
    from plainfilm.data.derived import make_maps
    from plainfilm.data.map_files import read_class_names

    names = None if classes is None else read_class_names(classes)
    name = make_maps(
        Dataset(dataset), source, superclasses=superclasses, classes=names, name=name,
        progress=True,
    )  # fmt: skip
    typer.echo(f"{dataset}/maps/{name}.arrow")


def features(
    dataset: Folder,
    source: Annotated[
        str, typer.Option(help="segmenter, a segmenter's folder, or a ResNet-50's weights.")
    ] = "segmenter",
) -> None:
    """Keep a specialist's feature of each film of a dataset.

    plainfilm features phantom/ --source checkpoints/lvm-med-resnet50.safetensors
    """
    from plainfilm.data import Dataset
    from plainfilm.data.derived import make_features

    name = make_features(Dataset(dataset), source, progress=True)
    typer.echo(f"{dataset}/features/{name}.arrow")


def values(
    dataset: Folder,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="CSV",
            help="study_id, and a column for each value, its unit in its name (bnp_pg_per_ml); an "
            "empty cell was not measured.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="What recipes call it; the file's name if left out.")
    ] = None,
) -> None:
    """Keep a clinical table of your own beside a dataset, for models that read it.

    plainfilm values mimic/ laboratory.csv
    """
    from plainfilm.data import Dataset
    from plainfilm.data.derived import make_table

    opened = Dataset(dataset)
    kept, rows = make_table(opened, file, name)
    typer.echo(f"{dataset}/tables/{kept}.arrow: values of {rows} of {len(opened.rows)} studies")
