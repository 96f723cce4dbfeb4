"""A drafted report as a DICOM structured report: TID 2000, Basic Diagnostic Imaging Report.

The text stands in it as it was written, section by section; under the findings each statement
follows in codes, with its status, side, place, severity, change and the classifier's probability,
each inferred from the film that it was read from. The observer is the model, a device. The object
says that it is partial, preliminary and unverified, and its first comment says in words that it is
a draft.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from plainfilm import __version__
from plainfilm.core import Finding, Report, Study
from plainfilm.export import codes, dicom
from plainfilm.export.codes import Code
from plainfilm.export.plain import DISCLAIMER, evidence_of, notes, probability_of

if TYPE_CHECKING:
    from pydicom import Dataset

_TITLE = Code("18748-4", "LN", "Diagnostic Imaging Report")
_LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
_FINDINGS = Code("121070", "DCM", "Findings")
_FINDING = Code("121071", "DCM", "Finding")
_IMPRESSIONS = Code("121072", "DCM", "Impressions")
_IMPRESSION = Code("121073", "DCM", "Impression")
_COMMENT = Code("121106", "DCM", "Comment")
_PROBABILITY = Code("122157", "DCM", "Probability")
_SOURCE = Code("121080", "DCM", "Best illustration of finding")
_CONTAINS, _MODIFIES, _INFERRED = "CONTAINS", "HAS CONCEPT MOD", "INFERRED FROM"


def dicom_sr(study: Study, report: Report, *, language: str = "en") -> bytes:
    """Return the structured report as the bytes of a DICOM file (Comprehensive SR).

    Args:
        study: whose films came from DICOM files.
        report: the draft.
        language: that it is written in, by RFC 5646.

    Raises:
        InputError: a film came from no DICOM file.
        MissingDependencyError: highdicom is not installed.
    """
    sources = dicom.sources(study)
    try:
        from highdicom import sr
    except ModuleNotFoundError as error:
        raise dicom.highdicom_missing(error) from error
    items = _Items(sr)
    root = sr.ContainerContentItem(name=items.code(_TITLE), template_id="2000")
    children = sr.ContentSequence()
    children.append(items.coded(_LANGUAGE, _language(language), _MODIFIES))
    children.extend(_observer(sr, report))
    findings = [
        *(items.text(_COMMENT, line) for line in notes(study, report)),
        *([items.text(_FINDING, report.findings)] if report.findings else []),
        *(_statement(items, finding, report, sources) for finding in report.statements),
    ]
    children.append(items.section(_FINDINGS, findings))
    if report.impression:
        said = [items.text(_IMPRESSION, report.impression)]
        children.append(items.section(_IMPRESSIONS, said))
    root.ContentSequence = children
    dataset = sr.ComprehensiveSR(
        evidence=sources,
        content=root,
        series_instance_uid=dicom.new_uid(),
        series_number=dicom.SERIES["dicom-sr"],
        sop_instance_uid=dicom.new_uid(),
        instance_number=1,
        manufacturer=dicom.MANUFACTURER,
        is_complete=False,
        is_final=False,
        is_verified=False,
    )
    dataset.ManufacturerModelName = dicom.model_name(report)
    dataset.SeriesDescription = "Draft report, unverified"
    dataset.CompletionFlagDescription = DISCLAIMER
    return dicom.file_bytes(dataset)


class _Items:
    """Content items of highdicom's, from plainfilm's codes."""

    def __init__(self, sr: Any) -> None:
        self.sr = sr

    def code(self, code: Code) -> Any:
        return self.sr.CodedConcept(code.value, code.scheme, code.meaning)

    def coded(self, name: Code, value: Code, relation: str = _CONTAINS) -> Any:
        return self.sr.CodeContentItem(self.code(name), self.code(value), relation)

    def text(self, name: Code, value: str, relation: str = _CONTAINS) -> Any:
        value = dicom.printable_lines(value.splitlines()) or " "
        return self.sr.TextContentItem(self.code(name), value, relation)

    def section(self, name: Code, items: "list[Any]") -> Any:
        section = self.sr.ContainerContentItem(self.code(name), relationship_type=_CONTAINS)
        section.ContentSequence = self.sr.ContentSequence(items)
        return section


def _observer(sr: Any, report: Report) -> "Iterator[Any]":
    """Yield the items that say that a device observed, and which (TID 1002, 1004)."""
    from pydicom.sr.codedict import codes as dictionary

    device = sr.DeviceObserverIdentifyingAttributes(
        uid=_device_uid(report),
        name=dicom.MANUFACTURER,
        manufacturer_name=dicom.MANUFACTURER,
        model_name=dicom.model_name(report),
        serial_number=__version__,
    )
    yield from sr.ObserverContext(
        observer_type=dictionary.DCM.Device, observer_identifying_attributes=device
    )


def _device_uid(report: Report) -> str:
    """Return the UID of a model and version of plainfilm: the same wherever it runs."""
    import uuid

    name = f"plainfilm/{__version__}/{report.model}"
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, name).int}"


def _statement(items: _Items, finding: Finding, report: Report, sources: "list[Dataset]") -> Any:
    """Return a statement in codes."""
    item = items.coded(_FINDING, codes.code_of(finding))
    evidence = evidence_of(finding, report)
    told = [(codes.STATUS, codes.STATUSES[finding.status])]
    if (place := codes.place_code(finding)) is not None:
        told.append((codes.SITE, place))
    if finding.side is not None:
        told.append((codes.SIDE, codes.SIDES[finding.side]))
    if finding.severity is not None:
        told.append((codes.SEVERITY, codes.SEVERITIES[finding.severity]))
    if finding.change is not None:
        told.append((codes.CHANGE, codes.CHANGES[finding.change]))
    children = [items.coded(name, value, _MODIFIES) for name, value in told]
    probability = probability_of(evidence)
    if probability is not None:
        # As text: TID 2001 lets an observation be inferred from a number or from an image.
        children.append(items.text(_PROBABILITY, f"{probability:.4f}", _MODIFIES))
    for image in sorted({one.image for one in evidence} or {0}):
        source = sources[image]
        children.append(
            items.sr.ImageContentItem(
                items.code(_SOURCE),
                source.SOPClassUID,
                source.SOPInstanceUID,
                relationship_type=_INFERRED,
            )
        )
    item.ContentSequence = items.sr.ContentSequence(children)
    return item


def _language(tag: str) -> Code:
    return Code(tag, "RFC5646", {"en": "English", "es": "Spanish"}.get(tag, tag))
