"""The interface between a model family and the rest of the package.

The rest of the package talks to model families only through :class:`Family` and knows none by name:

1. *A study goes in*: the family's processor turns studies, and in training their reports, into a
   batch: ``processor(studies, reports=None, rngs=None)``. It decides which parts of a study to use.
2. *Named losses come out*: :meth:`Family.losses` returns each loss as a total with its item count,
   so that a step does not depend on how its batch is split into micro-batches and over processes.
3. *A draft comes out*: :meth:`Family.draft`.
4. *It is built, loaded and saved* by the family.

A family is a folder under ``models/`` whose ``family.py`` defines an instance called ``family``;
recipes refer to it by the folder's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import torch

from plainfilm import models
from plainfilm.core import InputError, Observation, Report, Study, Word
from plainfilm.data.examples import Example, Examples

Batch = Mapping[str, Any]
"""A processor's output: the model's input tensors by name."""


class ModelSettings(Word):
    """The part of a recipe's ``model`` that all families share; each adds its own keys."""

    family: str
    save_precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the finished model's weights on disk; checkpoints keep the training
    precision."""


class StageSettings(Word):
    """A family's own keys of a training stage; none by default."""


Settings = TypeVar("Settings", bound=ModelSettings)
Stage = TypeVar("Stage", bound=StageSettings)


class Loss(NamedTuple):
    """One term of the loss of a batch or micro-batch.

    The step's loss is the sum over all terms of ``weight * total / items``, where total and items
    are summed over the whole batch first.
    """

    total: torch.Tensor
    """Sum over the micro-batch's items (report tokens, known labels); a scalar with gradient."""
    items: torch.Tensor
    """Number of items."""
    weight: float | torch.Tensor = 1.0
    """Weight of the term relative to the others; the same in all micro-batches of a batch."""

    @classmethod
    def of_mean(
        cls, mean: torch.Tensor, items: torch.Tensor, weight: float | torch.Tensor = 1.0
    ) -> Loss:
        """Return the term whose mean over ``items`` items is ``mean``; 0 if there are none."""
        return cls(torch.where(items > 0, mean, 0.0) * items, items, weight)


def whole_loss(losses: Mapping[str, Loss]) -> torch.Tensor:
    """Return the loss of a batch that is not split."""
    terms = [loss.weight * loss.total / loss.items.clamp_min(1) for loss in losses.values()]
    return torch.stack([torch.as_tensor(term) for term in terms]).sum()


class Candidate(NamedTuple):
    """An alternative text, for example of another beam."""

    report: Report
    score: float
    """The model's log-probability, averaged over the text's tokens."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A model's output for one study: the report, and the evidence for it."""

    report: Report
    """The text, by section."""
    images: tuple[int, ...]
    """Indices of the study's images that were read, in reading order; the first is frontal."""
    probabilities: Mapping[Observation, float] = field(default_factory=dict)
    """Probability of each observation, if the model classifies."""
    maps: torch.Tensor | None = None
    """The classifier's attention maps, ``(observations, rows, columns)`` in the order of
    ``probabilities``, over the letterboxed square of the first image; None without maps."""
    method: str = ""
    """Name of the method that made the maps."""
    warnings: tuple[str, ...] = ()
    """Warnings of the family to the reader of the draft."""
    candidates: tuple[Candidate, ...] = ()
    """Alternative texts, of which the draft is chosen by how well each agrees with the
    probabilities; the first one is the report."""
    agreement: float = 0.0
    """Weight of that agreement relative to a candidate's score."""


@dataclass(frozen=True)
class Explainable:
    """Functions for explaining a study's draft by gradients (:mod:`plainfilm.grounding`)."""

    backbone: Any
    """The image backbone, a transformers model whose output has ``last_hidden_state``."""
    observations: Callable[[], torch.Tensor] | None
    """Runs the model and returns the classifier's logits ``(observations,)``; None without one."""
    tokens: Callable[[Report, Sequence[str]], tuple[torch.Tensor, torch.Tensor]]
    """Takes a report and some of its sentences; returns the report's tokens ``(1, tokens)`` and a
    mask ``(sentences, tokens)`` of the tokens of each sentence."""
    log_probabilities: Callable[[torch.Tensor], torch.Tensor]
    """Takes a report's tokens ``(1, tokens)``; runs the model and returns the natural logarithm of
    each token's probability given those before it, ``(tokens,)``."""


