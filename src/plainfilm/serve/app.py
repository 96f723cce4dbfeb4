"""The REST API and the reading room, as one ASGI application.

Every request but those for the page's own files and for the service's health carries a token. What
is uploaded is only ever handed back as data: forms come as attachments, the page builds its text
from JSON, and its policy lets in no script but its own file.
"""

import errno
import gzip
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, File, Form, Header, HTTPException, Query, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from PIL import Image as Picture
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from plainfilm import __version__
from plainfilm.core import MissingDependencyError, PlainfilmError
from plainfilm.export.formats import FORMS, form
from plainfilm.export.passages import sections
from plainfilm.export.plain import DISCLAIMER, describe_finding, evidence_of, probability_of
from plainfilm.serve import uploads
from plainfilm.serve.access import Audit, Rate, owner_of
from plainfilm.serve.drafting import Drafter
from plainfilm.serve.queue import Queue
from plainfilm.serve.store import ConflictError, Entry, FullError, State, Store, new_id
from plainfilm.serve.uploads import Incoming, Limits

if TYPE_CHECKING:
    from plainfilm.pipeline import ReportModel

_PAGE = Path(__file__).parent / "page"
_LONGEST = 2048
"""Pixels of the longer side of a film in the reading room."""
_KEY = re.compile(r"[A-Za-z0-9-]{1,64}")
_MOST_TEXT = 20_000
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Decision(BaseModel):
    """What a reader says to one statement."""

    model_config = ConfigDict(extra="forbid")

    statement: Annotated[int, Field(ge=0, le=10_000)]
    verdict: Annotated[str, Field(pattern="^(accepted|rejected)$")]
    reason: Annotated[str, Field(max_length=500)] = ""


class Review(BaseModel):
    """What a reader makes of a draft."""

    model_config = ConfigDict(extra="forbid")

    revision: Annotated[int, Field(ge=0)]
    """The one that this began from."""
    findings: Annotated[str, Field(max_length=_MOST_TEXT)]
    impression: Annotated[str, Field(max_length=_MOST_TEXT)]
    decisions: Annotated[list[Decision], Field(max_length=1000)] = []
    verdict: Annotated[str | None, Field(pattern="^(accepted|rejected)$")] = None
    """On the draft as a whole."""
    reason: Annotated[str, Field(max_length=500)] = ""


