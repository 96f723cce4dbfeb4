"""The truth of a film as findings, from the case and the measures of the film.

Every threshold between words is a number here, applied to a measure of the film.
:mod:`plainfilm.phantom.reporting.mention` decides which part of the truth a report mentions.
"""

from collections.abc import Mapping

import numpy as np

from plainfilm.core import Finding, Observation, Severity, Side, Status, View
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.thorax import RIGHT, SIDE_NAMES
from plainfilm.phantom.disease.devices import SIDED, Device
from plainfilm.phantom.disease.disease import MASS_MM, Disease
from plainfilm.phantom.film.device_shapes import tip_on_film
from plainfilm.phantom.film.exposure import Exposure

SIDES = {side: Side(name) for side, name in SIDE_NAMES.items()}

HEART_LIMIT = {View.PA: 0.50, View.AP: 0.54}
"""Cardiothoracic ratio above which a heart is enlarged; an AP film magnifies it."""
BORDERLINE = 0.015
"""Distance from that limit within which heart size is borderline: uncertain."""
HEART_STEPS = (0.06, 0.12)
"""Excess over that limit from which the heart is moderately, severely enlarged."""
EFFUSION_ML = (100.0, 300.0, 700.0)
"""Volumes above which an effusion is small, moderate, large; below the first: trace."""
PNEUMOTHORAX_MM = (12.0, 25.0, 45.0)
"""Apical rims above which a pneumothorax is small, moderate, large; below the first: trace."""
EDEMA_ML = (400.0, 550.0)
"""Extra water of both lungs above which edema is moderate, severe; below the first: mild."""
WIDE_MEDIASTINUM_MM = (95.0, 104.0)
"""Widths at the aortic arch above which widening is moderate, severe; below the first: mild."""
THICKENING_MM = (11.0, 16.0)
"""Pleural thickness above which it is moderate, severe; below the first: mild."""
LEAST: Mapping[str, float] = {
    "effusion_ml": 20.0, "pneumothorax_rim_mm": 4.0, "lesion_diameter_mm": 5.0,
    "pleural_thickness_mm": 5.0, "edema_water_ml": 80.0, "opacity_area_cm2": 6.0,
    "consolidation_area_cm2": 3.0, "atelectasis_area_cm2": 0.8, "fracture_step_mm": 3.0,
    "hernia_diameter_mm": 30.0, "cobb_angle_deg": 10.0, "aortic_calcification_mm": 8.0,
    "emphysema_percent": 6.0,
}  # fmt: skip
"""Measure, without side → smallest size that a reader could see; smaller findings are on the film
but not part of the truth. Set by eye, except for the Cobb angle (the Scoliosis Research Society's
limit)."""
WIDE_FROM_MM = 80.0
"""Width at the aortic arch above which a mediastinum is wide, the textbooks' limit."""
LOW_VOLUME_MM = 146.0
"""Height from the apex to the top of the diaphragm below which lung volumes are low; by eye."""
SHIFT_MM = 10.0
"""Displacement from which a mediastinal shift is stated."""
HERNIA_MM = (50.0, 75.0)
"""Diameters above which a hernia is moderate, large; below the first: small."""
COBB_DEG = (25.0, 40.0)
"""Cobb angles above which scoliosis is moderate, severe; below the first: mild."""
CALCIFICATION_MM = (25.0, 40.0)
"""Lengths of calcified wall above which it is moderate, severe; below the first: mild."""
EMPHYSEMA_PERCENT = (18.0, 30.0)
"""Loss of lung tissue above which emphysema is moderate, severe; below the first: mild."""

Step = tuple[Severity, ...]
AMOUNTS: Step = (Severity.TRACE, Severity.SMALL, Severity.MODERATE, Severity.LARGE)
GRADES: Step = (Severity.MILD, Severity.MODERATE, Severity.SEVERE)


def grade(value: float, limits: tuple[float, ...], words: Step) -> Severity:
    """Return the word for ``value``: the first word below the first limit, and so on."""
    return words[int(np.searchsorted(limits, value, side="left"))]


def truth_of(
    patient: Patient,
    disease: Disease,
    exposure: Exposure,
    measures: Mapping[str, float],
    *,
    infected: bool = False,
) -> tuple[Finding, ...]:
    """Return all visible findings; ``infected`` makes opacities pneumonia."""
    found = (
        *_heart(exposure, measures, disease),
        *_lungs(disease, measures, infected=infected),
        *_pleura(disease, measures),
        *_devices(patient, disease, exposure),
        *_bones(disease, measures),
        *_incidental(disease, measures),
        *_variants(patient, measures),
    )
    return tuple(finding for finding in found if _shows(finding, measures))


