"""From attenuation to a film: Beer–Lambert, scatter, blur, noise, and vendor processing."""

import math

import numpy as np
from scipy import ndimage

from plainfilm.phantom.anatomy.solids import Array, Grid, Mask
from plainfilm.phantom.film.exposure import Exposure
from plainfilm.phantom.film.nuisance import Nuisance


def develop(
    attenuation: Array, exposure: Exposure, grid: Grid, rng: np.random.Generator, lungs: Mask
) -> Array:
    """Return the film in [0, 1], bright = dense, from a map of line integrals (dimensionless).

    Intensity follows Beer–Lambert; scatter is a broad blur of the primary radiation; quantum noise
    grows where few photons arrive; too low a dose gives more noise and a flatter film. The
    anti-scatter grid may reduce the signal on one side and leave lines. Processing anchors the tone
    curve on the lungs and the densest tenth, flattens broad gradients and sharpens edges, as
    vendors do.
    """
    primary = np.exp(-attenuation)
    scatter = np.float32(1.4 * exposure.scatter) * _broad(
        primary * (1 - primary), 38 / grid.spacing_mm
    )
    signal = primary + scatter + np.float32(0.004 / exposure.nuisance.dose)
    signal = ndimage.gaussian_filter(signal, exposure.blur_mm / grid.spacing_mm, truncate=3)
    _add_grid(signal, exposure.nuisance, grid)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    strength = exposure.noise * 0.16 / math.sqrt(exposure.nuisance.dose)
    signal += noise * np.float32(strength) * np.sqrt(np.maximum(signal, 0))
    density = -np.log(np.maximum(signal, np.float32(1e-4)))
    vendor = exposure.processing
    smooth = _broad(density, 1.4 * vendor.detail_mm / grid.spacing_mm)
    broad = _broad(density, 55 / grid.spacing_mm)
    density += np.float32(vendor.detail) * (density - smooth)
    density -= np.float32(vendor.flatten) * (broad - broad.mean())
    film = _tone(density, exposure, lungs)
    _mark(film, exposure)
    return film


def _add_grid(signal: Array, nuisance: Nuisance, grid: Grid) -> None:
    """Multiply the signal by the anti-scatter grid's cut-off and lines, in place.

    A pixel averages the lines over its area; lines too fine for the pixels are left out.
    """
    if nuisance.cut_off:
        across = np.linspace(0, 1, grid.shape[1], dtype=np.float32)
        across = across if nuisance.cut_off > 0 else across[::-1]
        signal *= 1 - np.float32(abs(nuisance.cut_off)) * across**2
    lines = nuisance.lines
    if lines is None or lines.period_mm < 2 * grid.spacing_mm:
        return
    fx, fy = (wave(lines.angle_rad) / lines.period_mm for wave in (math.cos, math.sin))
    kept = float(np.sinc(fx * grid.spacing_mm) * np.sinc(fy * grid.spacing_mm))
    phase = np.float32(2 * math.pi) * (np.float32(fx) * grid.x + np.float32(fy) * grid.y)
    signal *= 1 + np.float32(lines.strength * kept) * np.cos(phase)


