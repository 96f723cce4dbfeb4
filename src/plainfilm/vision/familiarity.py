"""Out-of-distribution detection: does a film look like those that a model was trained on?

A model knows only the kind of films in its training data, and a file's provenance mark can be lost
or wrong. So a film's appearance is described by thirty numbers (grey levels, power by spatial
frequency in both directions, local contrast). A film is out of distribution if its Mahalanobis
distance from the training films is larger than that of nearly all validation films. An
in-distribution film is no guarantee that the model is right about it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from plainfilm.core import ModelError, Pixels
from plainfilm.vision.preparation import letterbox

Floats = npt.NDArray[np.float64]

SIDE = 192
"""Side, in pixels, of the square at which films are described, whatever the model's input size."""
BANDS = 9
FINEST = 0.36
"""Highest spatial frequency, in cycles per pixel of that square; above it the spectrum depends on
the size at which films were stored."""
FEWEST = 200
"""Minimum number of training films; a quarter of it is the minimum of validation films."""
FAMILIAR = 0.985
"""Share of the validation films within the limit."""


def looks(pixels: Pixels) -> Floats:
    """Return the appearance features of a film ``(height, width)``: a vector of 30 numbers."""
    film = letterbox(np.asarray(pixels), SIDE).astype(np.float64)
    greys = np.quantile(film, (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98))
    window = np.hanning(SIDE)
    spectrum = np.fft.rfft2((film - film.mean()) * window[:, None] * window)
    power = np.square(np.abs(spectrum))
    y, x = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    frequency, across = np.hypot(x, y), np.abs(x) > np.abs(y)
    edges = np.geomspace(2 / SIDE, FINEST, BANDS + 1)
    bands = [
        np.log(power[(frequency >= low) & (frequency < high) & part].mean() + 1e-6)
        for low, high in pairwise(edges)
        for part in (across, ~across)
    ]
    small = film.reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3))
    middle = small[1:-1, 1:-1]
    around = small[2:, 1:-1] + small[:-2, 1:-1] + small[1:-1, 2:] + small[1:-1, :-2]
    contrast = np.quantile(np.abs(around - 4 * middle), (0.25, 0.5, 0.75, 0.95, 0.99))
    return np.concatenate([greys, bands, np.log(contrast + 1e-4)])


@dataclass(frozen=True)
class Domain:
    """Distribution of a model's training films in appearance features."""

    mean: Floats
    """``(features,)``."""
    precision: Floats
    """``(features, features)``, the inverse covariance."""
    limit: float
    """Squared distance above which a film is out of distribution."""

    @classmethod
    def fit(cls, training: Iterable[Pixels], validation: Iterable[Pixels]) -> Self | None:
        """Return the distribution of training films, or None if there are fewer than FEWEST.

        Args:
            training: films of any shape, from which mean and covariance are estimated.
            validation: other films of the same kind, which set the limit.
        """
        seen = np.array([looks(film) for film in training])
        held = np.array([looks(film) for film in validation])
        if len(seen) < FEWEST or len(held) < FEWEST // 4:
            return None
        covariance = np.cov(seen.T)
        covariance += 1e-4 * np.diag(np.diag(covariance)) + 1e-9 * np.eye(len(covariance))
        domain = cls(seen.mean(axis=0), np.linalg.inv(covariance), np.inf)
        distances = [domain._distance(one) for one in held]
        return cls(domain.mean, domain.precision, float(np.quantile(distances, FAMILIAR)))

    def distance(self, pixels: Pixels) -> float:
        """Return the squared Mahalanobis distance of a film ``(height, width)``."""
        return self._distance(looks(pixels))

    def holds(self, pixels: Pixels) -> bool:
        """Return whether a film ``(height, width)`` is within the limit."""
        return self.distance(pixels) <= self.limit

    def _distance(self, described: Floats) -> float:
        away = described - self.mean
        return float(away @ self.precision @ away)

    def save(self, path: Path) -> None:
        """Write the distribution as safetensors."""
        limit = np.array([self.limit])
        save_file({"mean": self.mean, "precision": self.precision, "limit": limit}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file written by :meth:`save`.

        Raises:
            ModelError: the file is damaged, or has the features of another version.
        """
        try:
            stored = load_file(path)
            mean, precision, limit = stored["mean"], stored["precision"], stored["limit"]
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(f"{path} is no description of a model's films: {error}") from error
        features = len(looks(np.zeros((SIDE, SIDE), np.float32)))
        if mean.shape != (features,) or precision.shape != (features, features):
            raise ModelError(
                f"{path} describes films by {mean.shape} numbers, expected ({features},): it was "
                "written by another version; train the model again"
            )
        return cls(mean, precision, float(limit[0]))
