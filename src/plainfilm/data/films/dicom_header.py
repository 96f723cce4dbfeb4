"""Reading DICOM headers: whether the object is a film, its view, spacing and orientation."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydantic import ValidationError
from pydicom import Dataset
from pydicom.multival import MultiValue

from plainfilm.core import ImageError, Patient, Reference, View
from plainfilm.data.films.raster import Raster

_RADIOGRAPHS = {"CR", "DX", "DR", "RG", "RF", "XA", "PX", "OT", "SC", ""}
_NO_RADIOGRAPHS = {
    "CT": "a CT slice", "MR": "an MR slice", "US": "an ultrasound image", "PT": "a PET slice",
    "NM": "a nuclear medicine image", "MG": "a mammogram", "SEG": "a segmentation",
    "IVUS": "an ultrasound image", "ES": "an endoscopy picture", "OP": "an eye photograph",
    "XC": "a photograph", "GM": "a microscope picture", "SM": "a microscope slide",
    "IO": "a dental film", "BMD": "a bone density scan", "ECG": "an ECG", "DOC": "a document",
    "RTIMAGE": "a radiotherapy image", "RTDOSE": "a dose map", "OCT": "a tomogram",
}  # fmt: skip
_RADIOGRAPH_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1",  # CR; DX is .1.1 and .1.1.1 of it
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1.1",
)
_CAPTURES = tuple(f"1.2.840.10008.5.1.4.1.1.7{part}" for part in ("", ".1", ".2", ".3", ".4"))
"""Secondary Capture: any picture."""
_RIBS = re.compile(r"RIB|STERN|BREAST", re.I)
_CHEST = re.compile(r"CHEST|THORA|LUNG|TORAX|RIB|STERN|HEART|PORT|BREAST|TRUNK|WHOLEBODY", re.I)
_SAID = re.compile(
    r"(?P<pa>\bP\.?A\b|postero-?\s?anterior|\bP-A\b)"
    r"|(?P<ap>\bA\.?P\b|antero-?\s?posterior|\bA-P\b)"
    r"|(?P<lateral>\bLAT(?:ERAL)?\b|\bLL\b|\bRL\b|\bLLAT\b|\bRLAT\b|seitlich|\bprofil)"
    r"|(?P<oblique>\b(?:OBL(?:IQUE)?|[LR][AP]O)\b|\boblique)",
    re.I,
)
_VIEWS = {"pa": View.PA, "ap": View.AP, "lateral": View.LATERAL, "oblique": View.OBLIQUE}
_DESCRIPTIONS = (
    "SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription", "StudyDescription",
)  # fmt: skip
_SPACING = (0.01, 5.0)
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value; None if it is missing or invalid.

    pydicom parses a value on access, and raises then.
    """
    try:
        return dataset.get(keyword)
    except Exception:  # the type of exception depends on the element
        return None


