"""Exposure of a film: view, field, geometry, noise and processing."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from plainfilm.core import View
from plainfilm.phantom.anatomy.patient import Patient, clamp
from plainfilm.phantom.anatomy.solids import Camera
from plainfilm.phantom.film.acquisition import TYPICAL, Acquisition, Processing
from plainfilm.phantom.film.nuisance import CLEAN, Nuisance, draw_nuisance


@dataclass(frozen=True)
class Exposure:
    """Settings with which one film was taken and developed."""

    view: View
    field_mm: float
    left_mm: float
    top_mm: float
    rotation_rad: float
    noise: float
    """Quantum noise: about the standard deviation of the log signal behind the mediastinum."""
    blur_mm: float
    shutters: tuple[float, float, float, float]
    """Collimated fraction of the field at left, right, top and bottom."""
    marker: tuple[str, float, float] | None
    """The lead letter, and its position as fractions of the field."""
    plated: bool = False
    """Whether the letter is surrounded by a bright plate."""
    scatter: float = 0.28
    processing: Processing = field(default_factory=Processing)
    """Processing of the detector's signal."""
    nuisance: Nuisance = CLEAN
    """Objects and artefacts on the film that no report mentions."""

    def camera(self, patient: Patient) -> Camera:
        """Return the geometry: PA at 1.8 m with the detector at the front, or AP at about 1.1 m
        with the detector at the back.

        For a lateral film the left side is against the detector, 1.8 m from the source.
        """
        lateral = self.view is View.LATERAL
        return Camera(
            anterior_detector=self.view is not View.AP,
            source_mm=1100 if self.view is View.AP else 1800,
            gap_mm=(patient.width_mm if lateral else patient.depth_mm) + 45,
            rotation_rad=self.rotation_rad - (math.pi / 2 if lateral else 0),
            centre_y=0.5 * patient.height_mm,
        )


DETECTOR_SHARE = 0.93
"""Width that the detector covers in the patient's middle, relative to its own width."""


def draw_exposure(
    rng: np.random.Generator, patient: Patient, bedside: bool, place: Acquisition = TYPICAL
) -> Exposure:
    """Draw a film's exposure with the acquisition settings ``place``; ``bedside`` films are AP, and
    more often tilted and noisy."""
    view = View.AP if bedside else View.PA
    field = (2 * patient.width_mm + 2 * patient.wall_mm) * rng.normal(1.12, 0.05)
    if rng.random() > place.crop:
        field = DETECTOR_SHARE * place.detector_mm
    field = clamp(field, 1.18 * (patient.height_mm + 30), 1.6 * patient.height_mm)
    spread = (9 if bedside else 4) * place.centring
    spare = field - patient.height_mm
    quantum = rng.uniform(0.012, 0.030) if bedside else rng.uniform(0.006, 0.018)
    blur = rng.uniform(0.35, 0.95) if bedside else rng.uniform(0.1, 0.5)
    gridded = not bedside or rng.random() < place.grid
    own = place.processing
    return Exposure(
        view=view,
        field_mm=field,
        left_mm=float(-field / 2 + rng.normal(0, spread)),
        top_mm=float(-spare * clamp(rng.normal(0.42, 0.09), 0.22, 0.62)),
        rotation_rad=float(np.deg2rad(rng.normal(0, place.centring * (3.0 if bedside else 1.5)))),
        noise=float(quantum * place.noise),
        blur_mm=float(math.hypot(blur, place.blur_mm)),
        shutters=tuple(float(s) for s in np.maximum(rng.normal(-0.01, 0.02, 4), 0)),  # type: ignore[arg-type]
        marker=_draw_marker(rng, place),
        plated=bool(rng.random() < place.plated),
        scatter=place.scatter * (1.0 if gridded else 1.7),
        processing=replace(
            own,
            contrast=float(own.contrast * rng.normal(1, 0.06)),
            brightness=float(own.brightness + rng.normal(0, 0.025)),
            detail=float(own.detail * rng.uniform(0.7, 1.3)),
        ),
        nuisance=draw_nuisance(rng.spawn(1)[0], bedside, patient.sex == "F"),
    )


def _draw_marker(rng: np.random.Generator, place: Acquisition) -> tuple[str, float, float] | None:
    there, kind = rng.random(2)
    letter = "R" if kind < place.right_letter else "L"
    x = rng.uniform(0.90, 0.96) if letter == "L" else rng.uniform(0.04, 0.10)
    y = rng.uniform(0.04, 0.14)
    return (letter, float(x), float(y)) if there < place.lettered else None
