"""Recipe: one YAML file for one row of a table: model, data, stages, evaluation.

A recipe is validated as a whole before anything runs, and all its mistakes are listed at once.
Settings shared by several recipes are in one file, which they name as their ``base``.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationError, create_model, model_validator

from plainfilm.core import InputError, RecipeError, Word, describe
from plainfilm.core.yaml_text import parse_yaml
from plainfilm.metrics.registry import resolve
from plainfilm.models.family import Family, ModelSettings, family_names, find_family
from plainfilm.training.rewards import check_rewards

Rate = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Precision = Literal["float32", "bfloat16", "float16"]


class PhantomData(Word):
    """A dataset to simulate for this recipe."""

    studies: Annotated[int, Field(ge=10)]
    seed: int = 0
    size: Annotated[int, Field(ge=32, le=2048)] = 256
    """Side of the films, in pixels."""
    language: str = "en"
    """Language of the reports: ``en`` or ``es``."""


class Source(Word):
    """One of several datasets to learn from."""

    dataset: Path
    """A prepared dataset directory."""
    weight: Positive = 1.0
    """How often each of its training studies is shown, relative to those of weight 1; an epoch
    keeps its length."""


class Data(Word):
    """The data to learn from: prepared dataset directories, or the phantom."""

    dataset: Path | None = None
    datasets: tuple[Source, ...] = ()
    """Several, in the place of ``dataset``."""
    phantom: PhantomData | None = None
    target: Literal["findings", "impression", "findings+impression"] = "findings+impression"
    """The part of the report that is learned and scored; studies whose report lacks it are left out
    and counted."""
    views: Annotated[int, Field(ge=1, le=8)] = 1
    """Maximum number of films of a study to read: a frontal one, a lateral one, others."""

    limit: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of training studies, taken from the beginning."""
    leave_out: tuple[str, ...] = ()
    """Institutions that nothing is learned from: how a model does where it has never been."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = (self.dataset is not None, bool(self.datasets), self.phantom is not None)
        if sum(given) != 1:
            raise ValueError(
                "give exactly one of dataset (a prepared directory), datasets (several) and phantom"
            )
        return self


class Reinforcement(Word):
    """Settings of a stage that learns from rewards for its own drafts (:mod:`.reinforcement`).

    Settings that TRL's GRPO also has use TRL's names.
    """

    rewards: dict[str, float]
    """Reward → weight: metrics with a value for each report, and the penalties of ``rewards``,
    which take negative weights."""
    length_guard: tuple[Positive, Positive] | None = (0.5, 2.0)
    """Range of a draft's length relative to its reference's; outside it the reward shrinks."""
    models: tuple[str, ...] = ()
    """What model-based metrics among the rewards ask, as after ``--model``
    (``chexbert=chexbert.pth,vocabulary=vocab.txt``)."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps; as many as the stage's ``epochs`` have where left out."""
    num_generations: Annotated[int, Field(ge=1)] = 8
    """Drafts of each study in a step: a group."""
    baseline: Literal["group", "greedy"] = "group"
    """What a draft's reward is compared with: the ``group``'s mean, in units of its spread (GRPO);
    or that of the study's ``greedy`` draft (self-critical sequence training, arXiv:1612.00563)."""
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    loss_type: Literal["grpo", "dr_grpo", "dapo"] = "dapo"
    """How the loss is averaged: ``grpo`` over each draft's tokens, then over drafts; ``dapo`` over
    all tokens; ``dr_grpo`` each draft's sum divided by the longest length, then over drafts, with
    advantages that are not divided by the standard deviation."""
    num_iterations: Annotated[int, Field(ge=1)] = 1
    """Number of optimiser steps on the same drafts."""
    epsilon: Positive = 0.2
    """Clipping range below 1 of the ratio of new to old probability (from the second iteration)."""
    epsilon_high: Positive = 0.28
    """Clipping range above 1; above ``epsilon``, it keeps rare words alive (DAPO's clip-higher)."""
    beta: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL divergence from the model that the stage starts from."""
    refill: Annotated[int, Field(ge=0)] = 0
    """How often a study whose drafts all have the same reward is replaced by another one (DAPO's
    dynamic sampling)."""
    watch: tuple[str, ...] = ("micro-f1-14", "finding-f1", "bleu-4", "rouge-l")
    """Metrics of validation drafts that are logged beside the reward, to detect reward hacking."""
    when_gamed: Literal["warn", "stop"] = "warn"
    """What happens where the reward rises while what is watched falls: a line, or the stage's
    end."""

    @model_validator(mode="after")
    def _rewards_are_known(self) -> Self:
        check_rewards(self.rewards)
        resolve(self.watch)
        if self.baseline == "group" and self.num_generations < 2:
            raise ValueError("num_generations: a group's mean needs at least 2 drafts")
        return self


class Stage(Word):
    """One stage of training: which parts, how fast, how long; the family adds keys of its own."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    learning_rate: Annotated[dict[str, Rate], Field(min_length=1)]
    """Peak learning rate by part of the model; parts not named, nor inside a named part, are
    frozen."""
    epochs: Annotated[int, Field(ge=1)] = 1
    reinforcement: Reinforcement | None = None
    """Learn from rewards instead of reports; ``batch_size`` then counts studies."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulation: Annotated[int, Field(ge=1)] = 1
    warmup: Share = 0.1
    """Share of the steps in which the learning rate rises."""
    minimum_rate: Share = 0.0
    """Learning rate at the end of the cosine, as a share of the peak."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Maximum norm of the gradient; larger gradients are scaled down to it."""
    precision: Precision | Literal["auto"] = "float32"
    """Floating point precision; ``auto`` is the fastest that the hardware supports (see
    ``supervised``)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""
    keep_frozen: bool = False
    """Compute the outputs of frozen parts only once, if the family supports it, and cache them in
    the run folder's ``frozen/`` (in a table's, for all its rows): much faster if the vision tower
    is frozen."""
    frozen_gib: Positive = 50.0
    """Maximum size of ``frozen/``, in GiB."""
    compare_gradients: Annotated[int, Field(ge=1)] | None = None
    """Every so many steps the cosine between the gradients of the stage's losses is measured and
    logged (``gradients``); each time costs a backward pass for each loss."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read and prepare films during training."""
    oversample_below: Annotated[float, Field(gt=0, le=1)] | None = None
    """Studies showing an observation rarer than this share are shown more often (``sampling``)."""
    check_every: Annotated[int, Field(ge=1)] = 500
    """Optimiser steps between checkpoints, at which validation loss is measured."""
    check_drafts: Annotated[int, Field(ge=0)] = 64
    """Number of validation studies whose reports are drafted (greedily) and scored at each check,
    for the training curves (RadScribe's paper, Figs. 2 and 3)."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Number of checkpoints without improvement of ``watch`` after which training stops; the best
    checkpoint is kept."""
    watch: str = "loss"
    """Quantity that ``patience`` watches: the validation ``loss``, one of several losses
    (``report_loss``), or a metric of the drafts (``micro-f1-14``), which is then also measured."""

    @model_validator(mode="after")
    def _checks_come_between_drafts(self) -> Self:
        again = self.reinforcement.num_iterations if self.reinforcement else 1
        if self.check_every % again:
            raise ValueError(
                f"check_every: {self.check_every} is no multiple of num_iterations, {again}: "
                "a resumed run would have no drafts to go on with"
            )
        return self

    @model_validator(mode="after")
    def _can_be_watched(self) -> Self:
        if not watches_loss(self.watch):
            resolve([self.watch])
            if not self.check_drafts:
                raise ValueError(
                    f"watch: {self.watch} is measured on drafts, but check_drafts is 0"
                )
        return self


