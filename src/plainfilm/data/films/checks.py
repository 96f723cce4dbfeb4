"""What the picture itself says: blank, small, inverted, turned, no chest film.

The film gate (:mod:`plainfilm.data.films.gate`) looks at the picture; here its verdict is held
against what the file says. How often it errs is in ``docs/films.md``.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from plainfilm.core import ImageError, Pixels, View
from plainfilm.data.films.gate import CERTAIN, CHEST, MIRRORED, Verdict, judge
from plainfilm.data.films.lettering import lines_of_text
from plainfilm.data.films.limits import MOST_PIXELS
from plainfilm.data.films.raster import Raster

_FEWEST_LEVELS = 16
_LEAST_CONTRAST = 0.01
_SMALLEST_SIDE = 256
_LARGEST_ASPECT = 2.0
_BLACK = 2 / 255
_SQUARE = 0.02  # pixels whose sides differ by less are square: nobody sees it
_MOST_STRETCHED = 4.0


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


def mend(path: Path, raster: Raster, view: View | None = None) -> None:
    """Turn an inverted film the right way round where nothing says its polarity; judge it.

    What is doubtful goes into ``raster.warnings``; why no draft must be made from the film, if none
    must, into ``raster.refusal``.

    Args:
        path: its file, for messages.
        raster: the film.
        view: what the user says of it, which is not doubted.

    Raises:
        ImageError: header and picture agree that it is no chest film.
    """
    height, width = raster.pixels.shape
    if min(height, width) < _SMALLEST_SIDE:
        raster.warnings.append(f"only {width} × {height} pixels: fine detail is lost")
    if max(height, width) > _LARGEST_ASPECT * min(height, width):
        raster.warnings.append(f"{width} × {height} pixels is an unusual shape for a chest film")
    if lines := lines_of_text(raster.pixels):
        raster.warnings.append(
            f"{lines} line{'s' * (lines > 1)} of text burned into the picture: they may name the "
            "patient, and the model may have read them"
        )
    verdict = judge(raster.pixels)
    seen_inverted = verdict.chest >= CHEST and verdict.inverted > CERTAIN
    if raster.polarity_doubt:
        turned_round = verdict.inverted > 0.5
        if turned_round:
            raster.pixels = np.where(_frame(raster.pixels), 0, 1 - raster.pixels)
            verdict = judge(raster.pixels)
        raster.warnings.append(
            f"the header contradicts itself ({raster.polarity_doubt}); by the picture it was "
            + ("turned round to bright = dense" if turned_round else "left as stored")
        )
    elif seen_inverted and raster.polarity_known:
        raster.warnings.append("looks inverted, against what the header says: check it")
    elif seen_inverted:
        raster.pixels = np.where(_frame(raster.pixels), 0, 1 - raster.pixels)
        raster.warnings.append("was stored inverted (lungs bright): turned to bright = dense")
        verdict = judge(raster.pixels)
    turns = int(np.argmax(verdict.turns))
    turned = bool(turns) and verdict.chest >= CHEST and verdict.turns[turns] > CERTAIN
    if turned:
        lies = "upside down" if turns == 2 else "on its side"
        raster.warnings.append(f"seems to lie {lies}: turn it before use")
        verdict = judge(np.rot90(raster.pixels, turns))
    if View.OBLIQUE in (raster.view, view):  # the gate knows none
        return
    raster.refusal = _refusal(path, raster, verdict)
    if raster.refusal is not None or turned or view is not None:
        return
    if raster.view is View.UNKNOWN and verdict.lateral > CERTAIN:
        raster.view = View.LATERAL
        raster.warnings.append("taken as a lateral film by its picture: nothing else says the view")
    elif raster.view.frontal and verdict.lateral > CERTAIN:
        raster.warnings.append(
            f"the header says {raster.view}, the picture looks like a lateral chest film and is "
            f"taken as one; --view {raster.view} if it is not"
        )
        raster.view = View.LATERAL
    elif verdict.mirrored > MIRRORED and raster.view is not View.LATERAL:
        raster.warnings.append("looks mirrored, or the heart lies on the right: check the sides")


def _refusal(path: Path, raster: Raster, verdict: Verdict) -> str | None:
    """Return why a film must not be drafted from; None where it may."""
    kind = "frontal" if verdict.frontal >= verdict.lateral else "lateral"
    looks = f"the picture looks like a {kind} chest film"
    if raster.modality:
        if not verdict.passes:
            raise ImageError(
                f"{path}: is {raster.modality[1]} (modality {raster.modality[0]}), not a chest "
                "film; give a CR or DX image"
            )
        return f"the header says {raster.modality[0]}, {looks}; --modality DX to go on"
    if raster.other_part:
        if not verdict.passes:
            raise ImageError(
                f"{path}: is no chest film (the header says {raster.other_part}, and the picture "
                "agrees); give a chest radiograph"
            )
        return f"the header says body part {raster.other_part}, {looks}; --force to go on"
    if not verdict.passes:
        return "does not look like a chest film; --force to draft it all the same"
    return None


def _frame(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return a mask of the black padding around the film, found from the corners."""
    from scipy import ndimage  # takes 0.1 s to import, and few films need it

    parts, _ = ndimage.label(pixels <= _BLACK)
    corners = parts[[0, 0, -1, -1], [0, -1, 0, -1]]
    frame = np.isin(parts, corners[corners > 0])
    return np.asarray(ndimage.binary_dilation(frame, np.ones((3, 3)), 3))  # JPEG blurs edges
