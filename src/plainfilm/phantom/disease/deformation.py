"""How disease deforms the chest: mediastinal shift, raised or flattened domes, a bent spine.

The same solids are then built for the deformed patient, so that masks and structures follow.
"""

from dataclasses import replace

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT
from plainfilm.phantom.disease.disease import Disease

LOBE_LIFT_MM = {"upper lobe": 7.0, "lower lobe": 16.0}
"""Elevation of the diaphragm when a lobe collapses."""


def deformed(patient: Patient, disease: Disease) -> Patient:
    """Return the patient with the chest deformed by the disease."""
    dome = dict(zip((RIGHT, LEFT), patient.dome_mm, strict=True))
    lift = dict(zip((RIGHT, LEFT), patient.lift_mm, strict=True))
    height, ratio = patient.height_mm, patient.cardiothoracic_ratio
    if disease.emphysema:
        height += 20 * disease.emphysema
        ratio *= 1 - 0.14 * disease.emphysema
        for side in dome:
            dome[side] *= 1 - 0.6 * disease.emphysema
    if air := disease.pneumothorax:
        if air.tension_mm:
            dome[air.side] *= 0.5
            lift[air.side] -= 10
        if air.supine:  # the sulcus deepens while the dome stays in place
            lift[air.side] -= air.sulcus_mm
            dome[air.side] += 0.75 * air.sulcus_mm
    if lost := disease.collapse:
        lift[lost.side] += LOBE_LIFT_MM[lost.lobe]
    return replace(
        patient,
        height_mm=height,
        cardiothoracic_ratio=ratio,
        dome_mm=(dome[RIGHT], dome[LEFT]),
        lift_mm=(lift[RIGHT], lift[LEFT]),
        shift_mm=disease.shift_mm,
        cobb_deg=disease.cobb_deg,
    )
