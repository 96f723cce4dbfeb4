"""PNG, JPEG and TIFF: from a file to grey values.

Eight-bit files hold display values and are taken as they are (value / 255). Deeper files seldom say
how many of their bits they use; they are stretched between robust percentiles. A PNG written by
:func:`plainfilm.data.write_png` is described by its text chunks and read back exactly.

PNG and JPEG are decoded in this process, after their headers were checked against the limits; TIFF,
which can hold any codec in any layout, in the decoder process.
"""

import io
import json
import re
import warnings as python_warnings
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.TiffImagePlugin

from plainfilm.core import ImageError, Pixels, Provenance, Reference, View, errors_as
from plainfilm.data.films.damage import look_for_damage
from plainfilm.data.films.decoder import decode_apart
from plainfilm.data.films.levels import stretch
from plainfilm.data.films.limits import MOST_SCANS, check_size
from plainfilm.data.films.own_png import CHUNK
from plainfilm.data.films.tiff import check_tiff

_TIFF_STARTS = (b"II*\x00", b"MM\x00*")
_SPREAD = 12  # minimum distance (of 255) of a channel from the grey value's tint to count as colour
_COLOUR_REFUSED, _COLOUR_FLAGGED = 0.10, 0.002  # share of the picture
_EXIF_ORIENTATION = 274
_TIFF_PHOTOMETRIC, _WHITE_IS_ZERO, _TIFF_SAMPLE_FORMAT, _SIGNED = 262, 0, 339, 2
_TIFF_BITS = 258


@dataclass
class Raster:
    """A film as read from its file, before any check of the picture."""

    pixels: Pixels
    trusted: bool = False
    """Whether plainfilm wrote the file, so that polarity, orientation and range are known."""
    polarity_known: bool = False
    """Whether the file states which end of its scale is bright."""
    polarity_doubt: str | None = None
    """The file's statements about polarity, if they contradict each other."""
    other_part: str | None = None
    """A body part other than the chest, if the header names one."""
    modality: tuple[str, str] | None = None
    """A modality other than a radiograph's, if the header names one, and what it would be."""
    refusal: str | None = None
    """Why no draft must be made from the film."""
    view: View = View.UNKNOWN
    laterality: str | None = None
    spacing_mm: tuple[float, float] | None = None
    aspect: float = 1.0
    """Height of a pixel divided by its width, used if no spacing is known."""
    says_simulated: bool = False
    """Whether the file claims to be simulated; its dataset decides whether that is true."""
    provenance: Provenance = Provenance.REAL
    reference: Reference | None = None
    """The DICOM object that the film came from."""
    warnings: list[str] = field(default_factory=list)


@dataclass
class Picture:
    """A decoded PNG, JPEG or TIFF: its values, and its header's information about them."""

    values: npt.NDArray[Any]
    """``(height, width)``, or ``(height, width, 3)`` uint8 if not stored as grey."""
    deep: bool
    """Whether the values have more than eight bits, so that they must be stretched."""
    orientation: int = 1
    """EXIF orientation, 1 to 8."""
    aspect: float = 1.0
    """Height of a pixel divided by its width."""
    text: dict[str, str] = field(default_factory=dict)
    """plainfilm's text chunks."""
    warnings: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return everything but the values, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "values"}


def read_raster(path: Path, data: bytes) -> Raster:
    """Read the PNG, JPEG or TIFF file ``path``, whose bytes are ``data``.

    Raises:
        ImageError: the file is truncated or damaged, has several frames, is a colour picture, or
            exceeds the limits.
    """
    if data.startswith(_TIFF_STARTS):
        facts, values = decode_apart(path, {"kind": "picture", "path": str(path)}, data)
        facts = {name: facts[name] for name in Picture.__dataclass_fields__ if name in facts}
        return _raster(path, Picture(values=values, **facts))
    what = f"{path}: is truncated or damaged and cannot be decoded"
    with errors_as(ImageError, what, "get it again"):
        return _raster(path, decode_picture(path, data))


