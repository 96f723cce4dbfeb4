"""From an accepted study to its draft, and from a draft to a form of it."""

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plainfilm.core import InputError, ModelError, PlainfilmError, Report, Study, write_atomically
from plainfilm.export.formats import form
from plainfilm.serve.store import Entry, State, Store

if TYPE_CHECKING:
    from plainfilm.pipeline import ReportModel

EDITED = "The text was edited by a reader."


class Drafter:
    """Makes drafts of what a store holds.

    Args:
        store: of the studies.
        folder: of the service.
        opened: opens the model; called once, when :meth:`open` is.
        told: called with the entry after each draft, refusal or failure.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        opened: "Callable[[], ReportModel]",
        told: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self.store, self.folder, self._opened, self._told = store, folder, opened, told
        self._model: ReportModel | None = None
        self._opening = threading.Lock()
        self._secret = _secret(folder)

    def open(self) -> "ReportModel":
        """Open the model, once."""
        with self._opening:
            if self._model is None:
                self._model = self._opened()
            return self._model

    @property
    def ready(self) -> bool:
        """Whether the model is open."""
        return self._model is not None

    def draft(self, id: str) -> None:
        """Draft one study, and record what came of it; whatever goes wrong is recorded too."""
        entry = self.store.claim(id)
        if entry is None:
            return
        started = time.monotonic()
        try:
            study = self.study(entry, identified=True)
            if study.frontal is None:
                raise InputError("no frontal film; the models read frontal films")
            patient = self._whose(study)
            report = self.open().report(study)
            seconds = time.monotonic() - started
            self.store.finish(id, report, seconds=seconds, patient=patient)
        except ModelError as error:
            self.store.end(id, State.FAILED, self._without_paths(str(error), entry))
        except PlainfilmError as error:
            self.store.end(id, State.REFUSED, self._without_paths(str(error), entry))
        except Exception as error:  # what a library says may hold a patient's words
            self.store.end(id, State.FAILED, f"drafting broke ({type(error).__name__})")
        done = self.store.get(id)
        if done is not None:
            self._told(done)

    def study(self, entry: Entry, *, identified: bool = False) -> Study:
        """Return the films of an accepted study, under the names that they came with."""
        from plainfilm.data import load_study

        paths = [self.folder / file["path"] for file in entry.files]
        study = load_study(
            *paths, indication=entry.indication, id=entry.id[:8], identified=identified
        )
        names = {Path(file["path"]).name: file["name"] for file in entry.files}
        images = [
            image.model_copy(update={"source": names.get(image.source or "", image.source)})
            for image in study.images
        ]
        return study.model_copy(update={"images": tuple(images)})

    def result(self, entry: Entry, name: str, *, identified: bool = False) -> bytes:
        """Return a draft, as it was reviewed, in one of the forms.

        DICOM objects get their UIDs when they are first written and are kept, so that an object
        is the same whenever it is asked for.

        Raises:
            InputError: there is no such form, no draft, or the draft can't take it.
        """
        kind = form(name)
        if entry.report is None:
            raise InputError(f"there is no draft: the study is {entry.state}")
        kept = self.folder / "results" / entry.id
        path = kept / f"{entry.revision}-{int(identified)}.{kind.suffix}"
        if path.is_file():
            return path.read_bytes()
        content = kind.write(self.study(entry, identified=identified), reviewed(entry))
        if name.startswith("dicom"):
            kept.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        return content

    def _whose(self, study: Study) -> str | None:
        """Return a keyed digest of whose films they are; None where nothing says so."""
        reference = study.images[0].reference
        if reference is None or reference.patient is None or not reference.patient.id:
            return None
        name = f"{reference.patient.issuer}\n{reference.patient.id}".encode()
        return hmac.new(self._secret, name, hashlib.sha256).hexdigest()[:32]

    def _without_paths(self, message: str, entry: Entry) -> str:
        for file in entry.files:
            message = message.replace(str(self.folder / file["path"]), file["name"])
        return message.replace(str(self.folder), "")[:500]


def reviewed(entry: Entry) -> Report:
    """Return an entry's report: the draft, or what a reader made of it."""
    from plainfilm.text import read

    report = entry.report
    if report is None:
        raise InputError(f"there is no draft: the study is {entry.state}")
    review: dict[str, Any] = entry.review or {}
    findings = review.get("findings", report.findings)
    impression = review.get("impression", report.impression)
    rejected = {
        int(one["statement"])
        for one in review.get("decisions", [])
        if one.get("verdict") == "rejected"
    }
    if (findings, impression) == (report.findings, report.impression):
        if not rejected:
            return report
        kept = [one for place, one in enumerate(report.statements) if place not in rejected]
        hangs = [place for place in range(len(report.statements)) if place not in rejected]
        moved = tuple(hangs.index(one) for one in report.hangs_on_indication if one in hangs)
        return report.model_copy(
            update={
                "statements": tuple(kept),
                "hangs_on_indication": moved,
                "grounding": tuple(report.grounding[one] for one in hangs if report.grounding),
                "warnings": (*report.warnings, f"A reader rejected {len(rejected)} statements."),
            }
        )
    changed = Report(findings=findings, impression=impression)
    return report.model_copy(
        update={
            "findings": findings,
            "impression": impression,
            "statements": tuple(read(changed.text)),
            "hangs_on_indication": (),
            "grounding": (),
            "possibly_missed": (),
            "warnings": (*report.warnings, EDITED),
        }
    )


def _secret(folder: Path) -> bytes:
    """Return the service's own key, made on first use."""
    path = folder / "secret"
    if not path.is_file():
        write_atomically(path, secrets.token_hex(32))
        os.chmod(path, 0o600)  # noqa: PTH101
    return path.read_bytes()
