"""A drafted report as text for a terminal and as JSON for a program.

Neither carries pixels, a folder's name or anything of the patient: a film is named by its file.
"""

import json
import re
import textwrap
from collections.abc import Iterable

from plainfilm.core import Evidence, Finding, Image, Report, Status, Study

DISCLAIMER = "Draft for a radiologist. Not a diagnosis."
"""Stands on every form of a drafted report."""

_MARKS = {Status.PRESENT: "+", Status.UNCERTAIN: "?", Status.ABSENT: "-"}
_WIDTH = 88


def report_json(study: Study, report: Report) -> str:
    """Return the report as indented JSON.

    Keys: ``study`` (id and images, without pixels), ``findings``, ``impression``, ``statements``
    (each as :meth:`Finding.from_dict` takes it), ``evidence`` (likewise), ``warnings``, ``model``,
    ``disclaimer``.
    """
    content = {
        "study": {"id": study.id, "images": [_about(image) for image in study.images]},
        "findings": report.findings,
        "impression": report.impression,
        "statements": [finding.to_dict() for finding in report.statements],
        "evidence": [evidence.to_dict() for evidence in report.evidence],
        "warnings": [without_folders(warning, study.images) for warning in report.warnings],
        "model": report.model,
        "disclaimer": DISCLAIMER,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    # A row of a heatmap on one line. Inside a JSON string there is no line break to match.
    return re.sub(r"\[\n\s+[-\d.eE+,\s]+\]", lambda row: " ".join(row[0].split()), text)


def report_text(study: Study, report: Report) -> str:
    """Return the report as text for a terminal, wrapped, free of control characters."""
    films = "; ".join(describe_film(image) for image in study.images)
    heading = [
        f"{name:<9}{value}"
        for name, value in (("Study", study.id), ("Films", films), ("Model", report.model))
        if value
    ]
    messages = (without_folders(warning, study.images) for warning in report.warnings)
    warnings = [_wrap(message, first="! ", then="  ") for message in messages]
    blocks = [
        DISCLAIMER.upper(),
        "\n".join(heading),
        "\n".join(warnings),
        _section("FINDINGS", report.findings),
        _section("IMPRESSION", report.impression),
        _statements(report),
    ]
    text = "\n\n".join(block for block in blocks if block)
    return "".join(c for c in text if c == "\n" or c.isprintable()) + "\n"


def describe_finding(finding: Finding) -> str:
    """Return the statement without its status: ``Pleural Effusion, small, right``."""
    words = (
        finding.observation, finding.detail, finding.severity, finding.side,
        finding.location, finding.change,
    )  # fmt: skip
    return ", ".join(word for word in words if word)


def describe_film(image: Image) -> str:
    """Return the film's view and file name: ``PA view, chest.dcm, simulated``."""
    view = "view unknown" if image.view == "unknown" else f"{image.view} view"
    simulated = "simulated" if image.provenance == "simulated" else None
    return ", ".join(part for part in (view, file_name(image), simulated) if part)


def file_name(image: Image) -> str | None:
    """Return the name of the film's file, without its folder."""
    return re.split(r"[/\\]", image.source)[-1] if image.source else None


def without_folders(message: str, images: Iterable[Image]) -> str:
    """Return the message with the path of each image's file cut to the file's name."""
    for image in images:
        if image.source:
            message = message.replace(image.source, file_name(image) or "")
    return message


def evidence_of(finding: Finding, report: Report) -> tuple[Evidence, ...]:
    """Return what a statement rests on: its own evidence, else the report's on its observation."""
    shared = (e for e in report.evidence if e.observation == finding.observation)
    return finding.evidence or tuple(shared)


def probability_of(evidence: Iterable[Evidence]) -> float | None:
    """Return the first probability that the evidence carries, None where it carries none."""
    return next((e.probability for e in evidence if e.probability is not None), None)


def _about(image: Image) -> dict[str, object]:
    fields = image.model_dump(mode="json", exclude={"pixels", "source", "warnings"})
    warnings = [without_folders(warning, [image]) for warning in image.warnings]
    return {**fields, "shape": image.shape, "source": file_name(image), "warnings": warnings}


def _wrap(text: str, first: str = "", then: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=then)


def _section(title: str, body: str) -> str:
    return "\n".join([title, *map(_wrap, body.splitlines())]) if body else ""


def _statements(report: Report) -> str:
    lines = []
    for finding in report.statements:
        probability = probability_of(evidence_of(finding, report))
        shown = "" if probability is None else f"  (classifier {probability:.2f})"
        mark = f"[{_MARKS[finding.status]}] {finding.status:<9}"
        lines.append(f"{mark}  {describe_finding(finding)}{shown}")
    return "\n".join(["STATEMENTS", *lines]) if lines else ""
