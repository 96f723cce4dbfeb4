"""Organs of the mediastinum and the upper abdomen except heart, lungs and bones, as solids.

The descending aorta displaces lung, so that its left border shows on the film. The others lie
within soft tissue of the same attenuation: they have no shadow of their own, and are used for
masks only.
"""

from dataclasses import replace

import numpy as np

from plainfilm.phantom.anatomy.columns import Column
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import Ellipsoid
from plainfilm.phantom.anatomy.thorax import (
    LEFT,
    RIGHT,
    aortic_knob,
    dome,
    great_vessels,
    heart,
    spine_bend,
)
from plainfilm.phantom.anatomy.vessels import Points, central_artery

MYOCARDIUM_MM = 10.0
"""Thickness of the left ventricle's wall."""


def descending_aorta(patient: Patient, extra_mm: float) -> Column:
    """Return the aorta from the arch to the diaphragm's hiatus (T12), beside the spine.

    It leaves the arch on the left, as wide as the knob, narrows by a fifth and ends up in front of
    the spine. Its upper end moves with the mediastinum, the rest with the spine.
    """
    knob, h = aortic_knob(patient, extra_mm), patient.height_mm
    y = np.linspace(knob.centre[1], 0.88 * h, 15)
    t = (y - y[0]) / (y[-1] - y[0])
    free = np.clip(1 - t / 0.3, 0, 1)  # how closely it follows the arch
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


def left_ventricles_cavity(ventricle: Ellipsoid) -> Ellipsoid:
    """Return the cavity within the left ventricle's wall."""
    a, b, c = ventricle.radii
    return replace(ventricle, radii=(a - MYOCARDIUM_MM, b - MYOCARDIUM_MM, c - MYOCARDIUM_MM))


def inferior_vena_cava(patient: Patient, ratio: float) -> Column:
    """Return the vein from the abdomen, right of the spine, to the right atrium."""
    atrium, h = heart(patient, ratio)[1], patient.height_mm
    x, y, _ = atrium.centre
    low = (1.02 * h, 1.15 * h, 1.5 * h)
    return Column(
        y=(y + 0.55 * atrium.radii[1], *low),
        x=(min(x, -14.0), -17.0, -18.0, -15.0),
        z=(0.0, 26.0, 36.0, 38.0),
        half_width=(12.0, 11.0, 10.0, 9.0),
        half_depth=(12.0, 11.0, 10.0, 9.0),
    )


def pulmonary_trunk(patient: Patient, ratio: float) -> tuple[Points, float]:
    """Return (axis, radius) of the trunk, from the outflow tract to the left pulmonary artery."""
    outflow = heart(patient, ratio)[2]
    x, y, _ = outflow.centre
    end = central_artery(patient, LEFT)[0][0]
    start = np.array([x - 4, min(y, end[1] + 40), -44.0])
    return np.stack([start, 0.5 * (start + end) + (0, -6, -8), end]), 12.0 * patient.vessels


def esophagus(patient: Patient) -> Points:
    """Return the axis ``(n, 3)`` from the neck, behind the trachea, to the gastric cardia."""
    h = patient.height_mm
    floor = dome(patient, LEFT).top(0.42 * patient.width_mm)
    return np.array([
        (3, -120, -10), (1, -30, 10), (1, 0.10 * h, 24), (4, 0.31 * h, 32), (6, 0.60 * h, 30),
        (14, floor - 4, 20),
    ])  # fmt: skip


ESOPHAGUS_MM = 7.0
"""Radius of the esophagus."""


def liver(patient: Patient) -> list[Ellipsoid]:
    """Return the (right, left) lobe; only the part below the diaphragm belongs to the liver.

    The right lobe extends about 16 cm down from the dome along the lateral wall; the left one ends
    beneath the heart.
    """
    w = patient.width_mm
    top = dome(patient, RIGHT).top(0.43 * w)
    right = Ellipsoid((-0.46 * w, top + 76, -4), (0.54 * w, 84, 0.8 * patient.depth_mm), 0.12)
    left = Ellipsoid((0.04 * w, top + 62, -26), (0.40 * w, 36, 0.5 * patient.depth_mm), -0.12)
    return [right, left]


def kidney(patient: Patient, side: int) -> Ellipsoid:
    """Return a kidney, 10 cm long, centred beside L1 on the left and L2 on the right."""
    y = (0.95 if side == LEFT else 0.99) * patient.height_mm
    return Ellipsoid((side * 56.0, y, 58), (27, 50, 24), -side * 0.2)
