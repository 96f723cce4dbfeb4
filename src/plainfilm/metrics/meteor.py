"""METEOR 1.5 by its reference program, the Java archive in ``pycocoevalcap`` 1.2.

The program aligns each pair (exact words, stems, synonyms, paraphrases) and prints 23 counts. They
are summed here and turned into the score by the published formula (Denkowski and Lavie 2014,
English), which reproduces the program's own corpus and segment scores to rounding error. Other
programs called METEOR give other numbers.
"""

import atexit
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, cast

import numpy as np

from plainfilm.core import MetricError, MissingDependencyError
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Array, Statistics, ratio

_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_STAGES = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
_COLUMNS = 23


def meteor(pairs: Pairs) -> Statistics:
    """Return METEOR 1.5 (``-l en -norm``), its counts summed over reports.

    Raises:
        MissingDependencyError: Java or the archive is missing.
        MetricError: the program failed.
    """
    lines = [
        f"SCORE ||| {_line(reference)} ||| {_line(prediction)}"
        for reference, prediction in zip(*pairs.tokens, strict=True)
    ]
    printed = _run([re.sub(r"\s", " ", line) for line in lines])
    table = [line.split() for line in printed]
    if odd := [row for row in table if len(row) != _COLUMNS]:
        raise MetricError(
            f"METEOR's program printed {len(odd[0])} numbers for a pair, expected {_COLUMNS}"
        )
    rows = np.array(table, dtype=np.float64).reshape(-1, _COLUMNS)
    # A pair aligned completely in one chunk has a fragmentation of 0.
    whole = (rows[:, 20] == 1) & (rows[:, 21] == rows[:, 0]) & (rows[:, 22] == rows[:, 1])
    rows[whole, 20] = 0
    return Statistics(
        rows=rows,
        value=_value,
        protocol={**pairs.lexical, "checkpoint": "meteor-1.5.jar,en,norm"},
    )


def _line(tokens: Sequence[str]) -> str:
    """Return tokens in the program's format; its field separator, three bars, is split up."""
    return " ".join(tokens).replace("|||", "| | |")


def _value(totals: Array) -> Array:
    """Return METEOR from summed counts (..., 23).

    Columns: words of prediction and reference, their function words; for each stage the matched
    content words of both, then the matched function words of both; chunks; matched words of both.
    """
    sides = []
    for side in (0, 1):  # prediction, reference
        words, function_words = totals[..., side], totals[..., 2 + side]
        content, function = (totals[..., 4 + side + offset : 20 : 4] for offset in (0, 2))
        matched = (_DELTA * content + (1 - _DELTA) * function) @ _STAGES
        weight = _DELTA * (words - function_words) + (1 - _DELTA) * function_words
        sides.append(np.nan_to_num(ratio(matched, weight)))
    precision, recall = sides
    mean = np.nan_to_num(ratio(precision * recall, _ALPHA * precision + (1 - _ALPHA) * recall))
    pieces = np.nan_to_num(ratio(2 * totals[..., 20], totals[..., 21] + totals[..., 22]))
    value: Array = mean * (1 - _GAMMA * pieces**_BETA)
    return np.where((totals[..., 0] == 0) & (totals[..., 1] == 0), np.nan, value)


def _run(lines: Sequence[str]) -> list[str]:
    """Return the program's output for each of ``lines``."""
    with _ONE_AT_A_TIME:
        program = _program()
        given, answers = cast("IO[bytes]", program.stdin), cast("IO[bytes]", program.stdout)
        printed: list[str] = []
        try:
            for at in range(0, len(lines), _AT_ONCE):
                part = lines[at : at + _AT_ONCE]
                given.write("".join(f"{line}\n" for line in part).encode())
                given.flush()
                printed += [_answer(answers) for _ in part]
        except (BrokenPipeError, EOFError):
            raise _failed(program) from None
        except BaseException:  # what it still prints would be taken for the next call's answers
            program.kill()
            _started.cache_clear()
            raise
        return printed


_AT_ONCE = 100
"""Pairs that are handed over before their answers are read: few enough that those fit in a pipe."""
_ONE_AT_A_TIME = threading.Lock()


def _program() -> "subprocess.Popen[bytes]":
    """Return the program as it runs, which is started where it does not: its tables take 10 s to
    load, and an evaluation asks for METEOR once for each row."""
    java = shutil.which("java")
    if java is None:
        raise MissingDependencyError(
            "METEOR's reference program needs Java, and there is no java on the PATH: "
            "install a Java runtime, or leave meteor out"
        )
    return _started(java, str(_archive()), os.getpid())


@lru_cache(maxsize=1)
def _started(java: str, archive: str, owner: int) -> "subprocess.Popen[bytes]":
    """Start it; ``owner`` is the process that may talk to it, which a fork of it must not."""
    command = [java, "-Xmx2G", "-XX:+UseSerialGC", "-jar", archive]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    pipe = subprocess.PIPE
    said = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the program)
    program = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said)  # noqa: S603
    _SAID[program.pid] = said
    atexit.register(_end, program, owner)
    return program


def _end(program: "subprocess.Popen[bytes]", owner: int) -> None:
    if os.getpid() == owner:
        program.kill()


_SAID: dict[int, IO[bytes]] = {}
"""What the running program wrote besides."""


def _answer(printed: IO[bytes]) -> str:
    line = printed.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return line.decode()


def _failed(program: "subprocess.Popen[bytes]") -> MetricError:
    """Return why it ended; the next call starts it anew."""
    _started.cache_clear()
    status = program.wait()
    said = _SAID.pop(program.pid)
    said.seek(0)
    why = said.read().decode(errors="replace").strip().split("\n")[-1]
    return MetricError(f"METEOR's program failed with status {status}: {why}")


def _archive() -> Path:
    found = find_spec("pycocoevalcap")
    places = [] if found is None else list(found.submodule_search_locations or [])
    for place in places:
        archive = Path(place) / "meteor/meteor-1.5.jar"
        if archive.is_file():
            return archive
    raise MissingDependencyError(
        "METEOR needs meteor-1.5.jar from pycocoevalcap: pip install pycocoevalcap==1.2"
    )
