"""The child process of :mod:`plainfilm.data.films.decoder`, which decodes films one by one.

It reads requests from standard input and writes answers to standard output, limits its own memory
and processor time for each film, and ends when its parent does.
"""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy.typing as npt

from plainfilm.core import ImageError, one_line
from plainfilm.data.films.decoder import receive, send
from plainfilm.data.films.limits import DECODER_BYTES, DECODER_SECONDS

try:
    import resource
except ImportError:  # Windows, where only the parent's timeout stops a decoder
    resource = None  # type: ignore[assignment]


def main() -> None:
    """Answer requests until the parent is gone."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that libraries that print don't corrupt the answers
    warnings.simplefilter("ignore")
    logging.disable()
    if resource is not None:
        _limit(resource.RLIMIT_AS, DECODER_BYTES)
        _limit(resource.RLIMIT_CORE, 0)
    while True:
        try:
            request, data = receive(requests)
        except EOFError:
            return
        if resource is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            spent = int(used.ru_utime + used.ru_stime)
            _limit(resource.RLIMIT_CPU, spent + DECODER_SECONDS + 1)
        answer, values = _answer(request, data.tobytes())
        del data
        send(answers, answer, values)


def _limit(kind: int, value: int) -> None:
    _soft, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, hard))


def _answer(
    request: dict[str, Any], data: bytes
) -> tuple[dict[str, Any], npt.NDArray[Any] | bytes]:
    try:
        if request["kind"] == "frame":
            from plainfilm.data.films.dicom_frames import decode_frame

            return {}, decode_frame(data, request["syntax"], request["options"])
        from plainfilm.data.films.raster import decode_picture

        picture = decode_picture(Path(request["path"]), data)
        return picture.facts(), picture.values
    except MemoryError:
        return {"exhausted": True}, b""
    except ImageError as error:
        return {"error": str(error)}, b""
    except BaseException as error:
        return {"refused": one_line(error)}, b""


if __name__ == "__main__":
    main()
