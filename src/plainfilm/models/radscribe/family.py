"""The RadScribe family: building it from a recipe."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from plainfilm.models.joint_bert.base import JointBertFamily
from plainfilm.models.joint_bert.initial import vocabulary_size
from plainfilm.models.joint_bert.settings import JointBertSettings, JointBertStage
from plainfilm.models.radscribe.configuration_radscribe import RadScribeConfig
from plainfilm.models.radscribe.modeling_radscribe import RadScribeForConditionalGeneration
from plainfilm.models.radscribe.processing_radscribe import RadScribeProcessor
from plainfilm.vision.preparation import FilmImageProcessor


class RadScribeFamily(JointBertFamily):
    """Image backbone, BERT joint encoder, T5 decoder."""

    model_types = ("radscribe",)
    config_class = RadScribeConfig
    model_class = RadScribeForConditionalGeneration
    processor_class = RadScribeProcessor

    def configure(
        self,
        values: dict[str, Any],
        settings: JointBertSettings,
        stages: Sequence[JointBertStage],
        views: int,
        processor: Any,
    ) -> dict[str, Any]:
        """See the base class."""
        values["max_views"] = views
        values["pretraining"] = any(stage.objective == "pretraining" for stage in stages)
        if processor is not None:
            for part, tokenizer in (
                ("decoder", processor.tokenizer), ("encoder", processor.text_tokenizer),
            ):  # fmt: skip
                rows = vocabulary_size(tokenizer, getattr(settings.initial, part))
                values[part] = (values.get(part) or {}) | {"vocab_size": rows}
        return values

    def process(
        self,
        film: FilmImageProcessor,
        tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
        settings: JointBertSettings,
        views: int,
    ) -> RadScribeProcessor:
        """See the base class."""
        return RadScribeProcessor(
            film,
            *tokenizers,
            max_report_tokens=settings.tokenizers.max_report_tokens,
            max_text_tokens=settings.tokenizers.max_text_tokens,
            max_views=views,
        )


family = RadScribeFamily()
