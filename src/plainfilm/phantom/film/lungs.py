"""The lungs in their pleural cavities, and the path lengths of rays in each part."""

from dataclasses import dataclass, replace

import numpy as np

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import (
    Array,
    Camera,
    Grid,
    Interval,
    Mask,
    length,
    length_without,
)
from plainfilm.phantom.anatomy.thorax import SIDE_NAMES, Cavity, Dome, cavity, dome
from plainfilm.phantom.anatomy.tissue import LUNG
from plainfilm.phantom.disease.disease import Disease

THINNED = 0.4
"""Fraction of the lung's tissue lost in the most severe emphysema."""


@dataclass(frozen=True)
class Lung:
    """One lung with its pleural space, during projection."""

    side: int
    cavity: Cavity
    envelope: Cavity
    dome: Dome
    scale: float
    """Magnification on the film."""
    depth: Array
    """Path length through the whole cavity including its contents, mm."""
    inner: Array
    """Path length through the lung's envelope including its contents, mm."""
    full: Array
    """Path length available to lung: the cavity without heart, mediastinum and so on, mm."""
    below: Array
    """Path length through the region below this hemidiaphragm, mm."""
    tissue: Array
    """Path length through lung tissue, mm."""
    air: Array
    """Path length through pleural air, mm."""
    fluid: Array
    """Path length through pleural fluid and thickening, mm."""
    density: float
    """Density of the tissue, 1 if healthy; lower in emphysema."""
    clear: Mask
    """The lung field that annotators outline: not obscured by heart, mediastinum or diaphragm."""

    @property
    def name(self) -> str:
        """``left`` or ``right``."""
        return SIDE_NAMES[self.side]

    @property
    def attenuation(self) -> float:
        """Attenuation of the tissue, 1/mm; a collapsing lung keeps its tissue and loses its air."""
        return LUNG * self.density * (1 + self.envelope.rim_mm / 60)


def make_lung(
    patient: Patient,
    disease: Disease,
    side: int,
    central: list[Interval],
    grid: Grid,
    camera: Camera,
    lateral: bool = False,
) -> Lung:
    """Return one lung with its pleural space.

    Args:
        patient: the patient.
        disease: the disease, which may fill or narrow the pleural space.
        side: RIGHT or LEFT.
        central: intervals of the heart, the great vessels, then all else that displaces lung.
        grid: the detector.
        camera: rotation and magnification; each lung is magnified at its own middle, so that the
            two sides separate on a lateral film, as on real ones.
        lateral: whether the rays come from the side; the mediastinum then obscures nothing.
    """
    whole = cavity(patient, side)
    floor = dome(patient, side, 9.0 if side in disease.bands else 0.0)
    envelope = _envelope(whole, disease)
    rows, columns = whole.window(grid, camera)
    part = Grid(grid.x[:, columns], grid.y[rows], grid.spacing_mm)
    below = floor.interval(whole.own_grid(part, camera), camera)
    outer = whole.interval(part, camera)
    inner = outer if envelope == whole else envelope.interval(part, camera)
    holes = [(near[rows, columns], far[rows, columns]) for near, far in central]
    full = length_without(outer, [*holes, below])
    tissue = full
    if envelope != whole:
        tissue = np.minimum(length_without(inner, [*holes, below]), full)
    between = full - tissue
    airy = envelope.rim_mm > 0
    zero = np.zeros_like(full)
    clear = (full > 2) & (length(below) == 0) & (length(holes[0]) == 0)
    if not lateral:
        clear &= length(holes[1]) == 0

    def whole_grid(values: Array) -> Array:
        result = np.zeros(grid.shape, np.float32)
        result[rows, columns] = values
        return result

    return Lung(
        side=side, cavity=whole, envelope=envelope, dome=floor, scale=whole.scale(camera),
        depth=whole_grid(length(outer)), inner=whole_grid(length(inner)),
        full=whole_grid(full), below=whole_grid(length(below)),
        tissue=whole_grid(tissue), air=whole_grid(between if airy else zero),
        fluid=whole_grid(zero if airy else between), clear=whole_grid(clear.astype(np.float32)) > 0,
        density=1 - THINNED * disease.emphysema,
    )  # fmt: skip


def _envelope(whole: Cavity, disease: Disease) -> Cavity:
    """Return the lung's surface within the pleural cavity ``whole``."""
    envelope = replace(whole, fluid_top=disease.fluid_top.get(whole.side))
    air = disease.pneumothorax
    if air and air.side == whole.side:
        envelope = replace(envelope, rim_mm=air.rim_mm, supine=air.supine,
                           rim_below=0.8 if air.tension_mm else 0.35)  # fmt: skip
    if disease.pleura and disease.pleura[0] == whole.side:
        if disease.pleura[1] == "apical cap":
            envelope = replace(envelope, cap_mm=disease.pleura[2])
        else:
            envelope = replace(envelope, rind_mm=disease.pleura[2])
    return envelope
