"""The agreement between a kind of model and everything else.

The rest of the package speaks to a model family through :class:`Family` alone and knows none by
name:

1. *A study goes in*: the family's processor turns studies, and in training their reports, into a
   batch: ``processor(studies, reports=None, rngs=None)``. It decides what it reads of a study.
2. *Named losses come out*: :meth:`Family.losses` gives each loss as a total with its count, so that
   a step is the same however its batch is split into pieces and over processes.
3. *A draft comes out*: :meth:`Family.draft`.
4. *It is built, loaded and saved* by the family.

A family is one folder under ``models/`` whose ``family.py`` holds a subclass called ``family``; its
name in recipes is the folder's.
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
"""A processor's output: tensors by name, as the model takes them."""


class ModelSettings(Word):
    """The ``model`` part of a recipe, as far as every family has it; each adds its own keys."""

    family: str
    save_precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the finished model's weights on disk; checkpoints keep that of training."""


class StageSettings(Word):
    """A family's own keys of a training stage; none unless the family adds them."""


Settings = TypeVar("Settings", bound=ModelSettings)
Stage = TypeVar("Stage", bound=StageSettings)


class Loss(NamedTuple):
    """One term of the loss of a batch, or of a piece of one.

    The step's loss is the sum over all terms of ``weight * total / items``, where total and items
    are summed over the whole batch first.
    """

    total: torch.Tensor
    """Sum over the items (report tokens, known labels) of this piece; a scalar with gradient."""
    items: torch.Tensor
    """How many there are."""
    weight: float | torch.Tensor = 1.0
    """What the term counts beside the others; the same in all pieces of a batch."""

    @classmethod
    def of_mean(
        cls, mean: torch.Tensor, items: torch.Tensor, weight: float | torch.Tensor = 1.0
    ) -> Loss:
        """Return the term whose mean over so many items is ``mean``; 0 where there are none."""
        return cls(torch.where(items > 0, mean, 0.0) * items, items, weight)


def whole_loss(losses: Mapping[str, Loss]) -> torch.Tensor:
    """Return the loss of a batch that comes in one piece."""
    terms = [loss.weight * loss.total / loss.items.clamp_min(1) for loss in losses.values()]
    return torch.stack([torch.as_tensor(term) for term in terms]).sum()


class Candidate(NamedTuple):
    """A text that was nearly written."""

    report: Report
    score: float
    """How likely the model finds it: log-probability, averaged over its tokens."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """What a model wrote for one study, and what it went by."""

    report: Report
    """The text, by sections."""
    images: tuple[int, ...]
    """Which of the study's images were read, in the order read; the first is the frontal one."""
    probabilities: Mapping[Observation, float] = field(default_factory=dict)
    """Of each observation, where the model classifies."""
    maps: torch.Tensor | None = None
    """Where the classifier looked, ``(observations, rows, columns)`` in the order of
    ``probabilities``, over the square into which the first image is fitted; None without maps."""
    method: str = ""
    """How the maps were made."""
    warnings: tuple[str, ...] = ()
    """What the family wants a reader of the draft to know."""
    candidates: tuple[Candidate, ...] = ()
    """Other texts that were nearly written, where the draft is to be chosen among them by how well
    each agrees with the probabilities; the first is the report."""
    agreement: float = 0.0
    """What that agreement counts beside a candidate's score."""


@dataclass(frozen=True)
class Explainable:
    """How a draft of one study can be explained by gradients (:mod:`plainfilm.grounding`)."""

    backbone: Any
    """The image backbone, a transformers model whose output has ``last_hidden_state``."""
    observations: Callable[[], torch.Tensor] | None
    """Runs the model and returns the classifier's logits ``(observations,)``; None without one."""
    tokens: Callable[[Report, Sequence[str]], tuple[torch.Tensor, torch.Tensor]]
    """Takes a report and some of its sentences; returns its tokens ``(1, tokens)`` and a mask
    ``(sentences, tokens)`` of which token belongs to which sentence."""
    log_probabilities: Callable[[torch.Tensor], torch.Tensor]
    """Takes a report's tokens ``(1, tokens)``; runs the model and returns how likely each is given
    those before it, ``(tokens,)``, natural logarithms."""