class Built(NamedTuple):
    """A model and its processor."""

    model: Any
    """A transformers model, or a PEFT model around one."""
    processor: Any


class Family(ABC, Generic[Settings, Stage]):
    """A kind of model; see the module's description."""

    settings: ClassVar[type[ModelSettings]] = ModelSettings
    """Type of the recipe's ``model``."""
    stage: ClassVar[type[StageSettings]] = StageSettings
    """Type of the family's own keys of a stage."""
    model_types: ClassVar[tuple[str, ...]]
    """Each ``model_type`` that the family loads if a model folder's card names no family."""

    @property
    def name(self) -> str:
        """Name of the family in recipes and cards."""
        return type(self).__module__.split(".")[-2]

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """Return mistakes in a recipe that its schema can't detect, each naming its key.

        They are reported when the recipe is read, before anything is simulated, loaded or trained.

        Args:
            values: the recipe's values; they may have mistakes that the schema has reported.
        """
        return []

    @abstractmethod
    def build(
        self,
        settings: Settings,
        *,
        stages: Sequence[Stage],
        views: int,
        training: Examples | None,
        seed: int,
    ) -> Built:
        """Return the model before any training, and its processor.

        Args:
            settings: the recipe's ``model``.
            stages: the stages that will train it.
            views: maximum number of films of a study to read.
            training: the studies to learn from, for learning a vocabulary from their reports.
            seed: random seed of newly initialised weights.

        Raises:
            ModelError: a checkpoint to start from is missing, damaged or of another shape.
        """

    @abstractmethod
    def load(
        self,
        folder: Path,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
        trainable: bool = False,
    ) -> Built:
        """Open a folder written by :meth:`save`.

        Args:
            folder: contains configuration, weights and processor; the caller converts failures to
                ModelError and has refused folders that require code.
            dtype: precision of the weights in memory; default: float32.
            device_map: as in transformers, for a model on several devices.
            trainable: whether an adapter will be trained further.
        """

    def save(
        self, folder: Path, built: Built, *, weights: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Write a folder that :meth:`load` opens.

        Args:
            folder: the folder to create.
            built: model and processor.
            weights: the model's weights, if they had to be gathered from several processes.
        """
        built.model.save_pretrained(folder, state_dict=None if weights is None else dict(weights))
        built.processor.save_pretrained(folder)

    def merge(self, folder: Path) -> Built:
        """Open a folder with an adapter as one model, with the adapter merged into its base.

        Raises:
            InputError: the folder contains no adapter.
        """
        raise InputError(f"{self.name} has no adapters: there is nothing to merge")

    def parts(self, model: Any) -> Mapping[str, str]:
        """Return the parts that a recipe can train, each at its own learning rate.

        Returns:
            Name of the part → regular expression, matched at the beginning of a parameter's name
            (without PEFT's ``base_model.model.``). If several match, the longest match decides.
        """
        return dict(model.parts)

    def prepare(self, model: Any, stage: Stage, training: Examples) -> None:
        """Prepare a model for a stage, with values that depend on the training studies."""

    def keep_frozen(
        self, built: Built, stage: Any, examples: Sequence[Examples], folder: Path
    ) -> None:
        """Compute the outputs of parts that are frozen in a stage once, and reuse them.

        Args:
            built: model and processor, as the stage trains them.
            stage: the stage, including its ``learning_rate`` by part.
            examples: training and validation examples.
            folder: the cache's folder, which may already be filled.

        Raises:
            InputError: the family does not support it, or the parts train in this stage.
        """
        raise InputError(f"{self.name} keeps no outputs of frozen parts: leave keep_frozen out")

    def examples(self, built: Built, examples: Examples, stage: Stage) -> Examples:
        """Return the examples of a stage: the given ones, unless the family pairs them differently
        or adds further targets."""
        return examples

    def collate(self, built: Built, stage: Stage | None) -> Callable[[Sequence[Example]], Batch]:
        """Return a function that turns examples into a batch.

        Args:
            built: the model and its processor.
            stage: the stage whose targets the batch includes; None for studies only, for drafting.
        """
        processor = built.processor

        def batch(examples: Sequence[Example]) -> Batch:
            studies = [example.study for example in examples]
            if stage is None:
                return processor(studies)  # type: ignore[no-any-return]
            return processor(  # type: ignore[no-any-return]
                studies,
                reports=[example.report for example in examples],
                rngs=[example.rng for example in examples],
            )

        return batch

    def writes(self, stage: Stage) -> bool:
        """Return whether a stage teaches the model to write, so that its drafts can be scored."""
        return True

    @abstractmethod
    def counts(self, batch: Batch, stage: Stage) -> dict[str, torch.Tensor]:
        """Return the number of items of each loss of a batch: the counts of :meth:`losses`."""

    @abstractmethod
    def losses(self, model: Any, batch: Batch, stage: Stage) -> dict[str, Loss]:
        """Return the losses of a batch by name.

        Args:
            model: the model, possibly wrapped by the engine; it must be called as a whole, so that
                processes with sharded weights stay in step.
            batch: from :meth:`collate`.
            stage: the stage.
        """

    @abstractmethod
    def draft(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> list[Draft]:
        """Write a report for each study.

        Args:
            model: the model, on its device.
            processor: its processor.
            studies: a batch of studies.
            generation: passed to ``generate()``.

        Raises:
            InputError: a study has no film that the model can read.
        """

    def ranks_beams(self, model: Any) -> bool:
        """Return whether :meth:`draft` takes ``agreement`` and gives its beams as candidates."""
        return False

    def rollout(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> tuple[list[Report], Batch]:
        """Write a report for each study, for reinforcement.

        Args:
            model: the model, on its device.
            processor: its processor.
            studies: a batch of studies.
            generation: passed to ``generate()``: ``do_sample``, ``temperature`` and so on.

        Returns:
            The reports, and a batch with which :meth:`log_probabilities` computes the probabilities
            of exactly the generated tokens; its ``labels`` are these tokens, and -100 elsewhere.

        Raises:
            InputError: the family is not autoregressive.
        """
        raise InputError(f"{self.name} can't be reinforced: it does not write word after word")

    def log_probabilities(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each rollout token's log-probability given those before it, with gradient.

        Args:
            model: the model, possibly wrapped by the engine; it must be called as a whole.
            batch: from :meth:`rollout`.

        Returns:
            Natural logarithms ``(drafts, tokens)``, and a mask of the same shape, True on generated
            tokens.
        """
        raise InputError(f"{self.name} can't be reinforced: it does not write word after word")

    def explain(self, model: Any, processor: Any, study: Study) -> Explainable | None:
        """Return functions for explaining a study's draft by gradients; None if unsupported."""
        return None

    def presets(self) -> tuple[str, ...]:
        """Return the names of presets for :meth:`open_published`."""
        return ()

    def open_published(
        self,
        folder: Path,
        preset: str,
        *,
        dtype: torch.dtype | None = None,
        device_map: Any = None,
    ) -> tuple[Built, dict[str, Any]]:
        """Open a published checkpoint that plainfilm did not write.

        Args:
            folder: the downloaded folder.
            preset: one of :meth:`presets`.
            dtype: precision of the weights in memory.
            device_map: as in transformers.

        Returns:
            The model with its processor, and the values of a card.
        """
        raise InputError(f"{self.name} has no presets")

    def reads(self, processor: Any) -> frozenset[str]:
        """Return additional inputs of a study that have to be fetched: ``prior``, ``maps/NAME``,
        ``features/NAME``, ``tables/NAME`` (:mod:`plainfilm.data.derived`)."""
        return frozenset()

    def film_size(self, processor: Any) -> int | None:
        """Return the side in pixels of the square to which films are letterboxed.

        Training caches films at this size; None keeps their original size.
        """
        return None


def family_names() -> list[str]:
    """Return the names of all families: folders of ``plainfilm.models`` with a ``family.py``."""
    found = [path.parent for place in models.__path__ for path in Path(place).glob("*/family.py")]
    return sorted(folder.name for folder in found)


def find_family(name: str) -> Family[Any, Any]:
    """Return the family called ``name``, importing no other.

    Raises:
        InputError: there is no such family.
    """
    if name not in family_names():
        raise InputError(f"no model family {name!r}: expected one of {', '.join(family_names())}")
    found: Family[Any, Any] = import_module(f"plainfilm.models.{name}.family").family
    return found


def families() -> Iterator[Family[Any, Any]]:
    """Yield every family, importing all of them; :func:`find_family` imports only one."""
    return map(find_family, family_names())


def family_of(model_type: str | None) -> Family[Any, Any] | None:
    """Return the family that loads a configuration's ``model_type``; None if none does."""
    return next((one for one in families() if model_type in one.model_types), None)
