"""A recipe, run: data, model, stages, and the folder that holds all of it.

The run folder:

    recipe.yaml     the resolved recipe; a folder belongs to one recipe
    manifest.json   versions, seed, data fingerprint, device
    data/           the simulated data set, where the recipe asks for one
    start/          the model before any training, and its processor
    stages/1-NAME/  checkpoints, then model/ when the stage is done
    model/          the trained model, its processor and its card: what load_model opens

A run that was stopped at any moment goes on where it stood, to the same final weights. Under
``torchrun`` the processes share a batch, and the first one alone prepares data and writes.
"""

import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from accelerate import PartialState
from transformers import PreTrainedModel, ProcessorMixin

from plainfilm import __version__
from plainfilm.core import Pixels, Provenance, TrainingError, write_atomically
from plainfilm.data import Dataset
from plainfilm.data.examples import (
    Collate,
    Examples,
    Films,
    frontal_index,
    readable,
)
from plainfilm.models import load_family
from plainfilm.models.joint_bert.collate import PretrainingCollate
from plainfilm.pipeline import DOMAIN_FILE
from plainfilm.training.build import build_model, build_processor
from plainfilm.training.recipe import Recipe
from plainfilm.training.supervised import resolve_precision, run_stage, split_batch
from plainfilm.vision.familiarity import Domain

_DESCRIBED = 3000
"""How many films of a split describe the model's domain."""
_PATIENCE = timedelta(hours=24)
"""How long the other processes wait for the first one, which may have films to simulate."""


def train(
    recipe: Recipe, run: Path, *, progress: bool = True, say: Callable[[str], None] = print
) -> Path:
    """Carry out ``recipe`` in the folder ``run`` and return the folder of the trained model.

    Raises:
        TrainingError: ``run`` belongs to another recipe, the machine cannot do what a stage asks,
            or the loss became NaN.
        DatasetError: the recipe's data set is missing or malformed.
    """
    processes = PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
    first = processes.is_main_process
    progress = progress and first
    tell = say if first else _say_nothing
    if first:
        _claim(run, recipe)
    final = run / "model"
    processes.wait_for_everyone()
    if final.exists():
        tell(f"{run} is trained already: {final}")
        return final
    for stage in recipe.stages:  # what the machine cannot do is said before hours of work
        resolve_precision(stage)
        split_batch(stage, processes.num_processes)
    with processes.main_process_first():
        dataset = open_data(recipe, run, progress=progress)
    views = recipe.data.views
    films = Films(dataset, recipe.model.config.get("image_size", 512))
    training, validation = (
        Examples(
            dataset, readable(dataset.split(split)), recipe.data.target, films, recipe.seed, views
        )
        for split in ("train", "validate")
    )
    if not len(training) or not len(validation):
        raise TrainingError(
            f"{dataset.path} has {len(training)} training and {len(validation)} validation "
            "studies; at least one of each is needed: prepare more, or name splits in the source"
        )
    left_out = sum(len(dataset.split(split)) for split in ("train", "validate"))
    left_out -= len(training) + len(validation)
    without = f"; {left_out} without a frontal film are left out" if left_out else ""
    tell(f"{len(training)} studies to train on, {len(validation)} to validate on{without}")

    start = run / "start"
    if first:
        _write_manifest(run, recipe, dataset)
        if not start.exists():
            processor = build_processor(recipe, training)
            _save(start, build_model(recipe, processor), processor)
    processes.wait_for_everyone()
    family = load_family(recipe.model.family)
    processor = family.processor.from_pretrained(start)
    done = start
    for number, stage in enumerate(recipe.stages, start=1):
        folder = run / "stages" / f"{number}-{stage.name}"
        trained = folder / "model"
        if not trained.exists():
            tell(f"stage {number} of {len(recipe.stages)}: {stage.name}")
            model = family.model.from_pretrained(done)
            pretrains = stage.objective == "pretraining"
            collate: Any = Collate(processor, stage.mask_share)
            if pretrains:
                tokens = model.config.image_token_grid**2
                collate = PretrainingCollate(
                    processor, stage.mask_share, tokens, stage.image_positions
                )
            run_stage(
                stage,
                model=model,
                training=training.for_matching() if pretrains else training,
                validation=validation.for_matching() if pretrains else validation,
                collate=collate,
                folder=folder,
                seed=recipe.seed + number,
                progress=progress,
            )
            if first:
                _save(trained, model, processor)
            processes.wait_for_everyone()
        done = trained
    if first:
        finished = family.model.from_pretrained(done)
        finished = finished.to(getattr(torch, recipe.model.save_precision))
        _save(final, finished, processor, _card(recipe, dataset), _domain(training, validation))
    processes.wait_for_everyone()
    return final


