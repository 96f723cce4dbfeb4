"""Headers of compressed pixel data, read without decoding.

JPEG and JPEG-LS: ISO 10918-1 B and 14495-1 C, markers up to the frame header. JPEG 2000: ISO
15444-1 A, the SIZ marker, and the lengths of all tile-parts. RLE: DICOM PS3.5 G.
"""

from typing import NamedTuple

from plainfilm.data.films.limits import MOST_SCANS

_J2K, _JPEG = b"\xff\x4f\xff\x51", b"\xff\xd8"
_END = b"\xff\xd9"
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_MOST_TILES = 20_000
_PADDED = 64  # the end of a codestream must be in its last bytes, since some writers pad it


class Codestream(NamedTuple):
    """Size and bit depth of a compressed picture."""

    width: int
    height: int
    samples: int
    precision: int
    """Bits per value."""


def read_codestream(frame: bytes) -> Codestream | None:
    """Return size and depth from a JPEG, JPEG-LS or JPEG 2000 codestream; None for any other.

    Raises:
        ValueError: the codestream is truncated or inconsistent.
    """
    try:
        if frame[4:8] == b"jP  ":  # some writers wrap the codestream in a JP2 file
            frame = frame[max(0, frame.find(_J2K)) :]
        if frame.startswith(_J2K):
            return _jpeg2000(frame)
        if frame.startswith(_JPEG):
            return _jpeg(frame)
    except IndexError as error:
        raise ValueError("its codestream is cut short") from error
    return None


def _number(frame: bytes, start: int, length: int) -> int:
    if start + length > len(frame):
        raise IndexError(start)
    return int.from_bytes(frame[start : start + length], "big")


def _jpeg2000(frame: bytes) -> Codestream:
    right, lower, left, top = (_number(frame, 8 + 4 * index, 4) for index in range(4))
    tile_width, tile_height = _number(frame, 24, 4), _number(frame, 28, 4)
    width, height, samples = right - left, lower - top, _number(frame, 40, 2)
    if min(width, height, tile_width, tile_height, samples) < 1:
        raise ValueError("its codestream has no size")
    if -(-width // tile_width) * -(-height // tile_height) > _MOST_TILES:
        raise ValueError(f"it has more than {_MOST_TILES} tiles")
    at = 2
    while _number(frame, at, 2) != 0xFF90:  # main header, up to the first tile-part
        at += 2 + max(2, _number(frame, at + 2, 2))
    parts = 0
    while _number(frame, at, 2) == 0xFF90:
        length, parts = _number(frame, at + 6, 4), parts + 1
        if length == 0:  # the last tile-part may extend to the end
            at = frame.rfind(_END)
            break
        if length < 14 or at + length > len(frame) or parts > 255 * _MOST_TILES:
            raise ValueError("a part of its codestream is cut short")
        at += length
    if at < 0 or frame[at : at + 2] != _END:
        raise ValueError("the end of its codestream is missing")
    return Codestream(width, height, samples, (frame[42] & 127) + 1)


def _jpeg(frame: bytes) -> Codestream:
    if frame.count(b"\xff\xda") > MOST_SCANS:
        raise ValueError(f"it has more than {MOST_SCANS} scans")
    if _END not in frame[-_PADDED:].rstrip(b"\0"):
        raise ValueError("the end of its codestream is missing")
    at = 2
    while True:
        if frame[at] != 0xFF:
            raise ValueError("its codestream is damaged")
        marker = frame[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _FRAMES:
            height, width = _number(frame, at + 5, 2), _number(frame, at + 7, 2)
            return Codestream(width, height, frame[at + 9], frame[at + 4])
        at += 2 + max(2, _number(frame, at + 2, 2))


def check_rle(frame: bytes, cells: int) -> None:
    """Raise ValueError if an RLE frame's header does not match ``cells`` bytes per pixel."""
    count = int.from_bytes(frame[:4], "little")
    starts = [int.from_bytes(frame[4 + 4 * i : 8 + 4 * i], "little") for i in range(min(count, 15))]
    if count != cells:
        raise ValueError(f"it has {count} RLE segments, expected {cells}")
    if starts != sorted(starts) or starts[0] != 64 or starts[-1] >= len(frame):
        raise ValueError("its RLE segments do not lie one after the other")
