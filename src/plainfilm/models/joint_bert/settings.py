"""What a recipe says of the two families with a BERT joint encoder."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from plainfilm.core import Observation, Word
from plainfilm.models.family import ModelSettings, StageSettings
from plainfilm.models.joint_bert.joint import Attention

Rate = Annotated[float, Field(gt=0, lt=1)]
ByChannel = Annotated[float, Field(gt=0)] | tuple[Rate, Rate, Rate]


class Tokenizers(Word):
    """Where the two vocabularies come from: local folders, or learned from the reports."""

    report: Path | None = None
    """Tokenizer of the decoder; learned where left out."""
    text: Path | None = None
    """Tokenizer of the joint encoder; the same as the report's where left out."""
    vocabulary_size: Annotated[int, Field(ge=300)] = 1000
    """Of a learned one."""
    max_text_tokens: Annotated[int, Field(ge=1)] = 253
    """Longest text of the joint encoder; the rest is cut off."""
    max_report_tokens: Annotated[int, Field(ge=8)] = 256
    """Longest report to learn and to write; the rest is cut off."""


class InitialWeights(Word):
    """Local checkpoints to start from; what is left out starts fresh."""

    backbone: Path | None = None
    """A transformers folder, a safetensors file with torchvision's or CheXNet's names, or the model
    folder of a run, whose backbone is taken (docs/backbones.md)."""
    encoder: Path | None = None
    """A BERT."""
    decoder: Path | None = None
    """A T5."""


class JointBertSettings(ModelSettings):
    """The ``model`` part of a recipe."""

    config: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the family's configuration class."""
    channels: Literal[1, 3] = 3
    """How often the film is repeated for the backbone: 3 for one pre-trained on colour pictures."""
    image_mean: ByChannel = 0.5
    """Subtracted from pixels in [0, 1]; a pre-trained backbone has its own (docs/backbones.md)."""
    image_std: ByChannel = 0.25
    """Divides the rest."""
    num_beams: Annotated[int, Field(ge=1)] = 1
    """Beams of generation."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """Generation never writes the same so many tokens twice; 0 lets it. Small models loop."""
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
        for part, tokenizer in (("encoder", "text"), ("decoder", "report")):
            if getattr(self.initial, part) and not getattr(self.tokenizers, tokenizer):
                raise ValueError(
                    f"initial.{part} needs tokenizers.{tokenizer}: its embeddings are of the "
                    "checkpoint's own words (mostly the same folder)"
                )
        return self


class JointBertStage(StageSettings):
    """A stage's keys of these families."""

    objective: Literal["labels", "report", "report+labels", "pretraining"]
    """The classifier's loss, the report's, or both; or the joint encoder's pre-training."""
    mask_share: Annotated[float, Field(gt=0, le=1)] = 0.15
    """How many tokens of a report are hidden where the model learns by hidden ones."""
    attention: Attention = "bar"
    """Pre-training: which tokens see which in the joint encoder."""
    image_positions: Annotated[int, Field(ge=1)] | None = None
    """Pre-training: how many image tokens of a film are drawn (MedViLL: 180); all if left out."""
    place_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the loss that teaches the classifier's image tokens where an observation lies, by
    the dataset's masks; studies without masks, and observations that none shows, add nothing."""
    positive_weights: (
        Literal["balanced"] | dict[Observation, Annotated[float, Field(gt=0)]] | None
    ) = None
    """Weight of each observation's positive term in the classifier's loss: ``balanced`` by its
    rarity in the training studies, or by name; all 1 where left out."""

    @model_validator(mode="after")
    def _places_are_the_classifiers(self) -> Self:
        if self.place_weight and "labels" not in self.objective:
            raise ValueError(
                f"place_weight teaches the classifier, which objective {self.objective} leaves "
                "alone: choose labels or report+labels"
            )
        return self
