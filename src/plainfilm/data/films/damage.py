"""Detection of damaged files from the picture: rows that don't continue each other.

Raw pixels and most codecs have no checksum, so an interrupted transfer, a lost block or a wrong
width still decodes. In a film each row resembles the row above it. If one row breaks this
similarity, or a block of one flat value begins or ends in the middle of a row, the file is damaged.

The limits were set on 1,171 real films (ChestX-ray14, Hannover, published cases, DICOM): none is
refused, and nine are flagged, pictures of films with a drawn frame.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import ImageError, Pixels

_COLUMNS = 512  # films are reduced to about this many columns
_TEXTURED = 0.02  # minimum standard deviation of a row with content
_EDGE = 0.06  # share of the rows at top and bottom, where frames and collimators end
_TORN, _TORN_AGAINST_NEARBY = 0.4, 8.0
_UNLIKE, _UNLIKE_AT_EDGE = 0.9, 0.5  # below this correlation two rows are unlike
_NOISY_FLAGGED, _NOISY_REFUSED = 0.08, 0.2  # share of the rows that are unlike the row above
_EMPTY_FLAGGED, _EMPTY_REFUSED = 0.02, 0.1  # share of the rows that are empty that are empty
_NEARBY = 5
_SHEARED = 0.5  # share of the rows that match better when shifted, all by the same amount


def look_for_damage(
    path: Path, pixels: Pixels, stored: npt.NDArray[Any], warnings: list[str]
) -> None:
    """Add signs of damage to ``warnings``.

    Args:
        path: the film's file, for messages.
        pixels: ``(height, width)`` in [0, 1], neither rotated nor resampled.
        stored: ``(height, width)`` or ``(height, width, channels)``, the values stored in the file;
            needed because a window can flatten areas that are not.
        warnings: list to which doubts are added.

    Raises:
        ImageError: the film is certainly damaged.
    """
    if min(pixels.shape) < 4 * _NEARBY:
        return
    if stored.ndim == 3:
        stored = stored[..., 0]
    if (empty := _empty_rows(stored)) is not None:
        _judge_empty(path, stored, empty, warnings)
    rows = np.asarray(pixels[:, :: max(1, pixels.shape[1] // _COLUMNS)], dtype=np.float32)
    contrast = float(rows.std()) + 1e-9
    centred, deviation, alike, textured = _neighbours(rows)
    noisy = float(((alike < _UNLIKE_AT_EDGE) & textured).mean())
    columns = pixels[:: max(1, pixels.shape[0] // _COLUMNS)].T
    _, _, beside, shaded = _neighbours(np.asarray(columns, dtype=np.float32))
    striped = float(((beside < _UNLIKE_AT_EDGE) & shaded).mean())
    step = _step_between_rows(centred, deviation)
    if max(noisy, striped) > _NOISY_REFUSED or step:
        how = f"each is moved by {step} against the one above" if step else "as in noise"
        raise ImageError(
            f"{path}: is damaged (its rows or columns do not fit each other, {how}); get it again"
        )
    change = np.abs(np.diff(rows, axis=0)).mean(axis=1)
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(change, _NEARBY, mode="edge"), 2 * _NEARBY + 1
    )
    nearby = np.median(around, axis=1)
    place = np.arange(len(change)) / len(change)
    inner = (place > _EDGE) & (place < 1 - _EDGE)
    torn = (
        textured
        & (change - nearby > _TORN * contrast)
        & (change > _TORN_AGAINST_NEARBY * (nearby + 0.002))
        & np.where(inner, alike < _UNLIKE, (alike < _UNLIKE_AT_EDGE) & (place < 0.5))
    )
    if torn.any():
        row = int(torn.argmax()) + 1
        warnings.append(
            f"row {row} does not continue the row above it: the file may be damaged, compare with "
            "the original"
        )
    elif noisy > _NOISY_FLAGGED:
        warnings.append(
            f"{noisy:.0%} of its rows do not resemble the row above: the file may be damaged"
        )
    elif striped > _NOISY_FLAGGED:
        warnings.append(
            f"{striped:.0%} of its columns do not resemble the next: the file may be damaged"
        )


def _neighbours(
    rows: Pixels,
) -> tuple[Pixels, Pixels, Pixels, npt.NDArray[np.bool_]]:
    """Return the rows minus their means, their standard deviations, and for each pair of adjacent
    rows their correlation and whether both have content."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=1))
    product = (centred[1:] * centred[:-1]).mean(axis=1)
    alike = product / (deviation[1:] * deviation[:-1] + 1e-9)
    return centred, deviation, alike, np.minimum(deviation[1:], deviation[:-1]) > _TEXTURED


