"""How one place takes its films: who is filmed how, exposure, detector, and a vendor's processing.

An :class:`Acquisition` holds a place's habits; each film's :class:`~.exposure.Exposure` is drawn
around them. Two places differ in more than words: the same patient comes out with other noise,
framing, grey levels and letters. Ranges are set by eye from public films (ChestX-ray14, Hannover),
since no source tells how such settings are distributed over hospitals.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from plainfilm.phantom.disease.prevalence import BEDSIDE


@dataclass(frozen=True)
class Processing:
    """What a vendor's software makes of the detector's signal."""

    flatten: float = 0.18
    """Part of the broad differences, over some 5 cm and more, that is taken out."""
    detail: float = 0.35
    """Gain of fine structures above that of the rest."""
    detail_mm: float = 5.0
    """Size of the structures that count as fine."""
    contrast: float = 1.0
    """Slope of the tone curve, relative to a usual one."""
    brightness: float = 0.0
    """Shift of the tone curve; above 0 the lungs come out brighter."""
    curve: float = 0.5
    """How strongly what is dense is crowded together at the bright end, 0 to 1."""


@dataclass(frozen=True)
class Acquisition:
    """How one place takes its films; the default is an average place."""

    bedside: float = BEDSIDE
    """Share of films taken at the bedside, AP; the others are upright PA."""
    lying: float = 0.45
    """Share of bedside films of which the patient lies flat; the others half sit."""
    breath_mm: float = 0.0
    """How much lower the diaphragm stands than elsewhere: how well people are told to breathe."""
    crop: float = 0.6
    """Share of films cut to the trunk; the others show the whole detector."""
    detector_mm: float = 430.0
    """Side of the detector."""
    centring: float = 1.0
    """Spread of the patient's place and turn, relative to a usual one."""
    noise: float = 1.0
    """Quantum noise, relative to a usual dose."""
    blur_mm: float = 0.35
    """Of detector and focus, as a standard deviation."""
    scatter: float = 0.28
    """Strength of scatter behind an anti-scatter grid."""
    grid: float = 0.4
    """Share of bedside films taken with a grid; without one scatter is twice as strong."""
    bone: float = 1.0
    """Contrast of bone and metal; falls with the tube's voltage."""
    processing: Processing = field(default_factory=Processing)
    lettered: float = 0.75
    """Share of films with a lead letter for the side."""
    right_letter: float = 0.3
    """Share of those letters that are an R."""
    labelled: float = 0.3
    """Share of bedside films on which words like PORTABLE are written."""
    plated: float = 0.2
    """Chance that its lead letters stand in a bright plate."""
    inverted: bool = False
    """Whether its DICOM files are MONOCHROME1."""


TYPICAL = Acquisition()
"""An average place."""


def draw_acquisition(rng: np.random.Generator, bedside: float | None = None) -> Acquisition:
    """Draw a place's habits; its share of bedside films can be given."""
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
