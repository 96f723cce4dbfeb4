"""Atomic writing of files.

A file is written whole or not at all. A symbolic link is followed and its target replaced; a device
or a pipe is written to, never replaced. An existing file keeps its permissions. Every failure is an
OutputError in one line.
"""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from plainfilm.core.errors import OutputError, printable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = ".part"
"""Suffix of files that are still being written."""

_ADVICE = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "choose a place that you may write to",
    errno.EPERM: "choose a place that you may write to",
    errno.EISDIR: "give the name of a file",
    errno.ENOTDIR: "one of its folders is a file: choose another place",
    errno.EEXIST: "it is a file: choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` (text as UTF-8), so that it is never seen half-written.

    Surrogates (undecodable bytes of a file's name) are written as ``\\udcfc``, which JSON reads
    back.

    Raises:
        OutputError: the folder does not exist, or the file cannot be written.
    """
    data = encoded(content) if isinstance(content, str) else content
    with saying_why(path):
        target = _target(path)
        if _is_special(target):
            with target.open("wb") as device:
                device.write(data)
            return
        part = _part(target)
        try:
            part.write_bytes(data)
            _keep_permissions(target, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise OutputError now if :func:`write_atomically` would raise it after hours of work."""
    with saying_why(path):
        target = _target(path)
        if not _is_special(target):
            part = _part(target)
            try:
                part.touch(exist_ok=False)
            finally:
                part.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Raise OutputError now if the folder ``path`` can't be made, or can't be written to."""
    with saying_why(path):
        above = path
        while not above.exists():
            above = above.parent
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        check_writable(above / "x")


@contextmanager
def saying_why(path: Path) -> Iterator[None]:
    """Convert an OSError raised in the block into an OutputError: ``path`` can't be written."""
    try:
        yield
    except OutputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        number = getattr(error, "errno", None) or 0
        advice = _ADVICE.get(number, "choose another place")
        if number == errno.ENOENT:
            advice = f"there is no folder {printable(str(path.parent))}: make it first"
        said = OutputError(f"{printable(str(path))}: cannot be written ({reason}); {advice}")
        said.strerror = reason
        raise said from error


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; yields False if another process holds it.

    The lock ends with the process, however that ends. On systems without ``flock`` it always yields
    True.
    """
    if fcntl is None:
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        # The previous holder may have renamed the folder to its final name in the meantime.
        yield folder.exists() and os.path.samestat(os.fstat(handle), folder.stat())
    finally:
        os.close(handle)


def encoded(text: str) -> bytes:
    """Return ``text`` as UTF-8; surrogates become escapes such as ``\\udcfc``."""
    return text.encode("utf-8", "backslashreplace")


class GrowingFile:
    """A text file that is written piece by piece and is complete after each piece.

    The file exists from the first piece on and always ends with ``tail``, so that no finished piece
    is lost however the program ends. Standard output, devices and pipes get the pieces as they
    come, and the tail on :meth:`close`.

    Args:
        path: the file; None is standard output.
        head: text before the first piece.
        between: text between two pieces.
        tail: text after the last piece.
    """

    def __init__(
        self, path: Path | None, *, head: str = "", between: str = "", tail: str = "\n"
    ) -> None:
        self.path = path
        self.head, self.between, self.tail = encoded(head), encoded(between), encoded(tail)
        self.pieces = 0
        self._stream: BinaryIO | None = None
        self._end = 0

    def add(self, piece: str) -> None:
        """Write a piece.

        Raises:
            OutputError: the file can't be written.
        """
        data = (self.between if self.pieces else self.head) + encoded(piece)
        self.pieces += 1
        if self.path is None:
            _to_standard_output(data)
            return
        with saying_why(self.path):
            target = _target(self.path)
            if _is_special(target):
                if self._stream is None:
                    self._stream = target.open("wb")
                self._stream.write(data)
                self._stream.flush()
            elif self._stream is None:
                write_atomically(target, data + self.tail)
                self._stream = target.open("r+b", buffering=0)
                self._end = len(data)
            else:
                self._stream.seek(self._end)
                self._stream.write(data + self.tail)
                self._end += len(data)

    def close(self) -> None:
        """Write the tail if it is not written yet, and close the file."""
        if self.path is None:
            _to_standard_output(self.tail if self.pieces else b"")
        elif self._stream is not None:
            with saying_why(self.path), self._stream:
                if _is_special(_target(self.path)):
                    self._stream.write(self.tail)


def _to_standard_output(data: bytes) -> None:
    sys.stdout.write(data.decode("utf-8"))
    sys.stdout.flush()


def _target(path: Path) -> Path:
    """Return the path with a symbolic link resolved; raise OSError if it can't be overwritten."""
    with suppress(FileNotFoundError):
        path.lstat()  # unlike exists(), raises on a name that no file can have
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target


def _is_special(target: Path) -> bool:
    """Whether a path is a device, a pipe or a socket."""
    return target.exists() and not target.is_file()


def _part(target: Path) -> Path:
    """Return a temporary name in ``target``'s folder, short enough for any file system."""
    return target.with_name(f".{os.getpid()}-{secrets.token_hex(4)}{PART}")


def _keep_permissions(target: Path, part: Path) -> None:
    with suppress(FileNotFoundError):
        before = target.stat()
        part.chmod(stat.S_IMODE(before.st_mode))
        if hasattr(os, "chown") and before.st_uid != os.geteuid():
            with suppress(PermissionError):
                os.chown(part, before.st_uid, before.st_gid)
