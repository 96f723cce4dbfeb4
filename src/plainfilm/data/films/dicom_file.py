"""Parsing of DICOM files: the header as a data set, and the position of the pixel data.

pydicom reads the header; the pixel data stay in place, so that a large film is not copied.
"""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.uid import ExplicitVRLittleEndian

from plainfilm.core import ImageError
from plainfilm.data.films.limits import MOST_BYTES, MOST_ELEMENTS

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PIXEL_DATA = (0x7FE0, 0x0010)
_FLOAT_PIXEL_DATA = ((0x7FE0, 0x0008), (0x7FE0, 0x0009))
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = (b"OB", b"OW", b"UN")


@dataclass(frozen=True)
class DicomFile:
    """A header and its pixel data."""

    dataset: Dataset
    """Everything before the pixel data."""
    pixel_data: memoryview
    """Value of the pixel data element; for compressed pixels, including the fragments' framing."""
    pixel_vr: str
    surplus: bool = False
    """Whether the bytes after the pixel data are not an element, a sign of inserted bytes."""


def is_deflated(data: bytes) -> bool:
    """Return whether the first bytes of a DICOM file may belong to one with a deflated data set."""
    return _DEFLATED in data[:4096]


class _Counted(io.BytesIO):
    """A file with a maximum number of reads, as pydicom reads once or twice per element."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 3 * MOST_ELEMENTS:
            raise ValueError(f"its header has more than {MOST_ELEMENTS} elements")
        return super().read(size)


def parse(path: Path, data: bytes) -> DicomFile:
    """Parse the DICOM file ``path``, whose bytes are ``data``.

    Raises:
        ImageError: the file has no pixel data, or they are truncated.
        Exception: whatever pydicom raises for a damaged file.
    """
    if is_deflated(data):
        data = _inflated(path, data)
    file = _Counted(data)
    dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True)
    implicit, little = dataset.original_encoding
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else ExplicitVRLittleEndian
            if little
            else pydicom.uid.ExplicitVRBigEndian
        )
    at, order = file.tell(), "little" if little else "big"

    def whole(start: int, length: int) -> int:
        return int.from_bytes(data[start : start + length], order)  # type: ignore[arg-type]

    tag = whole(at, 2), whole(at + 2, 2)
    if tag in _FLOAT_PIXEL_DATA:
        raise ImageError(f"{path}: holds floating-point pixels, as no film does; give a CR or DX")
    if tag != _PIXEL_DATA:
        raise ImageError(f"{path}: is a DICOM file without pixels; give an image")
    vr = b"OW" if implicit else data[at + 4 : at + 6]
    if implicit:
        start, length = at + 8, whole(at + 4, 4)
    elif vr in _LONG_VRS:
        start, length = at + 12, whole(at + 8, 4)
    else:
        raise ValueError(f"its pixel data have the representation {vr!r}")
    if length == _UNDEFINED:
        return DicomFile(dataset, memoryview(data)[start:], vr.decode())
    if start + length > len(data):
        raise ImageError(
            f"{path}: is cut short ({len(data) - start} of {length} bytes of its pixels are there)"
            "; get it again"
        )
    behind = len(data) - start - length
    follows = behind >= 8 and whole(start + length, 2) >= _PIXEL_DATA[0]
    filled = behind % 2 == 0 and not any(memoryview(data)[start + length :])  # up to some size
    surplus = not follows and not filled
    return DicomFile(dataset, memoryview(data)[start : start + length], vr.decode(), surplus)


def _inflated(path: Path, data: bytes) -> bytes:
    """Return a deflated DICOM file (PS3.5 A.5) with its data set inflated; others unchanged."""
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != _DEFLATED.decode():
        return data
    length = int(meta.FileMetaInformationGroupLength)
    start = 144 + length  # preamble, magic word, and the group length element
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = unpacker.decompress(memoryview(data)[start:], MOST_BYTES)
    if unpacker.unconsumed_tail:
        raise ImageError(f"{path}: inflates to more than {MOST_BYTES >> 20} MiB; a film is smaller")
    if not unpacker.eof:
        raise ValueError("its deflated data set is cut short")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    pydicom.filewriter.write_file_meta_info(DicomFileLike(file), meta, enforce_standard=False)
    return b"\0" * 128 + b"DICM" + file.getvalue() + inflated
