"""What lies in the files, folders and archives that are given: which studies, of which films.

DICOM files belong together by their Study Instance UID; every other film is a study by itself,
since nothing says whose it is. Folders are searched to the bottom, without following links out of
them; a DICOMDIR names its files; a zip archive is read in place, and only the films of the study
that is being drafted are unpacked, into a folder of their own that goes with them.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from plainfilm.core import ImageError, InputError, PlainfilmError, errors_as, printable
from plainfilm.data.films.limits import MOST_BYTES
from plainfilm.data.films.reader import HEADER_BYTES, header_identity, kind_of

MOST_MEMBERS = 200_000
"""Files of a zip archive."""
_START = 140  # bytes by which a film's file is known
_ZIP = b"PK\x03\x04"
_DIRECTORY_CLASS = b"1.2.840.10008.1.3.10"
_HIDDEN = (".", "__MACOSX")


@dataclass(frozen=True)
class Entry:
    """A file, or a member of a zip archive."""

    path: Path
    member: str | None = None
    place: str = ""
    """How it is called in outputs: its path below what was given."""

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return printable(PurePosixPath(self.member).name if self.member else self.path.name)

    def state(self) -> list[str | int]:
        """Return what tells, without reading it, whether the file is still the same."""
        if self.member is not None:
            info = _archive(self.path).getinfo(self.member)
            return [self.place, info.file_size, info.CRC]
        try:
            found = self.path.stat()
        except OSError:
            return [self.place]
        return [self.place, found.st_size, found.st_mtime_ns]


@dataclass(frozen=True)
class Found:
    """The files of one study, or a file that is none."""

    id: str
    entries: tuple[Entry, ...]
    skipped: str | None = None
    """Why the file is no film; None for a study."""

    @property
    def place(self) -> str:
        """What the study is known by among all that were given."""
        return self.entries[0].place

    def key(self) -> str:
        """Return a digest of the files' names, sizes and times."""
        state = [entry.state() for entry in self.entries]
        return hashlib.sha256(repr(state).encode("utf-8", "backslashreplace")).hexdigest()[:16]

    @contextmanager
    def opened(self) -> Iterator[list[Path]]:
        """Return the study's files; those of an archive are there only within the block.

        Raises:
            ImageError: a member of an archive can't be unpacked.
        """
        if all(entry.member is None for entry in self.entries):
            yield [entry.path for entry in self.entries]
            return
        with tempfile.TemporaryDirectory(prefix="plainfilm-") as folder:
            paths = []
            for number, entry in enumerate(self.entries):
                path = entry.path
                if entry.member is not None:
                    path = Path(folder) / str(number) / entry.name[-120:]
                    path.parent.mkdir()
                    _unpack(entry, path)
                paths.append(path)
            yield paths


def find_studies(given: Iterable[Path], *, together: bool = False) -> list[Found]:
    """Return the studies in files, folders, DICOMDIRs and zip archives, in their order.

    A file that is given by itself counts as a film, whatever is in it, so that reading it says what
    is wrong; of a folder or an archive those that are no films come as skipped.

    Args:
        given: files and folders.
        together: whether all of them are of one study.

    Raises:
        InputError: something isn't there, or an archive is damaged or asks for too much.
    """
    given = list(given)
    entries: list[tuple[Entry, bytes | None]] = []
    for path in given:
        # Below the one folder that was given a place needs no more than the path from there.
        entries += _entries(path, "" if len(given) == 1 else f"{printable(str(path))}/")
    films = [(entry, head) for entry, head in entries if _is_film(head)]
    if together:
        if not films:
            raise InputError(
                "nothing that was given is a film: give DICOM, PNG, JPEG or TIFF files"
            )
        members = tuple(entry for entry, _ in films)
        studies = [Found(_stem(_name_of(given[0])), members)]
    else:
        studies = _grouped([entry for entry, _ in films])
    return [*studies, *(Found(_stem(entry.name), (entry,), _why(head))
                        for entry, head in entries if not _is_film(head))]  # fmt: skip


def _entries(path: Path, above: str) -> list[tuple[Entry, bytes | None]]:
    """Return what one path holds, each with its first bytes; None for a file given by itself."""
    with errors_as(InputError, f"{printable(str(path))}: cannot be opened", "check the path"):
        if path.is_dir():
            return _in_folder(path, above)
        head = _first_bytes(path) if path.is_file() else b""
        if head.startswith(_ZIP):
            return _in_archive(path, above.rstrip("/") or printable(path.name))
        if _is_directory(path, head):
            return _in_directory(path, above)
    return [(Entry(path, place=printable(str(path))), None)]


def _in_folder(folder: Path, above: str) -> list[tuple[Entry, bytes | None]]:
    found: list[tuple[Entry, bytes | None]] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(_HIDDEN) or not path.is_file():
                continue
            place = above + printable(path.relative_to(folder).as_posix())
            try:
                head = _first_bytes(path)
            except OSError:
                found.append((Entry(path, place=place), None))  # reading it says why
                continue
            if head.startswith(_ZIP):
                try:
                    found += _in_archive(path, place)
                except InputError:
                    found.append((Entry(path, place=place), head))
            elif not _is_directory(path, head):  # whose files are found anyway
                found.append((Entry(path, place=place), head))
    if not found:
        raise InputError(
            f"{printable(str(folder))}: is empty; expected DICOM, PNG, JPEG or TIFF files"
        )
    return sorted(found, key=lambda one: one[0].place)


