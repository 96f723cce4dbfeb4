"""From stored values to display values, following DICOM PS3.3 C.11 and C.7.6.3.

The steps: stored values, removal of pixel padding, modality LUT or rescale, VOI LUT or window,
inversion of MONOCHROME1. They are applied to the levels that occur (see
:mod:`plainfilm.data.films.levels`). Real headers are sometimes wrong, so they are checked for
consistency and against the values, and every doubt becomes a warning.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from plainfilm.core import Pixels
from plainfilm.data.films import dicom_header as header
from plainfilm.data.films.levels import Codes, histogram, look_up, stretched

_MOST_PADDING, _MOST_CENTRAL_PADDING = 0.9, 0.1
_MOST_SATURATED = 0.85
_LARGEST = 1e9
"""Largest plausible number in a rescale or window; stored values have at most 32 bits."""
_INTENSITY_CLASSES = ("1.2.840.10008.5.1.4.1.1.12.",)  # XA, RF and their enhanced versions
_INTENSITY_MODALITIES = ("XA", "RF")

Levels = npt.NDArray[np.float64]


@dataclass
class _Film:
    """The levels of a film during conversion."""

    dataset: Dataset
    codes: Codes
    stored: npt.NDArray[np.int64]
    """Stored value of each code."""
    counts: npt.NDArray[np.int64]
    """How often each code occurs, without padding."""
    warnings: list[str]


def shown(
    dataset: Dataset, cells: npt.NDArray[Any], precision: int | None, warnings: list[str]
) -> Pixels:
    """Return display values of cells, ``(height, width)`` in [0, 1], bright = dense.

    Args:
        dataset: the header.
        cells: ``(height, width)`` unsigned integers of 8, 16 or 32 bits.
        precision: bit depth according to the encoding; None if only the header states it.
        warnings: list to which doubts are added.
    """
    codes, raw = _codes(cells)
    counts = histogram(codes, len(raw))
    stored, bits = _stored_values(dataset, raw, counts, precision, warnings)
    film = _Film(dataset, codes, stored, counts, warnings)
    padding = _padding(film)
    film.counts[padding] = 0
    values, plain = _modality(film)
    levels = _voi(film, values)
    if levels is None and plain and bits == 8:
        levels = stored.clip(0, 255) / 255  # eight bits hold display values
    elif levels is None:
        levels = stretched(values, film.counts)
    if header.text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        levels = 1 - levels
    levels[padding] = 0
    return look_up(codes, levels)


def _codes(cells: npt.NDArray[Any]) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Return codes, and the cell value of each code."""
    if cells.dtype.itemsize <= 2:
        codes = cells if cells.dtype.isnative else cells.astype(cells.dtype.newbyteorder("="))
        return codes, np.arange(2 ** (8 * cells.dtype.itemsize), dtype=np.int64)
    found, codes = np.unique(cells, return_inverse=True)
    return codes.reshape(cells.shape).astype(np.uint32), found.astype(np.int64)


