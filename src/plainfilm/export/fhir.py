"""A drafted report as FHIR R4: a bundle that a server takes as one transaction.

In it are the DiagnosticReport (status *preliminary*), an Observation for each statement, the
ImagingStudy where the films came from DICOM files, and the Device that drafted it. A Patient is
there only where the study was read with ``identified=True``; else the subject is withheld.
"""

import base64
import datetime
import html
import json
import re
import uuid
from typing import Any

from plainfilm import __version__
from plainfilm.core import Finding, Report, Status, Study
from plainfilm.export import codes
from plainfilm.export.codes import Code
from plainfilm.export.plain import (
    DISCLAIMER,
    describe_finding,
    evidence_of,
    notes,
    probability_of,
    report_text,
)

SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "RADLEX": "http://www.radlex.org",
    codes.PRIVATE: "urn:oid:2.25.88830168274291972294621111412974110870",
}
"""Coding scheme designator → the URI that FHIR knows it by."""
_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")
_PROBABILITY = Code("122157", "DCM", "Probability")
_SEX = {"M": "male", "F": "female", "O": "other"}
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"

Json = dict[str, Any]


def fhir(study: Study, report: Report) -> bytes:
    """Return the bundle as indented JSON."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    bundle = _Bundle()
    subject = _subject(bundle, study)
    device = bundle.add(_device(report))
    imaging = _imaging_study(bundle, study, subject)
    results = [
        bundle.add(_observation(finding, report, subject, device, imaging, now))
        for finding in report.statements
    ]
    bundle.add(_report(study, report, subject, imaging, results, now))
    content = {"resourceType": "Bundle", "type": "transaction", "entry": bundle.entries}
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


class _Bundle:
    """Resources that refer to each other by addresses of their own."""

    def __init__(self) -> None:
        self.entries: list[Json] = []

    def add(self, resource: Json) -> Json:
        """Add a resource and return a reference to it."""
        address = f"urn:uuid:{uuid.uuid4()}"
        request = {"method": "POST", "url": resource["resourceType"]}
        self.entries.append({"fullUrl": address, "resource": resource, "request": request})
        return {"reference": address}


def concept(code: Code, text: str | None = None) -> Json:
    """Return a code as a CodeableConcept."""
    coding = {"system": SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}
    return {"coding": [coding], "text": text or code.meaning}


def _subject(bundle: _Bundle, study: Study) -> Json:
    reference = study.images[0].reference
    told = reference.patient if reference is not None else None
    if told is None:
        return {"display": "withheld"}
    patient: Json = {"resourceType": "Patient"}
    if told.id:
        identifier: Json = {"value": told.id}
        if told.issuer:
            identifier["assigner"] = {"display": told.issuer}
        patient["identifier"] = [identifier]
    family, *given = [*told.name.split("^"), ""][:3]
    name = {"family": family, "given": [part for part in given if part]}
    if any(name.values()):
        patient["name"] = [{key: value for key, value in name.items() if value}]
    if told.sex in _SEX:
        patient["gender"] = _SEX[told.sex]
    if re.fullmatch(r"\d{8}", told.birth_date):
        patient["birthDate"] = _date(told.birth_date)
    return bundle.add(patient)


def _date(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}"


def _device(report: Report) -> Json:
    return {
        "resourceType": "Device",
        "manufacturer": "plainfilm",
        "deviceName": [{"name": report.model or "unknown", "type": "model-name"}],
        "version": [{"value": __version__}],
        "note": [{"text": DISCLAIMER}],
    }


def _imaging_study(bundle: _Bundle, study: Study, subject: Json) -> Json | None:
    known = [image.reference for image in study.images if image.reference is not None]
    if not known:
        return None
    series: dict[str, list[Json]] = {}
    for number, reference in enumerate(known, start=1):
        instance = {
            "uid": reference.instance_uid,
            "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{reference.class_uid}"},
            "number": number,
        }
        series.setdefault(reference.series_uid, []).append(instance)
    modality = {"system": SYSTEMS["DCM"], "code": "DX", "display": "Digital Radiography"}
    resource: Json = {
        "resourceType": "ImagingStudy",
        "status": "available",
        "subject": subject,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{known[0].study_uid}"}],
        "numberOfSeries": len(series),
        "numberOfInstances": len(known),
        "series": [
            {"uid": uid, "modality": modality, "instance": instances}
            for uid, instances in series.items()
        ],
    }
    return bundle.add(resource)


def _observation(
    finding: Finding,
    report: Report,
    subject: Json,
    device: Json,
    imaging: Json | None,
    now: str,
) -> Json:
    components = []
    if finding.side is not None:
        components.append((codes.SIDE, concept(codes.SIDES[finding.side])))
    if finding.severity is not None:
        components.append((codes.SEVERITY, concept(codes.SEVERITIES[finding.severity])))
    if finding.change is not None:
        components.append((codes.CHANGE, concept(codes.CHANGES[finding.change])))
    told: list[Json] = [
        {"code": concept(name), "valueCodeableConcept": value} for name, value in components
    ]
    probability = probability_of(evidence_of(finding, report))
    if probability is not None:
        quantity = {"value": round(probability, 4), "system": "http://unitsofmeasure.org"}
        told.append({"code": concept(_PROBABILITY), "valueQuantity": {**quantity, "code": "1"}})
    place = codes.place_code(finding) or codes.CHEST
    resource: Json = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [{"coding": [{"system": _CATEGORY, "code": "imaging"}]}],
        "code": concept(codes.code_of(finding), describe_finding(finding)),
        "subject": subject,
        "issued": now,
        "valueCodeableConcept": concept(codes.STATUSES[finding.status]),
        "bodySite": concept(place),
        "device": device,
    }
    if imaging is not None:
        resource["derivedFrom"] = [imaging]
    if finding.sentence:
        resource["note"] = [{"text": finding.sentence}]
    if told:
        resource["component"] = told
    return resource


def _report(
    study: Study,
    report: Report,
    subject: Json,
    imaging: Json | None,
    results: list[Json],
    now: str,
) -> Json:
    text = report_text(study, report)
    lines = [*notes(study, report), *report.text.splitlines()]
    body = "".join(f"<p>{html.escape(line, quote=False)}</p>" for line in map(_printable, lines))
    resource: Json = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>',
        },
        "category": [{"coding": [{"system": _SECTION, "code": "RAD", "display": "Radiology"}]}],
        "code": concept(_REPORT),
        "subject": subject,
        "issued": now,
        "conclusion": report.impression or report.findings or "The draft says nothing.",
        "presentedForm": [
            {
                "contentType": "text/plain; charset=utf-8",
                "data": base64.b64encode(text.encode()).decode(),
                "title": DISCLAIMER,
            }
        ],
    }
    if results:
        resource["result"] = results
    if imaging is not None:
        resource["imagingStudy"] = [imaging]
    found = [f for f in report.statements if f.status is Status.PRESENT]
    if found:
        resource["conclusionCode"] = [
            concept(codes.code_of(finding), describe_finding(finding)) for finding in found
        ]
    return resource


def _printable(line: str) -> str:
    return "".join(c for c in line if c.isprintable())
