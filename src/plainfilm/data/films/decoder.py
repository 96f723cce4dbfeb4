"""Decoding untrusted files in a separate process, within limits.

JPEG 2000, JPEG-LS, lossless and 12-bit JPEG, RLE and TIFF are decoded by compiled libraries that a
damaged or hostile file can make crash, hang, or allocate any amount of memory. They run in one
child process, which starts with the first such film, lives as long as this process, and is replaced
if it had to be stopped.
"""

import atexit
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import ImageError
from plainfilm.data.films.limits import DECODER_BYTES, DECODER_SECONDS

_WALL_SECONDS = 5 * DECODER_SECONDS
"""Limit of wall-clock time, for a process that waits for something other than the processor."""
_LENGTHS = struct.Struct("<QQ")


class _Child:
    """One child process, which decodes one film at a time."""

    def __init__(self) -> None:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plainfilm.data.films.decoder_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def ask(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], npt.NDArray[Any]]:
        """Send a request and return the answer; raises EOFError if the process died."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None  # noqa: S101 - both are pipes
        assert stdout is not None  # noqa: S101
        timer = threading.Timer(_WALL_SECONDS, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            send(stdin, request, data)
            return receive(stdout)
        except OSError as error:
            raise EOFError from error
        finally:
            timer.cancel()

    def stop(self) -> int:
        """Stop the process and return its exit status."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # unsent data for a process that is gone
                    continue
        return status


_child: _Child | None = None
_lock = threading.Lock()


def _after_fork() -> None:
    """Reset the state in a forked process: another thread may have held the lock."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def decode_apart(
    path: Path, request: dict[str, Any], data: bytes
) -> tuple[dict[str, Any], npt.NDArray[Any]]:
    """Decode ``data`` in the child process; return facts about the picture, and its values.

    Args:
        path: the film's file, for messages.
        request: a request to :mod:`plainfilm.data.films.decoder_process`.
        data: the bytes to decode.

    Raises:
        ImageError: the data are damaged, or exceed the limits of time or memory.
    """
    global _child
    with _lock:
        if _child is None or _child.owner != os.getpid():  # none yet, or the parent process's
            _child = _Child()
        try:
            answer, values = _child.ask(request, data)
        except BaseException as error:
            status = _child.stop()
            _child = None
            if not isinstance(error, EOFError):
                raise
            reason = (
                f"its decoder took longer than {DECODER_SECONDS} s"
                if status in (-9, -24)  # killed by the timer, or SIGXCPU
                else "its decoder crashed"
            )
            raise _refusal(path, reason) from error
        if answer.get("exhausted"):  # the state of its memory is unknown
            _child.stop()
            _child = None
            raise _refusal(path, f"asks for more than {DECODER_BYTES / 2**30:.0f} GiB of memory")
    if "error" in answer:
        raise ImageError(answer["error"])
    if "refused" in answer:
        raise _refusal(path, answer["refused"])
    return answer, values


def _refusal(path: Path, reason: str) -> ImageError:
    return ImageError(
        f"{path}: is truncated or damaged and cannot be decoded ({reason}); get it again"
    )


def send(stream: IO[bytes], facts: dict[str, Any], data: bytes | npt.NDArray[Any]) -> None:
    """Write one message: facts as JSON, followed by bytes or the values of an array."""
    if isinstance(data, np.ndarray):
        facts = facts | {"shape": data.shape, "dtype": data.dtype.str}
        data = np.ascontiguousarray(data).tobytes()
    head = json.dumps(facts).encode()
    stream.write(_LENGTHS.pack(len(head), len(data)) + head)
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], npt.NDArray[Any]]:
    """Read a message written by :func:`send`; raises EOFError if the other process is gone."""
    head_length, length = _LENGTHS.unpack(_read(stream, bytearray(_LENGTHS.size)))
    facts = json.loads(bytes(_read(stream, bytearray(head_length))))
    if "dtype" in facts:
        values = np.empty(facts["shape"], dtype=facts["dtype"])
        _read(stream, values.reshape(-1).view(np.uint8))
    else:
        values = np.empty(length, dtype=np.uint8)
        _read(stream, values)
    return facts, values


def _read(stream: IO[bytes], buffer: Any) -> Any:
    view = memoryview(buffer)
    while len(view):
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the other side is gone")
        view = view[count:]
    return buffer


@atexit.register
def _end() -> None:
    if _child is not None and _child.owner == os.getpid():
        _child.stop()