def _say_nothing(_: str) -> None:
    """Stand in for ``say`` on every process but the first."""


def open_data(recipe: Recipe, run: Path, *, progress: bool = True) -> Dataset:
    """Return the recipe's data set, simulating it into the run folder where it asks for that."""
    if recipe.data.dataset is not None:
        return Dataset(recipe.data.dataset)
    phantom = recipe.data.phantom
    assert phantom is not None  # noqa: S101 - the recipe's schema holds this
    folder = run / "data"
    from plainfilm.data.sources.phantom import prepare_phantom

    views = ("frontal", "lateral")[: recipe.data.views]
    prepare_phantom(
        phantom.studies, folder, seed=phantom.seed, size=phantom.size, views=views,
        language=phantom.language, progress=progress,
    )  # fmt: skip
    return Dataset(folder)


def _claim(run: Path, recipe: Recipe) -> None:
    """Make ``run`` this recipe's folder, or refuse."""
    resolved = recipe.to_dict()
    path = run / "recipe.yaml"
    if path.exists():
        theirs = Recipe.from_dict(yaml.safe_load(path.read_text(encoding="utf-8"))).to_dict()
        if theirs != resolved:
            differing = sorted(key for key in resolved if theirs[key] != resolved[key])
            raise TrainingError(
                f"{run} belongs to another recipe (they differ in {', '.join(differing)}): "
                "choose another --output, or remove that folder"
            )
        return
    if run.exists() and any(run.iterdir()):
        raise TrainingError(f"{run} is not empty and no run folder: choose another --output")
    run.mkdir(parents=True, exist_ok=True)
    write_atomically(path, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))


def _write_manifest(run: Path, recipe: Recipe, dataset: Dataset) -> None:
    packages = ("torch", "transformers", "accelerate", "tokenizers", "numpy")
    manifest = {
        "plainfilm": __version__,
        "python": sys.version.split()[0],
        "packages": {package: version(package) for package in packages},
        "platform": platform.platform(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "processes": PartialState().num_processes,
        "precision": {stage.name: resolve_precision(stage) for stage in recipe.stages},
        "threads": torch.get_num_threads(),
        "seed": recipe.seed,
        "data_fingerprint": dataset.fingerprint,
    }
    write_atomically(run / "manifest.json", json.dumps(manifest, indent=1))


def _card(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    simulated = dataset.card.simulated
    return {
        "name": recipe.name,
        "description": recipe.description,
        "domain": str(Provenance.SIMULATED if simulated else Provenance.REAL),
        "target": recipe.data.target,
        "language": dataset.card.language,
        "data_fingerprint": dataset.fingerprint,
        "training_studies": len(dataset.split("train")),
        "plainfilm": __version__,
    }


def _domain(training: Examples, validation: Examples) -> Domain | None:
    """Return how the training films look, from the first few thousand of them."""

    def films(examples: Examples) -> Iterator[Pixels]:
        for row in examples.rows[:_DESCRIBED]:
            yield examples.dataset.image(row, frontal_index(row)).pixels

    return Domain.fit(films(training), films(validation))


def _save(
    folder: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    card: dict[str, Any] | None = None,
    domain: Domain | None = None,
) -> None:
    """Write a model folder whole or not at all."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(part)
    processor.save_pretrained(part)
    if card is not None:
        write_atomically(part / "card.json", json.dumps(card, indent=1, ensure_ascii=False))
    if domain is not None:
        domain.save(part / DOMAIN_FILE)
    part.replace(folder)
