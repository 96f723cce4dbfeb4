"""Organs of the mediastinum and the upper abdomen beside heart, lungs and bones, as solids.

The descending aorta displaces lung, so that its left border shows on the film. The others lie
within soft tissue, which one attenuation stands for: they have no shadow of their own and serve
masks alone.
"""

import numpy as np

from plainfilm.phantom.columns import Column
from plainfilm.phantom.patient import Patient
from plainfilm.phantom.thorax import aortic_knob, great_vessels, spine_bend


def descending_aorta(patient: Patient, extra_mm: float) -> Column:
    """Return the aorta from the arch to the diaphragm's hiatus (T12), beside the spine.

    It leaves the arch at the left, as wide as the knob is, narrows by a fifth and comes to lie
    before the spine. Its upper end goes with the mediastinum, the rest with the spine.
    """
    knob, h = aortic_knob(patient, extra_mm), patient.height_mm
    y = np.linspace(knob.centre[1], 0.88 * h, 15)
    t = (y - y[0]) / (y[-1] - y[0])
    free = np.clip(1 - t / 0.3, 0, 1)  # how far it follows the arch
    bend, _ = spine_bend(patient, y)
    beside = 29 - 13 * t**2 + bend
    x = free * knob.centre[0] + (1 - free) * beside
    z = np.interp(t, [0, 0.15, 0.6, 1], [34, 48, 54, 46])
    radius = patient.knob_mm * (1 - 0.2 * t) + 0.3 * extra_mm * (1 - t)
    return Column(*(tuple(v.tolist()) for v in (y, x, z, radius, radius)))


def ascending_aorta(patient: Patient, extra_mm: float) -> Column:
    """Return the aorta from its root to the arch, within the great vessels' right border."""
    knob, h = aortic_knob(patient, extra_mm), patient.height_mm
    vessels = great_vessels(patient, extra_mm)
    y = np.linspace(knob.centre[1], 0.50 * h, 7)
    t = (y - y[0]) / (y[-1] - y[0])
    section = vessels.section(y)
    radius = np.minimum(1.1 * patient.knob_mm, 0.6 * section.half_width)
    right = section.x - 0.97 * section.half_width + radius
    x = right + 14 * t**2  # the root lies behind the breast bone, near the midline
    z = np.interp(t, [0, 0.4, 1], [-12, -26, -20])
    return Column(*(tuple(v.tolist()) for v in (y, x, z, radius, radius)))