def decode_picture(path: Path, data: bytes) -> Picture:
    """Return the values of a PNG, JPEG or TIFF file, whose bytes are ``data``.

    Raises:
        ImageError: see :func:`read_raster`.
        Exception: whatever Pillow raises for a damaged file.
    """
    with python_warnings.catch_warnings(action="ignore"), _open(data) as picture:
        check_size(path, *picture.size)
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # MPO: a camera's JPEG and its thumbnail
            raise ImageError(
                f"{path}: holds {frames} frames; a film is one image: split the file first"
            )
        found = Picture(values=np.zeros((1, 1)), deep=False, aspect=_aspect(picture))
        if picture.format == "PNG":
            _check_png(data, picture)
            found.values, found.deep = _values(picture)
            info = {str(key): str(value) for key, value in picture.info.items()}
            found.text = {key: value for key, value in info.items() if key.startswith(CHUNK)}
        elif picture.format == "TIFF":
            check_tiff(data, cast("dict[int, Any]", getattr(picture, "tag_v2", {})))
            found.values, found.deep = _values(picture)
        else:
            found.values = _jpeg_values(data, picture, found.warnings)
        if picture.format != "PNG" or not found.text:
            try:
                found.orientation = int(picture.getexif().get(_EXIF_ORIENTATION, 1))
            except Exception:  # whatever Pillow raises: the picture itself is complete
                found.warnings.append("its EXIF data are damaged: which way is up was not said")
    return found


def _open(data: bytes) -> PIL.Image.Image:
    try:
        return PIL.Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF"))
    except PIL.UnidentifiedImageError as error:  # its message contains a memory address
        raise ValueError("its header is damaged, or of a kind that is not read") from error


def _values(picture: PIL.Image.Image) -> tuple[npt.NDArray[Any], bool]:
    """Return a picture's values, grey or RGB, and whether they have more than eight bits."""
    tags = cast("dict[int, Any]", getattr(picture, "tag_v2", {}))
    picture.load()
    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        values = np.asarray(picture)
        bits, kind = tags.get(_TIFF_BITS, (0,)), tags.get(_TIFF_SAMPLE_FORMAT, (1,))
        if picture.mode == "I" and bits[0] == 32 and kind[0] != _SIGNED:
            values = values.view(np.uint32)  # Pillow has no unsigned 32-bit mode
        if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
            values = -values.astype(np.float64)
        return values, True
    if picture.mode in ("1", "L"):
        values = np.asarray(picture.convert("L"))
        if tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == _SIGNED:  # Pillow reads int8 as unsigned
            values = (values.view(np.int8).astype(np.int16) + 128).astype(np.uint8)
        return values, False
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        backdrop = PIL.Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = PIL.Image.alpha_composite(backdrop, picture)
    return np.asarray(picture.convert("RGB")), False


def _jpeg_values(
    data: bytes, picture: PIL.Image.Image, warnings: list[str]
) -> npt.NDArray[np.uint8]:
    """Decode a JPEG strictly: Pillow ignores damage that its JPEG library reports."""
    import simplejpeg

    if data.count(b"\xff\xda") > MOST_SCANS:
        raise ValueError(f"more than {MOST_SCANS} scans")
    if picture.mode not in ("L", "RGB"):  # CMYK
        return _values(picture)[0]
    space = "GRAY" if picture.mode == "L" else "RGB"
    try:
        values = simplejpeg.decode_jpeg(data, space)
    except ValueError as error:
        if "extraneous bytes" not in str(error):
            raise
        values = simplejpeg.decode_jpeg(data, space, strict=False)
        warnings.append("its compressed data are damaged in places: compare with the original")
    return cast("npt.NDArray[np.uint8]", values[..., 0] if space == "GRAY" else values)


