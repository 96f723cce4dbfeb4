"""Configuration of RadScribe, from a tiny one for tests to the published size."""

from typing import Any

from transformers import BertConfig, PreTrainedConfig, T5Config

from plainfilm.core import OBSERVATIONS
from plainfilm.models.joint_bert.checks import (
    decoder_problems,
    encoder_problems,
    refuse,
    size_problems,
)
from plainfilm.models.joint_bert.joint import ATTENTIONS, Attention
from plainfilm.vision.backbones import backbone_config

T5_BASE = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
"""The shape of ClinicalT5 (T5-base); T5Config's own defaults are T5-small's."""


class RadScribeConfig(PreTrainedConfig):
    """Sizes of the backbone, the BERT joint encoder and the T5 decoder.

    The defaults are the seed paper's ViT-Label-RadScribe: ViT-B/16 on 512² films, BERT-base,
    ClinicalT5's shape (T5-base).

    Args:
        backbone: values of a transformers configuration, with its ``model_type``
            (see :data:`plainfilm.vision.backbones.BACKBONES`).
        encoder: values of a BertConfig.
        decoder: values of a T5Config.
        image_size: side of the square film that the backbone sees, in pixels.
        image_token_grid: side of the grid of image tokens; at most the backbone's own.
        label_enhanced: whether the classifier's labels condition the image tokens.
        label_attention_layers: number of cross-attention layers for the labels.
        label_loss_weight: weight of the classifier's loss relative to the report's.
        observations: the classifier's labels, in order.
        encoder_attention: attention mask of the joint encoder
            (see :mod:`plainfilm.models.joint_bert.joint`).
        max_views: maximum number of films of a study to read.
        pretraining: whether the joint encoder has pre-training heads.

    Raises:
        InputError: a size or name is invalid, so that no model can be built.
    """

    model_type = "radscribe"
    keys_to_ignore_at_inference = ("cache", "past_key_values", "losses")
    is_encoder_decoder = True

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        encoder: dict[str, Any] | None = None,
        decoder: dict[str, Any] | None = None,
        image_size: int = 512,
        image_token_grid: int = 16,
        label_enhanced: bool = True,
        label_attention_layers: int = 1,
        label_loss_weight: float = 1.0,
        observations: list[str] | None = None,
        encoder_attention: Attention = "full",
        max_views: int = 1,
        pretraining: bool = False,
        **kwargs: Any,
    ) -> None:
        problems = size_problems(
            {
                "image_size": (image_size, 1),
                "image_token_grid": (image_token_grid, 1),
                "label_attention_layers": (label_attention_layers, 0),
                "max_views": (max_views, 1),
            }
        )
        if encoder_attention not in ATTENTIONS:
            problems.append(
                f"encoder_attention: {encoder_attention!r}; expected one of {', '.join(ATTENTIONS)}"
            )
        problems += encoder_problems(encoder or {}, image_token_grid)
        problems += decoder_problems(decoder or {})
        refuse(problems)
        self.backbone = {"model_type": "vit", "image_size": image_size} | (backbone or {})
        self.encoder = dict(encoder or {})
        self.decoder = T5_BASE | (decoder or {})
        self.image_size = image_size
        self.image_token_grid = image_token_grid
        self.label_enhanced = label_enhanced
        self.label_attention_layers = label_attention_layers
        self.label_loss_weight = label_loss_weight
        self.encoder_attention = encoder_attention
        self.max_views = max_views
        self.pretraining = pretraining
        self.observations = observations or [str(o) for o in OBSERVATIONS]
        for name in ("pad_token_id", "eos_token_id", "decoder_start_token_id"):
            default = self.decoder.get(name, 1 if name == "eos_token_id" else 0)
            kwargs.setdefault(name, default)
        # T5 ties its output layer to the embeddings; T5 1.1 sets tie_word_embeddings: false.
        kwargs.setdefault("tie_word_embeddings", self.decoder.get("tie_word_embeddings", True))
        kwargs["is_encoder_decoder"] = True
        super().__init__(**kwargs)

    @property
    def backbone_config(self) -> PreTrainedConfig:
        """Configuration of the image backbone."""
        return backbone_config(self.backbone)

    @property
    def encoder_config(self) -> BertConfig:
        """Configuration of the joint encoder."""
        return BertConfig(**self.encoder)

    @property
    def decoder_config(self) -> T5Config:
        """Configuration of the decoder."""
        return T5Config(**self.decoder, is_decoder=True)

    def get_text_config(self, *args: Any, **kwargs: Any) -> T5Config:
        """Return the decoder's configuration, in which generation looks up cache sizes."""
        return self.decoder_config
