"""MedViLL, RadScribe's baseline: an image backbone, and one BERT that both reads and writes."""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
)

from plainfilm.models.medvill.configuration_medvill import MedViLLConfig
from plainfilm.models.medvill.modeling_medvill import MedViLLForConditionalGeneration
from plainfilm.models.medvill.processing_medvill import MedViLLProcessor
from plainfilm.vision.preparation import FilmImageProcessor

AutoConfig.register("medvill", MedViLLConfig, exist_ok=True)
AutoImageProcessor.register(MedViLLConfig, FilmImageProcessor, exist_ok=True)
AutoProcessor.register(MedViLLConfig, MedViLLProcessor, exist_ok=True)
for auto in (AutoModel, AutoModelForSeq2SeqLM, AutoModelForImageTextToText):
    auto.register(MedViLLConfig, MedViLLForConditionalGeneration, exist_ok=True)

__all__ = ["MedViLLConfig", "MedViLLForConditionalGeneration", "MedViLLProcessor"]
