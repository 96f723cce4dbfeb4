"""Running a recipe: data, model, stages, and the run folder.

The run folder:

    recipe.yaml     the resolved recipe; a folder belongs to one recipe
    manifest.json   versions, seed, device, and the fingerprint of the run's dataset
    data/           the simulated dataset, if the recipe has one
    start/          the model before any training, and its processor
    frozen/         cached outputs of frozen parts, if a stage keeps them
    stages/1-NAME/  checkpoints, then model/ when the stage is done
    model/          the trained model, its processor and its card; load_model opens it

A run interrupted at any moment resumes and ends with the same weights. Under ``torchrun`` the
processes share a batch, and only the first one prepares data and writes.
"""

import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from accelerate import PartialState

from plainfilm import __version__
from plainfilm.core import Pixels, Provenance, TrainingError, write_atomically
from plainfilm.data import Dataset, Row
from plainfilm.data.examples import Examples, Films, frontal_index, readable, teachable
from plainfilm.data.joined import Joined, weights_of
from plainfilm.models.family import Built, Family
from plainfilm.pipeline import DOMAIN_FILE
from plainfilm.training.recipe import Recipe, parse_recipe
from plainfilm.training.stage import run_stage
from plainfilm.training.supervised import resolve_precision, split_batch
from plainfilm.vision.familiarity import Domain

_DESCRIBED = 3000
"""Maximum number of films of a split for the out-of-distribution detector."""
_PATIENCE = timedelta(hours=24)
"""How long other processes wait for the first one, which may have to simulate films."""


def train(
    recipe: Recipe,
    run: Path,
    *,
    frozen: Path | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """Run ``recipe`` in the folder ``run`` and return the folder of the trained model.

    Args:
        recipe: the recipe.
        run: the run folder; created if missing.
        frozen: folder for cached outputs of frozen parts, shared by several runs; default: in
            ``run``.
        progress: whether to show progress.
        say: called with messages for the user.

    Raises:
        TrainingError: ``run`` belongs to another recipe or other data, the machine does not support
            a stage's settings, or the loss became NaN.
        DatasetError: the recipe's dataset is missing or malformed.
    """
    processes = PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
    first = processes.is_main_process
    progress = progress and first
    tell = say if first else _say_nothing
    if first:
        _claim(run, recipe)
    final = run / "model"
    processes.wait_for_everyone()
    for stage in recipe.stages:  # fail before hours of work if the machine lacks the precision
        resolve_precision(stage)
        split_batch(stage, processes.num_processes)
    sources = [one for one in (recipe.data.dataset, *_paths(recipe)) if one is not None]
    if final.exists() and sources and not all(one.exists() for one in sources):
        tell(f"{run} is trained already: {final}")
        return final
    with processes.main_process_first():
        dataset = open_data(recipe, run, progress=progress)
        _check_fingerprint(run, dataset)
        if final.exists():
            tell(f"{run} is trained already: {final}")
            return final
        films = Films(dataset, None)
        training, validation = (
            _examples(recipe, dataset, split, films) for split in ("train", "validate")
        )
    if not len(training) or not len(validation):
        raise TrainingError(
            f"{dataset.path} has {len(training)} training and {len(validation)} validation "
            "studies; at least one of each is needed: prepare more, or name splits in the source"
        )
    tell(
        f"{len(training)} studies to train on, {len(validation)} to validate on"
        + _left_out(recipe, dataset)
    )

    family, start = recipe.family, run / "start"
    if first:
        _write_manifest(run, recipe, dataset)
        if not start.exists():
            built = family.build(
                recipe.model,
                stages=recipe.stages,
                views=recipe.data.views,
                training=training,
                seed=recipe.seed,
            )
            _save(start, family, built)
    processes.wait_for_everyone()
    done = start
    for number, stage in enumerate(recipe.stages, start=1):
        folder = run / "stages" / f"{number}-{stage.name}"
        trained = folder / "model"
        if not trained.exists():
            tell(f"stage {number} of {len(recipe.stages)}: {stage.name}")
            built = family.load(done, trainable=True)
            size = family.film_size(built.processor)
            if films.size != size:
                films = Films(dataset, size)
            reads = set(family.reads(built.processor))
            if stage.reinforcement and "invented-comparison" in stage.reinforcement.rewards:
                reads.add("prior")  # needed to know whether there is an earlier study
            for examples in (training, validation):
                examples.films, examples.reads = films, reads
            if stage.keep_frozen:
                with processes.main_process_first():
                    family.keep_frozen(
                        built, stage, (training, validation), frozen or run / "frozen"
                    )
            weights = run_stage(
                stage,
                family=family,
                built=built,
                training=family.examples(built, training, stage),
                validation=family.examples(built, validation, stage),
                folder=folder,
                seed=recipe.seed + number,
                progress=progress,
                report_to=recipe.report_to,
                start=done,
                warn=tell,
            )
            if first:
                _save(trained, family, built, weights=weights)
            processes.wait_for_everyone()
        done = trained
    if first:
        finished = family.load(done, dtype=getattr(torch, recipe.model.save_precision))
        domain = _domain(training, validation)
        _save(final, family, finished, card=_card(recipe, dataset), domain=domain)
    processes.wait_for_everyone()
    return final


def _examples(recipe: Recipe, dataset: Dataset, split: str, films: Films) -> Examples:
    rows = teachable(_learned_from(recipe, dataset, split), recipe.data.target)
    limit = recipe.data.limit if split == "train" else None
    rows = rows[:limit]
    weights = None
    if split == "train" and recipe.data.datasets:
        given = [source.weight for source in recipe.data.datasets]
        weights = weights_of(dataset, rows, dict(zip(dataset.parts, given, strict=True)))
    return Examples(
        dataset, rows, recipe.data.target, films, recipe.seed, recipe.data.views, weights=weights
    )


def _paths(recipe: Recipe) -> list[Path]:
    """Return the folders of the datasets where there are several."""
    return [source.dataset for source in recipe.data.datasets]


def _left_out(recipe: Recipe, dataset: Dataset) -> str:
    """Return a note on how many studies can't be used for training, and why."""
    every = [row for split in ("train", "validate") for row in dataset.split(split)]
    rows = [row for row in every if row.institution not in recipe.data.leave_out]
    seen = readable(rows)
    blind = len(rows) - len(seen)
    empty = len(seen) - len(teachable(seen, recipe.data.target))
    said = []
    if blind:
        said.append(f"{blind} without a frontal film")
    if empty:
        said.append(f"{empty} whose report has no {recipe.data.target.replace('+', ' or ')}")
    if len(rows) < len(every):
        said.append(f"{len(every) - len(rows)} of {', '.join(recipe.data.leave_out)}")
    return f"; {' and '.join(said)} are left out" if said else ""


def _learned_from(recipe: Recipe, dataset: Dataset, split: str) -> Sequence[Row]:
    """Return the rows of a split without those of institutions that are left out.

    Raises:
        TrainingError: an institution to leave out has no study.
    """
    out = recipe.data.leave_out
    if not out:
        return dataset.split(split)
    there = {row.institution for row in dataset.rows}
    if unknown := [name for name in out if name not in there]:
        known = ", ".join(sorted(name for name in there if name)) or "none"
        raise TrainingError(
            f"data.leave_out: no study of {', '.join(unknown)} in {dataset.path}; its "
            f"institutions: {known}"
        )
    return [row for row in dataset.split(split) if row.institution not in out]


def _check_fingerprint(run: Path, dataset: Dataset) -> None:
    """Refuse to resume a run with other data than it was started with."""
    path = run / "manifest.json"
    if not path.is_file():
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))["data_fingerprint"]
    if theirs != dataset.fingerprint:
        raise TrainingError(
            f"{run} was begun with other studies: {dataset.path} has the fingerprint "
            f"{dataset.fingerprint[:12]}, the run's data had {theirs[:12]}; choose another "
            "--output, or put the data back"
        )