class Built(NamedTuple):
    """A model and its processor."""

    model: Any
    """A transformers model, or a PEFT model around one."""
    processor: Any


class Family(ABC, Generic[Settings, Stage]):
    """A kind of model; see the module's description."""

    settings: ClassVar[type[ModelSettings]] = ModelSettings
    """Its part of a recipe."""
    stage: ClassVar[type[StageSettings]] = StageSettings
    """Its own keys of a stage."""
    model_types: ClassVar[tuple[str, ...]]
    """The ``model_type`` of the configurations that it loads where a card names no family."""

    @property
    def name(self) -> str:
        """The name of the family in recipes and cards."""
        return type(self).__module__.split(".")[-2]

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """Return mistakes in a recipe that its schema can't see, each naming its key.

        They are said when the recipe is read, before anything is simulated, loaded or trained.

        Args:
            values: the recipe's own values; they may be wrong in ways that the schema has told.
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
            stages: the stages that are to train it.
            views: how many films of a study are read, at most.
            training: the studies to learn from, where a vocabulary is learned from their reports.
            seed: what fresh weights are drawn from.

        Raises:
            ModelError: a checkpoint that it starts from is missing, damaged or of another shape.
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
        """Open a folder that :meth:`save` wrote.

        Args:
            folder: with configuration, weights and processor; the caller turns faults into
                ModelErrors and has refused folders that ask for code.
            dtype: of the weights in memory; float32 where left out.
            device_map: as transformers takes it, for a model over several devices.
            trainable: whether an adapter goes on training.
        """

    def save(
        self, folder: Path, built: Built, *, weights: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Write a folder that :meth:`load` opens.

        Args:
            folder: is made.
            built: model and processor.
            weights: the model's, where they had to be gathered from several processes.
        """
        built.model.save_pretrained(folder, state_dict=None if weights is None else dict(weights))
        built.processor.save_pretrained(folder)

    def merge(self, folder: Path) -> Built:
        """Open a folder with an adapter as one model, the adapter merged into its base.

        Raises:
            InputError: it holds none.
        """
        raise InputError(f"{self.name} has no adapters: there is nothing to merge")

    def parts(self, model: Any) -> Mapping[str, str]:
        """Return the parts that a recipe can train at a rate of their own.

        Returns:
            Name of the part → regular expression, matched at the beginning of a parameter's name
            (PEFT's ``base_model.model.`` left out). Where several match, the longest match decides.
        """
        return dict(model.parts)

    def prepare(self, model: Any, stage: Stage, training: Examples) -> None:
        """Make a model ready for a stage: whatever of the stage depends on the training studies."""

    def keep_frozen(
        self, built: Built, stage: Any, examples: Sequence[Examples], folder: Path
    ) -> None:
        """Compute once what parts give that a stage leaves alone, and read it from then on.

        Args:
            built: model and processor, as the stage trains them.
            stage: the stage, its ``learning_rate`` by part among its keys.
            examples: those to train and to validate on.
            folder: where it is kept, or lies already.

        Raises:
            InputError: the family can't, or the parts train in this stage.
        """
        raise InputError(f"{self.name} keeps no outputs of frozen parts: leave keep_frozen out")

    def examples(self, built: Built, examples: Examples, stage: Stage) -> Examples:
        """Return the examples of a stage: the studies, unless a family pairs them anew, or adds to
        them what the stage learns besides."""
        return examples

    def collate(self, built: Built, stage: Stage | None) -> Callable[[Sequence[Example]], Batch]:
        """Return what turns examples into a batch.

        Args:
            built: the model and its processor.
            stage: the stage whose targets the batch holds; None for studies alone, to be drafted.
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
        """Return whether a stage teaches the model to write, so that drafts are worth a look."""
        return True

    @abstractmethod
    def counts(self, batch: Batch, stage: Stage) -> dict[str, torch.Tensor]:
        """Return how many items each loss of a batch is over: the counts of :meth:`losses`."""

    @abstractmethod
    def losses(self, model: Any, batch: Batch, stage: Stage) -> dict[str, Loss]:
        """Return the losses of a batch by name.

        Args:
            model: the model, perhaps wrapped by the engine: it must be called, so that processes
                that share its weights meet.
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
            studies: a batch of them.
            generation: passed to ``generate()``.

        Raises:
            InputError: a study has no film that the model can read.
        """

    def rollout(
        self, model: Any, processor: Any, studies: Sequence[Study], **generation: Any
    ) -> tuple[list[Report], Batch]:
        """Write a report for each study, for reinforcement.

        Args:
            model: the model, on its device.
            processor: its processor.
            studies: a batch of them.
            generation: passed to ``generate()``: ``do_sample``, ``temperature`` and the like.

        Returns:
            The reports, and the batch from which :meth:`log_probabilities` tells how likely the
            very tokens that were written are; its ``labels`` are these tokens, and -100 elsewhere.

        Raises:
            InputError: the family does not write word after word.
        """
        raise InputError(f"{self.name} can't be reinforced: it does not write word after word")

    def log_probabilities(self, model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how likely each token of a rollout is, given those before it, with gradient.

        Args:
            model: the model, perhaps wrapped by the engine, which must be called.
            batch: from :meth:`rollout`.

        Returns:
            ``(drafts, tokens)`` natural logarithms, and a mask of the same shape, True on tokens
            that were written.
        """
        raise InputError(f"{self.name} can't be reinforced: it does not write word after word")

    def explain(self, model: Any, processor: Any, study: Study) -> Explainable | None:
        """Return how a study's draft can be explained by gradients; None where it can't be."""
        return None

    def presets(self) -> tuple[str, ...]:
        """Return the names under which :meth:`open_published` knows checkpoints."""
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
            folder: as it was downloaded.
            preset: one of :meth:`presets`.
            dtype: of the weights in memory.
            device_map: as transformers takes it.

        Returns:
            The model with its processor, and the values of a card.
        """
        raise InputError(f"{self.name} has no presets")

    def reads(self, processor: Any) -> frozenset[str]:
        """Return what is read of a study that takes time to fetch, or lies beside its dataset:
        ``prior``, ``maps/NAME``, ``features/NAME``, ``tables/NAME``
        (:mod:`plainfilm.data.derived`)."""
        return frozenset()

    def film_size(self, processor: Any) -> int | None:
        """Return the side of the square that films are fitted into first, in pixels.

        Training keeps films so shrunk in memory; None keeps them as they are.
        """
        return None


def family_names() -> list[str]:
    """Return the names of all families: folders of ``plainfilm.models`` with a ``family.py``."""
    found = [path.parent for place in models.__path__ for path in Path(place).glob("*/family.py")]
    return sorted(folder.name for folder in found)


def find_family(name: str) -> Family[Any, Any]:
    """Return the family of a name; no other is imported.

    Raises:
        InputError: there is none.
    """
    if name not in family_names():
        raise InputError(f"no model family {name!r}: expected one of {', '.join(family_names())}")
    found: Family[Any, Any] = import_module(f"plainfilm.models.{name}.family").family
    return found


def families() -> Iterator[Family[Any, Any]]:
    """Yield every family, which imports them all; :func:`find_family` imports one."""
    return map(find_family, family_names())


def family_of(model_type: str | None) -> Family[Any, Any] | None:
    """Return the family that loads a configuration's ``model_type``; None where none does."""
    return next((one for one in families() if model_type in one.model_types), None)