def _empty_rows(stored: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Return the longest run of rows of one flat value below the first row with content.

    As (first row, row after the last); None if there is none.
    """
    flat = stored.max(axis=1) == stored.min(axis=1)
    showing = np.flatnonzero(~flat)
    if not showing.size:
        return None
    edges = np.diff(np.concatenate(([0], flat[showing[0] :].astype(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not starts.size:
        return None
    longest = int((ends - starts).argmax())
    return int(starts[longest] + showing[0]), int(ends[longest] + showing[0])


def _judge_empty(
    path: Path, stored: npt.NDArray[Any], empty: tuple[int, int], warnings: list[str]
) -> None:
    """Refuse or flag a film with rows of one flat value, unless they look like a border."""
    start, end = empty
    height = len(stored)
    share = (end - start) / height
    at_bottom = end == height
    torn = _begins_within_a_row(stored, start) or (
        not at_bottom and _begins_within_a_row(stored[::-1, ::-1], height - end)
    )
    if share > _EMPTY_REFUSED and (torn or not at_bottom):
        raise ImageError(
            f"{path}: is damaged (rows {start} to {end - 1} of {height} are empty); get it again"
        )
    top = int((stored.max(axis=1) != stored.min(axis=1)).argmax()) / height
    if torn or (share > _EMPTY_FLAGGED and not at_bottom) or (at_bottom and share > top + 0.25):
        warnings.append(
            f"rows {start} to {end - 1} of {height} are one flat value: the file may be incomplete"
        )


def _begins_within_a_row(stored: npt.NDArray[Any], start: int) -> bool:
    """Return whether an empty block begins in the middle of the row before ``start``.

    A border, even a tilted one, ends at about the same column in each row.
    """
    if start < 3 or start >= len(stored):
        return False
    value = stored[start, 0]

    def shown_upto(row: int) -> int:
        shown = np.flatnonzero(stored[row] != value)
        return int(shown[-1]) + 1 if shown.size else 0

    last, above, further = (shown_upto(start - back) for back in (1, 2, 3))
    width = stored.shape[1]
    return bool(last < above - width / 50 and abs(above - further) <= width / 50)


def _step_between_rows(centred: npt.NDArray[np.float32], deviation: npt.NDArray[np.float32]) -> int:
    """Return the shift in columns between every row and the row above it; 0 for an intact film.

    A width that is wrong by a few pixels shears the picture: most rows then match the row above
    best when shifted, all by the same amount.
    """
    width = centred.shape[1]
    chosen = np.flatnonzero(np.minimum(deviation[1:], deviation[:-1]) > _TEXTURED)
    chosen = chosen[:: max(1, len(chosen) // 64)]
    if len(chosen) < 16:
        return 0
    spectra = np.fft.rfft(centred[chosen + 1], axis=1) * np.conj(
        np.fft.rfft(centred[chosen], axis=1)
    )
    shifts = np.fft.irfft(spectra, width, axis=1).argmax(axis=1)
    shifts = np.where(shifts > width // 2, shifts - width, shifts)
    values, counts = np.unique(shifts, return_counts=True)
    commonest = int(values[counts.argmax()])
    return commonest if counts.max() > _SHEARED * len(chosen) else 0
