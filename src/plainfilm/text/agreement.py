"""Agreement of a text with a classifier: labels read from the text against probabilities."""

import math
from collections.abc import Mapping

from plainfilm.core import Observation, Status

_LEAST = 1e-4
"""Lower bound of each probability, so that one disagreement can't outweigh everything else."""


def agreement(
    labels: Mapping[Observation, Status], probabilities: Mapping[Observation, float]
) -> float:
    """Return the mean log-likelihood of a text's labels under a classifier's probabilities.

    Returns:
        The mean logarithm, over the classifier's observations, of the probability of what the text
        says: present or uncertain count as yes, absent or unmentioned as no. At most 0.
    """
    said = (Status.PRESENT, Status.UNCERTAIN)
    chances = [
        chance if labels.get(name) in said else 1 - chance for name, chance in probabilities.items()
    ]
    return sum(math.log(max(chance, _LEAST)) for chance in chances) / max(len(chances), 1)
