"""Integrity checks of a TIFF's compressed strips, since its decoder ignores most damage.

TIFF 6.0: strips lie anywhere in the file, each compressed separately. A strip's decompressed size
follows from its rows; deflated strips have a checksum, JPEG ones are decoded strictly.
"""

import zlib
from collections.abc import Mapping
from typing import Any

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _ROWS = 256, 257, 258, 259, 277, 278
_STRIPS, _TILES, _PLANAR, _JPEG_TABLES = (273, 279), (324, 325), 284, 347
_NONE, _JPEG, _DEFLATE, _PACKBITS = 1, 7, (8, 32946), 32773


def check_tiff(data: bytes, tags: Mapping[int, Any]) -> None:
    """Raise ValueError if a TIFF's strips overlap, are truncated, or have a wrong size.

    Args:
        data: the file's bytes.
        tags: its first directory, as read by Pillow.
    """
    for places, lengths in (_STRIPS, _TILES):
        starts, sizes = _numbers(tags, places), _numbers(tags, lengths)
        if len(starts) != len(sizes):
            raise ValueError("its strips are not all described")
        upto = 8
        for start, size in sorted(zip(starts, sizes, strict=True)):
            if start < upto or start + size > len(data):
                raise ValueError("its strips overlap or lie outside of the file")
            upto = start + size
    if not _numbers(tags, _STRIPS[0]) or _one(tags, _PLANAR, 1) != 1:
        return  # tiles and planes, which films have not been seen to use
    strips = zip(_numbers(tags, _STRIPS[0]), _numbers(tags, _STRIPS[1]), strict=True)
    row = (_one(tags, _WIDTH, 0) * sum(_numbers(tags, _BITS) or [1]) + 7) // 8
    left = _one(tags, _LENGTH, 0)
    for start, size in strips:
        rows = min(left, _one(tags, _ROWS, left))
        _check_strip(data[start : start + size], tags, row, rows)
        left -= rows
    if left:
        raise ValueError("it has fewer strips than its height asks for")


def _numbers(tags: Mapping[int, Any], tag: int) -> list[int]:
    found = tags.get(tag, ())
    return [int(value) for value in (found if isinstance(found, tuple | list) else (found,))]


def _one(tags: Mapping[int, Any], tag: int, fallback: int) -> int:
    return (_numbers(tags, tag) or [fallback])[0]


def _check_strip(strip: bytes, tags: Mapping[int, Any], row: int, rows: int) -> None:
    compression, expected = _one(tags, _COMPRESSION, _NONE), row * rows
    size = expected
    if compression == _NONE:
        size = len(strip)
    elif compression in _DEFLATE:
        unpacker = zlib.decompressobj()
        size = len(unpacker.decompress(strip, expected + 1))
        if not unpacker.eof:
            raise ValueError("a strip's compressed data are cut short")
    elif compression == _PACKBITS:
        size = _unpacked(strip, expected)
    elif compression == _JPEG:
        import simplejpeg

        tables = tags.get(_JPEG_TABLES, b"")
        space = "GRAY" if _one(tags, _SAMPLES, 1) == 1 else "RGB"
        simplejpeg.decode_jpeg(tables[:-2] + strip[2:] if tables else strip, space)
    if size != expected:
        raise ValueError(f"a strip unpacks to {size} bytes, expected {expected}")


def _unpacked(strip: bytes, most: int) -> int:
    """Return the decompressed size of PackBits data, counting only until it exceeds ``most``."""
    at = size = 0
    while at < len(strip) and size <= most:
        count = strip[at]
        if count < 128:
            size += count + 1
            at += count + 2
        elif count > 128:
            size += 257 - count
            at += 2
        else:
            at += 1
    return size if at <= len(strip) else -1
