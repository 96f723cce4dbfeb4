"""Observations classified from the language model's own hidden states: the multitask model's head.

The head reads the states of the prompt (films and words) alone, so that nothing of the report to be
learned can reach it. With the report's loss it makes the joint loss

    L = L_report + λ · L_observations                                               λ given
    L = exp(−s₁) · L_report + exp(−s₂) · L_observations + (s₁ + s₂) / 2             λ learned

where L_observations is the mean binary cross-entropy over all decisions that are known, and s are
the logarithms of the tasks' variances (Kendall, Gal and Cipolla, CVPR 2018, eq. 10; both tasks are
classifications). The head begins at zero: nothing is drawn for it, so that a model with a head
begins as the same model without.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from plainfilm.core import InputError, Observation, Status

Pooling = Literal["last", "mean", "films", "attention"]
"""Which of the prompt's states are averaged: the last one, from which the report begins; all; those
of the films' tokens; or all, weighted by attention that each observation learns."""
Uncertain = Literal["positive", "negative", "left out"]
Unmentioned = Literal["negative", "left out"]


class ClassificationHead(nn.Module):
    """A linear classifier on pooled states.

    Args:
        width: of the states.
        count: of the observations.
        pooling: one of :data:`Pooling`.
    """

    def __init__(self, width: int, count: int, pooling: Pooling) -> None:
        super().__init__()
        self.pooling = pooling
        self.weight = nn.Parameter(torch.zeros(count, width))
        self.bias = nn.Parameter(torch.zeros(count))
        self.attention = nn.Parameter(torch.zeros(count, width)) if pooling == "attention" else None
        self.log_variances = nn.Parameter(torch.zeros(2))
        """s of the report and of the observations."""

    def reset_parameters(self) -> None:
        """Set everything to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, states: torch.Tensor, prompt: torch.Tensor, films: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits ``(batch, observations)``, and s of both tasks ``(2,)``.

        Args:
            states: ``(batch, tokens, width)``.
            prompt: ``(batch, tokens)``, True on the prompt's tokens.
            films: ``(batch, tokens)``, True on the films' tokens.
        """
        states = states.to(self.weight.dtype)
        pooled = self._chosen(prompt, films)
        if self.attention is None:
            weights = pooled / pooled.sum(dim=1, keepdim=True)
            found = torch.einsum("bt,btw->bw", weights.to(states.dtype), states) @ self.weight.T
        else:
            scores = (states @ self.attention.T).masked_fill(~pooled[..., None], -torch.inf)
            found = (scores.softmax(dim=1) * (states @ self.weight.T)).sum(dim=1)
        return found + self.bias, self.log_variances

    def _chosen(self, prompt: torch.Tensor, films: torch.Tensor) -> torch.Tensor:
        if self.pooling == "films":
            return prompt & films
        if self.pooling == "last":
            places = torch.arange(prompt.shape[1], device=prompt.device)
            last = (prompt * places).argmax(dim=1, keepdim=True)
            return places == last
        return prompt


def head_of(config: Any, width: int) -> ClassificationHead | None:
    """Return the head of a configuration; None without one.

    Args:
        config: whose ``classification`` is ``{observations, layer, pooling}`` or None.
        width: of the language model's states.

    Raises:
        InputError: the language model has no such layer.
    """
    values = config.classification
    if values is None:
        return None
    layers = config.text_config.num_hidden_layers
    if not -layers - 1 <= values["layer"] <= layers:
        raise InputError(
            f"model.classification.layer: {values['layer']} is no hidden state of a language model "
            f"of {layers} layers: give -{layers + 1} to {layers} (0 are the embeddings)"
        )
    return ClassificationHead(width, len(values["observations"]), values["pooling"])


def targets(
    statuses: Sequence[Mapping[Observation, Status]],
    observations: Sequence[Observation],
    uncertain: Uncertain,
    unmentioned: Unmentioned,
) -> torch.Tensor:
    """Return the labels to learn, ``(reports, observations)``: 1, 0, or NaN where left out.

    "No Finding" is never called absent, so that unmentioned it is 0 in any case.
    """
    values = {
        Status.PRESENT: 1.0,
        Status.ABSENT: 0.0,
        Status.UNCERTAIN: {"positive": 1.0, "negative": 0.0, "left out": torch.nan}[uncertain],
    }
    silent = 0.0 if unmentioned == "negative" else torch.nan
    return torch.tensor(
        [
            [
                values[one[name]]
                if name in one
                else (0.0 if name is Observation.NO_FINDING else silent)
                for name in observations
            ]
            for one in statuses
        ]
    )
