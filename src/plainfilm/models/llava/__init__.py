"""LLaVA with a specialist's feature and segmentation maps in its projector (ASaRG)."""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
)

from plainfilm.models.llava.configuration_plainfilm_llava import FusedLlavaConfig
from plainfilm.models.llava.configuration_plainfilm_onevision import FusedOnevisionConfig
from plainfilm.models.llava.configuration_plainfilm_resnet import ResNetTowerConfig
from plainfilm.models.llava.modeling_llava import FusedLlava, FusedOnevision, ResNetTower
from plainfilm.models.llava.processing_llava import FusedLlavaProcessor, FusedOnevisionProcessor

_KINDS = (
    (FusedLlavaConfig, FusedLlava, FusedLlavaProcessor),
    (FusedOnevisionConfig, FusedOnevision, FusedOnevisionProcessor),
)
for _config, _model, _processor in _KINDS:
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoModelForImageTextToText.register(_config, _model, exist_ok=True)
    AutoModelForCausalLM.register(_config, _model, exist_ok=True)  # TRL's reference models
    AutoProcessor.register(_config, _processor, exist_ok=True)
AutoConfig.register("plainfilm_resnet", ResNetTowerConfig, exist_ok=True)
AutoModel.register(ResNetTowerConfig, ResNetTower, exist_ok=True)

__all__ = [
    "FusedLlava",
    "FusedLlavaConfig",
    "FusedLlavaProcessor",
    "FusedOnevision",
    "FusedOnevisionConfig",
    "FusedOnevisionProcessor",
    "ResNetTower",
    "ResNetTowerConfig",
]
