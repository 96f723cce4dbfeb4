"""A DICOM node: it answers C-ECHO, takes films by C-STORE, and sends results back.

Films of a study come one by one and nothing says which is the last: a study is taken once none has
come for a while. An instance is answered with success when it is on the disk; what was not taken
yet is found there at the next start. Results are tried again until they are delivered.
"""

import hashlib
import io
import re
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from plainfilm.core import InputError, MissingDependencyError, PlainfilmError
from plainfilm.data.films.limits import MOST_BYTES
from plainfilm.data.films.reader import identity
from plainfilm.export.formats import FORMS
from plainfilm.serve.store import Entry, FullError, State
from plainfilm.serve.uploads import Incoming

if TYPE_CHECKING:
    from plainfilm.serve.app import Service

_UID = re.compile(r"[0-9.]{1,64}")
_FILMS = (
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.7",
)
"""CR, DX for presentation and for processing, secondary capture."""
_SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
)  # fmt: skip
_SUCCESS, _NO_ROOM, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
_AWAY = 10.0
"""Seconds until a peer that was away is tried again."""


@dataclass(frozen=True)
class Peer:
    """The node that gets results."""

    aet: str
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read ``AET@HOST:PORT``.

        Raises:
            InputError: it is something else.
        """
        parts = re.fullmatch(r"([\x21-\x3f\x41-\x5b\x5d-\x7e]{1,16})@(.+):(\d{1,5})", text)
        if parts is None:
            raise InputError(f"a node to send to is AET@HOST:PORT, got {text!r}")
        return cls(parts[1], parts[2], int(parts[3]))


class Node:
    """A DICOM node of a service.

    Args:
        service: that drafts.
        aet: the node's application entity title.
        host: address to listen on.
        port: 0 takes a free one.
        calling: titles that may call; any where empty.
        peer: where results go; nowhere where left out.
        forms: that are sent.
        settle: seconds without a further film after which a study is taken.

    Raises:
        InputError: a form is none of DICOM's.
        MissingDependencyError: pynetdicom is not installed.
    """

    def __init__(
        self,
        service: "Service",
        *,
        aet: str = "PLAINFILM",
        host: str = "127.0.0.1",
        port: int = 11112,
        calling: tuple[str, ...] = (),
        peer: Peer | None = None,
        forms: tuple[str, ...] = ("dicom-sr",),
        settle: float = 3.0,
    ) -> None:
        try:
            import pynetdicom
        except ModuleNotFoundError as error:
            raise MissingDependencyError.of("pynetdicom", "hospital") from error
        wrong = [one for one in forms if one not in FORMS or not one.startswith("dicom")]
        if wrong:
            known = ", ".join(one for one in FORMS if one.startswith("dicom"))
            raise InputError(f"{wrong[0]!r} is no form of DICOM: expected some of {known}")
        self.service, self.aet, self.host, self.port = service, aet, host, port
        self.peer, self.forms, self.settle = peer, forms, settle
        self.incoming = service.folder / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        self._net = pynetdicom
        self._stop = threading.Event()
        self._server: Any = None
        self._threads: list[threading.Thread] = []
        pynetdicom._config.STORE_RECV_CHUNKED_DATASET = True  # to the disk, not into memory
        self._ae = pynetdicom.AE(ae_title=aet)
        self._ae.maximum_associations = 20
        self._ae.require_called_aet = True
        self._ae.require_calling_aet = list(calling)
        self._ae.add_supported_context("1.2.840.10008.1.1")
        for kind in _FILMS:
            self._ae.add_supported_context(kind, list(_SYNTAXES))

    def start(self) -> None:
        """Listen, take what has come, send what is done."""
        events = self._net.evt
        handlers = [(events.EVT_C_STORE, self._store), (events.EVT_C_ECHO, self._echo)]
        self._server = self._ae.start_server((self.host, self.port), block=False,
                                             evt_handlers=handlers)  # fmt: skip
        self.port = self._server.socket.getsockname()[1]
        loops = [self._take_settled, *([self._send_done] if self.peer else [])]
        for loop in loops:
            thread = threading.Thread(target=loop, name=loop.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop listening; what has come stays for the next start."""
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=10)

    def _echo(self, event: Any) -> int:
        return _SUCCESS

    def _store(self, event: Any) -> int:
        """Keep an instance that was sent."""
        name = str(event.request.AffectedSOPInstanceUID)
        who = "dicom:" + "".join(c for c in event.assoc.requestor.ae_title if c.isalnum())
        path = Path(event.dataset_path)
        try:
            if path.stat().st_size > MOST_BYTES:
                return _NO_ROOM
            study = identity(path)
        except (PlainfilmError, OSError):
            return _NOT_UNDERSTOOD
        if study is None or not _UID.fullmatch(study) or not _UID.fullmatch(name):
            return _NOT_UNDERSTOOD
        place = self.incoming / _digest(study)
        try:
            place.mkdir(exist_ok=True)
            part = place / f".{_digest(name)}"
            with path.open("rb") as given, part.open("wb") as kept:
                shutil.copyfileobj(given, kept)
                kept.flush()
                _flush(kept)
            part.replace(place / _digest(name))
        except OSError:
            return _NO_ROOM
        self.service.audit.add(who, "stored", spool=place.name)
        return _SUCCESS

    def _take_settled(self) -> None:
        """Take each study that no further film has come of for a while."""
        while not self._stop.wait(0.5):
            for place in sorted(self.incoming.iterdir()):
                try:
                    self._take(place)
                except FullError:
                    continue  # later
                except InputError as error:  # more than is taken: it would be so each time
                    self.service.audit.add("dicom", "refused", spool=place.name, why=str(error))
                    shutil.rmtree(place, ignore_errors=True)
                except Exception as error:  # whatever it is, the next study is not to wait for it
                    self._say(error)

    def _say(self, error: Exception) -> None:
        """Note a trouble by its kind: what it says may hold a patient's words."""
        self.service.audit.add("dicom", "trouble", kind=type(error).__name__)

    def _take(self, place: Path) -> None:
        films = sorted(file for file in place.iterdir() if not file.name.startswith("."))
        newest = max((file.stat().st_mtime for file in [place, *films]), default=0.0)
        if not films or time.time() - newest < self.settle:
            return
        key = _digest("/".join([place.name, *(film.name for film in films)]))
        owner = f"dicom:{self.aet}"
        if not self.service.store.known(owner, key):
            writing = Incoming(self.service.folder, self.service.limits)
            try:
                opened = [(f"{n}.dcm", io.BytesIO(film.read_bytes()))
                          for n, film in enumerate(films, start=1)]  # fmt: skip
                study = writing.study(opened, identified=True)
                self.service.take([study], owner=owner, key=key)
            except BaseException:
                writing.discard()
                raise
        for film in films:
            film.unlink(missing_ok=True)
        if not any(place.iterdir()):
            place.rmdir()

    def _send_done(self) -> None:
        """Send the results of what was sent, until they are delivered."""
        wait = 1.0
        while not self._stop.wait(wait):
            wait = 1.0
            try:
                delivered = all(
                    self._settle_results(entry)
                    for entry in reversed(self.service.store.listed(unsent=True))
                )
            except Exception as error:  # it is tried again
                self._say(error)
                delivered = False
            if not delivered:
                wait = _AWAY

    def _settle_results(self, entry: Entry) -> bool:
        """Send an entry's results where it has some; False where the peer can't be reached."""
        if entry.state in (State.REFUSED, State.FAILED):
            self.service.store.mark_sent(entry.id, f"nothing: {entry.state}")
        return entry.state is not State.DONE or self._send(entry)

    def _send(self, entry: Entry) -> bool:
        """Send an entry's results; whether all arrived."""
        from pydicom import dcmread

        assert self.peer is not None  # noqa: S101 - the loop runs with one alone
        entry = self.service.store.get(entry.id) or entry  # a list has no drafts
        objects = []
        for name in self.forms:
            try:
                content = self.service.drafter.result(entry, name, identified=True)
            except PlainfilmError as error:
                self.service.audit.add("dicom", "not sent", study=entry.id, form=name,
                                       reason=type(error).__name__)  # fmt: skip
                continue
            objects.append(dcmread(io.BytesIO(content)))
        sender = self._net.AE(ae_title=self.aet)
        for one in objects:
            sender.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
        if not objects:
            self.service.store.mark_sent(entry.id, "nothing: no form of it")
            return True
        link = sender.associate(self.peer.host, self.peer.port, ae_title=self.peer.aet)
        if not link.is_established:
            return False
        try:
            answers = [link.send_c_store(one) for one in objects]
        except (ValueError, RuntimeError):
            return False
        finally:
            link.release()
        # A warning (0xBxxx) is a stored object that the peer has something to say to.
        good = all("Status" in one and (one.Status == 0 or one.Status >> 12 == 0xB)
                   for one in answers)  # fmt: skip
        if good:
            self.service.store.mark_sent(entry.id, f"{self.peer.aet}@{self.peer.host}")
            self.service.audit.add("dicom", "sent", study=entry.id, forms=list(self.forms))
        return good


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _flush(file: Any) -> None:
    import os

    os.fsync(file.fileno())
