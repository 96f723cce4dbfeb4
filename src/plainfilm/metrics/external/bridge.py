"""The bridge to metrics of other packages, each in a separate environment.

These packages pin versions of torch and transformers that plainfilm cannot share. So each runs in a
separate process with its own Python, and the two exchange lines of JSON (see ``worker/worker.py``).
``plainfilm metrics install NAME FOLDER`` creates the environment and downloads its checkpoints;
afterwards nothing is downloaded. The signature names the package and its checkpoint.
"""

import json
import math
import os
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

from plainfilm.core import InputError, MetricError, ModelError, write_atomically
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Statistics, mean_of

WORKER = Path(__file__).parent / "worker/worker.py"
STATE = "plainfilm-environment.json"
"""File of an environment that names its metric, and says whether it is complete."""

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "radgraph": ("radgraph==0.1.18", "transformers<5"),
    # Its wheel declares no dependencies but imports these.
    "ratescore": (
        "RaTEScore==0.6.0",
        "transformers<5",
        "torch",
        "medspacy",
        "pandas<3",
        "numpy<2",  # medspacy's version of spacy is built against it
    ),
    # Its releases have no tags: this is the commit whose interface the worker calls.
    "green": (
        "green_score @ git+https://github.com/Stanford-AIMI/GREEN"
        "@1507234d34e9fff63461cf9e683286e41e582aba",
        "transformers<5",
    ),
}
"""pip requirements of each environment."""


class Bridge:
    """A running worker process; it ends when this object is deleted, or with plainfilm."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start ``command`` and read its header line.

        Raises:
            MetricError: the process ends, or prints something else.
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
        if "error" in header:
            raise MetricError(_not_loaded(header))
        try:
            self.name = f"{header['metric']}-{header['version']},{header['checkpoint']}"
        except KeyError as error:
            raise MetricError(
                f"the worker began with {header}, expected metric, version and checkpoint"
            ) from error

    def ask(self, items: Sequence[Mapping[str, str]]) -> list[Any]:
        """Return the worker's value for each item, None if it has no value.

        Raises:
            MetricError: the worker ends, or its answer is malformed.
        """
        lines = [json.dumps(item) for item in items]
        with suppress(BrokenPipeError):  # the worker has ended; reading its output reports why
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


def load_radgraph(environment: str | Path, *, checkpoint: Path | None = None) -> Bridge:
    """Return RadGraph, running in the folder that ``plainfilm metrics install radgraph`` made.

    Args:
        environment: that folder.
        checkpoint: ``radgraph-xl.tar.gz``, or the folder ``radgraph-xl`` that it unpacks to;
            default: the one that the installation downloaded.
    """
    return _open("radgraph", Path(environment), checkpoint)


def load_ratescore(
    environment: str | Path, *, checkpoint: Path | None = None, synonyms: Path | None = None
) -> Bridge:
    """Return RaTEScore, running in the folder that ``plainfilm metrics install ratescore`` made.

    Args:
        environment: that folder.
        checkpoint: the folder of ``RaTE-NER-Deberta``; default: the downloaded one.
        synonyms: the folder of ``BioLORD-2023-C``, likewise.
    """
    return _open("ratescore", Path(environment), checkpoint, synonyms)


def load_green(environment: str | Path, *, checkpoint: Path | None = None) -> Bridge:
    """Return GREEN, running in the folder that ``plainfilm metrics install green`` made.

    Args:
        environment: that folder.
        checkpoint: the folder of ``GREEN-radllama2-7b``; default: the downloaded one.
    """
    return _open("green", Path(environment), checkpoint)


def pair_score(pairs: Pairs, metric: str) -> Statistics:
    """Return the mean over reports of the values that a worker gives to each pair.

    A pair of empty texts is undefined without asking the worker, and so is a pair for which the
    worker has no value.

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
    """Paths within an environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def variables(self, *, offline: bool) -> dict[str, str]:
        """Return the environment variables of the worker process."""
        caches = str(self.folder / "checkpoints")
        flag = "1" if offline else "0"
        return {
            **os.environ,
            "HF_HOME": caches,
            "XDG_CACHE_HOME": caches,
            "HF_HUB_OFFLINE": flag,
            "TRANSFORMERS_OFFLINE": flag,
        }

    def command(self, metric: str, *checkpoints: Path | None) -> list[str]:
        """Return the command that starts the worker; None means a downloaded checkpoint."""
        # -I hides plainfilm's and the user's folders from the worker.
        paths = ["" if path is None else str(path.resolve()) for path in checkpoints]
        return [str(self.python), "-I", str(WORKER), metric, *paths]

    @property
    def state(self) -> dict[str, Any]:
        """Content of the environment's state file; empty if there is none."""
        try:
            found = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_state(self, metric: str, *, complete: bool) -> None:
        """Write the state file: the environment's metric, and whether it is complete."""
        state = {"metric": metric, "complete": complete}
        write_atomically(self.folder / STATE, json.dumps(state))


