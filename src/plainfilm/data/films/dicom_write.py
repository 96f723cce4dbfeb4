"""Simulated films as DICOM: Digital X-Ray Image Storage - For Presentation (PS3.3 A.26), 12 bits.

Only simulated films are written, and each says so in its comments, its patient's name and
``QualityControlImage`` (a phantom), so that none is mistaken for a patient's. UIDs are derived from
the study's id (and for the image from its pixels), so that the same film always has the same UIDs.
Dates are empty, since a simulated film has none.
"""

import hashlib
import io
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from plainfilm import __version__
from plainfilm.core import Image, InputError, Provenance, Study, View, write_atomically
from plainfilm.data.films.dicom import SIMULATED

BITS = 12
PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")
_MOST = 2**BITS - 1
_VIEWS = {
    View.PA: ("PA", ["L", "F"], ("272479007", "postero-anterior")),
    View.AP: ("AP", ["L", "F"], ("399348003", "antero-posterior")),
    View.LATERAL: ("LL", ["P", "F"], ("399173006", "left lateral")),
}
"""View → ViewPosition, PatientOrientation, view code (SNOMED CT, PS3.16 CID 4010)."""
_CHEST = ("816094009", "Chest")


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """Acquisition geometry of a film; distances are along the central ray."""

    tube_voltage_kv: float
    source_to_detector_mm: float
    source_to_patient_mm: float
    """Distance to the plane for which the image's ``spacing_mm`` holds."""

    @property
    def magnification(self) -> float:
        """Magnification of that plane on the detector."""
        return self.source_to_detector_mm / self.source_to_patient_mm


def write_dicom(
    path: Path,
    study: Study,
    acquisition: Acquisition,
    *,
    number: int = 0,
    photometric: str = "MONOCHROME2",
) -> None:
    """Write :func:`dicom_bytes` to ``path``, atomically."""
    content = dicom_bytes(study, acquisition, number=number, photometric=photometric)
    write_atomically(path, content)


def dicom_bytes(
    study: Study,
    acquisition: Acquisition,
    *,
    number: int = 0,
    photometric: str = "MONOCHROME2",
    patient_id: str | None = None,
) -> bytes:
    """Return one film of a simulated study as the bytes of a DICOM file.

    Args:
        study: the study; UIDs are derived from its id, and its table's ``age_years`` and ``sex`` go
            into the header.
        acquisition: geometry of the film.
        number: index of the study's image.
        photometric: ``MONOCHROME2`` (bright = dense, as stored) or ``MONOCHROME1`` (inverted).
        patient_id: the patient's id; default: the study's id.

    Raises:
        InputError: the image is not simulated or not known to be PA, AP or left lateral, the study
            has no id, or ``photometric`` is invalid.
    """
    if photometric not in PHOTOMETRIC:
        raise InputError(
            f"photometric must be one of {', '.join(PHOTOMETRIC)}, got {photometric!r}"
        )
    if not 0 <= number < len(study.images):
        raise InputError(f"study has {len(study.images)} images, got number {number}")
    image = study.images[number]
    if image.provenance is not Provenance.SIMULATED:
        raise InputError("only simulated films are written as DICOM, got a real one")
    if not study.id:
        raise InputError("a study needs an id, from which its UIDs are made; got none")
    if image.view not in _VIEWS:
        raise InputError(f"view must be PA, AP or lateral for a DICOM film, got {image.view}")
    dataset = Dataset()
    _describe_patient(dataset, study, patient_id or study.id)
    _describe_film(dataset, image, acquisition)
    _store_pixels(dataset, image, photometric)
    digest = hashlib.sha256(dataset.PixelData).hexdigest()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid(study.id, "image", str(number), photometric, digest)
    dataset.StudyInstanceUID = uid(study.id, "study")
    dataset.SeriesInstanceUID = uid(study.id, "series", str(number))
    dataset.SeriesNumber = dataset.InstanceNumber = number + 1
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def uid(*parts: str) -> str:
    """Return a UID derived from ``parts``: a name-based UUID under 2.25 (PS3.5 B.2)."""
    name = "/".join(("plainfilm phantom", *parts))
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, name).int}"


def _describe_patient(dataset: Dataset, study: Study, patient_id: str) -> None:
    age, sex = study.table.get("age_years"), study.table.get("sex")
    dataset.PatientName = "PHANTOM^SIMULATED"
    dataset.PatientID = patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = sex if sex in ("F", "M") else ""
    if isinstance(age, float | int) and 0 <= age < 1000:
        dataset.PatientAge = f"{int(age):03d}Y"
    dataset.StudyDate = dataset.StudyTime = dataset.ContentDate = dataset.ContentTime = ""
    dataset.ReferringPhysicianName = dataset.AccessionNumber = ""
    dataset.StudyID = study.id[-16:]
    dataset.StudyDescription = SIMULATED


def _describe_film(dataset: Dataset, image: Image, acquisition: Acquisition) -> None:
    position, orientation, view_code = _VIEWS[image.view]
    dataset.Modality, dataset.PresentationIntentType = "DX", "FOR PRESENTATION"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.Manufacturer, dataset.ManufacturerModelName = "plainfilm", "phantom"
    dataset.SoftwareVersions = __version__
    dataset.SeriesDescription = f"Chest {position}"
    dataset.ImageComments, dataset.QualityControlImage = SIMULATED, "YES"
    dataset.BodyPartExamined, dataset.ImageLaterality = "CHEST", "U"
    dataset.AnatomicRegionSequence = _code(*_CHEST)
    dataset.ViewPosition, dataset.PatientOrientation = position, orientation
    dataset.ViewCodeSequence = _code(*view_code)
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    dataset.PatientOrientationCodeSequence = Sequence()
    dataset.AcquisitionContextSequence = Sequence()
    dataset.DetectorType = ""
    dataset.KVP = _decimal(acquisition.tube_voltage_kv)
    dataset.DistanceSourceToDetector = _decimal(acquisition.source_to_detector_mm)
    dataset.DistanceSourceToPatient = _decimal(acquisition.source_to_patient_mm)
    dataset.EstimatedRadiographicMagnificationFactor = _decimal(acquisition.magnification)
    if image.spacing_mm is not None:
        dataset.PixelSpacing = [_decimal(side) for side in image.spacing_mm]
        dataset.PixelSpacingCalibrationType = "GEOMETRY"
        dataset.PixelSpacingCalibrationDescription = "at the patient's middle, by the distances"
        dataset.ImagerPixelSpacing = [
            _decimal(side * acquisition.magnification) for side in image.spacing_mm
        ]


def _store_pixels(dataset: Dataset, image: Image, photometric: str) -> None:
    stored = np.round(image.pixels * _MOST).astype("<u2")
    inverted = photometric == "MONOCHROME1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS, BITS - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1  # of stored values to exposure
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = str(2 ** (BITS - 1)), str(2**BITS)
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.PixelData = (_MOST - stored if inverted else stored).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _code(value: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return Sequence([item])


def _decimal(value: float) -> str:
    """Return ``value`` as a decimal string of at most 16 characters (PS3.5 6.2, DS)."""
    return f"{value:.9g}"
