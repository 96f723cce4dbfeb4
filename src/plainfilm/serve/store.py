"""What the service accepted and what became of it: one SQLite file.

A study is accepted once its files are on the disk and its row is committed; from then on it is
drafted, whatever stops the program. Its draft is recorded once, in the same commit that ends its
state ``drafting``.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from plainfilm.core import InputError, Observation, PlainfilmError, Report, Status
from plainfilm.export.plain import describe_finding

MOST_ATTEMPTS = 3
"""A study whose drafting ended the program this often is not tried again."""

_TABLE = """
CREATE TABLE IF NOT EXISTS studies (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    state TEXT NOT NULL,
    owner TEXT NOT NULL,
    key TEXT,
    batch TEXT,
    indication TEXT,
    identified INTEGER NOT NULL DEFAULT 0,
    files TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    report TEXT,
    summary TEXT,
    drafted REAL,
    seconds REAL,
    patient TEXT,
    review TEXT,
    revision INTEGER NOT NULL DEFAULT 0,
    sent TEXT,
    UNIQUE (owner, key)
);
CREATE INDEX IF NOT EXISTS by_state ON studies (state, created);
CREATE INDEX IF NOT EXISTS by_batch ON studies (batch);
"""
_LISTED = (
    "id, created, state, owner, key, batch, indication, identified, files, attempts, reason,"
    " NULL AS report, summary, drafted, seconds, patient, review, revision, sent"
)
_BY_KEY = "owner = ? AND key LIKE ? ORDER BY rowid"


class State(StrEnum):
    """Where a study stands."""

    WAITING = "waiting"
    DRAFTING = "drafting"
    DONE = "done"
    REFUSED = "refused"
    """Its films are not what may be drafted; the reason says why."""
    FAILED = "failed"
    """Something broke that is not the films' fault."""


class FullError(PlainfilmError):
    """So many studies wait that no more are accepted."""


class ConflictError(PlainfilmError):
    """Somebody else changed the review in the meantime."""


@dataclass(frozen=True)
class Entry:
    """A study that was accepted."""

    id: str
    created: float
    """Seconds since 1970, as are all times."""
    state: State
    owner: str
    """The name of the token that brought it."""
    batch: str | None
    indication: str | None
    identified: bool
    """Whether its results may say whose they are without being asked."""
    files: tuple[dict[str, str], ...]
    """``path`` under the folder, and ``name`` as it was given."""
    attempts: int
    reason: str | None
    report: Report | None
    """The draft; left out of lists, which tell its ``summary`` alone."""
    summary: dict[str, Any]
    """Of a draft: ``model``, ``weights``, ``badges`` and what it found, in words."""
    drafted: float | None
    seconds: float | None
    patient: str | None
    """A keyed digest of whose it is, by which earlier studies are found."""
    review: dict[str, Any] | None
    revision: int
    sent: str | None


