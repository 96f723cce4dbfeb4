"""The lateral film of a study: the same patient and disease, the left side against the detector.

The picture's left is the patient's front. Path lengths along x have closed forms like those along z
(:mod:`plainfilm.phantom.anatomy.thorax`); the patient's right side is magnified more.
"""

from dataclasses import replace

import numpy as np

from plainfilm.core import Image, Provenance, View
from plainfilm.phantom.anatomy.patient import Patient, clamp
from plainfilm.phantom.anatomy.solids import Grid
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.develop import develop
from plainfilm.phantom.film.exposure import Exposure
from plainfilm.phantom.film.projection import Projection, project


def lateral_exposure(frontal: Exposure, patient: Patient, rng: np.random.Generator) -> Exposure:
    """Draw the exposure of the lateral film that goes with a ``frontal`` one."""
    field = clamp(frontal.field_mm * rng.normal(1, 0.03), 1.2 * patient.height_mm, 430)
    spare = field - patient.height_mm
    return replace(
        frontal,
        view=View.LATERAL,
        field_mm=field,
        left_mm=float(-field / 2 + rng.normal(0, 8)),
        top_mm=float(-spare * clamp(rng.normal(0.42, 0.06), 0.25, 0.6)),
        rotation_rad=float(np.deg2rad(rng.normal(0, 2.5))),
        noise=frontal.noise * 1.3,  # a longer path through the body
        marker=None,
    )


def render_lateral(
    patient: Patient,
    disease: Disease,
    frontal: Exposure,
    size: int,
    rng: np.random.Generator,
    source: str,
) -> tuple[Image, Projection]:
    """Return the lateral film, ``(size, size)``, with its masks and measures.

    Args:
        patient: the patient.
        disease: the patient's disease.
        frontal: exposure of the study's frontal film.
        size: side of the film in pixels.
        rng: random generator of the exposure, then of the noise.
        source: value of the image's ``source``.
    """
    exposure = lateral_exposure(frontal, patient, rng)
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = project(patient, disease, exposure, grid)
    lungs = seen.masks["left lung"] | seen.masks["right lung"]
    image = Image(
        pixels=develop(seen.attenuation, exposure, grid, rng, lungs),
        view=View.LATERAL,
        laterality="L",
        spacing_mm=(grid.spacing_mm, grid.spacing_mm),
        provenance=Provenance.SIMULATED,
        source=source,
    )
    return image, seen