def watches_loss(watch: str) -> bool:
    """Return whether the watched quantity is a loss, so that lower is better."""
    return watch == "loss" or watch.endswith("_loss")


class Recipe(Word):
    """Everything that determines what a run computes.

    The family defines the types of ``model`` and of a stage's own keys: :func:`recipe_type`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    description: str = ""
    seed: int = 0
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Tools that receive the curves besides the run folder's history; they must be installed."""
    model: SerializeAsAny[ModelSettings]
    data: Data
    stages: tuple[SerializeAsAny[Stage], ...]

    @property
    def family(self) -> Family[Any, Any]:
        """The model's family."""
        return find_family(self.model.family)

    @model_validator(mode="after")
    def _stages_are_told_apart(self) -> Self:
        names = [stage.name for stage in self.stages]
        if not names:
            raise ValueError("stages must hold at least one stage")
        if len(set(names)) < len(names):
            raise ValueError(f"stages must have different names, got {', '.join(names)}")
        return self


@cache
def recipe_type(family: str) -> type[Recipe]:
    """Return the schema of recipes of one family.

    Raises:
        InputError: there is no such family.
    """
    found = find_family(family)
    stage = create_model("Stage", __base__=(found.stage, Stage))
    return create_model(
        "Recipe", __base__=Recipe, model=(found.settings, ...), stages=(tuple[stage, ...], ...)
    )


