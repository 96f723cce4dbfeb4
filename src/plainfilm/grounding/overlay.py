"""Blend a coarse heatmap over the film that it was computed on.

A heatmap's cells divide the whole film: row r of R covers the heights from r / R to (r + 1) / R.
The colours are the upper three quarters of plasma (van der Walt and Smith, CC0), whose lightness
increases evenly with the weight, also for common colour blindness; the opacity increases with the
weight, so that the anatomy stays visible and a low weight leaves the film unchanged.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from plainfilm.core import Image, InputError, Pixels

Heatmap = Sequence[Sequence[float]] | npt.NDArray[np.floating]
Bytes = npt.NDArray[np.uint8]

OPACITY = 0.6
"""Opacity at weight 1."""

_WEIGHTS = (0.0, 1 / 3, 2 / 3, 1.0)
_COLOURS = ((126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33))


def overlay(image: Image, heatmap: Heatmap) -> Bytes:
    """Return the film with the heatmap blended over it, RGB uint8 ``(height, width, 3)``.

    Raises:
        InputError: the heatmap is not a grid ``(rows, columns)`` of weights in [0, 1].
    """
    colours = tint(upsample(heatmap, image.shape)).astype(np.float32)
    opacity = colours[..., 3:] / 255
    film = image.pixels[..., None] * 255
    return np.rint(film * (1 - opacity) + colours[..., :3] * opacity).astype(np.uint8)


def upsample(heatmap: Heatmap, shape: tuple[int, int]) -> Pixels:
    """Return the weights interpolated (bicubic) to ``shape``: float32, in [0, 1].

    Raises:
        InputError: the heatmap is not a grid ``(rows, columns)`` of weights in [0, 1].
    """
    if len({len(row) for row in heatmap}) != 1 or len(heatmap[0]) == 0:
        lengths = sorted({len(row) for row in heatmap})
        raise InputError(f"a heatmap must be rows of one length, got lengths {lengths}")
    weights = np.asarray(heatmap, dtype=np.float32)
    if not ((weights >= 0) & (weights <= 1)).all():  # also false for NaN
        raise InputError(
            "a heatmap's weights must lie in [0, 1], "
            f"got [{weights.min():.4g}, {weights.max():.4g}]: divide by the greatest"
        )
    height, width = shape
    smooth = Picture.fromarray(weights).resize((width, height), Picture.Resampling.BICUBIC)
    return np.clip(np.asarray(smooth, dtype=np.float32), 0, 1)


def tint(weights: Pixels) -> Bytes:
    """Return colour and opacity for ``weights`` in [0, 1]: RGBA uint8, with a last axis of 4."""
    channels = [np.interp(weights, _WEIGHTS, levels) for levels in zip(*_COLOURS, strict=True)]
    opacity = 255 * OPACITY * weights**2 * (3 - 2 * weights)  # smoothstep: flat at both ends
    return np.rint(np.stack([*channels, opacity], axis=-1)).astype(np.uint8)
