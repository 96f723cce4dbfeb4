"""A drafted report as text for a terminal and as JSON for a program.

Neither carries pixels, a folder's name or anything of the patient: a film is named by its file.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import plainfilm
from plainfilm.core import Evidence, Finding, Image, Report, Status, Study
from plainfilm.grounding.maps import describe

DISCLAIMER = "Draft for a radiologist. Not a diagnosis."
"""Stands on every form of a drafted report."""

SCHEMA_VERSION = "1.0"
"""Of the JSON; its first number changes when a program that read it before no longer can."""

_UIDS = {"study_uid", "series_uid", "instance_uid", "class_uid"}
_MARKS = {Status.PRESENT: "+", Status.UNCERTAIN: "?", Status.ABSENT: "-"}
_WIDTH = 88


def report_json(
    study: Study, report: Report, *, uids: bool = False, created: datetime | None = None
) -> str:
    """Return the report as indented JSON, as ``docs/report.schema.json`` describes it.

    Args:
        study: the study.
        report: its draft.
        uids: whether the DICOM identifiers of study, series and film are told.
        created: when it was drafted; now where left out.
    """
    content = report_values(study, report, uids=uids, created=created)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    # A row of a heatmap on one line. Inside a JSON string there is no line break to match.
    return re.sub(r"\[\n\s+[-\d.eE+,\s]+\]", lambda row: " ".join(row[0].split()), text)


def report_values(
    study: Study, report: Report, *, uids: bool = False, created: datetime | None = None
) -> dict[str, Any]:
    """Return what :func:`report_json` writes, as values of JSON.

    A statement names what it rests on by indices into ``evidence``: its own evidence, else the
    report's on its observation.
    """
    evidence = list(report.evidence)
    statements = []
    for index, finding in enumerate(report.statements):
        rests_on = [place for place, one in enumerate(report.evidence)
                    if one.observation == finding.observation]  # fmt: skip
        if finding.evidence:
            rests_on = list(range(len(evidence), len(evidence) + len(finding.evidence)))
            evidence += finding.evidence
        values = finding.to_dict() | {"evidence": rests_on}
        if report.grounding:
            values["grounding"] = report.grounding[index].to_dict()
        statements.append(values | {"needs_indication": index in report.hangs_on_indication})
    missed = [one.to_dict() for one in report.possibly_missed]
    return {
        "schema_version": SCHEMA_VERSION,
        "badges": list(report.badges),
        "disclaimer": DISCLAIMER,
        "study": {
            "id": study.id,
            "indication": study.indication,
            "images": [
                _about(image, read=index in report.images_read, uids=uids)
                for index, image in enumerate(study.images)
            ],
            "unread": list(study.unread),
        },
        "findings": report.findings,
        "impression": report.impression,
        "statements": statements,
        "evidence": [one.to_dict() for one in evidence],
        **({"possibly_missed": missed} if report.grounding or missed else {}),
        "warnings": [without_folders(warning, study.images) for warning in report.warnings],
        "model": report.model,
        "weights_sha256": report.weights,
        "plainfilm": plainfilm.__version__,
        "created": _time(created),
    }


def refusal_values(
    id: str, files: Sequence[str], reason: str, *, created: datetime | None = None
) -> dict[str, Any]:
    """Return the values of JSON for a study that was not drafted.

    Args:
        id: of the study.
        files: the names of its files.
        reason: why, in one line.
        created: when; now where left out.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "study": {"id": id, "files": list(files)},
        "refused": reason,
        "plainfilm": plainfilm.__version__,
        "created": _time(created),
    }


