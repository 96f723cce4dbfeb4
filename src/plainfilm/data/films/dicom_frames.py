"""DICOM pixel data as cells: the stored unsigned values, before any interpretation.

Uncompressed cells are a view of the file's bytes. Compressed ones are decoded in a separate process
(:mod:`plainfilm.data.films.decoder`), after the size in their codestream has been compared with the
header.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame, parse_basic_offsets
from pydicom.uid import (
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from plainfilm.core import ImageError
from plainfilm.data.films import dicom_header as header
from plainfilm.data.films.codestream import Codestream, check_rle, read_codestream
from plainfilm.data.films.decoder import decode_apart
from plainfilm.data.films.dicom_file import DicomFile
from plainfilm.data.films.limits import check_size

_COLOUR_SPACES = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


_MOST_DEEP_PIXELS = 25_000_000  # each takes about 40 bytes during reading


@dataclass(frozen=True)
class Cells:
    """Stored pixels, and their bit depth according to the encoding."""

    values: npt.NDArray[Any]
    """``(height, width)`` unsigned, or ``(height, width, 3)`` RGB."""
    precision: int | None
    """Bit depth in the codestream; None for uncompressed pixels."""


def read_cells(path: Path, file: DicomFile, warnings: list[str]) -> Cells:
    """Return the single picture in a DICOM file's pixel data.

    Raises:
        ImageError: the pixel data contradict the header, or there are several pictures.
        Exception: whatever a library raises for damaged data.
    """
    dataset = file.dataset
    width, height = (_whole(path, dataset, keyword) for keyword in ("Columns", "Rows"))
    check_size(path, width, height)
    samples = int(header.number(dataset, "SamplesPerPixel") or 1)
    bits = _whole(path, dataset, "BitsAllocated")
    if samples not in (1, 3) or bits not in (8, 16, 32) or (samples == 3 and bits > 16):
        raise ImageError(
            f"{path}: has {samples} samples of {bits} bits a pixel; a film has one of 8 to 16"
        )
    if bits == 32 and width * height > _MOST_DEEP_PIXELS:
        raise ImageError(
            f"{path}: has {width} × {height} pixels of 32 bits; of such, at most "
            f"{_MOST_DEEP_PIXELS / 1e6:.0f} million are read: give the film in 16 bits"
        )
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return _compressed(path, file, width, height, samples, bits, warnings)
    stored = _native(path, file, width * height * samples * bits // 8, warnings)
    if file.surplus:
        warnings.append("bytes behind its pixels belong to nothing: the file may be damaged")
    order = ">" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    values = np.frombuffer(stored, dtype=f"{order}u{bits // 8}")
    if order == ">" and bits == 8 and file.pixel_vr == "OW":  # bytes swapped within words
        values = values[: values.size // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    if samples == 1:
        return Cells(values[: height * width].reshape(height, width), None)
    return Cells(_rgb(dataset, values, height, width), None)


def _whole(path: Path, dataset: Dataset, keyword: str) -> int:
    value = header.number(dataset, keyword)
    if value is None or value != int(value) or value < 0:
        raise ImageError(f"{path}: its header does not say {keyword}; get it again")
    return int(value)


def _native(path: Path, file: DicomFile, expected: int, warnings: list[str]) -> memoryview:
    """Return the bytes of one picture; the file must not have fewer, nor many more."""
    stored = file.pixel_data
    excess = len(stored) - expected
    if excess < 0:
        raise ImageError(
            f"{path}: is cut short, or its header is wrong ({len(stored)} bytes of pixels, expected"
            f" {expected}); get it again"
        )
    if excess > 1:
        if any(stored[expected:]) and excess >= 2 * _row_bytes(file.dataset):
            raise ImageError(
                f"{path}: holds {len(stored) / expected:.2f} times the pixels that its header says:"
                " several pictures, or a damaged header; get it again"
            )
        warnings.append(f"its pixel data are {excess} bytes longer than the header says: check it")
    return stored[: expected + expected % 2 if excess else expected]


def _row_bytes(dataset: Dataset) -> int:
    return int(dataset.Columns) * int(dataset.BitsAllocated) // 8


def _rgb(
    dataset: Dataset, values: npt.NDArray[Any], height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Return uncompressed colour cells as RGB (PS3.3 C.7.6.3.1.2 and .3)."""
    from pydicom.pixels.processing import convert_color_space

    space = header.text(dataset, "PhotometricInterpretation")
    if space == "YBR_FULL_422" or space not in _COLOUR_SPACES:
        raise ValueError(f"uncompressed pixels cannot be {space or 'of no'} colour")
    values = values[: height * width * 3]
    if header.number(dataset, "PlanarConfiguration") == 1:
        values = values.reshape(3, height, width).transpose(1, 2, 0)
    values = values.reshape(height, width, 3)
    if values.dtype.itemsize > 1:
        values = values >> 8
    values = values.astype(np.uint8)
    return values if space == "RGB" else convert_color_space(values, "YBR_FULL", "RGB")