def _stored_values(
    dataset: Dataset,
    cells: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    precision: int | None,
    warnings: list[str],
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the stored value in each cell (PS3.5 8.1.1), and its number of bits."""
    allocated = int(header.number(dataset, "BitsAllocated") or 16)
    most = precision or allocated
    bits = int(header.number(dataset, "BitsStored") or 0)
    if not 1 <= bits <= most:
        if not (precision and bits > precision):  # JPEG 2000's own precision overrides the header
            warnings.append(f"the header says {bits} bits stored of {most}: all are read")
        bits = most
    signed = header.number(dataset, "PixelRepresentation") == 1
    occurring = cells[counts > 0]
    above = occurring >> bits
    extended = signed and bool(np.isin(above, (0, (2**most - 1) >> bits)).all())
    shift = 0
    high = header.number(dataset, "HighBit")
    if precision is None and high is not None and bits <= high + 1 <= most:
        shift = int(high) + 1 - bits
    if shift and not above.any():
        warnings.append(f"the header says high bit {high:.0f}, the values lie below it: not moved")
        shift = 0
    if not shift and above.any() and not extended and not _overlay_in_pixels(dataset):
        warnings.append(f"values have more than the {bits} bits that the header says: all are read")
        bits = most
    stored = (cells >> shift) & (2**bits - 1)
    if signed:
        stored = np.where(stored >= 2 ** (bits - 1), stored - 2**bits, stored)
    return stored, bits


def _overlay_in_pixels(dataset: Dataset) -> bool:
    """Return whether unused high bits hold an overlay, a practice retired in 2004."""
    return any(
        0x6000 <= element.group <= 0x60FF and element.element == 0x0102
        for element in dataset.keys()  # noqa: SIM118
    )


def _padding(film: _Film) -> npt.NDArray[np.bool_]:
    """Return which levels are padding (PS3.3 C.7.5.1.1.2): one value, or a range."""
    first = header.number(film.dataset, "PixelPaddingValue")
    none = np.zeros(film.stored.shape, dtype=bool)
    if first is None:
        return none
    last = header.number(film.dataset, "PixelPaddingRangeLimit")
    ends = [first, first if last is None else last]
    if film.stored.min() < 0:  # signed, but written as unsigned
        ends = [end - 2**16 if end >= 2**15 else end for end in ends]
    padding = (film.stored >= min(ends)) & (film.stored <= max(ends))
    height, width = film.codes.shape
    middle = film.codes[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None]
    central = histogram(middle, len(padding))[padding].sum() / middle.size
    share = film.counts[padding].sum() / film.codes.size
    if share > _MOST_PADDING or central > _MOST_CENTRAL_PADDING:
        where = "nearly the whole film" if share > _MOST_PADDING else "the middle of the film"
        film.warnings.append(f"the padding that the header names covers {where}: ignored")
        return none
    return padding


def _modality(film: _Film) -> tuple[Levels, bool]:
    """Return the levels after modality LUT or rescale, and whether they equal the stored ones."""
    stored = film.stored.astype(np.float64)
    dataset, warnings = film.dataset, film.warnings
    if "ModalityLUTSequence" in dataset:
        if _leads_to_intensity(dataset):
            warnings.append(
                "the modality LUT of a fluoroscopic film leads to X-ray intensity: left out"
            )
            return stored, True
        table = _Table.of(dataset, "ModalityLUTSequence", stored, film.counts)
        if table is None:
            warnings.append("the header's modality LUT is damaged: ignored")
            return stored, False
        return table.through(stored), False
    slope, intercept = (
        _sane(dataset, keyword, fallback, warnings)
        for keyword, fallback in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0:
        warnings.append(f"rescale slope {dataset.RescaleSlope} is none: ignored")
        return stored, True
    return stored * slope + intercept, slope == 1 and intercept == 0


def _leads_to_intensity(dataset: Dataset) -> bool:
    return header.text(dataset, "Modality").upper() in _INTENSITY_MODALITIES or header.text(
        dataset, "SOPClassUID"
    ).startswith(_INTENSITY_CLASSES)


def _sane(dataset: Dataset, keyword: str, fallback: float, warnings: list[str]) -> float:
    """Return a number of the header, or with a warning the fallback if it is implausible."""
    found = header.number(dataset, keyword)
    if found is not None and abs(found) <= _LARGEST:
        return found
    if keyword in dataset and (found is not None or not header.empty(dataset, keyword)):
        warnings.append(f"the header's {keyword} is no number that can be used: ignored")
    return fallback


def _voi(film: _Film, values: Levels) -> Levels | None:
    """Return the levels after VOI LUT or first window, in [0, 1]; None if neither is usable."""
    levels = None
    if "VOILUTSequence" in film.dataset:
        table = _Table.of(film.dataset, "VOILUTSequence", values, film.counts)
        if table is None:
            film.warnings.append("the header's VOI LUT is damaged: ignored")
        else:
            levels = table.through(values) / table.white
    if levels is None:
        levels = _window(film, values)
    if levels is None:
        return None
    levels = levels.clip(0, 1)
    cut = film.counts[(levels <= 0.001) | (levels >= 0.999)].sum()
    if cut > _MOST_SATURATED * film.counts.sum():
        film.warnings.append("the header's window leaves the film black or white: ignored")
        return None
    return np.asarray(levels)


def _window(film: _Film, values: Levels) -> Levels | None:
    """Return the levels after the first window (PS3.3 C.11.2.1.2 and .3), unclipped."""
    dataset = film.dataset
    if not {"WindowWidth", "WindowCenter"} & set(dataset.dir("Window")):
        return None
    width, center = (header.number(dataset, key) for key in ("WindowWidth", "WindowCenter"))
    function = header.text(dataset, "VOILUTFunction").upper() or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        film.warnings.append(f"window of the unknown function {function[:16]}: ignored")
        return None
    least = 1 if function == "LINEAR" else 0
    if width is None or center is None or width <= least or max(width, abs(center)) > _LARGEST:
        if not all(header.empty(dataset, key) for key in ("WindowWidth", "WindowCenter")):
            said = header.text(dataset, "WindowWidth")[:16]
            film.warnings.append(f"window width {said} is no window: ignored")
        return None
    if function == "LINEAR":
        return (values - (center - 0.5)) / (width - 1) + 0.5
    if function == "LINEAR_EXACT":
        return (values - center) / width + 0.5
    return np.asarray(1 / (1 + np.exp((-4 * (values - center) / width).clip(-700, 700))))


@dataclass(frozen=True)
class _Table:
    """A modality or VOI LUT (PS3.3 C.11.1.1 and C.11.2.1.1)."""

    entries: Levels
    first: float
    """The input value of the first entry, which also applies to smaller values."""
    white: float
    """The entry value that means white."""

    def through(self, values: Levels) -> Levels:
        index = np.round(values - self.first).clip(0, len(self.entries) - 1).astype(np.int64)
        return self.entries[index]

    @classmethod
    def of(
        cls, dataset: Dataset, keyword: str, values: Levels, counts: npt.NDArray[np.int64]
    ) -> "_Table | None":
        """Return the first LUT of a sequence; None if it is damaged."""
        items = header.items(dataset, keyword)
        if not items:
            return None
        descriptor = header.numbers(items[0], "LUTDescriptor")
        if len(descriptor) != 3:
            return None
        size, first, bits = (int(number) for number in descriptor)
        size = size % 2**16 or 2**16
        entries = _entries(items[0], size, little=bool(dataset.original_encoding[1]))
        if entries is None or not 1 <= bits <= 16 or entries.min() == entries.max():
            return None
        # The first value may be signed or not: it is read as written, unless the other reading
        # makes the LUT cover more of the film.
        other = first - 2**16 if first >= 2**15 else first + 2**16 if first < 0 else first
        occurring = values[counts > 0]
        low, high = (occurring.min(), occurring.max()) if occurring.size else (0.0, 0.0)
        first = max((first, other), key=lambda start: min(high, start + size - 1) - max(low, start))
        highest, white = float(entries.max()), float(2**bits - 1)
        # In practice entries can have fewer or more bits than the descriptor says.
        return cls(entries, first, white if white / 2 < highest <= white else highest)


def _entries(item: Dataset, size: int, *, little: bool) -> Levels | None:
    """Return a LUT's entries: words, or bytes packed two to a word; None if there are too few."""
    data = header.value_of(item, "LUTData")
    if isinstance(data, bytes):
        packed = data
        if not little:
            packed = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    else:
        words = np.asarray(header.numbers(item, "LUTData"), dtype=np.float64)
        if not words.size or np.abs(words).max() > 2**16:
            return None
        packed = words.astype(np.int64).astype("<u2").tobytes()  # signed ones wrap around
    if len(packed) >= 2 * size:
        return np.frombuffer(packed[: 2 * size], "<u2").astype(np.float64)
    if size <= len(packed) <= size + 1:
        return np.frombuffer(packed[:size], np.uint8).astype(np.float64)
    return None
