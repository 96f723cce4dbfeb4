"""The journal of a preparation: one line for each finished study, so that a killed run can resume.

Only the process that holds the working folder's lock writes it. A line truncated by a kill is
ignored.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from plainfilm.core import DatasetError, errors_as
from plainfilm.core.files import encoded, saying_why
from plainfilm.data.dataset import Row

JOURNAL = "journal.jsonl"


class Made(NamedTuple):
    """The result of preparing one study."""

    study_id: str
    key: str
    """Digest of the study's inputs by name, size and time, without reading the files."""
    row: Row | None
    """The study's row; None if it was refused."""
    files: dict[str, str]
    """Name of each of the study's files → SHA-256."""
    films: tuple[str, ...]
    """SHA-256 of each film's pixels."""
    read: str
    """Digest of the contents of the study's inputs."""
    refused: str
    """Why the study was refused; empty if it was prepared."""
    reason: str = ""
    """Category under which a refused study is counted."""
    prior: str | None = None
    """Earlier study of a refused study; that of a prepared one is in its row."""
    place: int = 0
    """Index of the study among those of all shards."""


class Journal:
    """The journal in the working folder ``part``, opened by the only process that may write it.

    Raises:
        DatasetError: the folder holds an unfinished preparation of another kind of source.
    """

    def __init__(self, part: Path, kind: str) -> None:
        self.path = self.place(part)
        self._places: dict[str, tuple[str, int]] = {}
        with saying_why(self.path):
            self._file = self.path.open("a+b")
        self._file.seek(0)
        first, end = self._file.readline(), 0
        if first.endswith(b"\n"):
            if _values(first).get("kind") != kind:
                raise DatasetError(
                    f"{part} holds an unfinished preparation of another source: finish that one, "
                    "or remove the folder"
                )
            end = len(first)
            for line in self._file:
                values = _values(line)
                if not line.endswith(b"\n") or "study_id" not in values:
                    break
                if values["row"] is not None:  # refused studies are tried again
                    self._places[values["study_id"]] = values["key"], end
                end += len(line)
        self._file.truncate(end)
        if not end:
            self._write({"kind": kind})

    @staticmethod
    def place(part: Path) -> Path:
        """Return the path of the journal in a working folder."""
        return part / JOURNAL

    def has(self, study_id: str, key: str) -> bool:
        """Return whether a study is done and was made from inputs with the digest ``key``."""
        return self._places.get(study_id, ("",))[0] == key

    def add(self, made: Made) -> None:
        """Write a study's line."""
        values = made._asdict() | {"row": None if made.row is None else made.row.to_dict()}
        self._file.seek(0, 2)
        self._places[made.study_id] = made.key, self._file.tell()
        self._write(values)

    def made(self, study_id: str) -> Made:
        """Return the result of a finished study."""
        return made_at(self._file, self._places[study_id][1])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, values: dict[str, Any]) -> None:
        with saying_why(self.path):
            self._file.write(encoded(json.dumps(values)) + b"\n")
            self._file.flush()


def made_at(file: BinaryIO, place: int) -> Made:
    """Return the result in the journal's line that begins at byte ``place``."""
    file.seek(place)
    values = _values(file.readline())
    row = None if values["row"] is None else Row.from_dict(values["row"])
    return Made(**(values | {"row": row, "films": tuple(values["films"])}))


def lines_of(path: Path) -> dict[str, tuple[int, int]]:
    """Return study id → (index among all shards, first byte of its line) of a complete journal.

    Raises:
        DatasetError: the journal is missing or truncated.
    """
    found: dict[str, tuple[int, int]] = {}
    with (
        errors_as(DatasetError, f"cannot read {path}", "prepare the shard again"),
        path.open("rb") as file,
    ):
        end = len(file.readline())
        for line in file:
            values = json.loads(line)
            found[values["study_id"]] = values["place"], end
            end += len(line)
    return found


def _values(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
