"""The bridge to metrics that live in other packages, each in an environment of its own.

Their packages pin versions of torch and transformers that plainfilm cannot share. So each runs as
a process of another Python, and both exchange lines of JSON (``worker/worker.py`` says how).
``plainfilm metrics install NAME FOLDER`` makes the environment and fetches its
checkpoints; afterwards nothing is fetched. The signature names what answered, and its checkpoint.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import venv
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from plainfilm.core import InputError, MetricError, ModelError
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Statistics, mean_of

WORKER = Path(__file__).parent / "worker/worker.py"

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "radgraph": ("radgraph==0.1.18", "transformers<5"),
    "ratescore": ("RaTEScore==0.6.0", "transformers<5"),
    # Its releases carry no tag: this is the commit whose interface the worker calls.
    "green": (
        "green_score @ git+https://github.com/Stanford-AIMI/GREEN"
        "@1507234d34e9fff63461cf9e683286e41e582aba",
        "transformers<5",
    ),
}
"""What each environment holds, as pip takes it."""


class Bridge:
    """A running worker; it ends when this object is dropped, or with plainfilm."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start ``command`` and read what it says it is.

        Raises:
            MetricError: it ends, or says something else.
        """
        self._errors = TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(  # noqa: S603
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=None if environment is None else dict(environment),
        )
        self._input: Any = self._process.stdin
        self._output: Any = self._process.stdout
        weakref.finalize(self, _end, self._process)
        header = self._receive("a line that says which metric answers")
        try:
            self.name = f"{header['metric']}-{header['version']},{header['checkpoint']}"
        except KeyError as error:
            raise MetricError(
                f"the worker began with {header}, expected metric, version and checkpoint"
            ) from error

    def ask(self, items: Sequence[Mapping[str, str]]) -> list[Any]:
        """Return the worker's value for each item, None where it has none.

        Raises:
            MetricError: the worker ends or answers something else.
        """
        lines = [json.dumps(item) for item in items]
        with suppress(BrokenPipeError):  # the worker has ended: reading says why
            self._input.write(("\n".join(lines) + "\n\n").encode())
            self._input.flush()
        found = []
        for position in range(1, len(items) + 1):
            answer = self._receive(f"answer {position} of {len(items)}")
            if "value" not in answer:
                raise MetricError(f"the worker answered {answer}, expected a value")
            found.append(answer["value"])
        return found

    def _receive(self, what: str) -> dict[str, Any]:
        line = self._output.readline().decode(errors="replace")
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip().split("\n")[-1]
            raise MetricError(f"the worker ended with status {status} before {what}: {printed}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = line
        if not isinstance(answer, dict):
            raise MetricError(f"the worker printed {answer!r}, expected {what} as JSON")
        return answer


def load_radgraph(environment: str | Path) -> Bridge:
    """Return RadGraph, running in the folder that ``plainfilm metrics install radgraph`` made."""
    return _open("radgraph", Path(environment))


def load_ratescore(environment: str | Path) -> Bridge:
    """Return RaTEScore, running in the folder that ``plainfilm metrics install ratescore`` made."""
    return _open("ratescore", Path(environment))


def load_green(environment: str | Path) -> Bridge:
    """Return GREEN, running in the folder that ``plainfilm metrics install green`` made."""
    return _open("green", Path(environment))


def pair_score(pairs: Pairs, metric: str) -> Statistics:
    """Return the mean over reports of what a bridge's worker says of each pair.

    A pair of two empty texts is not asked; it is undefined, as is one for which the worker has no
    value.

    Raises:
        MetricError: the worker was not given, or failed.
    """
    bridge: Bridge = pairs.model(metric, metric)

    def ask(both: Sequence[tuple[str, str]]) -> list[float]:
        asked = [pair for pair in both if "".join(pair).strip()]
        items = [{"reference": reference, "prediction": made} for reference, made in asked]
        values = dict(zip(asked, bridge.ask(items) if items else [], strict=True))
        found = (values.get(pair) for pair in both)
        return [math.nan if value is None else float(value) for value in found]

    values = np.array(pairs.each_pair(ask, metric))
    return mean_of(values, checkpoint=bridge.name, undefined="left-out")


@dataclass(frozen=True)
class Places:
    """Where an environment keeps its parts."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def variables(self, *, offline: bool) -> dict[str, str]:
        """Return the environment variables under which its worker runs."""
        caches = str(self.folder / "checkpoints")
        flag = "1" if offline else "0"
        return {
            **os.environ,
            "HF_HOME": caches,
            "XDG_CACHE_HOME": caches,
            "HF_HUB_OFFLINE": flag,
            "TRANSFORMERS_OFFLINE": flag,
        }

    def command(self, metric: str) -> list[str]:
        """Return what starts the worker."""
        # -I: neither plainfilm's folders nor the user's are seen.
        return [str(self.python), "-I", str(WORKER), metric]


def install(metric: str, folder: Path, requirements: Sequence[str] | None = None) -> str:
    """Make the environment of a metric in ``folder``, and return what its worker says it is.

    pip and the worker's package fetch what they need. Where that fails, ``folder`` is removed, so
    that it is whole or missing.

    Args:
        metric: a name of ``REQUIREMENTS``.
        folder: a new folder.
        requirements: what pip installs in place of ``REQUIREMENTS[metric]``.

    Raises:
        InputError: there is no such metric, or ``folder`` exists.
        MetricError: pip failed, or the worker did not start.
    """
    if metric not in REQUIREMENTS:
        raise InputError(f"no environment for {metric!r}: choose from {', '.join(REQUIREMENTS)}")
    if folder.exists():
        raise InputError(f"{folder} exists already: name a new folder, or remove it first")
    places = Places(folder)
    try:
        venv.create(folder, with_pip=True)
        wanted = REQUIREMENTS[metric] if requirements is None else requirements
        if wanted:
            pip = [str(places.python), "-m", "pip", "install", "--disable-pip-version-check"]
            status = subprocess.run([*pip, *wanted], stdout=sys.stderr, check=False).returncode  # noqa: S603
            if status != 0:
                raise MetricError(f"pip could not install {', '.join(wanted)}: it says why above")
        return Bridge(places.command(metric), places.variables(offline=False)).name
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _open(metric: str, folder: Path) -> Bridge:
    places = Places(folder)
    if not places.python.is_file():
        raise ModelError(
            f"no environment of {metric} in {folder}: "
            f"make it with: plainfilm metrics install {metric} {folder}"
        )
    return Bridge(places.command(metric), places.variables(offline=True))


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.terminate()
    process.wait()
