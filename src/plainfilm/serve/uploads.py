"""What comes in: files of anybody's, which may be hostile.

A file's name is never a path: each is written under a name of the service's own, and the given one
is kept, cleaned, for people to read. Zip archives are unpacked member by member within limits on
their number, their size and how much they swell. What a file holds is for the film readers to
judge, which decode in a process of their own.
"""

import lzma
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from plainfilm.core import ImageError, InputError, PlainfilmError
from plainfilm.serve.store import new_id

_CHUNK = 1 << 20
_MOST_SWOLLEN = 200
"""An archive's member may be this many times its packed size; deflate reaches 1,032."""


@dataclass(frozen=True)
class Limits:
    """On what is taken in one request."""

    most_bytes: int = 512 << 20
    """Of a request, and of what an archive holds."""
    most_files: int = 500


def clean_name(name: str | None) -> str:
    """Return a file's name for people to read: no folder, no control character, 100 at most."""
    last = re.split(r"[/\\]", name or "")[-1]
    kept = "".join(c for c in last if c.isprintable()).strip()[:100]
    return kept if kept.strip(".") else "film"


class Incoming:
    """Files of one request on their way into the folder.

    Args:
        folder: of the service.
        limits: on what is taken.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._made: list[Path] = []
        self._bytes = 0
        self._files = 0

    def study(self, files: Iterable[tuple[str | None, IO[bytes]]], **facts: Any) -> dict[str, Any]:
        """Write the films of one study; return what the store takes.

        Raises:
            InputError: there is none, or there is more than the limits let in.
        """
        id = new_id()
        place = self.folder / "uploads" / id
        place.mkdir(parents=True)
        self._made.append(place)
        kept = []
        for number, (name, stream) in enumerate(files, start=1):
            path = place / f"{number:04d}"
            self._write(path, stream)
            kept.append({"path": str(path.relative_to(self.folder)), "name": clean_name(name)})
        if not kept:
            raise InputError("no file was given: send films as the field 'files'")
        _sync(place)
        return {"id": id, "files": kept, **facts}

    def batch(
        self, files: Iterable[tuple[str | None, IO[bytes]]], **facts: Any
    ) -> list[dict[str, Any]]:
        """Write many films, archives unpacked; films of one DICOM study are one, others alone.

        Raises:
            InputError: there is none, an archive is damaged, or there is more than is let in.
        """
        singles = [
            self.study([film], **facts) for given in files for film in self._unpacked(*given)
        ]
        if not singles:
            raise InputError("no film was found in what was given")
        together: dict[str, dict[str, Any]] = {}
        for single in singles:
            key = self._study_uid(self.folder / single["files"][0]["path"]) or single["id"]
            if key in together:
                together[key]["files"] += single["files"]
            else:
                together[key] = single
        return list(together.values())

    def discard(self) -> None:
        """Remove everything that was written."""
        for place in self._made:
            shutil.rmtree(place, ignore_errors=True)

    def _unpacked(
        self, name: str | None, stream: IO[bytes]
    ) -> Iterator[tuple[str | None, IO[bytes]]]:
        if stream.read(4) != b"PK\x03\x04":
            stream.seek(0)
            yield name, stream
            return
        stream.seek(0)
        try:
            with zipfile.ZipFile(stream) as archive:
                members = [one for one in archive.infolist() if not one.is_dir()]
                if len(members) > self.limits.most_files:
                    raise InputError(
                        f"the archive has {len(members)} files; at most {self.limits.most_files}"
                    )
                for member in members:
                    if member.file_size > _MOST_SWOLLEN * max(1, member.compress_size):
                        raise InputError("a file of the archive swells too much to be a film")
                    with archive.open(member) as content:
                        yield member.filename, content
        except PlainfilmError:
            raise
        except (
            zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error,
            lzma.LZMAError,
        ) as error:  # fmt: skip
            raise InputError("the archive is damaged, locked or of an unknown kind") from error

    def _write(self, path: Path, stream: IO[bytes]) -> None:
        self._files += 1
        if self._files > self.limits.most_files:
            raise InputError(f"more than {self.limits.most_files} files in one request")
        with path.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                self._bytes += len(chunk)
                if self._bytes > self.limits.most_bytes:
                    raise InputError(f"more than {self.limits.most_bytes >> 20} MiB in one request")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _study_uid(path: Path) -> str | None:
        from plainfilm.data.films.reader import identity

        try:
            return identity(path)
        except (ImageError, PlainfilmError, OSError):
            return None  # drafting says what is wrong with it


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path, files: Sequence[dict[str, str]], id: str) -> None:
    """Remove a study's films and results."""
    for file in files:
        shutil.rmtree((folder / file["path"]).parent, ignore_errors=True)
    shutil.rmtree(folder / "results" / id, ignore_errors=True)
