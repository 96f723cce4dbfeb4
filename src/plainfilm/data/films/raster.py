"""PNG, JPEG and TIFF: from a file to grey values, and plainfilm's own PNG.

Eight-bit files hold display values and are taken as they are (value / 255). Deeper files seldom say
how many of their bits they use; they are stretched between robust percentiles. A PNG written by
:func:`write_png` says in its text chunks what it shows and is read back exactly.
"""

import io
import json
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps
import PIL.PngImagePlugin
import PIL.TiffImagePlugin

from plainfilm.core import (
    Image,
    ImageError,
    InputError,
    Pixels,
    Provenance,
    View,
    write_atomically,
)

PERCENTILES = (0.5, 99.5)
"""What becomes black and white where nothing says so: robust against markers and dead pixels."""

_UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, struct.error,
    zlib.error, PIL.Image.DecompressionBombError,
)  # fmt: skip
_CHUNK = "plainfilm-"
_SPREAD = 12  # a channel's distance from the tint of its grey value, of 255, that is called colour
_COLOUR_REFUSED, _COLOUR_FLAGGED = 0.10, 0.002  # share of the picture
_EXIF_ORIENTATION, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 274, 262, 0


@dataclass
class Raster:
    """What a PNG, JPEG or TIFF shows, before any check of the picture."""

    pixels: Pixels
    trusted: bool = False
    """Written by plainfilm: polarity, orientation and range are known."""
    polarity_known: bool = False
    """The file itself says which end of its scale is bright."""
    other_part: str | None = None
    """A body part other than the chest, where the header names one."""
    view: View = View.UNKNOWN
    laterality: str | None = None
    spacing_mm: tuple[float, float] | None = None
    provenance: Provenance = Provenance.REAL
    warnings: list[str] = field(default_factory=list)


def read_raster(path: Path, data: bytes) -> Raster:
    """Return what the PNG, JPEG or TIFF file ``path``, whose bytes are ``data``, shows.

    Raises:
        ImageError: the file is truncated or damaged, has several frames, or is a colour picture.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as picture:
            frames = getattr(picture, "n_frames", 1)
            picture.load()
            if frames > 1 and picture.format != "MPO":  # MPO: a camera's JPEG and its thumbnail
                raise ImageError(
                    f"{path}: holds {frames} frames; a film is one image: split the file first"
                )
            return _grey(path, picture)
    except ImageError:
        raise
    except _UNREADABLE as error:
        raise ImageError(
            f"{path}: is truncated or damaged and cannot be decoded ({error}); get it again"
        ) from error


def _grey(path: Path, picture: PIL.Image.Image) -> Raster:
    text = {str(k): str(v) for k, v in picture.info.items() if str(k).startswith(_CHUNK)}
    if text:
        return _own(path, picture, text)
    raster = Raster(pixels=np.zeros((1, 1), dtype=np.float32))
    if picture.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        picture = PIL.ImageOps.exif_transpose(picture)
        raster.warnings.append("turned as the file's EXIF orientation says")
    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        values = np.asarray(picture, dtype=np.float64)
        if getattr(picture, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
            values = -values
        raster.pixels = stretch(values)
    elif picture.mode in ("1", "L"):
        raster.pixels = np.asarray(picture.convert("L"), dtype=np.float32) / np.float32(255)
    else:
        raster.pixels = _from_colour(path, picture, raster.warnings)
    return raster


def _from_colour(path: Path, picture: PIL.Image.Image, warnings: list[str]) -> Pixels:
    """Return the grey picture behind RGB, palette, alpha or CMYK; real colour is refused."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        backdrop = PIL.Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = PIL.Image.alpha_composite(backdrop, picture)
    rgb = np.asarray(picture.convert("RGB"))
    return grey_from_rgb(path, rgb, warnings)


def grey_from_rgb(path: Path, rgb: npt.NDArray[np.uint8], warnings: list[str]) -> Pixels:
    """Return the luminance (ITU-R 601) of ``(height, width, 3)`` uint8 in [0, 1].

    A tint (every grey value has one colour, as in a photographed or toned print) is grey. A little
    real colour is a drawn mark and is put into ``warnings``.

    Raises:
        ImageError: too much of the picture has colours of its own.
    """
    luminance = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    if np.ptp(rgb, axis=2).max() > _SPREAD:
        step = max(1, min(rgb.shape[:2]) // 256)
        small, grey = rgb[::step, ::step].reshape(-1, 3).astype(float), luminance[::step, ::step]
        level = (grey.ravel() / 8).astype(int)  # the tint: the median colour of each grey level
        tint = np.zeros((33, 3))
        for value in np.unique(level):
            tint[value] = np.median(small[level == value] - grey.ravel()[level == value, None], 0)
        residual = np.abs(small - grey.ravel()[:, None] - tint[level]).max(axis=1)
        share = float((residual > _SPREAD).mean())
        if share > _COLOUR_REFUSED or np.abs(tint).max() > 90:
            raise ImageError(f"{path}: is a colour picture, not a film; give the film itself")
        if share > _COLOUR_FLAGGED:
            warnings.append(f"coloured marks on {share:.1%} of the picture, read as grey")
    return (luminance / 255).astype(np.float32).clip(0, 1)


def _own(path: Path, picture: PIL.Image.Image, text: dict[str, str]) -> Raster:
    """Return what :func:`write_png` wrote."""
    scale = {"L": 255, "I;16": 65535}.get(picture.mode)
    if scale is None:
        raise ImageError(
            f"{path}: carries plainfilm's text chunks but has mode {picture.mode}; "
            "write it with plainfilm.data.write_png"
        )
    try:
        spacing = json.loads(text.get(_CHUNK + "spacing-mm", "null"))
        return Raster(
            pixels=np.asarray(picture).astype(np.float32) / np.float32(scale),
            trusted=True,
            view=View(text.get(_CHUNK + "view", "unknown")),
            laterality=text.get(_CHUNK + "laterality"),
            spacing_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
            provenance=Provenance(text[_CHUNK + "provenance"]),
            warnings=[str(w) for w in json.loads(text.get(_CHUNK + "warnings", "[]"))],
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ImageError(f"{path}: its plainfilm text chunks are damaged ({error!r})") from error


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
    ``-laterality``, ``-spacing-mm`` and ``-warnings`` make ``read_image`` return them, and the
    pixels (divided by 255 or 65535), exactly.

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
            chunks.add_text(_CHUNK + name, value)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format="PNG", pnginfo=chunks)
    return file.getvalue()


def image_png(image: Image, longest_side: int) -> bytes:
    """Return ``image`` as 8-bit :func:`png_bytes`, shrunk to ``longest_side`` where it is larger.

    The shape ratio is kept and the pixel spacing follows.
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


def stretch(
    values: npt.NDArray[np.floating], counted: npt.NDArray[np.bool_] | None = None
) -> Pixels:
    """Return ``values`` scaled linearly so that their percentiles 0.5 and 99.5 become 0 and 1.

    Args:
        values: any shape.
        counted: where the percentiles are taken (padding left out); everywhere without it.

    Values of one grey level become 0.
    """
    sample = values if counted is None else values[counted]
    if sample.size > 1_000_000:
        sample = sample.ravel()[:: sample.size // 500_000]
    low, high = np.percentile(sample, PERCENTILES)
    if high <= low:  # more than 99 % one value: the whole range, if there is any
        low, high = float(sample.min()), float(sample.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.float32)
    return np.asarray(((values - low) / (high - low)).clip(0, 1), dtype=np.float32)
