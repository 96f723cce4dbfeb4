"""The MedViLL family: building it from a recipe."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from plainfilm.models.joint_bert.base import JointBertFamily
from plainfilm.models.joint_bert.initial import vocabulary_size
from plainfilm.models.joint_bert.settings import JointBertSettings, JointBertStage
from plainfilm.models.medvill.configuration_medvill import MedViLLConfig
from plainfilm.models.medvill.modeling_medvill import MedViLLForConditionalGeneration
from plainfilm.models.medvill.processing_medvill import MedViLLProcessor
from plainfilm.vision.preparation import FilmImageProcessor


class MedViLLFamily(JointBertFamily):
    """One BERT that reads the film and writes the report."""

    model_types = ("medvill",)
    config_class = MedViLLConfig
    model_class = MedViLLForConditionalGeneration
    processor_class = MedViLLProcessor
    read_text = "max_report_tokens"

    def problems(self, values: Mapping[str, Any]) -> list[str]:
        """See the base class."""
        found = super().problems(values)
        data, model = values.get("data"), values.get("model")
        if isinstance(data, dict) and data.get("views", 1) != 1:
            found.append(f"data.views: medvill reads one film, got {data['views']}")
        initial = model.get("initial") if isinstance(model, dict) else None
        if isinstance(initial, dict) and initial.get("decoder") is not None:
            found.append("model.initial.decoder: medvill has no decoder, BERT writes: leave it out")
        return found

    def configure(
        self,
        values: dict[str, Any],
        settings: JointBertSettings,
        stages: Sequence[JointBertStage],
        views: int,
        processor: Any,
    ) -> dict[str, Any]:
        """See the base class."""
        if processor is not None:
            rows = vocabulary_size(processor.tokenizer, settings.initial.encoder)
            values["encoder"] = (values.get("encoder") or {}) | {"vocab_size": rows}
            for name in ("pad_token_id", "cls_token_id", "sep_token_id", "mask_token_id"):
                values[name] = getattr(processor.tokenizer, name)
        return values

    def process(
        self,
        film: FilmImageProcessor,
        tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
        settings: JointBertSettings,
        views: int,
    ) -> MedViLLProcessor:
        """Return the processor, with a single vocabulary, since BERT both reads and writes."""
        limit = settings.tokenizers.max_report_tokens
        return MedViLLProcessor(film, tokenizers[1], max_report_tokens=limit)

    def between(self, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
        """Return ``[SEP]`` twice: a report lies between two of them."""
        return cast(int, tokenizer.sep_token_id), cast(int, tokenizer.sep_token_id)


family = MedViLLFamily()
