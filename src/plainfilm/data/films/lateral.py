"""Whether a picture is a lateral chest film: a linear score over its grey ranks.

The weights come from ``benchmarks/lateral_check.py``. Measured there on films that they were not
fitted on: see ``docs/films.md``.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

LEAST = 0.3
"""The score from which a film is called lateral; frontal ones lie around -2.3, lateral ones 1.8."""

_WEIGHTS = Path(__file__).with_name("lateral.npy")


def folded(ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``(32, 32)`` grey ranks as 128 values that a film and its mirror image share."""
    small = ranks.reshape(16, 2, 16, 2).mean(axis=(1, 3))
    return np.asarray((small + small[:, ::-1])[:, :8].ravel())


def lateral_score(
    ranks: npt.NDArray[np.float64], weights: npt.NDArray[np.floating] | None = None
) -> float:
    """Return how much ``(32, 32)`` grey ranks look like a lateral film's and not a frontal one's.

    Args:
        ranks: see :func:`plainfilm.data.films.checks.grey_ranks`.
        weights: 128 and a constant; the shipped ones without it.
    """
    chosen = _shipped() if weights is None else weights
    return float(folded(ranks) @ chosen[:-1] + chosen[-1])


@cache
def _shipped() -> npt.NDArray[np.floating]:
    return np.asarray(np.load(_WEIGHTS, allow_pickle=False), dtype=np.float64)