class Service:
    """Everything behind the API.

    Args:
        folder: where all of it lies.
        opened: opens the model.
        limits: on what is taken in one request.
        most_waiting: studies that may wait.
        per_minute: requests of one token.
        hosts: names under which the service may be asked; others are refused, so that no page on
            the web can reach it through a name of its own.
    """

    def __init__(
        self,
        folder: Path,
        opened: "Callable[[], ReportModel]",
        *,
        limits: Limits | None = None,
        most_waiting: int = 1000,
        per_minute: int = 1200,
        hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]"),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.folder, self.limits, self.hosts = folder, limits or Limits(), hosts
        self.store = Store(folder, most_waiting=most_waiting)
        self.audit = Audit(folder / "audit.jsonl")
        self.rate = Rate(per_minute)
        self.drafter = Drafter(self.store, folder, opened, self._drafted)
        self.queue = Queue(folder, self.drafter.draft)
        self.listeners: list[Callable[[Entry], None]] = []
        """Called with each entry that was drafted, refused or failed."""
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "plainfilm_studies_accepted", "Studies accepted", registry=self.registry
        )
        self.drafted = Counter(
            "plainfilm_studies_ended", "Studies by how they ended", ["state"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "plainfilm_draft_seconds", "Seconds a draft took", registry=self.registry,
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )  # fmt: skip
        self.turned_away = Counter(
            "plainfilm_requests_turned_away", "Requests by the reason they were refused for",
            ["reason"], registry=self.registry,
        )  # fmt: skip
        self.standing = Gauge(
            "plainfilm_studies", "Studies by state", ["state"], registry=self.registry
        )

    def start(self) -> None:
        """Begin to draft."""
        self.queue.start(self.store.recover())

    def stop(self) -> None:
        """Finish what is being drafted."""
        self.queue.stop()

    def take(
        self,
        studies: list[dict[str, Any]],
        *,
        owner: str,
        key: str | None = None,
        batch: str | None = None,
    ) -> list[Entry]:
        """Accept studies whose films are written, and put them into the queue."""
        entries = self.store.accept(studies, owner=owner, key=key, batch=batch)
        given = {study["id"] for study in studies}
        for entry in entries:
            if entry.id in given:
                try:
                    self.queue.add(entry.id)
                except sqlite3.Error:  # it is accepted all the same: the next start drafts it
                    self.audit.add(owner, "not queued", study=entry.id)
                self.accepted.inc()
                self.audit.add(owner, "accepted", study=entry.id, films=len(entry.files))
        return entries

    def _drafted(self, entry: Entry) -> None:
        facts: dict[str, Any] = {"study": entry.id, "state": str(entry.state)}
        if entry.report is not None:
            facts |= {"model": entry.report.model, "weights": entry.report.weights}
            self.seconds.observe(entry.seconds or 0)
        self.drafted.labels(str(entry.state)).inc()
        self.audit.add(entry.owner, "ended", **facts)
        for listener in self.listeners:
            listener(entry)


def make_app(service: Service) -> FastAPI:
    """Return the application of a service; it drafts from its start to its stop."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="plainfilm",
        version=__version__,
        description=f"Drafts of reports on chest films. {DISCLAIMER}",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.add_middleware(_Door, service=service)

    def reader(request: Request, authorization: Annotated[str | None, Header()] = None) -> str:
        scheme, _, token = (authorization or "").partition(" ")
        who = owner_of(service.folder, token) if scheme.lower() == "bearer" and token else None
        if who is None:
            service.turned_away.labels("token").inc()
            raise HTTPException(401, "a valid token is needed: Authorization: Bearer TOKEN",
                                {"WWW-Authenticate": "Bearer"})  # fmt: skip
        wait = service.rate.wait(who)
        if wait:
            service.turned_away.labels("rate").inc()
            raise HTTPException(429, "too many requests", {"Retry-After": str(int(wait) + 1)})
        return who

    Reader = Annotated[str, Depends(reader)]  # noqa: N806 - a type
    Key = Annotated[str | None, Header(alias="Idempotency-Key")]  # noqa: N806 - a type

    def found(id: str) -> Entry:
        entry = service.store.get(id)
        if entry is None:
            raise HTTPException(404, "there is no such study")
        return entry

    def checked(key: str | None) -> str | None:
        if key is not None and not _KEY.fullmatch(key):
            raise HTTPException(422, "an Idempotency-Key has up to 64 letters, digits and hyphens")
        return key

    def take(
        write: Callable[[Incoming], list[dict[str, Any]]],
        who: str,
        key: str | None,
        batch: str | None = None,
    ) -> list[Entry]:
        if key and (known := service.store.known(who, key)):
            return known
        incoming = Incoming(service.folder, service.limits)
        kept: set[str] = set()
        try:
            entries = service.take(write(incoming), owner=who, key=key, batch=batch)
            kept = {entry.id for entry in entries}
            return entries
        except FullError as error:
            service.turned_away.labels("full").inc()
            raise HTTPException(429, str(error), {"Retry-After": "10"}) from error
        finally:
            if not kept:
                incoming.discard()

    @app.exception_handler(PlainfilmError)
    def refuse(_: Request, error: PlainfilmError) -> JSONResponse:
        status = 501 if isinstance(error, MissingDependencyError) else 422
        status = 409 if isinstance(error, ConflictError) else status
        return JSONResponse({"detail": str(error)}, status)

    @app.exception_handler(OSError)
    def full(_: Request, error: OSError) -> JSONResponse:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return JSONResponse({"detail": "the service's disk is full"}, 507)
        return JSONResponse({"detail": "the service cannot read or write its folder"}, 500)

    @app.post("/v1/studies", status_code=202)
    def add_study(
        who: Reader,
        files: Annotated[list[UploadFile], File()],
        indication: Annotated[str | None, Form(max_length=2000)] = None,
        key: Key = None,
    ) -> dict[str, Any]:
        """Accept the films of one study; its draft follows."""
        given = [(file.filename, file.file) for file in files]
        entries = take(
            lambda incoming: [incoming.study(given, indication=indication)], who, checked(key)
        )
        return _about(entries[0])

    @app.post("/v1/batches", status_code=202)
    def add_batch(
        who: Reader, files: Annotated[list[UploadFile], File()], key: Key = None
    ) -> dict[str, Any]:
        """Accept many films, zip archives among them: a DICOM study each, other films alone."""
        given = [(file.filename, file.file) for file in files]
        name = new_id()
        entries = take(lambda incoming: incoming.batch(given), who, checked(key), name)
        return {"id": entries[0].batch, "studies": [_about(entry) for entry in entries]}

    @app.get("/v1/batches/{id}")
    def batch(who: Reader, id: str) -> dict[str, Any]:
        """Return where each study of a batch stands."""
        entries = service.store.listed(batch=id, most=10_000)
        if not entries:
            raise HTTPException(404, "there is no such batch")
        return {"id": id, "studies": [_about(entry) for entry in reversed(entries)]}

    @app.get("/v1/studies")
    def studies(
        who: Reader,
        state: State | None = None,
        most: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, Any]:
        """Return the work list, the newest first."""
        entries = service.store.listed(state=state, most=most)
        return {"studies": [_about(entry) for entry in entries]}

    @app.get("/v1/studies/{id}")
    def study(who: Reader, id: str) -> dict[str, Any]:
        """Return where a study stands."""
        return _about(found(id))

    @app.delete("/v1/studies/{id}", status_code=204)
    def delete(who: Reader, id: str) -> Response:
        """Forget a study: its films, its draft, its review."""
        entry = found(id)
        service.store.delete(id)
        uploads.remove(service.folder, entry.files, id)
        service.audit.add(who, "deleted", study=id)
        return Response(status_code=204)

    @app.get("/v1/studies/{id}/report")
    def report(
        who: Reader,
        id: str,
        form_name: Annotated[str, Query(alias="form")] = "json",
        identified: bool = False,
    ) -> Response:
        """Return the draft in one of the forms, as it was reviewed."""
        entry = found(id)
        kind = form(form_name)
        if entry.report is None:
            raise HTTPException(409, entry.reason or f"there is no draft yet: {entry.state}")
        content = service.drafter.result(entry, form_name, identified=identified)
        service.audit.add(
            who, "report", study=id, form=form_name, identified=identified,
            revision=entry.revision, model=entry.report.model, weights=entry.report.weights,
        )  # fmt: skip
        name = f"draft-{id[:8]}.{kind.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=kind.media_type, headers=headers)

    @app.get("/v1/studies/{id}/room")
    def room(who: Reader, id: str) -> dict[str, Any]:
        """Return what the reading room shows of a study."""
        entry = found(id)
        service.audit.add(who, "opened", study=id)
        return _room(service, entry)

    @app.get("/v1/studies/{id}/films/{number}")
    def film(who: Reader, id: str, number: int) -> Response:
        """Return a film: 16-bit grey values, little-endian, row after row, gzipped."""
        images = service.drafter.study(found(id)).images
        if not 0 <= number < len(images):
            raise HTTPException(404, "there is no such film")
        image = images[number]
        picture = Picture.fromarray(image.pixels)
        picture.thumbnail((_LONGEST, _LONGEST), Picture.Resampling.BOX)
        values = np.rint(np.asarray(picture).clip(0, 1) * 65535).astype("<u2")
        headers = {
            "Content-Encoding": "gzip",
            "X-Rows": str(values.shape[0]),
            "X-Columns": str(values.shape[1]),
        }
        content = gzip.compress(values.tobytes(), compresslevel=1)
        return Response(content, media_type="application/octet-stream", headers=headers)

    @app.put("/v1/studies/{id}/review")
    def review(who: Reader, id: str, given: Review) -> dict[str, Any]:
        """Keep what a reader made of a draft."""
        entry = found(id)
        if entry.report is None:
            raise HTTPException(409, f"there is no draft: {entry.state}")
        said = given.model_dump(exclude={"revision"}) | {"by": who, "at": time.time()}
        revision = service.store.review(id, said, revision=given.revision)
        service.audit.add(who, "reviewed", study=id, revision=revision, verdict=given.verdict)
        return {"revision": revision}

    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, str]:
        return {"status": "ok", "plainfilm": __version__}

    @app.get("/ready", include_in_schema=False)
    def ready() -> Response:
        open_ = service.drafter.ready
        return JSONResponse({"model": "open" if open_ else "not yet open"}, 200 if open_ else 503)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        for state, count in service.store.counts().items():
            service.standing.labels(str(state)).set(count)
        return Response(generate_latest(service.registry), media_type="text/plain; version=0.0.4")

    for path, file in (("/", "room.html"), ("/room.css", "room.css"), ("/room.js", "room.js")):
        app.add_api_route(path, _file(_PAGE / file), include_in_schema=False)
    return app


def _file(path: Path) -> Callable[[], FileResponse]:
    def answer() -> FileResponse:
        return FileResponse(path)

    return answer


def _about(entry: Entry) -> dict[str, Any]:
    """Return where a study stands, as the API tells it."""
    review = entry.review or {}
    told = entry.summary
    return {
        "id": entry.id,
        "created": entry.created,
        "state": str(entry.state),
        "reason": entry.reason,
        "batch": entry.batch,
        "indication": entry.indication,
        "files": [file["name"] for file in entry.files],
        "drafted": entry.drafted,
        "model": told.get("model"),
        "weights_sha256": told.get("weights"),
        "badges": told.get("badges", []),
        "found": told.get("found", []),
        "revision": entry.revision,
        "verdict": review.get("verdict"),
        "forms": list(FORMS) if entry.state is State.DONE else [],
    }


def _room(service: Service, entry: Entry) -> dict[str, Any]:
    about = _about(entry)
    if entry.report is None:
        return {"about": about, "disclaimer": DISCLAIMER}
    study = service.drafter.study(entry)
    report = entry.report
    others = service.store.listed(patient=entry.patient) if entry.patient else []
    return {
        "about": about,
        "disclaimer": DISCLAIMER,
        "warnings": list(report.warnings),
        "films": [
            {"view": str(image.view), "name": image.source, "shape": image.shape,
             "simulated": image.provenance == "simulated", "spacing_mm": image.spacing_mm}
            for image in study.images
        ],
        "findings": report.findings,
        "impression": report.impression,
        "passages": {
            title: [{"text": one.text, "statements": one.statements} for one in passages]
            for title, passages in sections(report).items()
        },
        "statements": [
            {
                "status": str(finding.status),
                "text": describe_finding(finding),
                "probability": probability_of(evidence_of(finding, report)),
                "needs_indication": place in report.hangs_on_indication,
                "heats": [
                    {"film": item.image, "rows": item.heatmap, "method": item.method}
                    for item in evidence_of(finding, report)
                    if item.heatmap
                ],
            }
            for place, finding in enumerate(report.statements)
        ],
        "review": entry.review,
        "priors": [
            {"id": other.id, "created": other.created}
            for other in others
            if other.id != entry.id and other.created <= entry.created
        ],
    }  # fmt: skip


class _Door:
    """What every request passes: the host's name, the size of its body, headers of the answer."""

    def __init__(self, app: Any, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        answered = False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items()),
                ]
            await send(message)

        async def refuse(status: int, detail: str, reason: str) -> None:
            self.service.turned_away.labels(reason).inc()
            await JSONResponse({"detail": detail}, status)(scope, receive, answer)

        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        if "*" not in self.service.hosts and name not in self.service.hosts:
            await refuse(421, "this service goes by another name; see --host", "host")
            return
        most = self.service.limits.most_bytes + (1 << 20)  # a form around the files
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            await refuse(413, f"a request has at most {most >> 20} MiB", "size")
            return
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise _TooLargeError
            return message

        try:
            await self.app(scope, counted, answer)
        except _TooLargeError:
            if not answered:
                await refuse(413, f"a request has at most {most >> 20} MiB", "size")


class _TooLargeError(Exception):
    """More came than a request may hold."""