class Store:
    """The studies of one service.

    Args:
        folder: where the file lies.
        most_waiting: studies that may wait for their draft.
    """

    def __init__(self, folder: Path, *, most_waiting: int = 1000) -> None:
        self.path = folder / "studies.db"
        self.most_waiting = most_waiting
        with self._connection() as connection:
            connection.executescript(_TABLE)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def accept(
        self,
        studies: Sequence[dict[str, Any]],
        *,
        owner: str,
        key: str | None = None,
        batch: str | None = None,
    ) -> list[Entry]:
        """Accept studies, all or none, and return them.

        Args:
            studies: each with ``id``, ``files`` and, where known, ``indication``, ``identified``.
            owner: who brings them.
            key: a word of the owner's; what was accepted under it before is returned instead.
            batch: a name that they share.

        Raises:
            FullError: too many wait already.
        """
        now = time.time()
        with self._writing() as connection:
            if key is not None:
                known = self._select(
                    connection, "owner = ? AND key LIKE ? ORDER BY rowid", owner, f"{key}/%"
                )
                if known:
                    return known
            (waiting,) = connection.execute(
                "SELECT count(*) FROM studies WHERE state IN ('waiting', 'drafting')"
            ).fetchone()
            if waiting + len(studies) > self.most_waiting:
                raise FullError(
                    f"{waiting} studies wait already, of {self.most_waiting}: try later"
                )
            for number, study in enumerate(studies):
                connection.execute(
                    "INSERT INTO studies (id, created, state, owner, key, batch, indication,"
                    " identified, files) VALUES (?, ?, 'waiting', ?, ?, ?, ?, ?, ?)",
                    (
                        study["id"], now, owner, f"{key}/{number}" if key else None, batch,
                        study.get("indication"), int(study.get("identified", False)),
                        json.dumps(study["files"]),
                    ),
                )  # fmt: skip
            ids = [study["id"] for study in studies]
            marks = ",".join("?" * len(ids))
            return self._select(connection, f"id IN ({marks}) ORDER BY rowid", *ids)

    def known(self, owner: str, key: str) -> list[Entry]:
        """Return what was accepted under an owner's word."""
        with self._connection() as connection:
            return self._select(
                connection, "owner = ? AND key LIKE ? ORDER BY rowid", owner, f"{key}/%"
            )

    def claim(self, id: str) -> Entry | None:
        """Begin a study's draft; None where it is not waiting, or was tried too often."""
        with self._writing() as connection:
            changed = connection.execute(
                "UPDATE studies SET state = 'drafting', attempts = attempts + 1"
                " WHERE id = ? AND state = 'waiting'",
                (id,),
            ).rowcount
            if not changed:
                return None
            (entry,) = self._select(connection, "id = ?", id)
            if entry.attempts > MOST_ATTEMPTS:
                self._end(connection, id, State.FAILED, "drafting it stopped the service each time")
                return None
            return entry

    def finish(self, id: str, report: Report, *, seconds: float, patient: str | None) -> None:
        """Record a draft; nothing happens where the study has one."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE studies SET state = 'done', report = ?, summary = ?, drafted = ?,"
                " seconds = ?, patient = ? WHERE id = ? AND state = 'drafting'",
                (
                    report.to_json(), json.dumps(_summary(report)), time.time(), seconds, patient,
                    id,
                ),
            )  # fmt: skip

    def end(self, id: str, state: State, reason: str) -> None:
        """Record why a study has no draft."""
        with self._writing() as connection:
            self._end(connection, id, state, reason)

    @staticmethod
    def _end(connection: sqlite3.Connection, id: str, state: State, reason: str) -> None:
        connection.execute(
            "UPDATE studies SET state = ?, reason = ?, drafted = ? WHERE id = ?",
            (str(state), reason, time.time(), id),
        )

    def recover(self) -> list[str]:
        """Return the ids of all that wait, those included whose drafting was cut short."""
        with self._writing() as connection:
            connection.execute("UPDATE studies SET state = 'waiting' WHERE state = 'drafting'")
            rows = connection.execute(
                "SELECT id FROM studies WHERE state = 'waiting' ORDER BY rowid"
            )
            return [row[0] for row in rows]

    def review(self, id: str, review: dict[str, Any], *, revision: int) -> int:
        """Keep what a reader made of a draft, and return the new revision.

        Raises:
            InputError: there is no such draft.
            ConflictError: ``revision`` is not the one that is kept.
        """
        with self._writing() as connection:
            found = self._select(connection, "id = ?", id)
            if not found or found[0].report is None:
                raise InputError("there is no such draft")
            if found[0].revision != revision:
                raise ConflictError(
                    f"somebody changed it: it is at revision {found[0].revision}, yours began at "
                    f"{revision}"
                )
            connection.execute(
                "UPDATE studies SET review = ?, revision = ? WHERE id = ?",
                (json.dumps(review), revision + 1, id),
            )
        return revision + 1

    def mark_sent(self, id: str, where: str) -> None:
        """Record that a study's results were sent."""
        with self._writing() as connection:
            connection.execute("UPDATE studies SET sent = ? WHERE id = ?", (where, id))

    def get(self, id: str) -> Entry | None:
        """Return a study."""
        with self._connection() as connection:
            return next(iter(self._select(connection, "id = ?", id)), None)

    def listed(
        self,
        *,
        state: State | None = None,
        batch: str | None = None,
        patient: str | None = None,
        unsent: bool = False,
        most: int = 200,
    ) -> list[Entry]:
        """Return studies without their drafts, the newest first.

        Args:
            state: that they stand in.
            batch: that they came in.
            patient: whose they are.
            unsent: only those that the DICOM node took and whose results are to be sent.
            most: that are returned.
        """
        wanted, values = ["1"], []
        for column, value in (("state", state), ("batch", batch), ("patient", patient)):
            if value is not None:
                wanted.append(f"{column} = ?")
                values.append(str(value))
        if unsent:
            wanted.append("sent IS NULL AND owner LIKE 'dicom:%'")
        with self._connection() as connection:
            where = f"{' AND '.join(wanted)} ORDER BY created DESC, rowid DESC LIMIT {int(most)}"
            return self._select(connection, where, *values, columns=_LISTED)

    def delete(self, id: str) -> bool:
        """Forget a study; whether there was one."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM studies WHERE id = ?", (id,)).rowcount > 0

    def counts(self) -> dict[State, int]:
        """Return how many studies stand where."""
        with self._connection() as connection:
            rows = connection.execute("SELECT state, count(*) FROM studies GROUP BY state")
            found = {State(row[0]): row[1] for row in rows}
        return {state: found.get(state, 0) for state in State}

    @staticmethod
    def _select(
        connection: sqlite3.Connection, where: str, *values: Any, columns: str = "*"
    ) -> list[Entry]:
        rows = connection.execute(f"SELECT {columns} FROM studies WHERE {where}", values)  # noqa: S608
        return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        id=row["id"],
        created=row["created"],
        state=State(row["state"]),
        owner=row["owner"],
        batch=row["batch"],
        indication=row["indication"],
        identified=bool(row["identified"]),
        files=tuple(json.loads(row["files"])),
        attempts=row["attempts"],
        reason=row["reason"],
        report=Report.from_json(row["report"]) if row["report"] else None,
        summary=json.loads(row["summary"]) if row["summary"] else {},
        drafted=row["drafted"],
        seconds=row["seconds"],
        patient=row["patient"],
        review=json.loads(row["review"]) if row["review"] else None,
        revision=row["revision"],
        sent=row["sent"],
    )


def _summary(report: Report) -> dict[str, Any]:
    found = [
        describe_finding(finding)
        for finding in report.statements
        if finding.status is Status.PRESENT and finding.observation is not Observation.NO_FINDING
    ]
    return {
        "model": report.model,
        "weights": report.weights,
        "badges": list(report.badges),
        "found": found[:6],
    }


def new_id() -> str:
    """Return an id that says nothing and that nobody guesses."""
    return uuid.uuid4().hex
