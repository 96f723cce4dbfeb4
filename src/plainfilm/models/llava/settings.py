"""What a recipe says of a LLaVA with more inputs."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from plainfilm.core import OBSERVATIONS, Observation, Word
from plainfilm.core.classes import ADDED, CLASSES, SUPERCLASSES, AnatomyClass
from plainfilm.models.conversation.settings import Asked, ChatStage
from plainfilm.models.llava.classification import Pooling, Uncertain, Unmentioned
from plainfilm.models.llava.fusion_values import Kind
from plainfilm.vision.segmenter import FINDINGS

Objective = Literal["report", "labels", "language", "observations"]


def _is_finding(one: AnatomyClass) -> bool:
    return one.superclass is None or one.superclass.startswith("finding")


CLASS_SETS: dict[str, tuple[str, ...]] = {
    "all": tuple(one.name for one in CLASSES),
    "superclasses": SUPERCLASSES,
    "anatomy": tuple(one.name for one in CLASSES if not _is_finding(one)),
    "findings": tuple(one.name for one in (*CLASSES, *ADDED) if _is_finding(one)),
    "segmenter": (*SUPERCLASSES, *FINDINGS),
}
"""Names for whole sets of maps."""


class Feature(Word):
    """A specialist's feature of the frontal film."""

    name: str
    """That it has in ``Study.features``: what ``plainfilm features`` wrote."""
    size: Annotated[int, Field(ge=1)]
    """Its length (2048 for a ResNet-50)."""


class MapInput(Word):
    """Segmentation maps."""

    source: str
    """Where they come from: what ``plainfilm maps`` wrote."""
    classes: (
        Literal["all", "superclasses", "anatomy", "findings", "segmenter"] | tuple[str, ...]
    ) = "all"
    """Which maps, in the model's order: the 212; the 20 superclasses; those of anatomy, or of
    findings and foreign objects, alone; those of the shipped segmenter; or names."""
    side: Annotated[int, Field(ge=1, le=64)] = 16
    """Cells along each side."""
    shuffled: bool = False
    """Whether each report is drafted from maps whose classes have changed places: what of a model's
    score goes is what it took from knowing what a map shows (the paper's section 6.1)."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes by name."""
        return CLASS_SETS[self.classes] if isinstance(self.classes, str) else self.classes


class FusionSettings(Word):
    """What goes into the projector beside the tower's tokens, and how (``fusion.py``)."""

    kind: Kind = "concatenation"
    features: Feature | None = None
    maps: MapInput | None = None
    embeddings: Annotated[int, Field(ge=1)] = 256
    """Rows of the class embedding: as many tokens are appended by ``concatenation``."""
    pool_side: Annotated[int, Field(ge=1)] | None = None
    """Cells along each side to which maps are pooled; the square root of the tower's width where
    left out, as in the paper."""
    weight: float = 0.01
    """Where λ of ``addition`` starts."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.features is None and self.maps is None:
            raise ValueError("give features, maps, or both; leave fusion out for LLaVA itself")
        return self

    def values(self) -> dict[str, Any]:
        """Return the configuration's values."""
        return {
            "kind": self.kind,
            "feature_size": 0 if self.features is None else self.features.size,
            "map_classes": [] if self.maps is None else list(self.maps.names),
            "map_side": 16 if self.maps is None else self.maps.side,
            "pool_side": self.pool_side,
            "embeddings": self.embeddings,
            "weight": self.weight,
        }


