"""A study's findings and devices in the classes of :mod:`plainfilm.phantom.classes`.

Opacity and edema have no class in the table. A class says what was drawn, also where the report
does not say it; only cardiomegaly, whose heart is a matter of degree, follows the stated truth.
"""

from collections.abc import Mapping
from types import MappingProxyType

from plainfilm.core import Observation, Status
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
    "central line": "CVC - Normal", "PICC": "CVC - Normal", "port": "CVC - Normal",
    "endotracheal tube": "ETT - Normal", "pacemaker": "electronics",
    "sternotomy wires": "Stiches",
})  # fmt: skip
"""Device → class where it is well placed; every device is a *Foreign Object* besides."""
PATHOLOGY = (*sorted({*SIDED.values(), "Cardiomegaly", "Calcification", "Mass", "Nodule"}),)
"""The pathologies that the phantom draws."""


def finding_masks(phantom: PhantomStudy) -> dict[str, Mask]:
    """Return the masks ``(size, size)`` of the classes of pathology and devices that are there."""
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
        if device in DEVICES:
            add(DEVICES[device], phantom.masks[device])
        add("Foreign Object", phantom.masks[device])
    return result