def _compressed(
    path: Path,
    file: DicomFile,
    width: int,
    height: int,
    samples: int,
    bits: int,
    warnings: list[str],
) -> Cells:
    syntax = file.dataset.file_meta.TransferSyntaxUID
    data = bytes(file.pixel_data)
    pictures = len(parse_basic_offsets(data))
    if pictures > 1:
        raise ImageError(
            f"{path}: holds {pictures} pictures; a film is one image: give a radiograph"
        )
    frame = get_frame(data, 0, number_of_frames=1)
    stream: Codestream | None = None
    if syntax == RLELossless:
        check_rle(frame, samples * bits // 8)
    else:
        stream = read_codestream(frame)
        if stream is None:
            raise ValueError(f"its pixels are not in the encoding {syntax.name} that it names")
        if (stream.width, stream.height, stream.samples) != (width, height, samples):
            raise ImageError(
                f"{path}: its header says {width} × {height} pixels of {samples} samples, its "
                f"pixel data {stream.width} × {stream.height} of {stream.samples}; get it again"
            )
        bits = 8 if stream.precision <= 8 else 16 if stream.precision <= 16 else 32
    space = header.text(file.dataset, "PhotometricInterpretation")
    options = {
        "rows": height,
        "columns": width,
        "number_of_frames": 1,
        "samples_per_pixel": samples,
        "bits_allocated": bits,
        "bits_stored": bits,  # no unused bits, so that cells are returned unchanged
        "pixel_representation": 0,
        "photometric_interpretation": (
            "MONOCHROME2" if samples == 1 else space if space in _COLOUR_SPACES else "RGB"
        ),
        "planar_configuration": int(header.number(file.dataset, "PlanarConfiguration") or 0),
        "pixel_keyword": "PixelData",
    }
    _, values = decode_apart(
        path, {"kind": "frame", "syntax": str(syntax), "options": options}, frame
    )
    return Cells(values, None if stream is None else stream.precision)


def decode_frame(frame: bytes, syntax: str, options: dict[str, Any]) -> npt.NDArray[Any]:
    """Decode one compressed picture; called in the decoder process.

    Returns:
        ``(height, width)`` unsigned cells, or ``(height, width, 3)`` uint8 RGB.
    """
    from pydicom.pixels.decoders.base import get_decoder

    decoder = get_decoder(syntax)
    if options["samples_per_pixel"] == 1:
        options = options | {"raw": True}
    if syntax == JPEGBaseline8Bit:
        import simplejpeg

        simplejpeg.decode_jpeg(frame, "GRAY")  # raises on damage that other decoders ignore
    plugins = decoder.available_plugins
    preferred = "pyjpegls" if syntax in JPEGLSTransferSyntaxes else "pylibjpeg"  # CharLS is strict
    chosen = preferred if preferred in plugins else ""
    values, _ = decoder.as_array(encapsulate([frame]), decoding_plugin=chosen, **options)
    if values.ndim == 2:
        return values.view(f"u{values.dtype.itemsize}")
    if values.dtype.itemsize > 1:
        values = (values >> 8).astype(np.uint8)
    return values
