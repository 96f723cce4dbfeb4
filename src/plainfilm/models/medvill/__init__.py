"""MedViLL: image backbone and one BERT that reads and writes, RadScribe's baseline."""

from transformers import AutoConfig, AutoModelForSeq2SeqLM

from plainfilm.models.medvill.configuration_medvill import MedViLLConfig
from plainfilm.models.medvill.modeling_medvill import MedViLLForConditionalGeneration
from plainfilm.models.medvill.processing_medvill import MedViLLProcessor

AutoConfig.register("medvill", MedViLLConfig, exist_ok=True)
AutoModelForSeq2SeqLM.register(MedViLLConfig, MedViLLForConditionalGeneration, exist_ok=True)

__all__ = ["MedViLLConfig", "MedViLLForConditionalGeneration", "MedViLLProcessor"]