def text(dataset: Dataset, keyword: str) -> str:
    """Return an element as stripped text; empty if it is missing."""
    value = value_of(dataset, keyword)
    return "" if value is None else str(value).strip()


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return an element, or its first value, as a finite float; None if it is not one."""
    value = value_of(dataset, keyword)
    if isinstance(value, MultiValue | list | tuple):
        value = value[0] if len(value) else None
    try:
        result = float(value) if value is not None else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def empty(dataset: Dataset, keyword: str) -> bool:
    """Return whether an element is missing, or present without a value."""
    if keyword not in dataset:
        return True
    found = dataset.get_item(keyword).value
    return found is None or (isinstance(found, str | bytes | list | MultiValue) and not len(found))


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return all numbers of an element; empty if any of them is not finite."""
    found = value_of(dataset, keyword)
    values = list(found) if isinstance(found, MultiValue | list | tuple) else [found]
    try:
        result = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return []
    return result if all(math.isfinite(value) for value in result) else []


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; empty if it is missing or damaged."""
    found = value_of(dataset, keyword)
    return list(found) if isinstance(found, pydicom.Sequence) else []


def mentions(dataset: Dataset, phrase: str) -> bool:
    """Return whether ``phrase`` is in one of the free-text elements that the phantom marks."""
    keywords = (
        "ImageComments",
        "ContentQualification",
        "DerivationDescription",
        "StudyDescription",
    )
    return any(phrase in text(dataset, keyword) for keyword in keywords)


def refuse(path: Path, dataset: Dataset) -> tuple[str, str] | None:
    """Raise ImageError if the header rules out that this is a film.

    Returns:
        The modality of another kind of picture, and what that is, where a Secondary Capture claims
        it: such an object can hold a film, so the picture decides. None for radiographs.
    """
    frames = number(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise ImageError(
            f"{path}: holds {frames:.0f} frames; a film is one image: give a radiograph"
        )
    modality = text(dataset, "Modality").upper()
    radiograph = text(dataset, "SOPClassUID") in _RADIOGRAPH_CLASSES
    if modality not in _NO_RADIOGRAPHS or radiograph:
        return None
    if text(dataset, "SOPClassUID") in _CAPTURES:
        return modality, _NO_RADIOGRAPHS[modality]
    raise ImageError(
        f"{path}: is {_NO_RADIOGRAPHS[modality]} (modality {modality}), not a chest film; "
        "give a CR or DX image"
    )


def flag(dataset: Dataset, warnings: list[str]) -> str | None:
    """Add doubtful or missing elements to ``warnings``; return a body part other than the chest."""
    modality = text(dataset, "Modality").upper()
    if not modality:
        warnings.append("the header does not say the modality")
    elif modality not in _RADIOGRAPHS:
        warnings.append(f"the header calls a radiograph's object modality {modality[:16]}")
    if text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        warnings.append("raw detector data (FOR PROCESSING): contrast is not a film's")
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        warnings.append(
            "the header says that text is burned into the picture: it may name the patient, and "
            "the model may have read it"
        )
    part = text(dataset, "BodyPartExamined")[:16]
    said = [text(dataset, keyword) for keyword in _DESCRIPTIONS]
    if part and not _CHEST.search(part):
        warnings.append(f"the header says body part {part}, not chest")
        return part
    if _RIBS.search(part):
        warnings.append(f"the header says body part {part}: exposed for that, not for the lungs")
    if not part and not any(_CHEST.search(words) for words in said):
        warnings.append("the header does not say that this is a chest")
    return None


def spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    """Return the spacing (between rows, between columns) in mm, at patient or else detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        value = value_of(dataset, keyword)
        if not isinstance(value, MultiValue | list | tuple) or len(value) != 2:
            continue
        try:
            rows, columns = float(value[0]), float(value[1])
        except (TypeError, ValueError):
            continue
        if all(_SPACING[0] <= side <= _SPACING[1] for side in (rows, columns)):
            if keyword == "ImagerPixelSpacing":
                magnification = number(dataset, "EstimatedRadiographicMagnificationFactor") or 1
                if 1 < magnification < 2:
                    return rows / magnification, columns / magnification
            return rows, columns
    return None


def aspect(dataset: Dataset) -> float:
    """Return the height of a pixel divided by its width, from PixelAspectRatio; else 1."""
    ratio = numbers(dataset, "PixelAspectRatio")
    return ratio[0] / ratio[1] if len(ratio) == 2 and min(ratio) > 0 else 1.0


def view(dataset: Dataset, warnings: list[str]) -> tuple[View, str | None]:
    """Return the view and, for a lateral, the side next to the detector.

    Taken from ViewPosition, else ViewCodeSequence, else the first description that names exactly
    one view, else PatientPosition (where PA and AP do not belong, but occur in practice), else for
    a lateral from PatientOrientation.
    """
    position = text(dataset, "ViewPosition").upper()
    codes = items(dataset, "ViewCodeSequence")
    meanings = [text(code, "CodeMeaning") for code in codes]
    found, words = View.UNKNOWN, ""
    for words in (position, *meanings, *(text(dataset, key) for key in _DESCRIPTIONS)):
        kinds = {match.lastgroup or "" for match in _SAID.finditer(words.replace("_", " "))}
        if len(kinds) == 1:
            found = _VIEWS[kinds.pop()]
            break
    misplaced = text(dataset, "PatientPosition").upper()
    if found is View.UNKNOWN and misplaced in ("PA", "AP"):
        found = View(misplaced)
        warnings.append(f"view {found} was taken from PatientPosition, where it does not belong")
    directions = _directions(dataset)
    sideways = directions is not None and bool(set(directions) & set("AP"))
    if directions and found.frontal and sideways:
        warnings.append(f"the header says view {found} but the orientation of a lateral film")
    elif directions and found is View.LATERAL and set(directions) & set("LR"):
        warnings.append("the header says a lateral view but the orientation of a frontal film")
    elif found is View.UNKNOWN and sideways:
        found = View.LATERAL
    side = _lateral_side(words.upper()) if found is View.LATERAL else None
    return found, side


