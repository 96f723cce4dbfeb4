"""The forms in which a draft leaves the house, by name: one place for commands and services."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from plainfilm.core import InputError, Report, Study


@dataclass(frozen=True)
class Form:
    """A form of one study's draft."""

    suffix: str
    media_type: str
    module: str
    function: str

    def write(self, study: Study, report: Report) -> bytes:
        """Return the draft in this form.

        Raises:
            InputError: this draft can't take the form.
            MissingDependencyError: a package is not installed.
        """
        write: Callable[[Study, Report], bytes | str] = getattr(
            import_module(self.module), self.function
        )
        written = write(study, report)
        return written if isinstance(written, bytes) else written.encode()


def _form(suffix: str, media_type: str, module: str, function: str) -> Form:
    return Form(suffix, media_type, f"plainfilm.export.{module}", function)


FORMS = {
    "text": _form("txt", "text/plain; charset=utf-8", "plain", "report_text"),
    "json": _form("json", "application/json", "plain", "report_json"),
    "html": _form("html", "text/html; charset=utf-8", "html", "study_page"),
    "pdf": _form("pdf", "application/pdf", "pdf", "pdf"),
    "fhir": _form("fhir.json", "application/fhir+json", "fhir", "fhir"),
    "hl7": _form("hl7", "application/hl7-v2; charset=utf-8", "hl7", "hl7"),
    "dicom-sr": _form("sr.dcm", "application/dicom", "dicom_sr", "dicom_sr"),
    "dicom-seg": _form("seg.dcm", "application/dicom", "dicom_seg", "dicom_seg"),
    "dicom-sc": _form("sc.dcm", "application/dicom", "dicom_seg", "dicom_sc"),
    "dicom-pdf": _form("pdf.dcm", "application/dicom", "pdf", "dicom_pdf"),
}
"""Name → how it is written. Whoever a study belongs to is in a form only where the study was read
with ``identified=True``."""


def form(name: str) -> Form:
    """Return a form by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in FORMS:
        raise InputError(f"no form {name!r}: expected one of {', '.join(FORMS)}")
    return FORMS[name]
