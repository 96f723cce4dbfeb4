"""Masks of pathology, devices and nuisances, in the classes of :mod:`plainfilm.core.classes`.

A class shows what was simulated, even if it is too small to be seen or the report does not mention
it; only cardiomegaly, a matter of degree, follows the truth.
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
"""Device → class; the first three are completed by the tip's position (:func:`device_class`). Every
device is also a *Foreign Object*."""
POSITIONS: Mapping[str, str] = MappingProxyType({
    "superior vena cava": "Normal", "cavoatrial junction": "Normal", "right atrium": "Borderline",
    "brachiocephalic vein": "Borderline", "subclavian vein": "Abnormal",
    "internal jugular vein": "Abnormal", "carina": "Normal", "upper trachea": "Borderline",
    "right main bronchus": "Abnormal", "stomach": "Normal", "esophagus": "Abnormal",
})  # fmt: skip
"""Tip → grade of its position; the table names the grades without defining them."""
ABOVE_CARINA_MM, BELOW_DIAPHRAGM_MM = 25.0, 30.0
"""A tip closer than this above the carina, or below the diaphragm, is *Borderline*."""
DEVICE_CLASSES = (
    *(f"{kind} - {grade}" for kind in ("CVC", "ETT", "NGT")
      for grade in ("Normal", "Borderline", "Abnormal")),
    "NGT - Incompletely Imaged",
    *(name for name in dict.fromkeys(DEVICES.values()) if name not in ("CVC", "ETT", "NGT")),
)  # fmt: skip
"""Classes of devices that the phantom simulates."""
ON_SKIN: Mapping[str, str] = MappingProxyType({
    "electrodes": "Sensors", "cables": "Cable", "buttons": "Foreign Object",
    "necklace": "Foreign Object",
})  # fmt: skip
"""Object on the skin → class; each is also a *Foreign Object*."""
NUISANCE_CLASSES = ("Sensors", "Cable", "Letters")
"""Classes of objects that no report mentions."""
PATHOLOGY = (*sorted({*SIDED.values(), "Cardiomegaly", "Calcification", "Mass", "Nodule"}),)
"""Classes of pathology that the phantom simulates."""


def finding_masks(
    case: Case, masks: Mapping[str, Mask], *, enlarged_heart: bool
) -> dict[str, Mask]:
    """Return the masks of non-anatomical classes, each of the film's shape: pathology, devices, and
    objects that no report mentions.

    Args:
        case: the film's case.
        masks: the film's masks, by the projection's names.
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
    """Return the class of a device, by its tip's position and whether the film shows it."""
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
