"""Recipe settings of the two families with a BERT joint encoder."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from plainfilm.core import Observation, Word
from plainfilm.models.family import ModelSettings, StageSettings
from plainfilm.models.joint_bert.joint import Attention

Rate = Annotated[float, Field(gt=0, lt=1)]
ByChannel = Annotated[float, Field(gt=0)] | tuple[Rate, Rate, Rate]


class Tokenizers(Word):
    """The two tokenizers: from local folders, or learned from the reports."""

    report: Path | None = None
    """Folder of the decoder's tokenizer; default: learned."""
    text: Path | None = None
    """Folder of the joint encoder's tokenizer; default: the same as the report's."""
    vocabulary_size: Annotated[int, Field(ge=300)] = 1000
    """Vocabulary size of a learned tokenizer."""
    max_text_tokens: Annotated[int, Field(ge=1)] = 253
    """Maximum number of tokens in the joint encoder's text; longer ones are truncated."""
    max_report_tokens: Annotated[int, Field(ge=8)] = 256
    """Maximum number of tokens of a report to learn or write; longer ones are truncated."""


class InitialWeights(Word):
    """Local checkpoints to start from; other parts are initialised at random."""

    backbone: Path | None = None
    """A transformers folder, a safetensors file with torchvision's or CheXNet's names, or the model
    folder of a run, whose backbone is taken (docs/backbones.md)."""
    encoder: Path | None = None
    """Folder of a BERT."""
    decoder: Path | None = None
    """Folder of a T5."""


class JointBertSettings(ModelSettings):
    """A recipe's ``model``."""

    config: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the family's configuration class."""
    channels: Literal[1, 3] = 3
    """Channels of the backbone's input, over which the film is repeated: 3 for a backbone
    pre-trained on colour pictures."""
    image_mean: ByChannel = 0.5
    """Mean to subtract from pixels in [0, 1]; depends on the backbone (docs/backbones.md)."""
    image_std: ByChannel = 0.25
    """Standard deviation to divide by."""
    num_beams: Annotated[int, Field(ge=1)] = 1
    """Number of beams in generation."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """Size of n-grams that generation never repeats; 0 for no restriction. Small models loop."""
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
    """These families' keys of a stage."""

    objective: Literal["labels", "report", "report+labels", "pretraining"]
    """Loss to train on: the classifier's, the report's, or both; or the pre-training losses."""
    mask_share: Annotated[float, Field(gt=0, le=1)] = 0.15
    """Share of a report's tokens that are masked, if the model learns from masked tokens."""
    attention: Attention = "bar"
    """Attention mask of the joint encoder in pre-training."""
    image_positions: Annotated[int, Field(ge=1)] | None = None
    """Number of image tokens sampled from a film in pre-training (MedViLL: 180); default: all."""
    place_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the loss that teaches the classifier's image tokens where an observation lies, from
    the dataset's masks; studies and observations without masks contribute nothing."""
    positive_weights: (
        Literal["balanced"] | dict[Observation, Annotated[float, Field(gt=0)]] | None
    ) = None
    """Weight of each observation's positive term in the classifier's loss: ``balanced`` by its
    rarity in the training studies, or by name; default: 1."""

    @model_validator(mode="after")
    def _places_are_the_classifiers(self) -> Self:
        if self.place_weight and "labels" not in self.objective:
            raise ValueError(
                f"place_weight teaches the classifier, which objective {self.objective} leaves "
                "alone: choose labels or report+labels"
            )
        return self
