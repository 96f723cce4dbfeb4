"""Checks of the picture itself: blank, small, inverted, rotated, not a frontal chest.

The picture is compared with a template of what every frontal chest film shows: two dark lungs, a
bright mediastinum between them, a bright abdomen below and dark air in the upper corners. The fit
is the correlation of grey *ranks* with the template, the best over a few positions and sizes, so
exposure and window do not matter.

Measured on 872 frontal films of ChestX-ray14, Hannover and the literature: all have a fit above
0.25 except two, which are stored inverted (0.54 and 0.66 after correction). None of the other 870
fits better inverted or rotated. Of the same films inverted on purpose 99 % are corrected; of those
lying on a side 99 %, of those upside down 95 % are flagged.
"""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from plainfilm.core import ImageError, Pixels, View
from plainfilm.data.films.lateral import LEAST, lateral_score
from plainfilm.data.films.limits import MOST_PIXELS
from plainfilm.data.films.raster import Raster

_FEWEST_LEVELS = 16
_LEAST_CONTRAST = 0.01
_SMALLEST_SIDE = 256
_LARGEST_ASPECT = 2.0
_BLACK = 2 / 255
_SQUARE = 0.02  # pixels whose sides differ by less count as square
_MOST_STRETCHED = 4.0

_GRID = 32
_SHIFTS_ACROSS, _SHIFTS_DOWN, _SIZES = (-0.06, 0.0, 0.06), (-0.08, 0.0, 0.08), (0.8, 1.0, 1.15)
_CHEST = 0.2  # a film with a lower fit is not a frontal chest film
_CERTAIN = 0.35  # another polarity or turn must fit this well
_AHEAD_INVERTED, _AHEAD_TURNED = 0.5, 0.15  # and this much better: one is mended, one only flagged