def _in_directory(path: Path, above: str) -> list[tuple[Entry, bytes | None]]:
    """Return the images that a DICOMDIR names; those outside its folder are left alone."""
    import pydicom

    root = path.parent.resolve()
    found: list[tuple[Entry, bytes | None]] = []
    for record in pydicom.dcmread(path).get("DirectoryRecordSequence", []):
        parts = record.get("ReferencedFileID") or []
        parts = [parts] if isinstance(parts, str) else [str(part) for part in parts]
        if record.get("DirectoryRecordType") != "IMAGE" or not parts:
            continue
        file = root.joinpath(*parts)
        if file.resolve().is_relative_to(root):
            place = above + printable("/".join(parts))
            found.append((Entry(file, place=place), _first_bytes(file) if file.is_file() else None))
    if not found:
        raise InputError(f"{printable(str(path))}: names no image; give the folder that it lies in")
    return found


def _in_archive(path: Path, place: str) -> list[tuple[Entry, bytes | None]]:
    found: list[tuple[Entry, bytes | None]] = []
    what = f"{printable(str(path))}: is a zip archive that cannot be read"
    with errors_as(InputError, what, "get it again"):
        archive = _archive(path)
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise InputError(f"{printable(str(path))}: holds {len(members)} files; at most "
                             f"{MOST_MEMBERS} are read: split it")  # fmt: skip
        for info in sorted(members, key=lambda info: info.filename):
            parts = PurePosixPath(info.filename.replace("\\", "/")).parts
            if info.is_dir() or not parts or any(part.startswith(_HIDDEN) for part in parts):
                continue
            entry = Entry(path, info.filename, f"{place}/{printable(info.filename)}")
            if info.flag_bits & 1:
                raise InputError(f"{printable(str(path))}: is encrypted; unpack it first")
            with archive.open(info) as member:
                found.append((entry, member.read(_START)))
    return found


@lru_cache(maxsize=4)
def _archive(path: Path) -> zipfile.ZipFile:
    """Return an archive, open; that of a large one takes long to list."""
    return zipfile.ZipFile(path)


def _unpack(entry: Entry, target: Path) -> None:
    """Write a member of an archive to a file, no more of it than a film may have."""
    what = f"{entry.place}: cannot be unpacked"
    with (
        errors_as(ImageError, what, "get the archive again"),
        zipfile.ZipFile(entry.path) as archive,
    ):
        with archive.open(entry.member or "") as member, target.open("wb") as file:
            left = MOST_BYTES + 1
            while left and (piece := member.read(min(left, 2**20))):
                file.write(piece)
                left -= len(piece)
        if not left:
            raise ImageError(f"{entry.place}: has more than {MOST_BYTES >> 20} MiB, as no film has")


def _grouped(entries: list[Entry]) -> list[Found]:
    """Return DICOM files by their study, and each other film as a study."""
    groups: dict[str, list[Entry]] = {}
    for number, entry in enumerate(entries):
        groups.setdefault(_study_of(entry) or f"film {number}", []).append(entry)
    folders: dict[str, set[str]] = {}
    for name, members in groups.items():
        for entry in members:
            folders.setdefault(_folder(entry), set()).add(name)
    found = []
    for name, members in groups.items():
        places = {_folder(entry) for entry in members}
        # A study that has a folder to itself is called by the folder.
        alone = len(members) > 1 and len(places) == 1 and folders[next(iter(places))] == {name}
        called = PurePosixPath(next(iter(places))).name if alone else ""
        found.append(Found(called or _stem(members[0].name), tuple(members)))
    return found


def _study_of(entry: Entry) -> str | None:
    """Return the DICOM study that an entry belongs to; None where nothing sound says so."""
    try:
        if entry.member is None:
            if not entry.path.is_file():
                return None
            with entry.path.open("rb") as file:
                head = file.read(HEADER_BYTES)
        else:
            with _archive(entry.path).open(entry.member) as member:
                head = member.read(HEADER_BYTES)
        return header_identity(entry.path, head)
    except (PlainfilmError, OSError, zipfile.BadZipFile):
        return None  # reading it says why


def _folder(entry: Entry) -> str:
    if entry.member is not None:
        return str(PurePosixPath(entry.place).parent)
    return printable(Path(os.path.abspath(entry.path)).parent.as_posix())  # noqa: PTH100


def _is_film(head: bytes | None) -> bool:
    return head is None or kind_of(head) is not None


def _why(head: bytes | None) -> str:
    return "an archive that cannot be read" if (head or b"").startswith(_ZIP) else "no image"


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)


def _is_directory(path: Path, head: bytes) -> bool:
    if kind_of(head) != "dicom":
        return False
    with path.open("rb") as file:
        return _DIRECTORY_CLASS in file.read(1024)


def _name_of(path: Path) -> str:
    return printable(Path(os.path.abspath(path)).name)  # noqa: PTH100 - resolve() follows links


def _stem(name: str) -> str:
    return PurePosixPath(name).stem or name
