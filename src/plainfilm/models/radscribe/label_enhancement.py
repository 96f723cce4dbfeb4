"""Label enhancement (seed paper, section IV-B: the ``-label-`` variants).

A classifier predicts the observations from the image tokens; its probabilities condition the tokens
through cross-attention. Choices that the paper leaves open:

- The classifier pools each observation's tokens by log-sum-exp, which yields a map of where it
  looked at no cost; a linear layer on averaged tokens would not.
- A label enters cross-attention as an embedding, interpolated between an "absent" and a "present"
  vector by the probability, which keeps the path differentiable.
"""

import math
from typing import NamedTuple, cast

import torch
from torch import nn

from plainfilm.models.family import Loss

HARDEST = 16
"""Number of tokens outside an observation that count in :func:`place_loss`."""


class LabelOutput(NamedTuple):
    """Output of the classifier."""

    logits: torch.Tensor
    """``(batch, observations)``."""
    attention: torch.Tensor
    """``(batch, observations, image tokens)``: pooling weight of each token; sums to 1."""
    tokens: torch.Tensor
    """``(batch, observations, image tokens)``: logit of each token."""


class LabelClassifier(nn.Module):
    """Predicts each observation from the image tokens that show it.

    Every token gets a logit for each observation. They are pooled by log-sum-exp (Wang et al.,
    ChestX-ray8, CVPR 2017, equation 1), between their mean and their maximum, so that a nodule in
    one token counts as much as an edema in all. The corresponding softmax weights show where the
    classifier looked.
    """

    sharpness = 5.0
    """The paper's r: 0 gives the mean, infinity the maximum."""

    def __init__(self, channels: int, observations: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.value = nn.Linear(channels, observations)

    def forward(self, tokens: torch.Tensor, seen: torch.Tensor | None = None) -> LabelOutput:
        """Classify ``tokens``.

        Args:
            tokens: ``(batch, image tokens, channels)``.
            seen: ``(batch, image tokens)``, 0 on padding.
        """
        logits = self.value(self.norm(tokens)).float().transpose(1, 2)
        scaled = self.sharpness * logits
        if seen is None:
            pooled = scaled.logsumexp(dim=2) - math.log(scaled.shape[2])
        else:
            scaled = scaled.masked_fill(seen[:, None] == 0, -torch.inf)
            pooled = scaled.logsumexp(dim=2) - seen.sum(dim=1, keepdim=True).log()
        return LabelOutput(pooled / self.sharpness, scaled.softmax(dim=2), logits)


def place_loss(tokens: torch.Tensor, places: torch.Tensor) -> Loss:
    """Return the loss of localising observations in the classifier's image tokens.

    For each observation with a mask in a study: the mean cross-entropy of the tokens inside, plus
    that of the :data:`HARDEST` worst tokens outside, so that a nodule in one token counts as much
    as the 143 tokens without it. Observations without a mask are left to the labels: where the
    report denies an observation, log-sum-exp pooling pushes its largest token logit down.

    Args:
        tokens: ``(batch, observations, image tokens)``, logits.
        places: ``(batch, observations, side, side)``, true where an observation lies.
    """
    inside = places.flatten(2)
    shown = inside.any(dim=2)
    logits, inside = tokens[shown], inside[shown]
    found = (nn.functional.softplus(-logits) * inside).sum(dim=1) / inside.sum(dim=1)
    outside = nn.functional.softplus(logits).masked_fill(inside, 0.0)
    worst = outside.topk(min(HARDEST, outside.shape[1]), dim=1).values.mean(dim=1)
    return Loss((found + worst).sum(), shown.sum())


class LabelCrossAttention(nn.Module):
    """Cross-attention from image tokens to labels (seed paper, section IV-B)."""

    def __init__(self, hidden: int, heads: int, observations: int, dropout: float) -> None:
        super().__init__()
        self.absent = nn.Parameter(torch.empty(observations, hidden))
        self.present = nn.Parameter(torch.empty(observations, hidden))
        self.attention = nn.MultiheadAttention(hidden, heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, tokens: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """Return ``tokens`` ``(batch, image tokens, hidden)`` conditioned on the labels.

        Args:
            tokens: the image tokens.
            probabilities: ``(batch, observations)`` in [0, 1].
        """
        weight = probabilities.unsqueeze(-1).to(tokens.dtype)
        labels = (1 - weight) * self.absent + weight * self.present
        attended, _ = self.attention(tokens, labels, labels, need_weights=False)
        return cast(torch.Tensor, self.norm(tokens + attended))
