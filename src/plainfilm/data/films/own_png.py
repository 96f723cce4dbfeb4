"""plainfilm's own PNG: 8 or 16 bits, with text chunks that describe the film."""

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.PngImagePlugin

from plainfilm.core import Image, InputError, Provenance, View, write_atomically

CHUNK = "plainfilm-"
"""Prefix of the text chunks' keywords."""


def write_png(
    path: str | os.PathLike[str],
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    *,
    simulated: bool,
    spacing_mm: tuple[float, float] | None = None,
    view: View = View.UNKNOWN,
    laterality: str | None = None,
    warnings: Iterable[str] = (),
) -> None:
    """Write :func:`png_bytes` to ``path``, atomically."""
    content = png_bytes(
        pixels,
        simulated=simulated,
        spacing_mm=spacing_mm,
        view=view,
        laterality=laterality,
        warnings=warnings,
    )
    write_atomically(Path(path), content)


def png_bytes(
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    *,
    simulated: bool,
    spacing_mm: tuple[float, float] | None = None,
    view: View = View.UNKNOWN,
    laterality: str | None = None,
    warnings: Iterable[str] = (),
) -> bytes:
    """Return ``(height, width)`` uint8 or uint16 pixels, bright = dense, as plainfilm's PNG.

    The text chunks ``plainfilm-provenance`` (simulated or real), ``-view``,
    ``-laterality``, ``-spacing-mm`` and ``-warnings`` let ``read_image`` return these values, and
    the pixels (divided by 255 or 65535), exactly.

    Raises:
        InputError: the pixels have another type or shape.
    """
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            "pixels must be uint8 or uint16 of shape (height, width), "
            f"got {pixels.dtype} of shape {pixels.shape}"
        )
    chunks = PIL.PngImagePlugin.PngInfo()
    provenance = Provenance.SIMULATED if simulated else Provenance.REAL
    values = {
        "provenance": provenance.value,
        "view": View(view).value,
        "laterality": laterality,
        "spacing-mm": None if spacing_mm is None else json.dumps(spacing_mm),
        "warnings": json.dumps(list(warnings)) if warnings else None,
    }
    for name, value in values.items():
        if value is not None:
            chunks.add_text(CHUNK + name, value)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format="PNG", pnginfo=chunks, compress_level=1)
    return file.getvalue()


def image_png(image: Image, longest_side: int) -> bytes:
    """Return ``image`` as 8-bit :func:`png_bytes`, scaled down to ``longest_side`` if larger.

    The aspect ratio is kept and the pixel spacing adjusted.
    """
    height, width = image.shape
    factor = min(1.0, longest_side / max(height, width))
    pixels, spacing = image.pixels, image.spacing_mm
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        shrunk = PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.BICUBIC)
        pixels = np.asarray(shrunk, dtype=np.float32).clip(0, 1)
        if spacing is not None:
            spacing = spacing[0] * height / size[1], spacing[1] * width / size[0]
    return png_bytes(
        np.round(pixels * 255).astype(np.uint8),
        simulated=image.provenance is Provenance.SIMULATED,
        spacing_mm=spacing,
        view=image.view,
        laterality=image.laterality,
        warnings=image.warnings,
    )
