"""transformers support of both BERT families: loading, precision, adapters, caches."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, ClassVar, cast

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import Seq2SeqLMOutput

from plainfilm.core import InputError

CACHE = "cache" if "cache" in {field.name for field in fields(Seq2SeqLMOutput)} else (
    "past_key_values"
)  # fmt: skip
"""transformers' name of the key-value cache in outputs: ``cache`` since 5.24."""

_FOREIGN = ("input_ids", "attention_mask", "inputs_embeds", "decoder_inputs_embeds")


class JointBertPreTrainedModel(PreTrainedModel):
    """Base of all modules of the two families; backbone, BERT and T5 initialise their own."""

    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    vocabulary: ClassVar[str]
    """The part of the configuration whose ``vocab_size`` is the output vocabulary's."""

    def post_init(self) -> None:
        """Finish construction; T5's rule to keep ``wo`` in float32 must not match BERT's
        modules."""
        super().post_init()
        kept: set[str] = getattr(self, "_keep_in_fp32_modules", None) or set()
        self._keep_in_fp32_modules = {
            "DenseReluDense.wo" if name == "wo" else name for name in kept
        }

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Resize the output vocabulary, in the model and in its configuration."""
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        rows = embeddings.num_embeddings
        values = getattr(self.config, self.vocabulary) | {"vocab_size": rows}
        setattr(self.config, self.vocabulary, values)
        self.get_decoder().config.vocab_size = rows
        return cast(nn.Embedding, embeddings)


def hand_down(config: PreTrainedConfig, attention: str | None) -> PreTrainedConfig:
    """Return a part's configuration with the whole model's ``attn_implementation``.

    The default ``sdpa`` is left to the part, which uses it if it supports it.
    """
    if attention not in (None, "sdpa"):
        config._attn_implementation = attention
    return config


def refuse_foreign(kwargs: dict[str, Any], names: Collection[str] = _FOREIGN) -> dict[str, Any]:
    """Return ``kwargs`` without arguments that wrappers of T5-like models (PEFT) pass as None.

    Raises:
        InputError: one of them is not None and would be ignored.
    """
    given = [name for name in names if kwargs.get(name) is not None]
    if given:
        raise InputError(
            f"{', '.join(given)} would not be read: give pixel_values, and text as text_ids with "
            "text_attention_mask"
        )
    return {name: value for name, value in kwargs.items() if name not in names}


def piece_of_batch(
    loss: torch.Tensor, items: torch.Tensor, whole: torch.Tensor | int | None
) -> torch.Tensor:
    """Rescale a micro-batch's mean loss to its contribution to the batch's mean.

    Args:
        loss: mean over the micro-batch's items.
        items: number of items of the micro-batch.
        whole: number of items of the batch; None if it is not split.
    """
    return loss if whole is None else torch.where(items > 0, loss, 0.0) * items / whole


def found_cache(kwargs: Mapping[str, Any]) -> Any:
    """Return the key-value cache under either of its names, or None."""
    return kwargs.get("cache", kwargs.get("past_key_values"))
