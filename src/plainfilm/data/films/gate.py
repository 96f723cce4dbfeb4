"""The film gate: is this picture a chest film, of which view, which way up, and of which polarity?

A small convolutional network looks at the picture's grey *ranks*, 64 × 64, so that exposure and
window do not matter. It was trained by ``benchmarks/film_gate.py``, which measures it too; its card
lies beside its weights, and ``docs/films.md`` has its error rates. It runs on numpy alone.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

import plainfilm
from plainfilm.core import ModelError, Pixels, errors_as

SIDE = 64
"""Of the square that the network looks at."""
KINDS = ("frontal", "lateral", "neither")
CHEST = 0.5
"""The probability of a chest film, frontal or lateral, from which a picture passes."""
CERTAIN = 0.9
"""The probability from which a film is called turned, inverted, or of another view than is said."""
MIRRORED = 0.98
"""Likewise mirrored; a heart on the right side looks the same."""

_WEIGHTS = Path(plainfilm.__file__).parent / "models/weights/plainfilm-gate/model.safetensors"
_BARE = 0.02
"""Standard deviation of a row or column below which it is a border."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a picture, each in [0, 1]."""

    frontal: float
    lateral: float
    turns: tuple[float, float, float, float]
    """That it stands upright after so many quarter turns counterclockwise."""
    inverted: float
    mirrored: float
    """Of a frontal film, once it is upright."""
    distance: float
    """How far the picture lies from the films that the gate was trained on, 1 being its limit."""

    @property
    def chest(self) -> float:
        """The probability of a chest film."""
        return self.frontal + self.lateral

    @property
    def passes(self) -> bool:
        """Whether the picture may be drafted from."""
        return self.chest >= CHEST and self.distance <= 1


def judge(pixels: Pixels) -> Verdict:
    """Return what the gate says of a film ``(height, width)`` in [0, 1]."""
    network = _network()
    outputs, features = network(prepared(pixels)[None])
    kind, turn, rest = outputs[0, :3], outputs[0, 3:7], outputs[0, 7:]
    kinds, turns = _softmax(kind), _softmax(turn)
    return Verdict(
        frontal=float(kinds[0]),
        lateral=float(kinds[1]),
        turns=(float(turns[0]), float(turns[1]), float(turns[2]), float(turns[3])),
        inverted=float(_sigmoid(rest[0])),
        mirrored=float(_sigmoid(rest[1])),
        distance=network.distance(features[0]),
    )


def prepared(pixels: Pixels, side: int = SIDE) -> Floats:
    """Return grey ranks in [-1, 1], ``(side, side)``, of the film without its bare borders."""
    return ranked(stripped(pixels, side))


def stripped(pixels: Pixels, side: int) -> Floats:
    """Return the film without its bare borders, as the means of ``side`` × ``side`` boxes."""
    small = boxed(pixels, 64)
    rows, columns = (np.flatnonzero(small.std(axis=axis) >= _BARE) for axis in (1, 0))
    if min(rows.size, columns.size) >= 20:
        height, width = pixels.shape
        top, bottom = rows[0] * height // 64, (rows[-1] + 1) * height // 64
        left, right = columns[0] * width // 64, (columns[-1] + 1) * width // 64
        pixels = pixels[top:bottom, left:right]
    return boxed(pixels, side)


def ranked(small: Floats) -> Floats:
    """Return the ranks of greys in [0, 1], in [-1, 1]; equal greys share the middle of theirs."""
    levels = np.rint(small * 255).astype(np.intp).clip(0, 255)
    counts = np.bincount(levels.ravel(), minlength=256)
    middles = (np.cumsum(counts) - counts / 2) / levels.size
    return np.asarray(2 * middles[levels] - 1, dtype=np.float32)


def boxed(pixels: Pixels, side: int) -> Floats:
    """Return ``(height, width)`` pixels as the means of ``side`` × ``side`` boxes."""
    if min(pixels.shape) < side:
        film = PIL.Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
        return np.asarray(film.resize((side, side), PIL.Image.Resampling.BOX))
    for axis in (0, 1):
        starts = np.arange(side) * pixels.shape[axis] // side
        counts = np.diff(starts, append=pixels.shape[axis]).clip(1)
        sums = np.add.reduceat(pixels, starts, axis=axis)
        pixels = sums / np.expand_dims(counts.astype(np.float32), 1 - axis)
    return pixels


@dataclass(frozen=True)
class _Network:
    """Convolutions with batch norms folded in, a hidden layer and an output layer."""

    convolutions: tuple[tuple[Floats, Floats, int], ...]
    """(weights ``(out, in, k, k)``, biases, stride)."""
    hidden: tuple[Floats, Floats]
    output: tuple[Floats, Floats]
    mean: Floats
    """Of the hidden layer over the training films."""
    precision: Floats
    """``(features, features)``, the inverse covariance over the limit."""

    def __call__(self, pictures: Floats) -> tuple[Floats, Floats]:
        """Return outputs and features of ``(batch, SIDE, SIDE)`` ranks."""
        maps = pictures[:, None]
        for weights, biases, stride in self.convolutions:
            maps = np.maximum(_convolve(maps, weights, stride) + biases[:, None, None], 0)
        flat = maps.reshape(len(maps), -1)
        features = np.maximum(flat @ self.hidden[0].T + self.hidden[1], 0)
        return features @ self.output[0].T + self.output[1], features

    def distance(self, features: Floats) -> float:
        """Return the squared Mahalanobis distance over its limit."""
        away = features - self.mean
        return float(away @ self.precision @ away)


def _convolve(maps: Floats, weights: Floats, stride: int) -> Floats:
    """Return the convolution of ``(batch, in, height, width)``, padded by half the kernel."""
    size = weights.shape[-1]
    padded = np.pad(maps, ((0, 0), (0, 0), (size // 2, size // 2), (size // 2, size // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    batch, _, rows, columns = windows.shape[:4]
    columns_of = windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch * rows * columns, -1)
    found = columns_of @ weights.reshape(len(weights), -1).T
    return np.ascontiguousarray(found.reshape(batch, rows, columns, -1).transpose(0, 3, 1, 2))


@cache
def _network() -> _Network:
    """Return the shipped network.

    Raises:
        ModelError: its file is missing or damaged.
    """
    from safetensors.numpy import load_file

    with errors_as(ModelError, f"cannot read {_WEIGHTS}", "install plainfilm again"):
        stored = {name: value.astype(np.float32) for name, value in load_file(_WEIGHTS).items()}
        count = sum(name.endswith(".stride") for name in stored)
        return _Network(
            tuple(
                (
                    stored[f"conv{n}.weight"],
                    stored[f"conv{n}.bias"],
                    int(stored[f"conv{n}.stride"][0]),
                )
                for n in range(count)
            ),
            (stored["hidden.weight"], stored["hidden.bias"]),
            (stored["output.weight"], stored["output.bias"]),
            stored["mean"],
            stored["precision"],
        )


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum())


def _sigmoid(logit: np.float32) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))
