"""Pre-training of the joint encoder, following MedViLL (Moon et al., IEEE JBHI 2022, section III).

*Masked language modelling*: some tokens of the report are masked, and BERT predicts them from the
other tokens and the film. *Image-report matching*: half of the films are paired with another
study's report whose labels differ, and ``[CLS]`` predicts which. The loss is the sum of both means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertModel
from transformers.modeling_outputs import ModelOutput
from transformers.models.bert.modeling_bert import BertPredictionHeadTransform

from plainfilm.models.family import Loss
from plainfilm.models.joint_bert.joint import Attention, JointStream, encode
from plainfilm.text.targets import IGNORED

TEXT_TOKENS = 253
"""Longest report beside 256 image tokens in BERT's 512 positions."""


@dataclass
class PreTrainingOutput(ModelOutput):
    """Output of the pre-training heads.

    Attributes:
        loss: the sum of ``token_loss`` and ``matching_loss``.
        logits: ``(batch, text, vocabulary)``.
        token_loss: mean cross-entropy over the masked tokens.
        matching_logits: ``(batch, 2)``: another study's report, its own report.
        matching_loss: mean cross-entropy over the films.
        losses: both losses, as ``words`` and ``matching``.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    token_loss: torch.Tensor | None = None
    matching_logits: torch.Tensor | None = None
    matching_loss: torch.Tensor | None = None
    losses: dict[str, Loss] | None = None


class WordHead(nn.Module):
    """BERT's masked language modelling head, tied to the word embeddings."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: torch.Tensor, embeddings: nn.Embedding) -> torch.Tensor:
        """Return logits ``(batch, tokens, vocabulary)``."""
        return nn.functional.linear(self.transform(hidden), embeddings.weight, self.bias)


class PreTrainingHeads(nn.Module):
    """BERT's two pre-training heads, with the names of a published checkpoint's ``cls``."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = WordHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)


def pretraining_output(
    bert: BertModel,
    heads: PreTrainingHeads,
    stream: JointStream,
    labels: torch.Tensor,
    matched: torch.Tensor,
    attention: Attention,
) -> PreTrainingOutput:
    """Run a joint sequence through ``bert`` and both heads.

    Args:
        bert: the joint encoder, with its pooler.
        heads: the pre-training heads.
        stream: films and reports.
        labels: ``(batch, 2 + text)``, the masked tokens at their positions; -100 is ignored.
        matched: ``(batch,)``, 1 if the report belongs to the film, else 0.
        attention: the attention mask.
    """
    hidden, pooled = encode(bert, stream, attention)
    assert pooled is not None  # noqa: S101 - it has a pooler
    words = heads.predictions(hidden[:, stream.image_part :], bert.embeddings.word_embeddings)
    token_loss = nn.functional.cross_entropy(
        words.flatten(0, 1).float(), labels[:, 2:].flatten(), ignore_index=IGNORED
    )
    matching = heads.seq_relationship(pooled)
    matching_loss = nn.functional.cross_entropy(matching.float(), matched)
    count = (labels[:, 2:] != IGNORED).sum()
    losses = {
        "words": Loss.of_mean(token_loss, count),
        "matching": Loss.of_mean(matching_loss, torch.tensor(len(matched), device=count.device)),
    }
    return PreTrainingOutput(
        token_loss + matching_loss, words, token_loss, matching, matching_loss, losses
    )


def masked_text(
    tokenizer: Any,
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
    labels: str = "labels",
) -> dict[str, torch.Tensor]:
    """Return the tensors of masked texts for a joint encoder.

    Args:
        tokenizer: the joint encoder's tokenizer.
        texts: tokens and labels of each text from :mod:`plainfilm.models.joint_bert.masking`,
            starting after the ``[SEP]`` that closes the image.
        labels: name of the tensor of labels.

    Returns:
        ``text_ids`` and ``text_attention_mask`` ``(batch, 2 + text)``, and labels of that shape.
    """
    start = [tokenizer.cls_token_id, tokenizer.sep_token_id]
    padded = tokenizer.pad(
        {"input_ids": [[*start, *tokens] for tokens, _ in texts]},
        return_tensors="pt",
        padding_side="right",
    )
    hidden = torch.full_like(padded["input_ids"], IGNORED)
    for row, (_, targets) in zip(hidden, texts, strict=True):
        row[2 : 2 + len(targets)] = torch.tensor(targets)
    return {
        "text_ids": padded["input_ids"],
        "text_attention_mask": padded["attention_mask"],
        labels: hidden,
    }