def install(
    metric: str,
    folder: Path,
    requirements: Sequence[str] | None = None,
    *,
    torch: str | None = None,
    torch_index: str | None = None,
    checkpoints: Sequence[Path | None] = (),
) -> str:
    """Create the environment of a metric in ``folder``, and return its worker's name.

    pip and the worker's package download what they need. If that fails, downloaded files are kept,
    and the same call resumes from there.

    Args:
        metric: a key of ``REQUIREMENTS``.
        folder: a new folder, or one whose installation was not completed.
        requirements: pip requirements in place of ``REQUIREMENTS[metric]``.
        torch: pip requirement of torch (``torch==2.13.0``); default: pip's choice, which on Linux
            includes gigabytes of CUDA libraries.
        torch_index: package index for torch.
        checkpoints: as for the metric's loader, in its order.

    Raises:
        InputError: there is no such metric, or ``folder`` exists and is not its environment.
        MetricError: pip failed, or the worker did not start; the message names what it needs.
    """
    if metric not in REQUIREMENTS:
        raise InputError(f"no environment for {metric!r}: choose from {', '.join(REQUIREMENTS)}")
    places = Places(folder)
    if folder.exists() and places.state != {"metric": metric, "complete": False}:
        raise InputError(f"{folder} exists already: name a new folder, or remove it first")
    if not places.python.is_file():
        venv.create(folder, with_pip=True)
        places.write_state(metric, complete=False)
    wanted = list(REQUIREMENTS[metric] if requirements is None else requirements)
    if torch is not None:
        index = [] if torch_index is None else ["--index-url", torch_index]
        _pip(places, [torch], index)
        wanted.append(torch)  # so that no package installs another build
    if wanted:
        _pip(places, wanted)
    try:
        name = Bridge(places.command(metric, *checkpoints), places.variables(offline=False)).name
    except MetricError as error:
        raise MetricError(
            f"{error}; what was fetched stays in {folder}: run the installation again to go on"
        ) from error
    places.write_state(metric, complete=True)
    return name


def _pip(places: Places, wanted: Sequence[str], options: Sequence[str] = ()) -> None:
    command = [str(places.python), "-m", "pip", "install", "--disable-pip-version-check"]
    status = subprocess.run(  # noqa: S603
        [*command, *options, *wanted], stdout=sys.stderr, check=False
    ).returncode
    if status != 0:
        raise MetricError(
            f"pip could not install {', '.join(wanted)}: it says why above; what was fetched stays "
            f"in {places.folder}: run the installation again to go on"
        )


def _open(metric: str, folder: Path, *checkpoints: Path | None) -> Bridge:
    places = Places(folder)
    again = f"plainfilm metrics install {metric} {folder}"
    if not places.python.is_file():
        raise ModelError(f"no environment of {metric} in {folder}: make it with: {again}")
    if places.state.get("complete") is False and not any(checkpoints):
        raise ModelError(
            f"the environment of {metric} in {folder} is not complete: go on with: {again}, or "
            "give its checkpoint"
        )
    for path in checkpoints:
        if path is not None and not path.exists():
            raise ModelError(f"no checkpoint of {metric} at {path}")
    return Bridge(places.command(metric, *checkpoints), places.variables(offline=True))


def _not_loaded(header: Mapping[str, Any]) -> str:
    """Return in one line why a worker could not load its package or its checkpoint."""
    reason = " ".join(str(header["error"]).split())[:300]
    wanted = header.get("wanted")
    if not wanted:
        return f"the worker could not start: {reason}"
    return (
        f"the worker could not load {wanted} ({reason}): download it where there is a network, "
        "and give its path as checkpoint"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.terminate()
    process.wait()
