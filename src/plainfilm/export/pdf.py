"""A drafted report as a PDF to print or to file, and the same inside a DICOM object.

It shows what the page shows of one study: warnings first, the film, the report, what it states.
The file names neither patient nor time unless the study was read with ``identified=True``.
"""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Picture

from plainfilm import __version__
from plainfilm.core import MissingDependencyError, Report, Status, Study
from plainfilm.export import dicom
from plainfilm.export.plain import (
    DISCLAIMER,
    describe_film,
    describe_finding,
    evidence_of,
    probability_of,
    without_folders,
)

if TYPE_CHECKING:
    from fpdf import FPDF

_SIDE = 1024
_MARKS = {Status.PRESENT: "present", Status.UNCERTAIN: "possible", Status.ABSENT: "absent"}
_ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def pdf(study: Study, report: Report) -> bytes:
    """Return the report as a PDF.

    Raises:
        MissingDependencyError: fpdf2 is not installed.
    """
    try:
        from fpdf import FPDF
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("fpdf2", "hospital") from error

    class Page(FPDF):  # type: ignore[misc, unused-ignore]
        def footer(self) -> None:
            self.set_y(-14)
            self.set_font(size=8)
            made = f"plainfilm {__version__}, model {report.model or 'unknown'}"
            self.cell(0, 8, f"{DISCLAIMER}  {made}  page {self.page_no()}/{{nb}}", align="C")

    page = Page(format="A4")
    page.set_title("Draft report")
    page.set_creator(f"plainfilm {__version__}")
    _use_fonts(page)
    page.set_auto_page_break(True, margin=18)
    page.add_page()
    page.set_font(style="B", size=15)
    page.cell(0, 8, "Draft report of a chest film", new_x="LMARGIN", new_y="NEXT")
    for badge in report.badges:
        _line(page, badge.upper(), style="B", colour=(170, 0, 0))
    _line(page, DISCLAIMER, style="B")
    for line in _whose(study):
        _line(page, line)
    _line(page, "Films: " + "; ".join(describe_film(image) for image in study.images))
    for warning in report.warnings:
        _line(page, "! " + without_folders(warning, study.images), colour=(150, 60, 0))
    _show_film(page, study, report)
    for title, text in (("Findings", report.findings), ("Impression", report.impression)):
        if text:
            _heading(page, title)
            _line(page, text, size=11)
    if report.statements:
        _heading(page, "What it states")
        for finding in report.statements:
            probability = probability_of(evidence_of(finding, report))
            sure = "" if probability is None else f"  (classifier {probability:.2f})"
            _line(page, f"{_MARKS[finding.status]}:  {describe_finding(finding)}{sure}", size=9)
    return bytes(page.output())


def dicom_pdf(study: Study, report: Report) -> bytes:
    """Return the PDF as the bytes of a DICOM file (Encapsulated PDF, PS3.3 A.45).

    Raises:
        InputError: a film came from no DICOM file.
        MissingDependencyError: a package is not installed.
    """
    import datetime

    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    references = dicom.references(study)
    document = pdf(study, report)
    dataset = Dataset()
    dicom.describe_patient(dataset, references[0])
    now = datetime.datetime.now()
    dataset.SOPClassUID, dataset.SOPInstanceUID = _ENCAPSULATED_PDF, dicom.new_uid()
    dataset.StudyInstanceUID = references[0].study_uid
    dataset.SeriesInstanceUID = dicom.new_uid()
    dataset.Modality, dataset.SeriesNumber = "DOC", dicom.SERIES["dicom-pdf"]
    dataset.SeriesDescription = "Draft report, unverified"
    dataset.InstanceNumber = 1
    dataset.Manufacturer = dicom.MANUFACTURER
    dataset.ManufacturerModelName = dicom.model_name(report)
    dataset.ConversionType = "WSD"
    dataset.ContentDate, dataset.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES" if references[0].patient else "NO"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.DocumentTitle = "Draft report of a chest film"
    dataset.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic Imaging Report")]
    dataset.SourceInstanceSequence = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.class_uid
        item.ReferencedSOPInstanceUID = reference.instance_uid
        item.PurposeOfReferenceCodeSequence = [
            _code("121322", "DCM", "Source image for image processing operation")
        ]
        dataset.SourceInstanceSequence.append(item)
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(document)
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dicom.file_bytes(dataset)


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _whose(study: Study) -> list[str]:
    reference = study.images[0].reference
    if reference is None or reference.patient is None:
        return []
    told = reference.patient
    name = " ".join(part for part in told.name.split("^") if part)
    parts = (
        ("Patient", name), ("Id", told.id), ("Born", told.birth_date), ("Sex", told.sex),
        ("Study", told.study_date), ("Accession", told.accession_number),
    )  # fmt: skip
    return ["   ".join(f"{label}: {value}" for label, value in parts if value)]


def _use_fonts(page: "FPDF") -> None:
    """Take DejaVu, which matplotlib brings and which has most alphabets; else the PDF's own."""
    found = find_spec("matplotlib")
    if found is not None and found.origin is not None:
        fonts = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
        page.add_font("body", fname=fonts / "DejaVuSans.ttf")
        page.add_font("body", style="B", fname=fonts / "DejaVuSans-Bold.ttf")
        page.set_font("body", size=10)
    else:
        page.set_font("helvetica", size=10)


def _heading(page: "FPDF", text: str) -> None:
    page.ln(2)
    _line(page, text, style="B", size=12)


def _line(
    page: "FPDF",
    text: str,
    *,
    style: Any = "",
    size: int = 10,
    colour: tuple[int, int, int] = (0, 0, 0),
) -> None:
    text = dicom.printable_lines(text.splitlines())
    if page.font_family == "helvetica":  # the PDF's own fonts hold Latin-1 alone
        text = text.encode("latin-1", "replace").decode("latin-1")
    page.set_font(style=style, size=size)
    page.set_text_color(*colour)
    page.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")
    page.set_text_color(0, 0, 0)


def _show_film(page: "FPDF", study: Study, report: Report) -> None:
    image = study.images[dicom.frontal_index(study, report)]
    picture = Picture.fromarray(np.rint(image.pixels * 255).astype(np.uint8))
    picture.thumbnail((_SIDE, _SIDE), Picture.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=88)
    height = 95
    width = height * picture.width / picture.height
    page.ln(2)
    page.image(file, h=height, x=(page.w - width) / 2)
    page.ln(2)
