"""``plainfilm rexrank``: a submission's command, in the form that ReXrank runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from plainfilm.cli.options import DeviceOption, PresetOption, ThreadsOption, use_threads

_BATCH = 16


def rexrank(
    input_json_file: Annotated[
        Path,
        typer.Option("--input_json_file", help="A test set in ReXrank's form.", show_default=False),
    ],
    save_json_file: Annotated[
        Path,
        typer.Option(
            "--save_json_file",
            help="Where it is written with a model_prediction for each study.",
            show_default=False,
        ),
    ],
    img_root_dir: Annotated[
        Path,
        typer.Option(
            "--img_root_dir",
            help="The folder that image paths are relative to.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str, typer.Option(help="A shipped model, a run folder or a checkpoint directory.")
    ] = "plainfilm-small",
    preset: PresetOption = None,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Draft the reports of a test set in ReXrank's form, as its submission scripts do.

    Everything of the input is kept; each study gets a model_prediction. The file is written after
    every few studies, and the same command goes on where it stopped. A study that cannot be read
    gets an empty prediction, is named on standard error, and the exit status is 1.

        plainfilm rexrank --input_json_file ReXRank_IUXray_test.json \\
            --save_json_file predictions.json --img_root_dir images/ --model runs/mine
    """
    from rich.console import Console
    from rich.progress import track

    from plainfilm.core import (
        DatasetError,
        InputError,
        PlainfilmError,
        check_writable,
        write_atomically,
    )
    from plainfilm.data.sources.files import read_json
    from plainfilm.data.sources.rexrank import rexrank_study
    from plainfilm.pipeline import load_model

    expected = "an object of study id to study, each with image_path"
    check_writable(save_json_file)
    if not img_root_dir.is_dir():
        raise InputError(f"--img_root_dir {img_root_dir}: no such folder; expected the films' one")
    studies = read_json(input_json_file, expected)
    if not isinstance(studies, dict) or not studies:
        raise DatasetError(f"{input_json_file}: expected {expected}")
    before = read_json(save_json_file, expected) if save_json_file.is_file() else {}
    for key, entry in studies.items():
        done = before.get(key, {}) if isinstance(before, dict) else {}
        if not isinstance(done, dict) or not isinstance(entry, dict):
            continue
        if done.get("model_prediction") and done.items() >= entry.items():
            entry["model_prediction"] = done["model_prediction"]
    waiting = [key for key, one in studies.items()
               if not isinstance(one, dict) or "model_prediction" not in one]  # fmt: skip
    loaded = None
    refused = 0
    for start in track(
        range(0, len(waiting), _BATCH), "drafting reports", console=Console(stderr=True),
        transient=True, disable=quiet,
    ):  # fmt: skip
        read = []
        for key in waiting[start : start + _BATCH]:
            try:
                study = rexrank_study(key, studies[key], img_root_dir)
                if study.frontal is None:
                    raise InputError(
                        f"study {key!r}: no frontal film; the models read frontal films"
                    )
                read.append(study)
            except PlainfilmError as error:
                refused += 1
                typer.echo(f"plainfilm: {error}", err=True)
                if isinstance(studies[key], dict):
                    studies[key]["model_prediction"] = ""
        if read:
            if loaded is None:
                loaded = load_model(model, preset=preset, device=device)
                use_threads(loaded.model, threads)
            for study, report in zip(read, loaded.reports(read), strict=True):
                studies[study.id]["model_prediction"] = report.text
        write_atomically(save_json_file, json.dumps(studies, indent=1, ensure_ascii=False))
    if not waiting:
        write_atomically(save_json_file, json.dumps(studies, indent=1, ensure_ascii=False))
    typer.echo(
        f"wrote {save_json_file}: {len(studies) - refused} of {len(studies)} studies", err=True
    )
    if refused:
        raise typer.Exit(1)