def refuse_blank(path: Path, pixels: Pixels) -> None:
    """Raise ImageError if ``(height, width)`` pixels in [0, 1] are blank."""
    step = max(1, min(pixels.shape) // 1024)
    sample = pixels[::step, ::step]
    levels = int(np.count_nonzero(np.bincount(np.round(sample * 255).astype(np.uint8).ravel())))
    if levels < _FEWEST_LEVELS:
        raise ImageError(
            f"{path}: is blank ({levels} grey level{'s' * (levels != 1)}); give a film with content"
        )
    if float(sample.std()) < _LEAST_CONTRAST:
        raise ImageError(f"{path}: is blank (nearly one grey); give a film with content")


def square(raster: Raster) -> None:
    """Resample a film with non-square pixels to square ones, with a warning."""
    height, width = raster.pixels.shape
    spacing = raster.spacing_mm
    ratio = raster.aspect if spacing is None else spacing[0] / spacing[1]
    if abs(ratio - 1) <= _SQUARE:
        return
    size = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    if not 1 / _MOST_STRETCHED <= ratio <= _MOST_STRETCHED or size[0] * size[1] > MOST_PIXELS:
        raster.warnings.append(f"the file says that pixels are {ratio:.2g} times as high as wide: "
                               "ignored")  # fmt: skip
        return
    stretched = PIL.Image.fromarray(raster.pixels).resize(size, PIL.Image.Resampling.BICUBIC)
    raster.pixels = np.asarray(stretched).clip(0, 1)
    if spacing is not None:
        raster.spacing_mm = min(spacing), min(spacing)
    raster.warnings.append(
        f"pixels {ratio:.2g} times as high as wide were resampled to squares: "
        f"{size[0]} × {size[1]} from {width} × {height}"
    )


def mend(path: Path, raster: Raster) -> None:
    """Correct an inverted film if its file does not state the polarity; flag anything doubtful.

    Raises:
        ImageError: the header names another body part, and the picture does not look like a frontal
            chest either.
    """
    height, width = raster.pixels.shape
    if min(height, width) < _SMALLEST_SIDE:
        raster.warnings.append(f"only {width} × {height} pixels: fine detail is lost")
    if max(height, width) > _LARGEST_ASPECT * min(height, width):
        raster.warnings.append(f"{width} × {height} pixels is an unusual shape for a chest film")
    if raster.view in (View.LATERAL, View.OBLIQUE):
        if raster.polarity_doubt:
            raster.warnings.append(f"the header contradicts itself ({raster.polarity_doubt}): "
                                   "bright may be dark, check it")  # fmt: skip
        return
    ranks = grey_ranks(raster.pixels)
    upright, inverted = _fit(ranks), _fit(-ranks)
    if raster.polarity_doubt:
        turned_round = inverted > upright
        if turned_round:
            raster.pixels = np.where(_frame(raster.pixels), 0, 1 - raster.pixels)
            upright, inverted, ranks = inverted, upright, -ranks
        raster.warnings.append(
            f"the header contradicts itself ({raster.polarity_doubt}); by the picture it was "
            + ("turned round to bright = dense" if turned_round else "left as stored")
        )
    if inverted > max(_CERTAIN, upright + _AHEAD_INVERTED):
        if raster.polarity_known:
            raster.warnings.append("looks inverted, against what the header says: check it")
        else:
            raster.pixels = np.where(_frame(raster.pixels), 0, 1 - raster.pixels)
            raster.warnings.append("was stored inverted (lungs bright): turned to bright = dense")
        return
    turned = {90 * turns: _fit(np.rot90(ranks, turns)) for turns in (1, 2, 3)}
    angle = max(turned, key=lambda degrees: turned[degrees])
    if turned[angle] > max(_CERTAIN, upright + _AHEAD_TURNED):
        raster.warnings.append(
            f"seems to lie {'upside down' if angle == 180 else 'on its side'}: turn it before use"
        )
    elif upright < _CHEST and raster.other_part:
        raise ImageError(
            f"{path}: is no chest film (the header says {raster.other_part}, and the picture agrees"
            "); give a chest radiograph"
        )
    elif lateral_score(ranks) > LEAST:
        said = (
            f"but the header says {raster.view}" if raster.view.frontal else "and nothing says so"
        )
        raster.warnings.append(f"looks like a lateral film, {said}: check the view")
    elif upright < _CHEST:
        raster.warnings.append(
            "does not look like a frontal chest film (a lateral, another body part, or unusual)"
        )


def _frame(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return a mask of the black padding around the film, found from the corners."""
    from scipy import ndimage  # takes 0.1 s to import, and few films need it

    parts, _ = ndimage.label(pixels <= _BLACK)
    corners = parts[[0, 0, -1, -1], [0, -1, 0, -1]]
    frame = np.isin(parts, corners[corners > 0])
    return np.asarray(ndimage.binary_dilation(frame, np.ones((3, 3)), 3))  # JPEG blurs edges


def frontal_fit(pixels: Pixels) -> float:
    """Return the fit of ``(height, width)`` pixels to a frontal chest film, in [-1, 1]."""
    return _fit(grey_ranks(pixels))


def _fit(ranks: npt.NDArray[np.float64]) -> float:
    """Return the best correlation of ``(32, 32)`` ranks with the templates, in [-1, 1]."""
    return float((_drawings() @ ranks.ravel()).max())


def grey_ranks(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the grey ranks of the film without its blank borders, ``(32, 32)``, of norm 1."""
    small = _box(pixels, 64)
    rows, columns = (np.flatnonzero(small.std(axis=axis) >= 0.02) for axis in (1, 0))
    if min(rows.size, columns.size) >= 20:
        small = small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    grid = PIL.Image.fromarray(np.ascontiguousarray(small)).resize(
        (_GRID, _GRID), PIL.Image.Resampling.BOX
    )
    order = np.asarray(grid).ravel().argsort(kind="stable").argsort()
    ranks = order - order.mean()
    return np.asarray(ranks / np.linalg.norm(ranks)).reshape(_GRID, _GRID)


def _box(pixels: Pixels, side: int) -> Pixels:
    """Return ``(height, width)`` pixels averaged over a grid of ``side`` × ``side`` boxes."""
    for axis in (0, 1):
        starts = np.arange(side) * pixels.shape[axis] // side
        counts = np.diff(starts, append=pixels.shape[axis]).clip(1)
        sums = np.add.reduceat(pixels, starts, axis=axis)
        pixels = sums / np.expand_dims(counts.astype(np.float32), 1 - axis)
    return pixels


@cache
def _drawings() -> npt.NDArray[np.float64]:
    """Return the templates of a frontal chest, ``(27, 1024)``, each of mean 0 and norm 1."""
    drawings = [
        _drawing(across, down, size)
        for across in _SHIFTS_ACROSS
        for down in _SHIFTS_DOWN
        for size in _SIZES
    ]
    return np.array(drawings)


def _drawing(across: float, down: float, size: float) -> npt.NDArray[np.float64]:
    y, x = (np.mgrid[:_GRID, :_GRID] + 0.5) / _GRID
    middle = 0.5 + across

    def blob(cx: float, cy: float, width: float, height: float) -> npt.NDArray[np.float64]:
        return np.asarray(np.exp(-(((x - cx) / width) ** 2 + ((y - cy) / height) ** 2) / 1.4))

    lungs = sum(
        blob(middle + side * 0.2 * size, 0.42 + down, 0.11 * size, 0.25 * size) for side in (-1, 1)
    )
    mediastinum = blob(middle, 0.5, 0.07 * size, 0.9)
    abdomen = (np.abs(x - middle) < 0.42 * size) / (1 + np.exp((0.78 + down - y) / 0.04))
    corners = np.maximum(blob(0, 0, 0.2, 0.16), blob(1, 0, 0.2, 0.16))
    edges = np.exp(-((x / 0.06) ** 2)) + np.exp(-(((1 - x) / 0.06) ** 2))
    drawing = mediastinum + 0.7 * abdomen - lungs - 0.8 * np.maximum(corners, 0.6 * edges)
    drawing -= drawing.mean()
    return np.asarray(drawing / np.linalg.norm(drawing)).ravel()
