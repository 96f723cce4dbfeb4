"""The journal of a preparation: a line for each study that is done, so that a killed run goes on.

One process writes it, the one that holds the working folder's lock. A line that a kill cut short
is no line.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from plainfilm.core import DatasetError, errors_as
from plainfilm.core.files import encoded, saying_why
from plainfilm.data.dataset import Row

JOURNAL = "journal.jsonl"


class Made(NamedTuple):
    """What became of one study."""

    study_id: str
    key: str
    """Of what it was made from, as far as a look at the files tells."""
    row: Row | None
    """None where it was refused."""
    files: dict[str, str]
    """Name of each of its files → SHA-256."""
    films: tuple[str, ...]
    """SHA-256 of each film's picture."""
    read: str
    """Digest of the contents of what it was made from."""
    refused: str
    """Why it could not be made; empty where it was."""
    reason: str = ""
    """What it is counted under, if it could not be made."""
    prior: str | None = None
    """The patient's earlier study, if it could not be made; else its row says so."""
    place: int = 0
    """Among the studies of all shards."""


class Journal:
    """The journal in the working folder ``part``, opened by the one process that may write it.

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
                if values["row"] is not None:  # a refused study is tried again
                    self._places[values["study_id"]] = values["key"], end
                end += len(line)
        self._file.truncate(end)
        if not end:
            self._write({"kind": kind})

    @staticmethod
    def place(part: Path) -> Path:
        """Return the journal's file in a working folder."""
        return part / JOURNAL

    def has(self, study_id: str, key: str) -> bool:
        """Whether a study is done, and was made from what ``key`` stands for."""
        return self._places.get(study_id, ("",))[0] == key

    def add(self, made: Made) -> None:
        """Write the line of a study."""
        values = made._asdict() | {"row": None if made.row is None else made.row.to_dict()}
        self._file.seek(0, 2)
        self._places[made.study_id] = made.key, self._file.tell()
        self._write(values)

    def made(self, study_id: str) -> Made:
        """Return what became of a study that is done."""
        return made_at(self._file, self._places[study_id][1])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, values: dict[str, Any]) -> None:
        with saying_why(self.path):
            self._file.write(encoded(json.dumps(values)) + b"\n")
            self._file.flush()


def made_at(file: BinaryIO, place: int) -> Made:
    """Return what a line of a journal says that begins at byte ``place``."""
    file.seek(place)
    values = _values(file.readline())
    row = None if values["row"] is None else Row.from_dict(values["row"])
    return Made(**(values | {"row": row, "films": tuple(values["films"])}))


def lines_of(path: Path) -> dict[str, tuple[int, int]]:
    """Return study id → place among all shards, and first byte of its line, of a whole journal.

    Raises:
        DatasetError: the journal is missing or cut short.
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
