"""What the models of both BERT families owe transformers: loading, precision, adapters, caches."""

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
"""What transformers calls the keys and values of generation: ``cache`` since 5.24."""

_FOREIGN = ("input_ids", "attention_mask", "inputs_embeds", "decoder_inputs_embeds")


class JointBertPreTrainedModel(PreTrainedModel):
    """Base of all modules of the two families; backbone, BERT and T5 initialise their own."""

    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    vocabulary: ClassVar[str]
    """The part of the configuration whose ``vocab_size`` is that of the words that are written."""

    def post_init(self) -> None:
        """Finish the construction; T5's ``wo``, kept in float32, must not mean BERT's words."""
        super().post_init()
        kept: set[str] = getattr(self, "_keep_in_fp32_modules", None) or set()
        self._keep_in_fp32_modules = {
            "DenseReluDense.wo" if name == "wo" else name for name in kept
        }

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Give the words that are written other rows, as transformers does, here and on disk."""
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        rows = embeddings.num_embeddings
        values = getattr(self.config, self.vocabulary) | {"vocab_size": rows}
        setattr(self.config, self.vocabulary, values)
        self.get_decoder().config.vocab_size = rows
        return cast(nn.Embedding, embeddings)


def hand_down(config: PreTrainedConfig, attention: str | None) -> PreTrainedConfig:
    """Return a part's configuration with the ``attn_implementation`` that the whole was given.

    ``sdpa``, the usual one, is left to the part, which takes it where it has it.
    """
    if attention not in (None, "sdpa"):
        config._attn_implementation = attention
    return config


def refuse_foreign(kwargs: dict[str, Any], names: Collection[str] = _FOREIGN) -> dict[str, Any]:
    """Return ``kwargs`` without what wrappers of T5-like models (PEFT) pass along as None.

    Raises:
        InputError: something stands there, which nothing here would read.
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
    """Return the mean over a piece of a batch as its part of the mean over the batch.

    Args:
        loss: mean over the piece's items.
        items: how many the piece has.
        whole: how many the batch has; None where the piece is the batch.
    """
    return loss if whole is None else torch.where(items > 0, loss, 0.0) * items / whole


def found_cache(kwargs: Mapping[str, Any]) -> Any:
    """Return the cache of generation under either of its names; None without one."""
    return kwargs.get("cache", kwargs.get("past_key_values"))
