r"""A drafted report as an HL7 v2.5.1 message: ORU^R01, an unsolicited observation.

Its sections are text (TX), its statements coded (CWE: the finding in OBX-3, its status in OBX-5),
and OBR-25 and every OBX-11 say *preliminary*. Segments end with a carriage return. Without
``identified=True`` the patient is called UNIDENTIFIED, so that no receiver files it by mistake.
"""

import datetime
import uuid

from plainfilm.core import Finding, Patient, Report, Study
from plainfilm.export import codes
from plainfilm.export.codes import Code
from plainfilm.export.plain import (
    describe_finding,
    evidence_of,
    notes,
    probability_of,
)

_SYSTEMS = {"SCT": "SCT", "LN": "LN", "DCM": "DCM", "RADLEX": "99RADLEX"}
_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")
_FINDINGS = Code("59776-5", "LN", "Findings")
_IMPRESSION = Code("19005-8", "LN", "Impressions")
_COMMENT = Code("121106", "DCM", "Comment")
_STUDY = Code("113014", "DCM", "DICOM Study")
_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\n": "\\.br\\"}


def hl7(study: Study, report: Report) -> bytes:
    """Return the message as UTF-8."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d%H%M%S+0000")
    reference = study.images[0].reference
    told = (reference.patient if reference is not None else None) or Patient(
        name="UNIDENTIFIED", id="UNIDENTIFIED"
    )
    control = uuid.uuid4().hex[:20]
    segments = [
        ["MSH", "^~\\&", "PLAINFILM", "", "", "", now, "", "ORU^R01^ORU_R01", control, "P",
         "2.5.1", "", "", "", "", "", "UNICODE UTF-8"],
        ["PID", "1", "", f"{_text(told.id)}^^^{_text(told.issuer)}", "", _name(told.name), "",
         _text(told.birth_date), _text(told.sex)],
        ["OBR", "1", "", _text(told.accession_number) or control, _coded(_REPORT), "", "",
         _text(told.study_date + told.study_time[:6]) or now, *[""] * 14, now, "", "RAD", "P"],
    ]  # fmt: skip
    observations = [
        *([("HD", _STUDY, "", f"^{reference.study_uid}^ISO")] if reference else []),
        *(("TX", _COMMENT, "", _text(line)) for line in notes(study, report)),
        *([("TX", _FINDINGS, "", _text(report.findings))] if report.findings else []),
        *([("TX", _IMPRESSION, "", _text(report.impression))] if report.impression else []),
        *(_statement(number, finding, report)
          for number, finding in enumerate(report.statements, start=1)),
    ]  # fmt: skip
    model = _text(report.model or "unknown")
    for number, (kind, code, part, value) in enumerate(observations, start=1):
        segments.append(
            ["OBX", str(number), kind, _coded(code), part, value, "", "", "", "", "", "P",
             "", "", "", "", "", "", f"{model}^plainfilm"]
        )  # fmt: skip
    return "".join("|".join(segment) + "\r" for segment in segments).encode()


def _statement(number: int, finding: Finding, report: Report) -> tuple[str, Code, str, str]:
    """Return a statement: its type, what it is about, its number, and what is said."""
    probability = probability_of(evidence_of(finding, report))
    sure = "" if probability is None else f" (classifier {probability:.2f})"
    said = describe_finding(finding) + sure
    return "CWE", codes.code_of(finding), str(number), _coded(codes.STATUSES[finding.status], said)


def _coded(code: Code, original: str = "") -> str:
    """Return a code as CWE, its original text in the ninth component."""
    system = _SYSTEMS.get(code.scheme, code.scheme)
    parts = [_text(code.value), _text(code.meaning), system]
    if original:
        parts += [""] * 5 + [_text(original)]
    return "^".join(parts)


def _name(value: str) -> str:
    """Return a DICOM person name as XPN; its first five components are the same."""
    return "^".join(_text(part) for part in value.partition("=")[0].split("^")[:5])


def _text(value: str) -> str:
    """Return text with HL7's delimiters escaped and control characters left out."""
    value = "\n".join(value.splitlines())
    return "".join(_ESCAPES.get(c, c) for c in value if c == "\n" or c.isprintable())
