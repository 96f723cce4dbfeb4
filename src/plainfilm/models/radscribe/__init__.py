"""RadScribe: image backbone, BERT joint encoder, T5 decoder, with or without label enhancement."""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
)

from plainfilm.models.radscribe.configuration_radscribe import RadScribeConfig
from plainfilm.models.radscribe.modeling_radscribe import RadScribeForConditionalGeneration
from plainfilm.models.radscribe.processing_radscribe import RadScribeProcessor
from plainfilm.vision.preparation import FilmImageProcessor

AutoConfig.register("radscribe", RadScribeConfig, exist_ok=True)
AutoImageProcessor.register(RadScribeConfig, FilmImageProcessor, exist_ok=True)
AutoProcessor.register(RadScribeConfig, RadScribeProcessor, exist_ok=True)
for auto in (AutoModel, AutoModelForSeq2SeqLM, AutoModelForImageTextToText):
    auto.register(RadScribeConfig, RadScribeForConditionalGeneration, exist_ok=True)

__all__ = ["RadScribeConfig", "RadScribeForConditionalGeneration", "RadScribeProcessor"]
