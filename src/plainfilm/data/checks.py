"""What the picture itself says: blank, tiny, inverted, upside down, not a frontal chest."""

from pathlib import Path

import numpy as np

from plainfilm.core import ImageError, Pixels
from plainfilm.data.raster import Raster

_FEWEST_LEVELS = 16
_SMALLEST_SIDE = 256
_LARGEST_ASPECT = 2.0


def refuse_blank(path: Path, pixels: Pixels) -> None:
    """Raise ImageError where ``(height, width)`` pixels in [0, 1] show nothing."""
    levels = len(np.unique(np.round(pixels * 255)))
    if levels < _FEWEST_LEVELS or float(pixels.std()) < 0.01:
        raise ImageError(
            f"{path}: is blank ({levels} grey level{'s' * (levels != 1)}); give a film with content"
        )


def mend(raster: Raster) -> None:
    """Check a film that says nothing reliable of itself; mend what is certain, flag the rest."""
    height, width = raster.pixels.shape
    if min(height, width) < _SMALLEST_SIDE:
        raster.warnings.append(f"only {width} × {height} pixels: fine detail is lost")
    if max(height, width) > _LARGEST_ASPECT * min(height, width):
        raster.warnings.append(f"{width} × {height} pixels is an unusual shape for a chest film")
