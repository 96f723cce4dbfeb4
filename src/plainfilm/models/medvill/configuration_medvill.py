"""Configuration of MedViLL, from a tiny one for tests to the published size."""

from typing import Any

from transformers import BertConfig, PreTrainedConfig

from plainfilm.models.joint_bert.checks import encoder_problems, refuse, size_problems
from plainfilm.vision.backbones import backbone_config

RESNET_50 = {
    "model_type": "resnet",
    "embedding_size": 64,
    "hidden_sizes": [256, 512, 1024, 2048],
    "depths": [3, 4, 6, 3],
}


class MedViLLConfig(PreTrainedConfig):
    """Sizes of the backbone and of BERT.

    The defaults are the paper's: ResNet-50 on 512² films (16² tokens), BERT-base. The special
    tokens (``cls_token_id``, ``sep_token_id``, ``mask_token_id``, ``pad_token_id``) are
    bert-base-uncased's.

    Args:
        backbone: values of a transformers configuration, with its ``model_type``
            (see :data:`plainfilm.vision.backbones.BACKBONES`).
        encoder: values of a BertConfig.
        image_size: side of the square film that the backbone sees, in pixels.
        image_token_grid: side of the grid of image tokens; at most the backbone's own.

    Raises:
        InputError: a size or name is invalid, so that no model can be built.
    """

    model_type = "medvill"
    keys_to_ignore_at_inference = ("cache", "past_key_values", "losses")
    is_encoder_decoder = True  # the image is encoded once; BERT writes

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        encoder: dict[str, Any] | None = None,
        image_size: int = 512,
        image_token_grid: int = 16,
        **kwargs: Any,
    ) -> None:
        sizes = {"image_size": (image_size, 1), "image_token_grid": (image_token_grid, 1)}
        refuse(size_problems(sizes) + encoder_problems(encoder or {}, image_token_grid))
        self.backbone = {"image_size": image_size} | (backbone or RESNET_50)
        self.encoder = dict(encoder or {})
        self.image_size = image_size
        self.image_token_grid = image_token_grid
        bert = {"pad_token_id": 0, "cls_token_id": 101, "sep_token_id": 102, "mask_token_id": 103}
        for name, token in bert.items():
            kwargs.setdefault(name, token)
        kwargs.setdefault("decoder_start_token_id", kwargs["sep_token_id"])
        kwargs.setdefault("eos_token_id", kwargs["sep_token_id"])
        kwargs.setdefault("tie_word_embeddings", True)
        kwargs["is_encoder_decoder"] = True
        super().__init__(**kwargs)

    @property
    def backbone_config(self) -> PreTrainedConfig:
        """Configuration of the image backbone."""
        return backbone_config(self.backbone)

    @property
    def encoder_config(self) -> BertConfig:
        """Configuration of BERT."""
        return BertConfig(**self.encoder)

    def get_text_config(self, *args: Any, **kwargs: Any) -> BertConfig:
        """Return BERT's configuration, in which generation looks up cache sizes."""
        return self.encoder_config
