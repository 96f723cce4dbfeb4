"""Operations on grey levels: a film of 8 or 16 bits has at most 65,536 different values.

Statistics of all pixels (percentiles, the share that a window clips) are computed from the
histogram of levels, and operations on all pixels are applied to each level once and then looked up.
This is exact, faster than operating on each pixel, and needs no memory besides the result.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import Pixels

PERCENTILES = (0.5, 99.5)
"""Percentiles that become black and white if nothing defines them; robust against markers and dead
pixels."""

Codes = npt.NDArray[Any]
"""``(height, width)`` indices into an array of levels."""

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
    """Return ``shown[codes]`` as float32, without converting ``codes`` to another index type."""
    table = shown.astype(np.float32)
    pixels = np.empty(codes.shape, dtype=np.float32)
    for rows in _blocks(*codes.shape):
        pixels[rows] = table[codes[rows]]
    return pixels


def percentiles(
    values: npt.NDArray[np.floating], counts: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return the :data:`PERCENTILES` of ``values`` that occur ``counts`` times each.

    If they are equal (more than 99 % of one value), the minimum and maximum are returned instead.
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
    """Return levels scaled so that their percentiles become 0 and 1; zeros if all are equal."""
    low, high = percentiles(values, counts)
    if high <= low:
        return np.zeros(values.shape)
    return np.asarray(((values - low) / (high - low)).clip(0, 1))


def stretch(values: npt.NDArray[Any]) -> Pixels:
    """Return ``(height, width)`` values of any type, stretched like levels in :func:`stretched`.

    Values that are not finite are ignored and become black.
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