def _broad(values: Array, sigma: float) -> Array:
    """Return a Gaussian blur; a wide one is computed on a coarser grid."""
    step = int(max(sigma // 3, 1))
    if step == 1:
        blurred: Array = ndimage.gaussian_filter(values, sigma, truncate=2.5)
        return blurred
    height, width = values.shape
    pad = ((0, -height % step), (0, -width % step))
    padded = np.pad(values, pad, mode="edge")
    coarse = padded.reshape(padded.shape[0] // step, step, -1, step).mean(axis=(1, 3))
    coarse = ndimage.gaussian_filter(coarse, sigma / step, truncate=2.5)
    return _enlarge(coarse, step)[:height, :width]


def _enlarge(coarse: Array, step: int) -> Array:
    """Return ``coarse`` linearly interpolated to ``step`` times its size, cell-centred."""
    for axis in (0, 1):
        count = coarse.shape[axis]
        place = (np.arange(count * step, dtype=np.float32) + 0.5) / step - 0.5
        place = np.clip(place, 0, count - 1)
        low = np.minimum(place.astype(np.int64), max(count - 2, 0))
        part = (place - low).astype(np.float32)
        part = part[:, None] if axis == 0 else part[None]
        high = np.minimum(low + 1, count - 1)
        below, above = np.take(coarse, low, axis), np.take(coarse, high, axis)
        coarse = below + part * (above - below)
    return coarse


def _tone(density: Array, exposure: Exposure, lungs: Mask) -> Array:
    body = density[density > 0.55]
    dark = float(np.percentile(body[::7], 6)) if body.size > 100 else 0.6
    if lungs.sum() > 50:
        dark = 0.5 * (dark + float(np.percentile(density[lungs][::5], 22)))
    dense = float(np.percentile(body[::7], 93)) if body.size > 100 else dark + 2
    value = (density - np.float32(dark)) / np.float32(max(dense - dark, 0.6))
    # dense parts are compressed, parts thinner than lung darken quickly
    vendor = exposure.processing
    crowd = np.float32(vendor.curve)
    value = np.where(value > 0, value / (1 - crowd + crowd * np.abs(value)), value * 1.7)
    contrast = vendor.contrast * exposure.nuisance.dose**0.15
    value = np.float32(0.20) + np.float32(0.66 * contrast) * value
    value += np.float32(vendor.brightness)
    # a straight line with a toe and a shoulder: softplus at either end
    toe, shoulder = np.float32(0.075), np.float32(0.05)
    value = toe * np.logaddexp(value / toe, 0, dtype=np.float32)
    value = 1 - shoulder * np.logaddexp((1 - value) / shoulder, 0, dtype=np.float32)
    film: Array = np.clip(value, 0, 1)
    return film


GLYPHS = {
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
}


def letter_mask(exposure: Exposure, shape: tuple[int, int]) -> Mask:
    """Return the mask of the lead letter's strokes on a film of ``shape`` (height, width)."""
    height, width = shape
    mask = np.zeros(shape, dtype=bool)
    if exposure.marker:
        letter, x, y = exposure.marker
        glyph = np.array([[int(c) for c in row] for row in GLYPHS[letter]], dtype=bool)
        rows = max(round(0.042 * height), 7)
        columns = max(round(rows * 5 / 7), 5)
        glyph = glyph[np.arange(rows) * 7 // rows][:, np.arange(columns) * 5 // columns]
        top, left = int(y * (height - rows)), int(x * (width - columns))
        mask[top : top + rows, left : left + columns] = glyph
        mask &= ~_shut(exposure, shape)
    return mask


def _shut(exposure: Exposure, shape: tuple[int, int]) -> Mask:
    """Return the mask of the area behind the collimator's shutters."""
    height, width = shape
    left, right, top, bottom = exposure.shutters
    mask = np.ones(shape, dtype=bool)
    mask[
        round(top * height) : height - round(bottom * height),
        round(left * width) : width - round(right * width),
    ] = False
    return mask


def _mark(film: Array, exposure: Exposure) -> None:
    """Draw the lead letter and the shutters on the film, in place."""
    letter = letter_mask(exposure, film.shape)
    if exposure.plated and letter.any():
        rows, columns = (np.flatnonzero(letter.any(axis=axis)) for axis in (1, 0))
        edge = max(len(rows) // 4, 1)
        plate = film[max(rows[0] - edge, 0) : rows[-1] + edge + 1,
                     max(columns[0] - edge, 0) : columns[-1] + edge + 1]  # fmt: skip
        np.maximum(plate, np.float32(0.6), out=plate)
    film[letter] = np.maximum(film[letter], np.float32(0.94))
    film[_shut(exposure, film.shape)] = np.float32(0.01)
