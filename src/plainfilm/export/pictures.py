"""Films and heatmaps as data URIs, small enough to put many of them into one page."""

import base64
import io

import numpy as np
from PIL import Image as Picture

from plainfilm.core import Image, Pixels
from plainfilm.grounding.overlay import tint

LONGEST_SIDE = 1024
"""Pixels along the longer side of an embedded film; a larger film is scaled down."""

_LEVELS = 48  # of a heatmap's weight: no step is visible, and the PNG stays small


def film_uri(image: Image, longest_side: int = LONGEST_SIDE) -> str:
    """Return the film as a JPEG (quality 90), its longer side at most ``longest_side`` pixels."""
    grey = np.rint(image.pixels * 255).astype(np.uint8)
    picture = Picture.fromarray(grey)
    picture.thumbnail((longest_side, longest_side), Picture.Resampling.LANCZOS)
    return _uri(picture, "jpeg", quality=90, optimize=True)


def heatmap_uri(weights: Pixels) -> str:
    """Return weights in [0, 1] as a transparent PNG with a palette."""
    levels = np.rint(weights * (_LEVELS - 1)).astype(np.uint8)
    colours = tint(np.linspace(0, 1, _LEVELS, dtype=np.float32))
    picture = Picture.fromarray(levels)
    picture.putpalette(colours[:, :3].tobytes())
    return _uri(picture, "png", transparency=colours[:, 3].tobytes(), optimize=True)


def _uri(picture: Picture.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
