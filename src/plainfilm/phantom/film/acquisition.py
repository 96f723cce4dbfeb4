"""How an institution takes its films: positioning, exposure, detector, and vendor processing.

An :class:`Acquisition` holds an institution's settings; each film's :class:`~.exposure.Exposure`
is drawn around them. Institutions differ in more than words: the same patient's film has other
noise, framing, grey levels and letters. Ranges are set by eye from public films (ChestX-ray14,
Hannover), since no source says how such settings are distributed over hospitals.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from plainfilm.phantom.disease.prevalence import BEDSIDE


@dataclass(frozen=True)
class Processing:
    """Settings of a vendor's image processing."""

    flatten: float = 0.18
    """Fraction of broad gradients (over about 5 cm and more) that is removed."""
    detail: float = 0.35
    """Additional gain of fine structures."""
    detail_mm: float = 5.0
    """Size of structures that count as fine."""
    contrast: float = 1.0
    """Slope of the tone curve, relative to a typical one."""
    brightness: float = 0.0
    """Shift of the tone curve; positive values make the lungs brighter."""
    curve: float = 0.5
    """Compression of dense areas at the bright end, 0 to 1."""


@dataclass(frozen=True)
class Acquisition:
    """Acquisition settings of one institution; the default is an average one."""

    bedside: float = BEDSIDE
    """Share of films taken at the bedside, AP; the others are upright PA."""
    lying: float = 0.45
    """Share of bedside films of supine patients; the others are semi-upright."""
    breath_mm: float = 0.0
    """Shift of the diaphragm downwards: how well patients are instructed to breathe in."""
    crop: float = 0.6
    """Share of films cropped to the trunk; the others show the whole detector."""
    detector_mm: float = 430.0
    """Side of the detector."""
    centring: float = 1.0
    """Spread of the patient's position and rotation, relative to a typical one."""
    noise: float = 1.0
    """Quantum noise, relative to a typical dose."""
    blur_mm: float = 0.35
    """Standard deviation of the blur of detector and focal spot."""
    scatter: float = 0.28
    """Strength of scatter behind an anti-scatter grid."""
    grid: float = 0.4
    """Share of bedside films taken with a grid; without it scatter is twice as strong."""
    bone: float = 1.0
    """Contrast of bone and metal, which decreases with tube voltage."""
    processing: Processing = field(default_factory=Processing)
    lettered: float = 0.75
    """Share of films with a lead side marker."""
    right_letter: float = 0.3
    """Share of those letters that are an R."""
    labelled: float = 0.3
    """Share of bedside films with a label such as PORTABLE."""
    plated: float = 0.2
    """Probability that lead letters are surrounded by a bright plate."""
    inverted: bool = False
    """Whether DICOM files are MONOCHROME1."""


TYPICAL = Acquisition()
"""An average institution."""


def draw_acquisition(rng: np.random.Generator, bedside: float | None = None) -> Acquisition:
    """Draw an institution's settings; its share of bedside films can be given."""
    kind = rng.random()
    vendor = Processing(
        flatten=float(rng.uniform(0.05, 0.30)),
        detail=float(rng.uniform(0.10, 0.60)),
        detail_mm=float(rng.uniform(2.5, 7.0)),
        contrast=float(rng.uniform(0.85, 1.15)),
        brightness=float(rng.normal(0, 0.03)),
        curve=float(rng.uniform(0.3, 0.65)),
    )
    if kind < 0.3:  # all structures brought to one contrast: grey hearts, strong edges
        vendor = replace(
            vendor,
            flatten=float(rng.uniform(0.35, 0.6)),
            detail=float(rng.uniform(0.6, 1.3)),
            contrast=float(rng.uniform(0.95, 1.25)),
        )
    elif kind < 0.5:  # a long grey scale, as of early digital plates
        vendor = replace(vendor, contrast=float(rng.uniform(0.6, 0.8)), flatten=0.05)
    return Acquisition(
        bedside=float(rng.beta(2.2, 5.5)) if bedside is None else bedside,
        lying=float(rng.uniform(0.2, 0.7)),
        breath_mm=float(rng.normal(0, 4)),
        crop=float(rng.uniform(0.2, 0.95)),
        detector_mm=float(rng.choice([350.0, 430.0, 430.0])),
        centring=float(rng.uniform(0.7, 1.6)),
        noise=float(np.exp(rng.normal(0, 0.35))),
        blur_mm=float(rng.uniform(0.2, 0.6)),
        scatter=float(rng.uniform(0.2, 0.42)),
        grid=float(rng.uniform(0.0, 0.9)),
        bone=float(np.exp(rng.normal(0, 0.15))),
        processing=vendor,
        lettered=float(rng.uniform(0.5, 1.0)),
        right_letter=float(rng.beta(0.6, 1.2)),
        labelled=float(rng.beta(0.8, 1.2)),
        plated=float(rng.beta(0.4, 0.8)),
        inverted=bool(rng.random() < 0.3),
    )