def parse_recipe(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe in a mapping, from YAML or :meth:`Recipe.to_dict`.

    Raises:
        RecipeError: fields are invalid; all are listed.
    """
    model = values.get("model")
    name = model.get("family") if isinstance(model, dict) else None
    if not isinstance(name, str):
        fields = Recipe.model_fields.items()
        missing = [key for key, one in fields if one.is_required() and key not in values]
        raise RecipeError(
            "; ".join(
                [
                    f"model.family: expected one of {', '.join(family_names())}, got {name!r}",
                    *(f"{key}: Field required" for key in missing),
                ]
            )
        )
    try:
        kind = recipe_type(name)
    except InputError as error:
        raise RecipeError(f"model.family: {error}") from error
    mistakes = []
    recipe = None
    try:
        recipe = kind.model_validate(dict(values))
    except ValidationError as error:
        mistakes.append(describe(error))
    mistakes.extend(find_family(name).problems(values))
    if recipe is None or mistakes:
        raise RecipeError("; ".join(mistakes))
    return recipe


def load_recipe(path: Path, changes: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the YAML file.
        changes: overrides of the form ``dotted.key=value``, the value in YAML.

    Raises:
        RecipeError: the file is missing or not a YAML mapping, or fields are invalid; all are
            listed.
    """
    values = _read_layers(path)
    for change in changes:
        _lay_over(values, change)
    try:
        return parse_recipe(values)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def read_yaml(path: Path, what: str = "recipe") -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        RecipeError: the file is missing, unreadable, or not a mapping.
    """
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no {what} at {path}: expected a YAML file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the {what} {path}: {error}") from error
    except ValueError as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold a mapping of keys, got {type(values).__name__}")
    return values


def _read_layers(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return a recipe's values merged over those of its ``base`` file, if it has one."""
    values = read_yaml(path)
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise RecipeError(f"{path}: base must be the name of a file, got {base!r}")
    if path.resolve() in above:
        raise RecipeError(f"{path} is its own base, by way of others: break the circle")
    return _merged(_read_layers(path.parent / base, (*above, path.resolve())), values)


def _merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` overridden by ``values``: mappings are merged, all else is replaced."""
    found = dict(base)
    for key, value in values.items():
        before = found.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            value = _merged(before, value)
        found[key] = value
    return found


def _lay_over(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise RecipeError(f"a change must read key=value, got {change!r}")
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(values.setdefault(parent, {}), dict):
            raise RecipeError(f"cannot set {key}: {parent} is not a mapping in the recipe")
        values = values[parent]
    try:
        values[last] = parse_yaml(text)
    except ValueError as error:
        raise RecipeError(f"the value in {change!r} is not YAML") from error
