"""Detection of lateral chest films by a linear score over grey ranks.

The weights come from ``benchmarks/lateral_check.py``; ``docs/films.md`` has the results on films
that they were not fitted on.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

LEAST = 0.3
"""Minimum score of a lateral film; frontal films score around -2.3, lateral ones around 1.8."""

_WEIGHTS = Path(__file__).with_name("lateral.npy")


def folded(ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 128 features of ``(32, 32)`` grey ranks, the same for a film and its mirror image."""
    small = ranks.reshape(16, 2, 16, 2).mean(axis=(1, 3))
    return np.asarray((small + small[:, ::-1])[:, :8].ravel())


def lateral_score(
    ranks: npt.NDArray[np.float64], weights: npt.NDArray[np.floating] | None = None
) -> float:
    """Return the score of ``(32, 32)`` grey ranks, higher for lateral than for frontal films.

    Args:
        ranks: from :func:`plainfilm.data.films.checks.grey_ranks`.
        weights: 128 weights and a constant; default: the shipped ones.
    """
    chosen = _shipped() if weights is None else weights
    return float(folded(ranks) @ chosen[:-1] + chosen[-1])


@cache
def _shipped() -> npt.NDArray[np.floating]:
    return np.asarray(np.load(_WEIGHTS, allow_pickle=False), dtype=np.float64)
