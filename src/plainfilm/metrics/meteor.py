"""METEOR 1.5 by its reference program, the Java archive that ``pycocoevalcap`` 1.2 carries.

The program aligns each pair (exact words, stems, synonyms, paraphrases) and prints 23 counts. Those
are summed here and turned into the score by the published formula (Denkowski and Lavie 2014,
English), which gives the program's own corpus and segment scores to rounding error. Other programs
called METEOR give other numbers.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

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
    printed = _run(re.sub(r"[^\S\n]", " ", "\n".join(lines)) + "\n").split("\n")
    rows = np.array([line.split() for line in printed if line], dtype=np.float64)
    if rows.shape != (len(pairs), _COLUMNS):
        raise MetricError(
            f"METEOR's program printed a table of {rows.shape} for {len(pairs)} pairs, "
            f"expected {_COLUMNS} columns"
        )
    # A pair aligned whole in one piece counts as having no break between pieces.
    whole = (rows[:, 20] == 1) & (rows[:, 21] == rows[:, 0]) & (rows[:, 22] == rows[:, 1])
    rows[whole, 20] = 0
    return Statistics(
        rows=rows,
        value=_value,
        protocol={**pairs.lexical, "checkpoint": "meteor-1.5.jar,en,norm"},
    )


def _line(tokens: Sequence[str]) -> str:
    """Return tokens as the program reads them; three bars, which part its fields, stand apart."""
    return " ".join(tokens).replace("|||", "| | |")


def _value(totals: Array) -> Array:
    """Return METEOR of summed counts (..., 23).

    Columns: words of prediction and reference, their function words; for each stage the matched
    content words of both, then the matched function words of both; pieces; matched words of both.
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


def _run(lines: str) -> str:
    """Return what the program prints for ``lines``."""
    java = shutil.which("java")
    if java is None:
        raise MissingDependencyError(
            "METEOR's reference program needs Java, and there is no java on the PATH: "
            "install a Java runtime, or leave meteor out"
        )
    command = [java, "-Xmx2G", "-jar", str(_archive()), "-", "-", "-stdio", "-l", "en", "-norm"]
    done = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)  # noqa: S603
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip().split("\n")[-1]
        raise MetricError(f"METEOR's program failed with status {done.returncode}: {why}")
    return done.stdout.decode()


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