def _say_nothing(_: str) -> None:
    """Replaces ``say`` in every process but the first."""


def open_data(recipe: Recipe, run: Path, *, progress: bool = True) -> Dataset:
    """Return the recipe's dataset, simulated into the run folder if the recipe says so."""
    if recipe.data.dataset is not None:
        return Dataset(recipe.data.dataset)
    if recipe.data.datasets:
        return Joined([Dataset(path) for path in _paths(recipe)])
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
    """Create ``run`` as this recipe's folder, or refuse one of another recipe."""
    resolved = recipe.to_dict()
    path = run / "recipe.yaml"
    if path.exists():
        theirs = parse_recipe(yaml.safe_load(path.read_text(encoding="utf-8"))).to_dict()
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
        "family": recipe.model.family,
        "description": recipe.description,
        "domain": str(Provenance.SIMULATED if simulated else Provenance.REAL),
        "target": recipe.data.target,
        "language": dataset.card.language,
        "data_fingerprint": dataset.fingerprint,
        "training_studies": len(dataset.split("train")),
        "plainfilm": __version__,
    }


def _domain(training: Examples, validation: Examples) -> Domain | None:
    """Return the distribution of the first few thousand training films."""

    def films(examples: Examples) -> Iterator[Pixels]:
        for row in examples.rows[:_DESCRIBED]:
            yield examples.dataset.image(row, frontal_index(row)).pixels

    return Domain.fit(films(training), films(validation))


def _save(
    folder: Path,
    family: Family[Any, Any],
    built: Built,
    *,
    weights: Mapping[str, torch.Tensor] | None = None,
    card: dict[str, Any] | None = None,
    domain: Domain | None = None,
) -> None:
    """Write a model folder atomically."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    transformers.utils.logging.disable_progress_bar()
    family.save(part, built, weights=weights)
    if card is not None:
        write_atomically(part / "card.json", json.dumps(card, indent=1, ensure_ascii=False))
    if domain is not None:
        domain.save(part / DOMAIN_FILE)
    part.replace(folder)