def report_text(study: Study, report: Report) -> str:
    """Return the report as text for a terminal, wrapped, free of control characters."""
    films = "; ".join(describe_film(image) for image in study.images)
    heading = [
        f"{name:<12}{value}"
        for name, value in (
            ("Study", study.id),
            ("Films", films),
            ("Not read", "; ".join(_left_out(study, report))),
            ("Indication", study.indication),
            ("Model", report.model),
        )
        if value
    ]
    messages = (without_folders(warning, study.images) for warning in report.warnings)
    warnings = [_wrap(message, first="! ", then="  ") for message in messages]
    blocks = [
        "\n".join(f"*** {badge.upper()} ***" for badge in report.badges),
        DISCLAIMER.upper(),
        "\n".join(heading),
        "\n".join(warnings),
        _section("FINDINGS", report.findings),
        _section("IMPRESSION", report.impression),
        _statements(report),
        _maps(report),
    ]
    text = "\n\n".join(block for block in blocks if block)
    return "".join(c for c in text if c == "\n" or c.isprintable()) + "\n"


def _maps(report: Report) -> str:
    """Return what maps say against the report, where it was held against some."""
    lines = [
        f"{one.verdict}: {describe_finding(finding)}: {one.reason}"
        for finding, one in zip(report.statements, report.grounding, strict=False)
    ]
    lines += [f"possibly missed: {describe(one)}" for one in report.possibly_missed]
    if not lines:
        return ""
    wrapped = (_wrap(line, first="  ", then="    ") for line in dict.fromkeys(lines))
    return "HELD AGAINST SEGMENTATION MAPS\n" + "\n".join(wrapped)


def _left_out(study: Study, report: Report) -> list[str]:
    """Return the names of films that were not read, and files that could not be, with reasons."""
    films = [file_name(one) or "a film" for one in not_read(study, report)]
    return [*(f"{film} (this model does not read it)" for film in films), *study.unread]


def not_read(study: Study, report: Report) -> list[Image]:
    """Return the films of a study that its draft was not made from, where the draft says it."""
    if not report.images_read:
        return []
    return [one for index, one in enumerate(study.images) if index not in report.images_read]


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


def notes(study: Study, report: Report) -> list[str]:
    """Return what must be known of a draft before it is read, a line each: badges come first."""
    warnings = [without_folders(warning, study.images) for warning in report.warnings]
    return [*report.badges, DISCLAIMER, *warnings]


def evidence_of(finding: Finding, report: Report) -> tuple[Evidence, ...]:
    """Return what a statement rests on: its own evidence, else the report's on its observation."""
    shared = (e for e in report.evidence if e.observation == finding.observation)
    return finding.evidence or tuple(shared)


def probability_of(evidence: Iterable[Evidence]) -> float | None:
    """Return the first probability that the evidence carries, None where it carries none."""
    return next((e.probability for e in evidence if e.probability is not None), None)


def _about(image: Image, *, read: bool, uids: bool) -> dict[str, object]:
    left_out = {"pixels", "source", "warnings", "digest"}
    known = image.reference.model_dump(include=_UIDS) if uids and image.reference else {}
    return {
        "source": file_name(image),
        "read": read,
        **image.model_dump(mode="json", exclude=left_out),
        "shape": image.shape,
        "sha256": image.digest,
        **known,
        "warnings": [without_folders(warning, [image]) for warning in image.warnings],
    }


def _time(created: datetime | None) -> str:
    return (created or datetime.now(UTC)).isoformat(timespec="seconds")


def _wrap(text: str, first: str = "", then: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=then)


def _section(title: str, body: str) -> str:
    return "\n".join([title, *map(_wrap, body.splitlines())]) if body else ""


def _statements(report: Report) -> str:
    lines = []
    for index, finding in enumerate(report.statements):
        probability = probability_of(evidence_of(finding, report))
        shown = "" if probability is None else f"  (classifier {probability:.2f})"
        mark = f"[{_MARKS[finding.status]}] {finding.status:<9}"
        hangs = "  (only with this indication)" if index in report.hangs_on_indication else ""
        lines.append(f"{mark}  {describe_finding(finding)}{shown}{hangs}")
    return "\n".join(["STATEMENTS", *lines]) if lines else ""
