"""RadScribe: image backbone, BERT joint encoder, T5 decoder, with or without label enhancement."""

from transformers import AutoConfig, AutoModelForSeq2SeqLM

from plainfilm.models.radscribe.configuration_radscribe import RadScribeConfig
from plainfilm.models.radscribe.modeling_radscribe import RadScribeForConditionalGeneration
from plainfilm.models.radscribe.processing_radscribe import RadScribeProcessor

AutoConfig.register("radscribe", RadScribeConfig, exist_ok=True)
AutoModelForSeq2SeqLM.register(RadScribeConfig, RadScribeForConditionalGeneration, exist_ok=True)

__all__ = ["RadScribeConfig", "RadScribeForConditionalGeneration", "RadScribeProcessor"]