def _check_png(data: bytes, picture: PIL.Image.Image) -> None:
    """Raise ValueError if a PNG's checksums or its amount of data are wrong.

    Pillow's decoder checks neither once it has all rows.
    """
    at, packed = 8, []
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            raise ValueError("its last chunk is cut short")
        if zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError(f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
        if kind == b"IDAT":
            packed.append(memoryview(data)[at + 8 : end])
        at = end + 4
        if kind == b"IEND":
            break
    else:
        raise ValueError("its end is missing")
    unpacker, size = zlib.decompressobj(), 0
    most = 8 * picture.width * picture.height + 16 * picture.height + 2**16
    for piece in packed:
        rest: Any = piece
        while rest and not unpacker.eof and size <= most:
            size += len(unpacker.decompress(rest, 2**20))
            rest = unpacker.unconsumed_tail
    if size > most:
        raise ValueError("it holds more data than its header says")
    if not unpacker.eof:
        raise ValueError("its compressed data are cut short")


def _aspect(picture: PIL.Image.Image) -> float:
    """Return the height of a pixel divided by its width, from the resolution in the header."""
    across, down = picture.info.get("dpi") or picture.info.get("jfif_density") or (1, 1)
    try:
        ratio = float(across) / float(down)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    return ratio if np.isfinite(ratio) and ratio > 0 else 1.0


def _raster(path: Path, picture: Picture) -> Raster:
    if picture.text:
        return _own(path, picture)
    raster = Raster(
        pixels=np.zeros((1, 1), dtype=np.float32),
        aspect=picture.aspect,
        warnings=[str(warning) for warning in picture.warnings],
    )
    values = picture.values
    if picture.deep:
        raster.pixels = stretch(values)
    elif values.ndim == 2:
        raster.pixels = values.astype(np.float32)
        raster.pixels /= np.float32(255)
    else:
        raster.pixels = grey_from_rgb(path, values, raster.warnings)
    look_for_damage(path, raster.pixels, values, raster.warnings)
    if picture.orientation in range(2, 9):
        raster.pixels = _turned(raster.pixels, picture.orientation)
        raster.aspect = 1 / raster.aspect if picture.orientation > 4 else raster.aspect
        raster.warnings.append("turned as the file's EXIF orientation says")
    return raster


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Return the picture rotated upright by its EXIF orientation (TIFF 6.0, tag 274)."""
    if orientation > 4:
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def grey_from_rgb(path: Path, rgb: npt.NDArray[np.uint8], warnings: list[str]) -> Pixels:
    """Return the luminance (ITU-R 601) of ``(height, width, 3)`` uint8, in [0, 1].

    A tinted picture (every grey value has one colour, as in a photographed or toned print) counts
    as grey. A little real colour is a drawn mark, and is added to ``warnings``.

    Raises:
        ImageError: too much of the picture is coloured.
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


def _own(path: Path, picture: Picture) -> Raster:
    """Return the film in a PNG written by :func:`plainfilm.data.write_png`."""
    text, values = picture.text, picture.values
    if values.ndim != 2 or values.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path}: carries plainfilm's text chunks but other pixels than it writes; "
            "write it with plainfilm.data.write_png"
        )
    try:
        spacing = json.loads(text.get(CHUNK + "spacing-mm", "null"))
        laterality = text.get(CHUNK + "laterality")
        if laterality is not None and not re.fullmatch("[LR]", laterality):
            raise ValueError(f"laterality {laterality!r}")
        return Raster(
            pixels=values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max),
            trusted=True,
            polarity_known=True,
            view=View(text.get(CHUNK + "view", "unknown")),
            laterality=laterality,
            spacing_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
            says_simulated=Provenance(text[CHUNK + "provenance"]) is Provenance.SIMULATED,
            warnings=[str(warning) for warning in json.loads(text.get(CHUNK + "warnings", "[]"))],
        )
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise ImageError(f"{path}: its plainfilm text chunks are damaged ({error!r})") from error
