"""Recipe: one YAML file = one row of one table: model, data, stages, evaluation.

A recipe is validated as a whole before anything runs, and all its mistakes are shown at once. What
several rows share stands in one file, which they name as their ``base``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from plainfilm.core import Observation, RecipeError, Word, describe
from plainfilm.core.yaml_text import parse_yaml
from plainfilm.models.joint_bert.joint import Attention
from plainfilm.training.family_problems import family_problems

Rate = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Channelwise = Annotated[float, Field(gt=0)] | tuple[Rate, Rate, Rate]
Precision = Literal["float32", "bfloat16", "float16"]


class PhantomData(Word):
    """A data set that is simulated for this recipe."""

    studies: Annotated[int, Field(ge=10)]
    seed: int = 0
    size: Annotated[int, Field(ge=32, le=2048)] = 256
    """Side of the films, in pixels."""
    language: str = "en"
    """Of the reports: ``en`` or ``es``."""


class Data(Word):
    """What to learn from: a prepared dataset directory, or the phantom."""

    dataset: Path | None = None
    phantom: PhantomData | None = None
    target: Literal["findings", "findings+impression"] = "findings+impression"
    """The part of the report that the model learns to write, and is scored on."""
    views: Annotated[int, Field(ge=1, le=8)] = 1
    """How many films of a study the model reads, at most: a frontal one, a lateral one, others."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.dataset is None) == (self.phantom is None):
            raise ValueError("give exactly one of dataset (a prepared directory) and phantom")
        return self


class Tokenizers(Word):
    """Where the two vocabularies come from: local folders, or learned from the reports."""

    report: Path | None = None
    """Tokenizer of the decoder; learned where left out."""
    text: Path | None = None
    """Tokenizer of the joint encoder; the same as the report's where left out."""
    vocabulary_size: Annotated[int, Field(ge=300)] = 1000
    """Of a learned one."""
    max_text_tokens: Annotated[int, Field(ge=1)] = 253
    max_report_tokens: Annotated[int, Field(ge=8)] = 256


class InitialWeights(Word):
    """Local checkpoints to start from; what is left out starts fresh."""

    backbone: Path | None = None
    """A transformers folder, a safetensors file with torchvision's or CheXNet's names, or the model
    folder of a run, whose backbone is taken (docs/backbones.md)."""
    encoder: Path | None = None
    decoder: Path | None = None


class Model(Word):
    """A model family and its configuration."""

    family: Literal["radscribe", "medvill"]
    config: dict[str, Any] = Field(default_factory=dict)
    channels: Literal[1, 3] = 3
    """How often the film is repeated for the backbone: 3 for one pre-trained on colour pictures."""
    image_mean: Channelwise = 0.5
    """Subtracted from pixels in [0, 1]; a pre-trained backbone has its own (docs/backbones.md)."""
    image_std: Channelwise = 0.25
    """Divides the rest."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """Generation never writes the same so many tokens twice; 0 lets it. Small models loop."""
    num_beams: Annotated[int, Field(ge=1)] = 1
    """Beams of generation."""
    save_precision: Literal["float32", "float16"] = "float32"
    """Of the finished model's weights on disk; checkpoints are always float32."""
    initial: InitialWeights = InitialWeights()
    tokenizers: Tokenizers = Tokenizers()

    @model_validator(mode="after")
    def _a_value_for_each_channel(self) -> Self:
        for name in ("image_mean", "image_std"):
            if isinstance(getattr(self, name), tuple) and self.channels == 1:
                raise ValueError(f"{name} has three values, but channels is 1: give one")
        return self

    @model_validator(mode="after")
    def _checkpoints_come_with_their_words(self) -> Self:
        if self.family == "medvill" and self.initial.decoder is not None:
            raise ValueError("initial.decoder: medvill has no decoder, BERT writes: leave it out")
        for part, tokenizer in (("encoder", "text"), ("decoder", "report")):
            if getattr(self.initial, part) and not getattr(self.tokenizers, tokenizer):
                raise ValueError(
                    f"initial.{part} needs tokenizers.{tokenizer}: its embeddings are of the "
                    "checkpoint's own words (mostly the same folder)"
                )
        return self


class Stage(Word):
    """One pass of training: which parts, on what objective, how fast, how long."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    objective: Literal["labels", "report", "report+labels", "pretraining"]
    """The classifier's loss, the report's, or both; or the joint encoder's pre-training."""
    learning_rate: Annotated[dict[str, Rate], Field(min_length=1)]
    """Peak rate by part of the model; parts not named, or not inside a named one, are frozen."""
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulation: Annotated[int, Field(ge=1)] = 1
    warmup: Share = 0.1
    """Share of the steps in which the rate rises."""
    mask_share: Annotated[float, Field(gt=0, le=1)] = 0.15
    """How many tokens of a report are hidden where the model learns by hidden ones."""
    attention: Attention = "bar"
    """Pre-training: who may look at whom in the joint encoder."""
    image_positions: Annotated[int, Field(ge=1)] | None = None
    """Pre-training: how many image tokens of a film are drawn (MedViLL: 180); all if left out."""
    minimum_rate: Share = 0.0
    """Where the cosine ends, as a share of the peak rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    precision: Precision | Literal["auto"] = "float32"
    """Of the arithmetic; ``auto`` is the fastest that the hardware has (see ``stages``)."""
    oversample_below: Annotated[float, Field(gt=0, le=1)] | None = None
    """Studies that show an observation rarer than this share come more often (``sampling``)."""
    positive_weights: (
        Literal["balanced"] | dict[Observation, Annotated[float, Field(gt=0)]] | None
    ) = None
    """Weight of each observation's positive term in the classifier's loss: ``balanced`` by its
    rarity in the training studies, or by name; all 1 where left out."""
    check_every: Annotated[int, Field(ge=1)] = 500
    """Optimiser steps between checkpoints; validation loss is measured at each."""
    check_drafts: Annotated[int, Field(ge=0)] = 64
    """Validation studies whose reports are drafted at each check, greedily, and scored: for the
    training curves (seed paper, Figs. 2 and 3)."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many checkpoints without a better validation loss; the best one is kept."""


class Recipe(Word):
    """Everything that decides what a run computes."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    description: str = ""
    seed: int = 0
    model: Model
    data: Data
    stages: tuple[Stage, ...]

    @model_validator(mode="after")
    def _stages_are_told_apart(self) -> Self:
        names = [stage.name for stage in self.stages]
        if not names:
            raise ValueError("stages must hold at least one stage")
        if len(set(names)) < len(names):
            raise ValueError(f"stages must have different names, got {', '.join(names)}")
        return self


def load_recipe(path: Path, changes: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the YAML file.
        changes: ``dotted.key=value`` each, the value in YAML, laid over the file's.

    Raises:
        RecipeError: the file is missing or no YAML mapping, or fields are wrong; all are listed.
    """
    values = _read_layers(path)
    for change in changes:
        _lay_over(values, change)
    problems = []
    recipe = None
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems.append(describe(error))
    problems.extend(family_problems(values))
    if recipe is None or problems:
        raise RecipeError(f"{path}: {'; '.join(problems)}")
    return recipe


def read_yaml(path: Path, what: str = "recipe") -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        RecipeError: the file is missing, unreadable, or holds something else.
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
    """Return a recipe's values laid over those of its ``base``, a file beside it, if it has one."""
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
    """Lay ``values`` over ``base``: mappings are merged, everything else is replaced."""
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
