"""What a film shows besides anatomy, in the classes of :mod:`plainfilm.core.classes`.

Opacity and edema have no class in the table. A class says what was drawn, also where the report
does not say it; only cardiomegaly, whose heart is a matter of degree, follows the stated truth.
"""

from collections.abc import Mapping
from types import MappingProxyType

from plainfilm.core import Observation, Status
from plainfilm.phantom.case import Case
from plainfilm.phantom.devices import Device, tip_measures, tip_on_film
from plainfilm.phantom.film import letter_mask
from plainfilm.phantom.lungs import SIDE_NAMES
from plainfilm.phantom.simulate import PhantomStudy
from plainfilm.phantom.solids import Mask
from plainfilm.phantom.truth import MASS_MM

SIDED: Mapping[str, str] = MappingProxyType({
    "atelectasis": "Atelectasis", "consolidation": "Consolidation", "effusion": "Effusion",
    "emphysema": "Emphysema", "fracture": "Fracture", "healed fracture": "Fracture",
    "pleural thickening": "Pleural Thickening",
    "pneumothorax": "Pneumothorax",
})  # fmt: skip
"""Mask without its side → class."""
DEVICES: Mapping[str, str] = MappingProxyType({
    "central line": "CVC", "PICC": "CVC", "port": "CVC", "endotracheal tube": "ETT",
    "enteric tube": "NGT", "Swan-Ganz catheter": "Swan Ganz Catheter Present",
    "chest tube": "Pipe", "pacemaker": "electronics", "sternotomy wires": "Stiches",
})  # fmt: skip
"""Device → class, to the first three of which belongs how it lies (:func:`device_class`); every
device is a *Foreign Object* besides."""
POSITIONS: Mapping[str, str] = MappingProxyType({
    "superior vena cava": "Normal", "cavoatrial junction": "Normal", "right atrium": "Borderline",
    "brachiocephalic vein": "Borderline", "subclavian vein": "Abnormal",
    "internal jugular vein": "Abnormal", "carina": "Normal", "upper trachea": "Borderline",
    "right main bronchus": "Abnormal", "stomach": "Normal", "esophagus": "Abnormal",
})  # fmt: skip
"""Tip → how it lies; the table names the grades and does not say where they end."""
ABOVE_CARINA_MM, BELOW_DIAPHRAGM_MM = 25.0, 30.0
"""A tube's tip nearer than this to the carina, or to the diaphragm above it, is *Borderline*."""
DEVICE_CLASSES = (
    *(f"{kind} - {grade}" for kind in ("CVC", "ETT", "NGT")
      for grade in ("Normal", "Borderline", "Abnormal")),
    "NGT - Incompletely Imaged",
    *(name for name in dict.fromkeys(DEVICES.values()) if name not in ("CVC", "ETT", "NGT")),
)  # fmt: skip
"""The classes of devices that the phantom draws."""
ON_SKIN: Mapping[str, str] = MappingProxyType({
    "electrodes": "Sensors", "cables": "Cable", "buttons": "Foreign Object",
    "necklace": "Foreign Object",
})  # fmt: skip
"""What lies on the skin → class; each is a *Foreign Object* besides."""
NUISANCE_CLASSES = ("Sensors", "Cable", "Letters")
"""The classes of what lies on a film and is in no report."""
PATHOLOGY = (*sorted({*SIDED.values(), "Cardiomegaly", "Calcification", "Mass", "Nodule"}),)
"""The pathologies that the phantom draws."""


def finding_masks(phantom: PhantomStudy) -> dict[str, Mask]:
    """Return the masks ``(size, size)`` of the classes of what is there besides anatomy.

    That is pathology, devices, and what lies on the film and is in no report.
    """
    result: dict[str, Mask] = {}

    def add(name: str, mask: Mask) -> None:
        result[name] = result[name] | mask if name in result else mask

    for side in SIDE_NAMES.values():
        for kind, name in SIDED.items():
            if f"{side} {kind}" in phantom.masks:
                add(name, phantom.masks[f"{side} {kind}"])
    for lesion in phantom.case.disease.lesions:
        mask = phantom.masks[f"{SIDE_NAMES[lesion.side]} lesion"]
        add("Mass" if lesion.diameter_mm > MASS_MM else "Nodule", mask)
        if lesion.calcified:
            add("Calcification", mask)
    if "aortic calcification" in phantom.masks:
        add("Calcification", phantom.masks["aortic calcification"])
    if any(
        finding.observation is Observation.CARDIOMEGALY and finding.status is Status.PRESENT
        for finding in phantom.truth
    ):
        add("Cardiomegaly", phantom.masks["heart"])
    for device in phantom.case.disease.devices:
        add(device_class(device, phantom.case), phantom.masks[device.name])
        add("Foreign Object", phantom.masks[device.name])
    for kind, name in ON_SKIN.items():
        if kind in phantom.masks:
            add(name, phantom.masks[kind])
            add("Foreign Object", phantom.masks[kind])
    letters = letter_mask(phantom.case.exposure, phantom.study.images[0].shape)
    if letters.any():
        add("Letters", letters)
    return result


def device_class(device: Device, case: Case) -> str:
    """Return the class of a device by where its tip lies and whether the film shows it."""
    kind = DEVICES[device.name]
    if kind not in ("CVC", "ETT", "NGT") or device.tip is None:
        return kind
    patient, exposure = case.patient, case.exposure
    if kind == "NGT" and not tip_on_film(patient, device, exposure):
        return "NGT - Incompletely Imaged"
    (distance,) = tip_measures(patient, device).values()
    grade = POSITIONS[device.tip]
    if (device.tip == "carina" and distance < ABOVE_CARINA_MM) or (
        device.tip == "stomach" and distance < BELOW_DIAPHRAGM_MM
    ):
        grade = "Borderline"
    return f"{kind} - {grade}"
