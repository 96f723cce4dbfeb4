"""Checks of sizes and settings for the BERT families, made before a model is built."""

from collections.abc import Iterable, Mapping
from typing import Any

from transformers import BertConfig, T5Config
from transformers.activations import ACT2FN

from plainfilm.core import InputError, errors_as

_BERT_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
               "vocab_size", "max_position_embeddings")  # fmt: skip
_T5_SIZES = ("d_model", "d_kv", "d_ff", "num_layers", "num_heads", "vocab_size")


def refuse(problems: Iterable[str]) -> None:
    """Raise an InputError that lists all ``problems``, if there are any."""
    found = "; ".join(problems)
    if found:
        raise InputError(found)


def size_problems(sizes: Mapping[str, tuple[object, int]]) -> list[str]:
    """Return problems with sizes that are not integers, or too small.

    Args:
        sizes: name → (given value, smallest valid value).
    """
    return [
        f"{name}: expected a whole number of at least {least}, got {value!r}"
        for name, (value, least) in sizes.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < least
    ]


def encoder_problems(values: object, grid: object) -> list[str]:
    """Return why no joint encoder can be built from the values of a BertConfig.

    Args:
        values: the values given to the configuration class.
        grid: side of the grid of image tokens.
    """
    try:
        bert = _part("encoder", values, BertConfig)
    except InputError as error:
        return [str(error)]
    found = size_problems({f"encoder.{name}": (getattr(bert, name), 1) for name in _BERT_SIZES})
    if isinstance(bert.hidden_act, str) and bert.hidden_act not in ACT2FN:
        found.append(
            f"encoder.hidden_act: unknown {bert.hidden_act!r}; expected one of "
            f"{', '.join(sorted(ACT2FN))}"
        )
    if found:
        return found  # the checks below need them
    if bert.hidden_size % bert.num_attention_heads:
        found.append(
            f"encoder: {bert.num_attention_heads} heads do not divide a hidden_size of "
            f"{bert.hidden_size}"
        )
    if isinstance(grid, int) and grid**2 > bert.max_position_embeddings:
        found.append(
            f"image_token_grid: {grid} x {grid} image tokens are more than the encoder's "
            f"{bert.max_position_embeddings} positions (encoder.max_position_embeddings)"
        )
    return found


def decoder_problems(values: object) -> list[str]:
    """Return why no decoder can be built from the values of a T5Config."""
    try:
        decoder = _part("decoder", values, T5Config)
    except InputError as error:
        return [str(error)]
    found = size_problems({f"decoder.{name}": (getattr(decoder, name), 1) for name in _T5_SIZES})
    if decoder.dense_act_fn not in ACT2FN:
        found.append(
            f"decoder.feed_forward_proj: unknown {decoder.feed_forward_proj!r}; expected one of "
            f"{', '.join(sorted(ACT2FN))}, perhaps with gated- in front"
        )
    return found


def _part(name: str, values: object, kind: Any) -> Any:
    if not isinstance(values, Mapping):
        raise InputError(f"{name}: expected a mapping, got {values!r}")
    with errors_as(InputError, f"{name}: wrong settings", "mend them"):
        return kind(**values)
