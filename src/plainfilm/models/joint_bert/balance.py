"""Weights of rare observations in the classifier's loss.

``balanced`` is the ratio of negatives to positives, at most :data:`GREATEST_WEIGHT`. The
classifier's probabilities are then no longer calibrated to the data: those of rare observations are
too high, by design.
"""

from collections.abc import Mapping
from typing import Literal

import torch

from plainfilm.core import OBSERVATIONS, Observation

GREATEST_WEIGHT = 20.0
"""Maximum weight of a positive label; rarer labels would dominate the loss."""


def positive_weights(
    labels: torch.Tensor, wanted: Literal["balanced"] | Mapping[Observation, float] | None
) -> torch.Tensor | None:
    """Return the weight of each observation's positive term; None if all are equal.

    Args:
        labels: ``(studies, observations)`` in {0, 1}; used for ``balanced``.
        wanted: ``balanced``, or the weight by observation; default: 1.
    """
    if wanted is None:
        return None
    if wanted == "balanced":
        share = labels.float().nanmean(dim=0)
        weights = ((1 - share) / share).clamp(max=GREATEST_WEIGHT)
        return torch.where(share > 0, weights, 1.0)  # weight 1 if never positive
    return torch.tensor([wanted.get(observation, 1.0) for observation in OBSERVATIONS])
