"""Reports of many studies in one folder, each written as it is done, with an index of all.

``index.jsonl`` has a line for each study, drafted or refused, and for each file that was no film:

``place``
    its path below what was given; the study is known by it when the work goes on;
``status``
    ``drafted``, ``refused`` or ``skipped`` (a file that is no film);
``reason``
    why it was refused or skipped;
``report``
    the name of its file in the folder; ``sha256`` is of that file;
``key``
    a digest of its files and of the options; a study with the same key is not drafted again.

A line that a kill cut short is no line, and whatever it was of is done again.
"""

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import plainfilm
from plainfilm.core import InputError, Report, Study, printable, write_atomically
from plainfilm.core.files import encoded, locked, saying_why
from plainfilm.export.plain import SCHEMA_VERSION, file_name

INDEX = "index.jsonl"
_NAME = re.compile(r"[^\w.+-]+")
_LONGEST = 100


class ReportFolder:
    """The folder, opened by the one process that may write it; close it when all is done.

    Args:
        path: the folder; made where it is missing.
        options: a digest of whatever else decides a report: the model, the format, the indication.

    Raises:
        InputError: another process writes into it.
        OutputError: it can't be written into.
    """

    def __init__(self, path: Path, options: str) -> None:
        self.path = path
        self._options = options
        self._index = path / INDEX
        with saying_why(path):
            path.mkdir(parents=True, exist_ok=True)
        self._open = ExitStack()
        if not self._open.enter_context(locked(path)):
            raise InputError(f"{printable(str(path))}: another plainfilm writes into it")
        self.lines: dict[str, dict[str, Any]] = {}
        with saying_why(self._index):
            self._file = self._open.enter_context(self._index.open("a+b"))
            self._file.seek(0)
            end = 0
            for raw in self._file:
                line = _values(raw)
                if line is None:
                    break
                self.lines[line["place"]] = line
                end += len(raw)
            self._file.truncate(end)
        self._taken = {line["report"]: place for place, line in self.lines.items()
                       if line.get("report")}  # fmt: skip

    def key(self, files: str) -> str:
        """Return the key of a study whose files have the digest ``files``."""
        return sha256(f"{self._options} {files}".encode()).hexdigest()[:24]

    def done(self, place: str, files: str) -> bool:
        """Whether a study is drafted already, from the same files with the same options."""
        line = self.lines.get(place)
        if line is None or line["status"] != "drafted" or line.get("key") != self.key(files):
            return False
        return (self.path / str(line["report"])).is_file()

    def weights(self) -> set[str]:
        """Return the digests of the weights that the reports of these options were drafted with."""
        return {line["weights_sha256"] for line in self.lines.values()
                if line.get("options") == self._options and line.get("weights_sha256")}  # fmt: skip

    def add(self, place: str, files: str, study: Study, report: Report, content: str | bytes,
            suffix: str) -> None:  # fmt: skip
        """Write a report, then its line of the index."""
        name = self._name(place, study.id, suffix)
        write_atomically(self.path / name, content)
        data = content if isinstance(content, bytes) else encoded(content)
        self._add(
            place,
            study.id,
            "drafted",
            report=name,
            sha256=sha256(data).hexdigest(),
            badges=list(report.badges),
            warnings=len(report.warnings),
            images=[
                {"source": file_name(image), "read": index in report.images_read,
                 "view": str(image.view), "sha256": image.digest}
                for index, image in enumerate(study.images)
            ],
            not_read=list(study.unread),
            model=report.model,
            weights_sha256=report.weights,
            options=self._options,
            key=self.key(files),
        )  # fmt: skip

    def refuse(self, place: str, id: str, files: Sequence[str], reason: str) -> None:
        """Write the line of a study that was not drafted."""
        self._add(place, id, "refused", reason=reason, files=list(files))

    def skip(self, place: str, id: str, reason: str) -> None:
        """Write the line of a file that is no film."""
        if self.lines.get(place, {}).get("reason") != reason:
            self._add(place, id, "skipped", reason=reason)

    def close(self, order: Sequence[str] = ()) -> None:
        """Close the index.

        Args:
            order: of the places, where all of them are done: the index is put into it, one line
                for each place; places that it does not name come after.
        """
        if order:
            places = dict.fromkeys([*(one for one in order if one in self.lines), *self.lines])
            lines = (json.dumps(self.lines[place], ensure_ascii=False) for place in places)
            write_atomically(self._index, "".join(f"{line}\n" for line in lines))
        self._open.close()

    def _add(self, place: str, id: str, status: str, **values: Any) -> None:
        line = {
            "schema_version": SCHEMA_VERSION,
            "study": id,
            "place": place,
            "status": status,
            **values,
            "plainfilm": plainfilm.__version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.lines[place] = line
        with saying_why(self._index):
            self._file.write(encoded(json.dumps(line, ensure_ascii=False)) + b"\n")
            self._file.flush()

    def _name(self, place: str, id: str, suffix: str) -> str:
        """Return the name of a study's report: its id, and more where another has that name."""
        stem = _NAME.sub("_", id).strip("._")[:_LONGEST] or "study"
        name = f"{stem}{suffix}"
        if self._taken.get(name, place) != place or (name not in self._taken and name == INDEX):
            name = f"{stem}-{sha256(place.encode('utf-8', 'replace')).hexdigest()[:8]}{suffix}"
        self._taken[name] = place
        return name


def _values(raw: bytes) -> dict[str, Any] | None:
    """Return a line of the index; None where it is none."""
    if not raw.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"place", "status"} <= line.keys() else None