class Classification(Word):
    """A head that tells observations from the language model's hidden states
    (``classification.py``)."""

    observations: Annotated[tuple[Observation, ...], Field(min_length=1)] = OBSERVATIONS
    """Which of the 14, by name."""
    layer: int = -1
    """Whose hidden states it reads: 0 are the embeddings, -1 what the words are told from."""
    pooling: Pooling = "last"
    """Which of the prompt's states are averaged: the ``last`` one, from which the report begins;
    the ``mean`` of all; those of the ``films``; all, by an ``attention`` for each observation."""
    uncertain: Uncertain = "positive"
    """What an uncertain mention counts as when the head learns."""
    unmentioned: Unmentioned = "negative"
    """What an observation counts as that the report doesn't mention."""

    @field_validator("observations")
    @classmethod
    def _each_once(cls, value: tuple[Observation, ...]) -> tuple[Observation, ...]:
        wrong = [name for name in value if name not in OBSERVATIONS or value.count(name) > 1]
        if wrong:
            raise ValueError(f"name each of the 14 once at most, got {', '.join(wrong)}")
        return value

    def values(self) -> dict[str, Any]:
        """Return the configuration's values."""
        return self.model_dump(mode="json", include={"observations", "layer", "pooling"})


class LlavaSettings(Asked):
    """The ``model`` part of a recipe: a checkpoint, or parts to put together."""

    checkpoint: Path | None = None
    """A local folder with LLaVA-1.5 or LLaVA-OneVision, published or trained here. Parts that it
    lacks (fusion, classifier) begin anew."""
    vision: Path | dict[str, Any] | None = None
    """The tower: a folder with its weights, or a configuration (``model_type`` and the rest) to
    begin from nothing."""
    text: Path | dict[str, Any] | None = None
    """The language model: likewise. A folder brings its tokenizer; with a configuration one is
    learned from the training reports."""
    vision_layer: int = -2
    """Which of the tower's hidden states are its tokens (LLaVA-1.5: the last but one)."""
    token_grid: Annotated[int, Field(ge=1)] | None = None
    """Side of the raster to which the tower's tokens are averaged, where a tower is put together;
    its own where left out."""
    vocabulary_size: Annotated[int, Field(ge=300)] = 2000
    """Of a tokenizer that is learned."""
    vocabulary_tables: bool = False
    """Whether it is learned from the studies' tables, too, where the request has none yet."""
    fusion: FusionSettings | None = None
    """None is LLaVA itself."""
    classification: Classification | None = None
    """A head on the language model's states; where left out, a checkpoint keeps that which it
    has."""
    agreement: Annotated[float, Field(ge=0)] = 0.0
    """With ``num_beams`` above 1: the beams are ranked by their score and, with this weight, by how
    well what is read from each text agrees with the head's probabilities. 0 leaves the beams' own
    order."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        parts = (self.vision is not None, self.text is not None)
        if (self.checkpoint is None) != all(parts) or (self.checkpoint is not None and any(parts)):
            raise ValueError("give either checkpoint, or both vision and text")
        if self.token_grid is not None and self.checkpoint is not None:
            raise ValueError("token_grid: a checkpoint has its own: leave it out")
        if self.adapter is not None and self.checkpoint is None:
            raise ValueError("an adapter needs a checkpoint whose weights it leaves alone")
        if self.agreement and self.num_beams < 2:
            raise ValueError("agreement ranks beams: set num_beams to 2 or more")
        return self


class LlavaStage(ChatStage):
    """A stage's own keys."""

    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = ("report",)
    """What is learned, all at once: the report's tokens; the tower's labels, by a classifier on its
    tokens; ``observations``, by the head on the language model's states (``model.classification``);
    or ``language``, the report's tokens from the words alone, without the film."""
    observation_weight: Annotated[float, Field(ge=0)] | Literal["learned"] = 1.0
    """λ: what the loss of the observations counts beside the report's. With 0 it isn't computed;
    ``learned`` weighs both losses by the variances that the model learns (part ``balance``)."""

    @model_validator(mode="after")
    def _with_or_without_film(self) -> Self:
        if {"report", "language"} <= set(self.objectives):
            raise ValueError("objectives: choose either report or language")
        if {"language", "observations"} <= set(self.objectives):
            raise ValueError("objectives: observations are told from films: leave language out")
        return self