def _lateral_side(words: str) -> str | None:
    left = re.search(r"\bLL\b|\bLEFT\b|\bLLAT\b|\bL LAT", words)
    right = re.search(r"\bRL\b|\bRIGHT\b|\bRLAT\b|\bR LAT", words)
    if bool(left) == bool(right):
        return None
    return "L" if left else "R"


def _directions(dataset: Dataset) -> tuple[str, str] | None:
    """Return the directions of rows and columns by first letter (PS3.3 C.7.6.1.1.1): ("L", "F")."""
    value = value_of(dataset, "PatientOrientation")
    if not isinstance(value, MultiValue | list | tuple) or len(value) != 2:
        return None
    row, column = (str(part).strip().upper()[:1] for part in value)
    known = row in _OPPOSITE and column in _OPPOSITE
    return (row, column) if known and _OPPOSITE[row] != column != row else None


def orient(dataset: Dataset, raster: Raster) -> None:
    """Rotate or mirror the film if PatientOrientation clearly says that it is not upright.

    A lateral film is only rotated, never mirrored.
    """
    directions = _directions(dataset)
    if directions is None or not set(directions) & set("HF"):
        return
    sideways = bool(set(directions) & set("AP"))
    (row, column), turns = directions, 0
    while column != "F" and turns < 4:  # a quarter turn: rows now run where columns did
        row, column = (column, _OPPOSITE[row])
        turns += 1
    mirrored = row == "R" and not sideways
    done = []
    if raster.reference is not None:
        raster.reference = raster.reference.model_copy(
            update={"turns": turns, "mirrored": mirrored}
        )
    if turns:
        raster.pixels = np.rot90(raster.pixels, turns)
        if turns % 2 and raster.spacing_mm is not None:
            raster.spacing_mm = raster.spacing_mm[1], raster.spacing_mm[0]
        if turns % 2:
            raster.aspect = 1 / raster.aspect
        done.append(f"turned by {90 * turns}°")
    if mirrored:
        raster.pixels = raster.pixels[:, ::-1]
        done.append("mirrored")
    if done:
        stored = "\\".join(directions)
        raster.warnings.append(f"{' and '.join(done)} as the header's orientation {stored} says")


def reference(dataset: Dataset, *, identified: bool = False) -> Reference | None:
    """Return the UIDs that identify a DICOM file; None if they are missing or invalid.

    Args:
        dataset: the header.
        identified: also include the patient's identity.
    """
    try:
        return Reference(
            study_uid=text(dataset, "StudyInstanceUID"),
            series_uid=text(dataset, "SeriesInstanceUID"),
            instance_uid=text(dataset, "SOPInstanceUID"),
            class_uid=text(dataset, "SOPClassUID"),
            rows=int(number(dataset, "Rows") or 0),
            columns=int(number(dataset, "Columns") or 0),
            patient=_patient(dataset) if identified else None,
        )
    except ValidationError:
        return None


def _patient(dataset: Dataset) -> Patient:
    return Patient(
        name=text(dataset, "PatientName"),
        id=text(dataset, "PatientID"),
        issuer=text(dataset, "IssuerOfPatientID"),
        birth_date=text(dataset, "PatientBirthDate"),
        sex=text(dataset, "PatientSex"),
        accession_number=text(dataset, "AccessionNumber"),
        study_id=text(dataset, "StudyID"),
        study_date=text(dataset, "StudyDate"),
        study_time=text(dataset, "StudyTime"),
        referring_physician=text(dataset, "ReferringPhysicianName"),
    )
