"""What a film shows besides anatomy, in the classes of :mod:`plainfilm.core.classes`.

A class says what was drawn, also where it is too slight to be seen or the report does not say it;
only cardiomegaly, whose heart is a matter of degree, follows the stated truth.
"""

from collections.abc import Mapping
from types import MappingProxyType

from plainfilm.phantom.anatomy.solids import Mask
from plainfilm.phantom.anatomy.thorax import SIDE_NAMES
from plainfilm.phantom.disease.devices import Device
from plainfilm.phantom.disease.disease import MASS_MM
from plainfilm.phantom.film.case import Case
from plainfilm.phantom.film.develop import letter_mask
from plainfilm.phantom.film.device_shapes import tip_measures, tip_on_film

SIDED: Mapping[str, str] = MappingProxyType({
    "atelectasis": "Atelectasis", "consolidation": "Consolidation", "effusion": "Effusion",
    "emphysema": "Emphysema", "fracture": "Fracture", "healed fracture": "Fracture",
    "pleural thickening": "Pleural Thickening",
    "pneumothorax": "Pneumothorax", "opacity": "plainfilm: Lung Opacity",
    "edema": "plainfilm: Edema",
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


def finding_masks(
    case: Case, masks: Mapping[str, Mask], *, enlarged_heart: bool
) -> dict[str, Mask]:
    """Return the masks of the classes of what is there besides anatomy, each of the film's shape.

    That is pathology, devices, and what lies on the film and is in no report.

    Args:
        case: what the film is of.
        masks: the film's, by the names that the projection gives them.
        enlarged_heart: whether the heart counts as *Cardiomegaly*.
    """
    result: dict[str, Mask] = {}

    def add(name: str, mask: Mask) -> None:
        result[name] = result[name] | mask if name in result else mask

    for side in SIDE_NAMES.values():
        for kind, name in SIDED.items():
            if f"{side} {kind}" in masks:
                add(name, masks[f"{side} {kind}"])
    for lesion in case.disease.lesions:
        mask = masks[f"{SIDE_NAMES[lesion.side]} lesion"]
        add("Mass" if lesion.diameter_mm > MASS_MM else "Nodule", mask)
        if lesion.calcified:
            add("Calcification", mask)
    if "aortic calcification" in masks:
        add("Calcification", masks["aortic calcification"])
    if enlarged_heart:
        add("Cardiomegaly", masks["heart"])
    for device in case.disease.devices:
        add(device_class(device, case), masks[device.name])
        add("Foreign Object", masks[device.name])
    for kind, name in ON_SKIN.items():
        if kind in masks:
            add(name, masks[kind])
            add("Foreign Object", masks[kind])
    letters = letter_mask(case.exposure, masks["heart"].shape)
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
