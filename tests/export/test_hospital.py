"""What a hospital's systems take: read back by other people's libraries and validators."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from plainfilm.core import InputError, Patient, Reference
from plainfilm.export.formats import FORMS, form

SCRIPT = "<script>alert(1)</script>"
REFERENCE = Reference(
    study_uid="1.2.3.4",
    series_uid="1.2.3.5",
    instance_uid="1.2.3.6",
    class_uid="1.2.840.10008.5.1.4.1.1.1.1",
    rows=64,
    columns=48,
)
PATIENT = Patient(
    name="Doe^Jane|PID^<b>",
    id="4711~X",
    birth_date="19700101",
    sex="F",
    accession_number="A-1",
    study_date="20260102",
    study_time="101112",
    referring_physician="House^Gregory",
)
DICOM = [name for name in FORMS if name.startswith("dicom")]


def with_reference(study, **changes):
    image = study.images[0]
    reference = REFERENCE.model_copy(update=changes)
    return study.model_copy(update={"images": (image.model_copy(update={"reference": reference}),)})


@pytest.fixture
def cited(study):
    return with_reference(study)


@pytest.fixture
def identified(study):
    return with_reference(study, patient=PATIENT)


def written(name, study, report):
    pytest.importorskip("fpdf" if "pdf" in name else "highdicom", reason="extra 'hospital'")
    return form(name).write(study, report)


def parsed(name, study, report):
    return pydicom.dcmread(io.BytesIO(written(name, study, report)))


@pytest.fixture
def segmented(cited):
    from plainfilm.core.study import Maps

    values = np.zeros((3, 8, 8), dtype=np.float32)
    values[0, 2:4, 2:6] = 1
    values[1, :, :4] = 1
    maps = Maps(classes=("heart", "lungs", "aorta"), values=values, source="truth")
    return cited.model_copy(update={"maps": (maps,)})


@pytest.mark.parametrize("name", DICOM)
def test_dicom_cites_the_film_and_nobody(name, segmented, report):
    found = parsed(name, segmented, report)
    assert found.StudyInstanceUID == "1.2.3.4"
    assert found.SeriesInstanceUID != "1.2.3.5"
    text = str(found)
    assert "1.2.3.6" in text
    assert not found.PatientName
    assert not found.PatientID
    assert "Nobody" not in text
    assert found.SoftwareVersions


@pytest.mark.parametrize("name", DICOM)
def test_whose_it_is_is_told_where_it_was_asked_for(name, segmented, identified, report):
    study = identified.model_copy(update={"maps": segmented.maps})
    found = parsed(name, study, report)
    assert found.PatientID == "4711~X"
    assert (found.PatientBirthDate, found.PatientSex, found.StudyDate) == (
        "19700101", "F", "20260102",
    )  # fmt: skip


@pytest.mark.parametrize("name", DICOM)
def test_a_film_without_dicom_is_not_cited(name, study, report):
    with pytest.raises(InputError, match="no DICOM object that a result could cite"):
        written(name, study, report)


@pytest.mark.parametrize("name", DICOM)
def test_dciodvfy_finds_no_error(name, segmented, identified, report, tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    study = identified.model_copy(update={"maps": segmented.maps})
    path = tmp_path / "object.dcm"
    path.write_bytes(written(name, study, report))
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    assert "Error" not in said.stderr + said.stdout


def test_the_structured_report_says_what_the_draft_says(cited, report):
    sr = pytest.importorskip("highdicom.sr", reason="extra 'hospital'")
    dataset = pydicom.dcmread(io.BytesIO(written("dicom-sr", cited, report)))
    found = sr.ComprehensiveSR.from_dataset(dataset)
    assert (found.CompletionFlag, found.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert found.PreliminaryFlag == "PRELIMINARY"
    (root,) = found.content
    sections = {one.name.value: one for one in root.ContentSequence if one.ValueType == "CONTAINER"}
    findings, impressions = (sections[code].ContentSequence for code in ("121070", "121072"))
    coded = [item for item in findings if item.ValueType == "CODE"]
    texts = [item.value for item in findings if item.ValueType == "TEXT"]
    assert texts[0] == "Draft for a radiologist. Not a diagnosis."
    assert texts[-1] == report.findings
    assert impressions[0].value == report.impression
    assert [item.value.value for item in coded] == ["60046008", "36118008", "233604007"]
    said = {
        child.name.meaning: child.value.meaning
        for child in coded[0].ContentSequence
        if child.ValueType == "CODE"
    }
    assert said == {"Status": "Present", "Laterality": "Right", "Severity": "Small"}
    assert coded[1].ContentSequence[0].value.meaning == "Absent"
    assert coded[2].ContentSequence[0].value.meaning == "Uncertain"


def test_segments_lie_where_the_maps_do(segmented, report):
    seg = pytest.importorskip("highdicom.seg", reason="extra 'hospital'")
    dataset = pydicom.dcmread(io.BytesIO(written("dicom-seg", segmented, report)))
    found = seg.Segmentation.from_dataset(dataset)
    assert [found.get_segment_description(n).segment_label for n in (1, 2)] == ["heart", "lungs"]
    heart, lungs = found.pixel_array
    assert heart.shape == (64, 48)
    rows, columns = np.nonzero(heart)
    # Cells 2 and 3 of 8 down, 2 to 5 of 8 across a square of 64, of which the film is the middle.
    assert (rows.min(), rows.max()) == (16, 31)
    assert (columns.min(), columns.max()) == (8, 39)
    assert np.nonzero(lungs)[1].max() == 23


@pytest.mark.parametrize(("turns", "mirrored"), [(1, False), (2, False), (3, True), (0, True)])
def test_segments_lie_on_the_picture_as_it_is_stored(turns, mirrored, segmented):
    from plainfilm.export.dicom_seg import on_stored

    stored = np.zeros((64, 64), dtype=np.float32)
    stored[:16, 32:] = 1
    upright = np.rot90(stored, turns)
    upright = upright[:, ::-1] if mirrored else upright
    image = segmented.images[0].model_copy(update={"pixels": np.ascontiguousarray(upright)})
    changes = {"rows": 64, "columns": 64, "turns": turns, "mirrored": mirrored}
    mask = on_stored(upright, image, REFERENCE.model_copy(update=changes))
    assert np.array_equal(mask, stored >= 0.5)


def test_without_maps_the_shipped_segmenter_makes_them(cited, report):
    found = parsed("dicom-seg", cited, report)
    assert "simulated" in found.ManufacturerModelName


def test_the_capture_shows_where_the_model_looked(cited, report):
    found = parsed("dicom-sc", cited, report)
    assert found.BurnedInAnnotation == "YES"
    assert found.pixel_array.ndim == 3
    nothing = report.model_copy(update={"statements": (), "evidence": ()})
    with pytest.raises(InputError, match="nothing to show"):
        written("dicom-sc", cited, nothing)


def test_the_pdf_inside_dicom_is_a_pdf(cited, report):
    found = parsed("dicom-pdf", cited, report)
    assert found.EncapsulatedDocument.startswith(b"%PDF")
    assert found.VerificationFlag == "UNVERIFIED"
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt-get install poppler-utils")
    text = subprocess.run(
        ["pdftotext", "-", "-"], input=found.EncapsulatedDocument, capture_output=True, check=True
    ).stdout.decode()
    assert "Small right pleural effusion" in text
    assert "Not a diagnosis" in text


def bundle_of(study, report):
    return json.loads(form("fhir").write(study, report))


def resources(bundle, kind):
    found = (entry["resource"] for entry in bundle["entry"])
    return [one for one in found if one["resourceType"] == kind]


def test_fhir_is_preliminary_and_names_nobody(cited, report):
    bundle = bundle_of(cited, report)
    (found,) = resources(bundle, "DiagnosticReport")
    assert found["status"] == "preliminary"
    assert found["conclusion"] == report.impression
    assert not resources(bundle, "Patient")
    assert "Nobody" not in json.dumps(bundle)
    (imaging,) = resources(bundle, "ImagingStudy")
    assert imaging["identifier"][0]["value"] == "urn:oid:1.2.3.4"
    assert imaging["series"][0]["instance"][0]["uid"] == "1.2.3.6"
    seen = resources(bundle, "Observation")
    assert len(found["result"]) == len(seen) == 3
    assert {one["status"] for one in seen} == {"preliminary"}
    assert [one["valueCodeableConcept"]["text"] for one in seen] == [
        "Present", "Absent", "Uncertain",
    ]  # fmt: skip
    text = base64.b64decode(found["presentedForm"][0]["data"]).decode()
    assert report.findings.split(".")[0] in text
    addresses = {entry["fullUrl"] for entry in bundle["entry"]}
    cited_ones = set(re.findall(r'"reference": "([^"]+)"', json.dumps(bundle)))
    assert cited_ones <= addresses


def test_fhir_is_valid_by_its_published_schema(cited, identified, report):
    r4 = pytest.importorskip("fhir.resources.R4B.bundle", reason="PyPI's fhir.resources")
    for study in (cited, identified):
        r4.Bundle.model_validate(bundle_of(study, report))
    (patient,) = resources(bundle_of(identified, report), "Patient")
    assert patient["birthDate"] == "1970-01-01"


def test_fhir_of_a_png_has_no_imaging_study(study, report):
    assert not resources(bundle_of(study, report), "ImagingStudy")


def segments_of(study, report):
    text = form("hl7").write(study, report).decode()
    return [line.split("|") for line in text.split("\r") if line]


def test_hl7_is_preliminary_and_cannot_be_broken_by_a_name(cited, identified, report):
    segments = segments_of(identified, report)
    kinds = [segment[0] for segment in segments]
    assert kinds[:3] == ["MSH", "PID", "OBR"]
    assert set(kinds[3:]) == {"OBX"}
    assert segments[1][3].startswith("4711\\R\\X^")
    assert segments[1][5] == "Doe^Jane\\F\\PID^<b>"
    assert segments[2][25] == "P"
    assert {segment[11] for segment in segments[3:]} == {"P"}
    assert [int(segment[1]) for segment in segments[3:]] == list(range(1, len(segments) - 2))
    assert segments_of(cited, report)[1][5] == "UNIDENTIFIED"


def test_hl7_is_valid_by_the_tables_of_2_5_1(identified, report):
    parser = pytest.importorskip("hl7apy.parser", reason="PyPI's hl7apy")
    message = parser.parse_message(form("hl7").write(identified, report).decode())
    assert message.validate()


@pytest.mark.parametrize("name", ["fhir", "hl7", "html", "text"])
def test_script_in_a_text_stays_text(name, cited, report):
    evil = report.model_copy(update={"impression": SCRIPT, "warnings": (SCRIPT,), "statements": ()})
    text = form(name).write(cited, evil).decode()
    if name == "fhir":
        (found,) = resources(json.loads(text), "DiagnosticReport")
        text = found["text"]["div"]
    if name in ("fhir", "html"):
        assert SCRIPT not in text
    else:
        assert all(ord(c) >= 32 or c in "\n\r" for c in text)


def test_an_unknown_form_lists_those_there_are():
    with pytest.raises(InputError, match="expected one of text, json, html, pdf"):
        form("docx")
