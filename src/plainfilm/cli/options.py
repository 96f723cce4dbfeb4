"""The options that every scoring command shares, and what they mean."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from plainfilm.core import UncertaintyPolicy


class Uncertain(StrEnum):
    """What an uncertain mention counts as."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


Metrics = Annotated[
    str | None,
    typer.Option("--metrics", help="Names, separated by commas; see docs/metrics.", metavar="A,B"),
]
UncertainOption = Annotated[
    Uncertain, typer.Option("--uncertain", help="What an uncertain mention counts as.")
]
Language = Annotated[
    str | None,
    typer.Option(
        help="Of the reports, for labels and findings: en or es; a run's own where left out.",
        show_default=False,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME=PATH",
        help="A model that a metric needs, as its page in docs/metrics says; repeatable.",
    ),
]
Intervals = Annotated[
    bool,
    typer.Option("--intervals/--no-intervals", help="95 % bootstrap intervals (1000 samples)."),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="COLUMN",
        help="Also score each institution, view, sex … by itself: a column of the references' "
        "file, of --table, or of a run's studies.",
    ),
]
StudyTable = Annotated[
    Path | None,
    typer.Option("--table", help="A table of the studies by id (CSV, JSON lines), for --by."),
]
Row = Annotated[
    str | None,
    typer.Option("--row", help="Which system, where a file or run folder holds several."),
]


class Missing(StrEnum):
    """What becomes of an entry without its prediction."""

    REFUSE = "refuse"
    EMPTY = "empty"


MissingOption = Annotated[
    Missing,
    typer.Option(
        "--missing", help="An entry without its prediction is an error, or scored as empty."
    ),
]
Section = Annotated[
    str | None,
    typer.Option(
        help="Score this part of the reports: findings, impression or findings+impression."
    ),
]


Tokens = Annotated[
    str,
    typer.Option(
        "--tokenizer",
        help="How lexical metrics cut words: ptb (COCO-caption's), whitespace (words that are cut "
        "already), r2gen-60 or r2gen-100 (R2Gen's protocol).",
    ),
]
CorpusFile = Annotated[
    Path | None,
    typer.Option(
        "--corpus",
        help="Reports, such as the training split's, from which CIDEr-D takes its document "
        "frequencies; the references where left out.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that read reports; all cores where left out."),
]


PresetOption = Annotated[
    str | None,
    typer.Option(
        help="How a published checkpoint is asked that plainfilm did not write (docs/vlm.md)."
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="Where the model runs: cpu, cuda, cuda:1, or auto to spread a large one; a GPU where "
        "there is one if left out."
    ),
]


ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads on the processor; a small model takes one, which is fastest on a busy "
        "machine.",
    ),
]
SMALL = 50_000_000
"""Parameters up to which a model drafts on one thread: more of them wait for each other (32 reports
took 4.0 s on one thread and 16.9 s on two beside another process)."""


def use_threads(model: Any, threads: int | None) -> None:
    """Set how many threads a model drafts with, unless OMP_NUM_THREADS says so.

    Args:
        model: a transformers model.
        threads: what was asked for.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    elif (
        "OMP_NUM_THREADS" not in os.environ
        and model.device.type == "cpu"
        and sum(parameter.numel() for parameter in model.parameters()) <= SMALL
    ):
        torch.set_num_threads(1)


@dataclass(frozen=True)
class Protocol:
    """How a command scores."""

    metrics: list[str]
    options: dict[str, Any]
    """Fields of :class:`plainfilm.metrics.Scoring`, as keyword arguments."""

    @property
    def classes(self) -> Literal[14, 5] | None:
        """How many observations the first label metric has; None where none is asked for."""
        labels = [name for name in self.metrics if name.endswith(("-14", "-5"))]
        if not labels:
            return None
        return 14 if labels[0].endswith("-14") else 5

    @property
    def by_observation(self) -> list[str]:
        """The metrics of a table by observation, where a label metric is asked for."""
        if self.classes is None:
            return []
        return [f"macro-{measure}-{self.classes}" for measure in ("precision", "recall", "f1")]

    @property
    def scored(self) -> list[str]:
        """Every metric to compute."""
        return list(dict.fromkeys([*self.metrics, *self.by_observation]))


def protocol(
    metrics: str | None,
    uncertain: Uncertain,
    models: list[str] | None,
    *,
    tokenizer: str | None = None,
    corpus: Path | None = None,
    workers: int | None = 1,
) -> Protocol:
    """Return the protocol that the options ask for; every name is a known metric.

    Args:
        metrics: names, separated by commas; the default ones for None.
        uncertain: what an uncertain mention counts as.
        models: descriptions as for :func:`plainfilm.metrics.models.load_models`.
        tokenizer: of lexical metrics.
        corpus: a file of reports.
        workers: processes that read reports; None for all cores.

    Raises:
        MetricError: a metric is unknown or named twice, or a model's description is malformed.
        ModelError: a model cannot be loaded.
        InputError: the corpus cannot be read.
    """
    from plainfilm.metrics.models import load_models
    from plainfilm.metrics.registry import resolve

    names = [name.strip() for name in metrics.split(",")] if metrics is not None else None
    chosen = list(resolve(names))
    options: dict[str, Any] = {
        "policy": UncertaintyPolicy(f"uncertain-{uncertain}"),
        "models": load_models(models or []),
    }
    if tokenizer is not None:
        options["tokenizer"] = tokenizer
    if corpus is not None:
        options["corpus"] = _corpus(corpus)
    if workers != 1:
        options["workers"] = workers or len(os.sched_getaffinity(0))
    return Protocol(chosen, options)


def _corpus(path: Path) -> list[str]:
    from plainfilm.metrics.files import read_reports

    found = read_reports(path, "references")
    return found if isinstance(found, list) else list(found.values())