def _shows(finding: Finding, measures: Mapping[str, float]) -> bool:
    """Return whether a finding is large enough to be seen."""
    sized = size_of(finding, measures)
    return sized is None or sized[1] >= LEAST.get(sized[0], 0.0)


MEASURED: Mapping[str, str] = {
    Observation.PLEURAL_EFFUSION: "effusion_ml",
    Observation.PNEUMOTHORAX: "pneumothorax_rim_mm",
    Observation.LUNG_LESION: "lesion_diameter_mm",
    Observation.PLEURAL_OTHER: "pleural_thickness_mm",
    Observation.EDEMA: "edema_water_ml",
    Observation.LUNG_OPACITY: "opacity_area_cm2",
    Observation.CONSOLIDATION: "consolidation_area_cm2",
    Observation.ATELECTASIS: "atelectasis_area_cm2",
    Observation.FRACTURE: "fracture_step_mm",
    "mediastinal shift": "mediastinal_shift_mm",
    "hiatal hernia": "hernia_diameter_mm",
    "scoliosis": "cobb_angle_deg",
    "aortic calcification": "aortic_calcification_mm",
    "emphysema": "emphysema_percent",
}
"""Detail or observation → the measure, without side, that decides whether it is stated."""


def size_of(finding: Finding, measures: Mapping[str, float]) -> tuple[str, float] | None:
    """Return the name of a finding's measure, without side, and its size on the larger side; None
    for a finding without a measure."""
    measure = MEASURED.get(finding.detail or "") or MEASURED.get(finding.observation)
    if measure is None or finding.detail == "healed fracture":
        return None
    sides = ("left_", "right_") if finding.side is Side.BILATERAL else (f"{finding.side}_",)
    names = [f"{side if finding.side else ''}{measure}" for side in sides]
    return measure, max(abs(measures[name]) for name in names)


def _heart(exposure: Exposure, measures: Mapping[str, float], disease: Disease) -> list[Finding]:
    excess = measures["cardiothoracic_ratio"] - HEART_LIMIT[exposure.view]
    found = []
    if excess > BORDERLINE:
        found.append(Finding(observation=Observation.CARDIOMEGALY,
                             severity=grade(excess, HEART_STEPS, GRADES)))  # fmt: skip
    elif excess > -BORDERLINE:
        found.append(Finding(observation=Observation.CARDIOMEGALY, status=Status.UNCERTAIN))
    if abs(measures.get("mediastinal_shift_mm", 0.0)) >= SHIFT_MM:
        found.append(Finding(observation=Observation.OTHER, detail="mediastinal shift"))
    if measures["mediastinal_width_mm"] > WIDE_FROM_MM:
        found.append(Finding(
            observation=Observation.ENLARGED_CARDIOMEDIASTINUM,
            severity=grade(measures["mediastinal_width_mm"], WIDE_MEDIASTINUM_MM, GRADES),
        ))  # fmt: skip
    return found


def _lungs(disease: Disease, measures: Mapping[str, float], *, infected: bool) -> list[Finding]:
    found = []
    if disease.edema:
        water = measures["edema_water_ml"]
        found.append(
            Finding(observation=Observation.EDEMA, severity=grade(water, EDEMA_ML, GRADES))
        )
    for opacity in disease.opacities:
        place = {"side": SIDES[opacity.side], "location": opacity.zone}
        name = Observation.CONSOLIDATION if opacity.consolidation else Observation.LUNG_OPACITY
        found.append(Finding(observation=name, **place))
        if infected and _shows(found[-1], measures):
            found.append(Finding(observation=Observation.PNEUMONIA, **place))
    for lesion in disease.lesions:
        if lesion.calcified:
            detail = "calcified granuloma"
        else:
            detail = "mass" if lesion.diameter_mm > MASS_MM else "nodule"
        found.append(Finding(observation=Observation.LUNG_LESION, detail=detail,
                             side=SIDES[lesion.side], location=lesion.zone))  # fmt: skip
    if disease.collapse:
        found.append(Finding(observation=Observation.ATELECTASIS, side=SIDES[disease.collapse.side],
                             location=disease.collapse.lobe))  # fmt: skip
    bands = {
        side: count
        for side, count in disease.bands.items()
        if measures[f"{SIDE_NAMES[side]}_atelectasis_area_cm2"] >= LEAST["atelectasis_area_cm2"]
    }
    if bands:
        side = Side.BILATERAL if len(bands) == 2 else SIDES[next(iter(bands))]
        severity = Severity.MILD if max(bands.values()) < 3 else Severity.MODERATE
        found.append(Finding(observation=Observation.ATELECTASIS, side=side, location="base",
                             severity=severity))  # fmt: skip
    return found


