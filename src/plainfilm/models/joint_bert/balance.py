"""Weights of rare observations in the classifier's loss.

``balanced`` takes the share of negatives over that of positives, at most :data:`GREATEST_WEIGHT`.
The classifier's probabilities are no longer those of the data then: a rare observation's come out
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
    """Return the weight of each observation's positive term; None where all weigh the same.

    Args:
        labels: ``(studies, observations)`` in {0, 1}; for ``balanced``.
        wanted: ``balanced``, or the weight by observation, 1 where left out.
    """
    if wanted is None:
        return None
    if wanted == "balanced":
        share = labels.float().nanmean(dim=0)
        weights = ((1 - share) / share).clamp(max=GREATEST_WEIGHT)
        return torch.where(share > 0, weights, 1.0)  # an observation never seen has no say
    return torch.tensor([wanted.get(observation, 1.0) for observation in OBSERVATIONS])
