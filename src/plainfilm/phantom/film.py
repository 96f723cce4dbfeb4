"""From attenuation to a film: Beer–Lambert, scatter, blur, noise, and a vendor's processing."""

import numpy as np
from scipy import ndimage

from plainfilm.phantom.patient import Exposure
from plainfilm.phantom.solids import Array, Grid, Mask


def develop(
    attenuation: Array, exposure: Exposure, grid: Grid, rng: np.random.Generator, lungs: Mask
) -> Array:
    """Return the film in [0, 1], bright = dense, of a map of line integrals (no unit).

    Intensity falls by Beer–Lambert; scatter is a broad blur of the primary; quantum noise grows
    where few photons arrive. Processing anchors the tone curve on the lungs and the densest
    tenth, flattens broad gradients and sharpens edges, as vendors do.
    """
    primary = np.exp(-attenuation)
    scatter = 0.40 * _broad(primary * (1 - primary), 38 / grid.spacing_mm)
    signal = primary + scatter + np.float32(0.004)
    signal = ndimage.gaussian_filter(signal, exposure.blur_mm / grid.spacing_mm, truncate=3)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    signal += noise * np.float32(exposure.noise * 0.16) * np.sqrt(signal)
    density = -np.log(np.maximum(signal, np.float32(1e-4)))
    smooth = _broad(density, 7 / grid.spacing_mm)
    broad = _broad(density, 55 / grid.spacing_mm)
    density += np.float32(0.45 * exposure.detail) * (density - smooth)
    density -= np.float32(0.18) * (broad - broad.mean())
    film = _tone(density, exposure, lungs)
    _mark(film, exposure)
    return film


def _broad(values: Array, sigma: float) -> Array:
    """Return a Gaussian blur; a wide one is taken on a coarser grid."""
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
    # dense parts crowd, what is thinner than lung falls off fast
    value = np.where(value > 0, value / (0.5 + 0.5 * np.abs(value)), value * 1.7)
    value = np.float32(0.20) + np.float32(0.66 * exposure.contrast) * value
    value += np.float32(exposure.brightness)
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


def _mark(film: Array, exposure: Exposure) -> None:
    """Lay the lead letter and the shutters onto the film, in place."""
    height, width = film.shape
    if exposure.marker:
        letter, x, y = exposure.marker
        glyph = np.array([[int(c) for c in row] for row in GLYPHS[letter]], dtype=bool)
        rows = max(round(0.042 * height), 7)
        columns = max(round(rows * 5 / 7), 5)
        glyph = glyph[np.arange(rows) * 7 // rows][:, np.arange(columns) * 5 // columns]
        top, left = int(y * (height - rows)), int(x * (width - columns))
        window = film[top : top + rows, left : left + columns]
        window[glyph] = np.maximum(window[glyph], np.float32(0.94))
    left_, right, top_, bottom = exposure.shutters
    shut = np.float32(0.01)
    film[:, : round(left_ * width)] = shut
    film[:, width - round(right * width) :] = shut
    film[: round(top_ * height)] = shut
    film[height - round(bottom * height) :] = shut