def _pleura(disease: Disease, measures: Mapping[str, float]) -> list[Finding]:
    found = []
    amounts = {
        side: grade(measures[f"{SIDE_NAMES[side]}_effusion_ml"], EFFUSION_ML, AMOUNTS)
        for side in sorted(disease.fluid_top)
        if measures[f"{SIDE_NAMES[side]}_effusion_ml"] >= LEAST["effusion_ml"]
    }
    if len(amounts) == 2 and len(set(amounts.values())) == 1:
        found.append(Finding(observation=Observation.PLEURAL_EFFUSION, side=Side.BILATERAL,
                             severity=amounts[RIGHT]))  # fmt: skip
    else:
        found += [
            Finding(observation=Observation.PLEURAL_EFFUSION, side=SIDES[side], severity=amount)
            for side, amount in amounts.items()
        ]
    if disease.pneumothorax:
        air = disease.pneumothorax
        found.append(Finding(
            observation=Observation.PNEUMOTHORAX, side=SIDES[air.side],
            detail="tension pneumothorax" if air.tension_mm else None,
            location="base" if air.supine else None,
            severity=grade(air.rim_mm, PNEUMOTHORAX_MM, AMOUNTS),
        ))  # fmt: skip
    if disease.pleura:
        side, kind, thickness = disease.pleura
        found.append(Finding(
            observation=Observation.PLEURAL_OTHER, detail="pleural thickening", side=SIDES[side],
            location="apex" if kind == "apical cap" else None,
            severity=grade(thickness, THICKENING_MM, GRADES),
        ))  # fmt: skip
    return found


def _bones(disease: Disease, measures: Mapping[str, float]) -> list[Finding]:
    found = [
        Finding(observation=Observation.FRACTURE, location="rib", detail=detail, side=SIDES[at[0]])
        for at, detail in ((disease.fracture, None), (disease.healed_fracture, "healed fracture"))
        if at is not None
    ]
    if disease.cobb_deg:
        severity = grade(measures["cobb_angle_deg"], COBB_DEG, GRADES)
        found.append(Finding(observation=Observation.OTHER, detail="scoliosis", severity=severity))
    return found


INCIDENTAL: Mapping[str, tuple[tuple[float, ...], Step]] = {
    "emphysema": (EMPHYSEMA_PERCENT, GRADES),
    "hiatal hernia": (HERNIA_MM, (Severity.SMALL, Severity.MODERATE, Severity.LARGE)),
    "aortic calcification": (CALCIFICATION_MM, GRADES),
}
"""Detail → the limits between its words."""


def _incidental(disease: Disease, measures: Mapping[str, float]) -> list[Finding]:
    found = [
        Finding(observation=Observation.OTHER, detail=detail,
                severity=grade(measures[MEASURED[detail]], *steps))
        for detail, steps in INCIDENTAL.items()
        if MEASURED[detail] in measures
    ]  # fmt: skip
    if measures.get("emphysema_percent", 0.0) > EMPHYSEMA_PERCENT[0]:
        found.append(Finding(observation=Observation.OTHER, detail="flattened diaphragm"))
    return found


def _variants(patient: Patient, measures: Mapping[str, float]) -> list[Finding]:
    """Return normal variants, which are sometimes mentioned."""
    names = {
        "azygos lobe": patient.variants.azygos_lobe,
        "low lung volumes": measures["lung_height_mm"] < LOW_VOLUME_MM,
    }
    return [
        Finding(observation=Observation.OTHER, detail=name)
        for name, there in names.items()
        if there
    ]


def _devices(patient: Patient, disease: Disease, exposure: Exposure) -> list[Finding]:
    """Return the devices; a tip that is not on the film has no position."""
    return [
        Finding(
            observation=Observation.SUPPORT_DEVICES,
            detail=device.name,
            side=side,
            location=location,
        )
        for device in disease.devices
        for side, location in [_where(device, patient, exposure)]
    ]


def _where(device: Device, patient: Patient, exposure: Exposure) -> tuple[Side | None, str | None]:
    """Return side and place of a device; for a tip in a bronchus, the bronchus's side."""
    location = device.tip if device.tip and tip_on_film(patient, device, exposure) else None
    if location == "right main bronchus":
        return Side.RIGHT, "main bronchus"
    return SIDES[device.side] if device.name in SIDED else None, location
