"""Image and text as one sequence through BERT (MedViLL: Moon et al., IEEE JBHI 2022, section III).

    [CLS] image tokens [SEP] text tokens [SEP]

``[CLS]``, the image and the first ``[SEP]`` are segment 0, the text is segment 1. Positions run
through the image's token grid and start again at 0 with the text; both use BERT's own embeddings.

The attention mask is one of :data:`ATTENTIONS`:

- *full*: all tokens attend to all.
- *s2s*: all tokens attend to the image part (``[CLS]``, image, ``[SEP]``), which attends to nothing
  else; a text token also attends to the text up to itself.
- *bar*: as s2s, but the image part also attends to the text.

MedViLL adds -10000 to masked attention scores; here it is the minimum of the tensor's type.
"""

from typing import Literal, NamedTuple

import torch
from transformers import BertModel, Cache

from plainfilm.models.joint_bert.pretrained import CACHE

Attention = Literal["full", "s2s", "bar"]
ATTENTIONS: tuple[Attention, ...] = ("full", "s2s", "bar")


class JointStream(NamedTuple):
    """A batch of joint sequences, ready for BERT."""

    embeddings: torch.Tensor
    """``(batch, tokens, hidden)``, before positions and segments are added."""
    seen: torch.Tensor
    """``(batch, tokens)``, 0 on padding."""
    positions: torch.Tensor
    """Position ids, ``(batch, tokens)``."""
    segments: torch.Tensor
    """Segment ids, ``(batch, tokens)``."""
    image_part: int
    """Number of tokens before the text: ``[CLS]``, the image, ``[SEP]``."""


def joint_stream(
    bert: BertModel,
    image: torch.Tensor,
    text_ids: torch.Tensor,
    text_attention_mask: torch.Tensor,
    *,
    image_positions: torch.Tensor | None = None,
    image_attention_mask: torch.Tensor | None = None,
) -> JointStream:
    """Combine image tokens and text into one sequence.

    Args:
        bert: provides the text's word embeddings.
        image: ``(batch, image tokens, hidden)``.
        text_ids: ``(batch, 2 + text)``: ``[CLS] [SEP] text [SEP]``; the image is inserted after
            ``[CLS]``.
        text_attention_mask: ``(batch, 2 + text)``, 0 on padding.
        image_positions: ``(batch, image tokens)``, indices in the token grid; default: 0, 1, 2…
        image_attention_mask: ``(batch, image tokens)``, 0 on padding.
    """
    words = bert.embeddings.word_embeddings(text_ids)
    image = image.to(words.device)  # a model may span several devices
    batch, count = image.shape[:2]
    places = torch.arange(count, device=image.device).expand(batch, -1)
    if image_positions is not None:
        places = image_positions
    if image_attention_mask is None:
        image_attention_mask = text_attention_mask.new_ones(batch, count)
    zero = places.new_zeros(batch, 1)
    text = torch.arange(text_ids.shape[1] - 2, device=image.device).expand(batch, -1)
    segments = places.new_zeros(batch, count + text_ids.shape[1])
    segments[:, count + 2 :] = 1
    return JointStream(
        embeddings=torch.cat([words[:, :1], image, words[:, 1:]], dim=1),
        seen=torch.cat(
            [text_attention_mask[:, :1], image_attention_mask, text_attention_mask[:, 1:]], dim=1
        ),
        positions=torch.cat([zero, places, zero, text], dim=1),
        segments=segments,
        image_part=count + 2,
    )


def sample_image(image: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return ``image`` ``(batch, tokens, hidden)`` at the ``positions`` ``(batch, some)``."""
    return image.gather(1, positions.unsqueeze(-1).expand(-1, -1, image.shape[2]))


def attention_mask(kind: Attention, seen: torch.Tensor, image_part: int) -> torch.Tensor:
    """Return the attention mask: True at ``[b, i, j]`` if token i attends to token j.

    Args:
        kind: one of :data:`ATTENTIONS`.
        seen: ``(batch, tokens)``, 0 on padding, to which no token attends.
        image_part: number of tokens before the text.

    Returns:
        Bool ``(batch, tokens, tokens)``.
    """
    tokens = seen.shape[1]
    may = torch.ones(tokens, tokens, dtype=torch.bool, device=seen.device)
    if kind != "full":
        may[image_part:, image_part:] = may[image_part:, image_part:].tril()
    if kind == "s2s":
        may[:image_part, image_part:] = False
    return may & seen.bool()[:, None, :]


def encode(
    bert: BertModel,
    stream: JointStream,
    attention: Attention = "full",
    cache: Cache | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Run ``stream`` through ``bert``.

    Args:
        bert: the joint encoder.
        stream: from :func:`joint_stream`.
        attention: the attention mask.
        cache: keys and values of the sequence's first tokens; only the other tokens are computed,
            and theirs are added. Valid only with ``s2s``, where no token attends to a later one.

    Returns:
        ``(batch, tokens computed, hidden)``, and the pooled output ``(batch, hidden)`` if BERT has
        a pooler.
    """
    known = 0 if cache is None else cache.get_seq_length()
    mask = stream.seen
    if attention != "full" or cache is not None:
        may = attention_mask(attention, stream.seen, stream.image_part)[:, None, known:]
        mask = torch.zeros(may.shape, dtype=stream.embeddings.dtype, device=may.device)
        mask = mask.masked_fill(~may, torch.finfo(mask.dtype).min)
    encoded = bert(
        inputs_embeds=stream.embeddings[:, known:],
        attention_mask=mask,
        position_ids=stream.positions[:, known:],
        token_type_ids=stream.segments[:, known:],
        **{CACHE: cache},
    )
    return encoded.last_hidden_state, encoded.pooler_output
