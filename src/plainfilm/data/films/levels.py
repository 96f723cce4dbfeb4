"""Grey values by their levels: a film of 8 or 16 bits holds at most 65,536 different values.

What is to be known of all pixels (percentiles, how much a window cuts off) follows from how often
each level occurs, and what is done to all pixels is done to the levels once and then looked up.
That is exact, quicker than doing it to each pixel, and needs no memory but the result's.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import Pixels

PERCENTILES = (0.5, 99.5)
"""What becomes black and white where nothing says so: robust against markers and dead pixels."""

Codes = npt.NDArray[Any]
"""``(height, width)`` indices into a table of levels."""

_BLOCK = 2**20


def _blocks(height: int, width: int) -> Iterator[slice]:
    rows = max(1, _BLOCK // max(1, width))
    return (slice(start, start + rows) for start in range(0, height, rows))


def histogram(codes: Codes, size: int) -> npt.NDArray[np.int64]:
    """Return how often each of ``size`` levels occurs in ``codes``."""
    counts = np.zeros(size, dtype=np.int64)
    for rows in _blocks(*codes.shape):
        counts += np.bincount(codes[rows].ravel(), minlength=size)
    return counts


def look_up(codes: Codes, shown: npt.NDArray[np.floating]) -> Pixels:
    """Return ``shown[codes]`` as float32, without a copy of ``codes`` as indices."""
    table = shown.astype(np.float32)
    pixels = np.empty(codes.shape, dtype=np.float32)
    for rows in _blocks(*codes.shape):
        pixels[rows] = table[codes[rows]]
    return pixels


def percentiles(
    values: npt.NDArray[np.floating], counts: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return the :data:`PERCENTILES` of ``values`` that occur ``counts`` times each.

    The whole range stands for them where they are equal (more than 99 % of one value).
    """
    occurring = counts > 0
    values, counts = values[occurring], counts[occurring]
    if not values.size:
        return 0.0, 0.0
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(counts[order])
    low, high = (
        float(values[np.searchsorted(upto, share / 100 * (upto[-1] - 1), side="right")])
        for share in PERCENTILES
    )
    return (low, high) if high > low else (float(values[0]), float(values[-1]))


def stretched(
    values: npt.NDArray[np.floating], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return levels scaled so that their percentiles become 0 and 1; 0 where all are one."""
    low, high = percentiles(values, counts)
    if high <= low:
        return np.zeros(values.shape)
    return np.asarray(((values - low) / (high - low)).clip(0, 1))


def stretch(values: npt.NDArray[Any]) -> Pixels:
    """Return ``(height, width)`` values of any type, stretched as :func:`stretched` does levels.

    What is no finite number counts as nothing and becomes black.
    """
    if values.dtype in (np.uint8, np.uint16):
        size = 2 ** (8 * values.dtype.itemsize)
        counts = histogram(values, size)
        return look_up(values, stretched(np.arange(size, dtype=np.float64), counts))
    step = max(1, int((values.size / 1_000_000) ** 0.5))
    with np.errstate(invalid="ignore"):
        sample = values[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    low, high = percentiles(sample, np.ones(sample.shape, dtype=np.int64))
    pixels = np.zeros(values.shape, dtype=np.float32)
    if high <= low:
        return pixels
    for rows in _blocks(*values.shape):
        with np.errstate(invalid="ignore"):  # a signalling NaN
            block = values[rows].astype(np.float64)
        block[~np.isfinite(block)] = low
        pixels[rows] = ((block - low) / (high - low)).clip(0, 1)
    return pixels
