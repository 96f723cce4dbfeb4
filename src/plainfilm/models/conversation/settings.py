"""What a recipe says of how a model is asked, and of adapters."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from plainfilm.core import Word
from plainfilm.models.family import ModelSettings, StageSettings
from plainfilm.text.clinical_table import TableForm
from plainfilm.text.prompts import FILM_FIELDS, check_template

Sections = Literal["headings", "report", "findings", "impression"]
"""How an answer is split: at the headings ``Findings:`` and ``Impression:``, as models trained here
write them; like any report, by the reader; or all of it is one section."""
Part = Literal["vision", "projector", "language", "label_head", "classification_head", "fusion"]
Attention = Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3"]
Precision = Literal["float32", "bfloat16", "float16"]

REQUEST = """Write the report of this chest X-ray.
Indication: {indication}
Technique: {technique}
Comparison: {comparison}
Clinical values:
{table}
Report of the earlier film: {prior_report}
{style}"""


class Context(Word):
    """What is said to the model, and how its answer is understood."""

    system: str = ""
    """The system prompt; none if empty."""
    request: str = REQUEST
    """The user's words, a template with fields (:mod:`plainfilm.text.prompts`). Films stand before
    them unless the template places them."""
    chat_template: str | None = None
    """A Jinja template, where the checkpoint has none; ``plain`` writes the films and then the
    words, for base models that know no chat."""
    pad_token: str | None = None
    """A token of the checkpoint's that pads, where its tokenizer names none."""
    table: TableForm = TableForm()
    """How the study's table is written; a format's name alone (``key-value``) leaves the rest as it
    is."""
    prior: bool = False
    """Whether the earlier film and its report are read."""
    image_size: Annotated[int, Field(ge=28)] | None = None
    """Side of the square into which films are fitted before the checkpoint's own preparation, in
    pixels; left out, they keep their size."""
    square: bool = True
    """Whether films are padded to squares; many checkpoints crop what is not square."""
    max_report_tokens: Annotated[int, Field(ge=8)] = 256
    """Longest report to learn and to write; the rest is cut off."""
    max_chat_tokens: Annotated[int, Field(ge=8)] = 384
    """Longest chat to learn, after its first question; turns beyond are left out."""
    sections: Sections = "headings"
    """How an answer is split into sections."""
    think: bool = False
    """Whether the report is learned as what is thought, and followed by the observations that it
    comes down to (:mod:`plainfilm.text.think`)."""
    missing: str | None = None
    """What stands for a text that is not known; left out, its line is left out."""
    drop: str | None = None
    """A regular expression for what is no part of the report (``<think>.*?</think>``)."""
    keep: str | None = None
    """A regular expression whose first group is the report; an answer without a match is taken
    whole, and the draft says so."""

    @field_validator("drop", "keep")
    @classmethod
    def _a_pattern(cls, value: str | None, field: ValidationInfo) -> str | None:
        try:
            groups = re.compile(value or "").groups
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        if value is not None and field.field_name == "keep" and groups < 1:
            raise ValueError(f"{value!r} has no group: put the report's part in parentheses")
        return value

    @field_validator("table", mode="before")
    @classmethod
    def _a_name_is_a_format(cls, value: Any) -> Any:
        return {"form": value} if isinstance(value, str) else value

    @field_validator("request")
    @classmethod
    def _a_template(cls, value: str) -> str:
        check_template(value)
        return value

    @model_validator(mode="after")
    def _placed_films_are_read(self) -> Self:
        if not self.prior and any(
            f"{{{name}}}" in self.request for name in FILM_FIELDS if name.startswith("prior")
        ):
            raise ValueError("the request places prior_frontal, but prior is false")
        return self


class ChatStage(StageSettings):
    """A stage's keys of all families that are asked in words."""

    chat_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of the examples, how many are shown as a chat of several turns about the film, written from
    its report's findings (English), instead of as the report; only answers are learned."""


class Adapter(Word):
    """Low-rank matrices that are trained beside frozen weights (LoRA, Hu et al. 2021)."""

    kind: Literal["lora", "qlora"]
    """``qlora`` keeps the frozen weights in four bits (nf4, Dettmers et al. 2023)."""
    rank: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: str | tuple[str, ...] = "language"
    """Which linear layers get them: ``language`` for those of the language model, ``all`` for those
    of the vision tower, too, a regular expression for whole names, or names of layers."""
    whole: tuple[Part, ...] = ()
    """Parts that are trained as they are, and saved beside the adapter."""


class Asked(ModelSettings, Context):
    """The ``model`` part of a recipe, as far as all families that are asked in words have it."""

    adapter: Adapter | None = None
    """None trains the weights themselves."""
    attention: Attention = "sdpa"
    """How attention is computed."""
    dtype: Precision = "float32"
    """Precision of the weights in memory while they train."""
    num_beams: Annotated[int, Field(ge=1)] = 1
    """Beams of generation."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """Generation never writes the same so many tokens twice; 0 lets it."""
    generation: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of ``generate()`` (``repetition_penalty`` and the like)."""

    @property
    def context(self) -> Context:
        """What is said to the model, apart from the rest."""
        return Context.model_validate(self.model_dump(include=set(Context.model_fields)))
