"""What all DICOM objects of a draft share: what they cite, whose they are, what made them.

They are built on headers that hold no more than the film's UIDs, so that nothing of the patient
reaches a file unless the study was read with ``identified=True``; then the patient and study
modules are copied, as a PACS needs them to put the objects beside the film.
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plainfilm import __version__
from plainfilm.core import InputError, MissingDependencyError, Patient, Reference, Report, Study

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "plainfilm"
SERIES = {"dicom-sr": 9801, "dicom-seg": 9802, "dicom-sc": 9803, "dicom-pdf": 9804}
"""Format → series number, high so that the results stand behind a study's films."""


def references(study: Study) -> list[Reference]:
    """Return what each film of the study is called.

    Raises:
        InputError: a film came from no DICOM file, or the films are of several studies.
    """
    found = []
    for image in study.images:
        if image.reference is None:
            raise InputError(
                f"{image.source or 'a film'} is in no DICOM object that a result could cite: give "
                "the DICOM file, or write fhir, hl7, pdf, json, html or text"
            )
        found.append(image.reference)
    if len({reference.study_uid for reference in found}) > 1:
        raise InputError("the films belong to several DICOM studies; a result belongs to one")
    return found


def sources(study: Study) -> "list[Dataset]":
    """Return a header for each film, with what a result copies from it and nothing else."""
    from pydicom import Dataset

    headers = []
    for reference in references(study):
        header = Dataset()
        describe_patient(header, reference)
        header.StudyInstanceUID = reference.study_uid
        header.SeriesInstanceUID = reference.series_uid
        header.SOPInstanceUID = reference.instance_uid
        header.SOPClassUID = reference.class_uid
        header.Rows, header.Columns = reference.rows, reference.columns
        header.Modality, header.SamplesPerPixel = "DX", 1
        headers.append(header)
    return headers


def describe_patient(header: "Dataset", reference: Reference) -> None:
    """Fill the patient and study modules of a header; all is empty unless it was asked for."""
    told = reference.patient or Patient()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName = _clean(told.name, 64)
    header.PatientID = _clean(told.id, 64)
    if told.issuer:
        header.IssuerOfPatientID = _clean(told.issuer, 64)
    header.PatientBirthDate = _matching(r"\d{8}", told.birth_date)
    header.PatientSex = _matching("[MFO]", told.sex)
    header.AccessionNumber = _clean(told.accession_number, 16)
    header.StudyID = _clean(told.study_id, 16)
    header.StudyDate = _matching(r"\d{8}", told.study_date)
    header.StudyTime = _matching(r"\d{6}(\.\d{1,6})?", told.study_time)
    header.ReferringPhysicianName = _clean(told.referring_physician, 64)


def model_name(report: Report) -> str:
    """Return the name of the model, as an element of 64 characters holds it."""
    return _clean(report.model or "unknown", 64)


def new_uid() -> str:
    """Return a UID that nobody has: a random UUID under 2.25 (PS3.5 B.2)."""
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=None))


def file_bytes(dataset: "Dataset") -> bytes:
    """Return the object as the bytes of a DICOM file."""
    dataset.SoftwareVersions = __version__
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def highdicom_missing(error: ModuleNotFoundError) -> MissingDependencyError:
    """Return the error for a package that the extra ``hospital`` brings."""
    return MissingDependencyError.of((error.name or "highdicom").partition(".")[0], "hospital")


def frontal_index(study: Study, report: Report) -> int:
    """Return which film the draft's evidence lies on, else the frontal one."""
    told = next((item.image for item in report.evidence if item.heatmap), None)
    return told if told is not None else study.frontal or 0


def printable_lines(lines: Sequence[str]) -> str:
    """Return lines of text free of control characters."""
    return "\n".join("".join(c for c in line if c.isprintable()) for line in lines)


def _clean(value: str, longest: int) -> str:
    r"""Return a value that one element holds: no control characters, no ``\``, not too long."""
    return "".join(c for c in value if c.isprintable() and c != "\\")[:longest]


def _matching(pattern: str, value: str) -> str:
    return value if re.fullmatch(pattern, value) else ""
