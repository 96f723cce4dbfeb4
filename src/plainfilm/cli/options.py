"""The options that every scoring command shares, and what they mean."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypedDict

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
        help="A model that a metric asks, as its page in docs/metrics says; repeatable.",
    ),
]
Intervals = Annotated[
    bool,
    typer.Option("--intervals/--no-intervals", help="95 % bootstrap intervals (1000 samples)."),
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


class Options(TypedDict):
    """How labels are read, as keyword arguments of the rooms below."""

    policy: UncertaintyPolicy
    models: dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """How a command scores."""

    metrics: list[str]
    options: Options

    @property
    def by_observation(self) -> list[str]:
        """The metrics of a table by observation, where a label metric is asked for."""
        labels = [name for name in self.metrics if name.endswith(("-14", "-5"))]
        if not labels:
            return []
        classes = labels[0].rpartition("-")[2]
        return [f"macro-{measure}-{classes}" for measure in ("precision", "recall", "f1")]

    @property
    def scored(self) -> list[str]:
        """Every metric to compute."""
        return list(dict.fromkeys([*self.metrics, *self.by_observation]))


def protocol(metrics: str | None, uncertain: Uncertain, models: list[str] | None) -> Protocol:
    """Return the protocol that the options ask for; every name is a known metric.

    Raises:
        MetricError: a metric is unknown or named twice, or a model's description is malformed.
        ModelError: a model cannot be loaded.
    """
    from plainfilm.metrics.models import load_models
    from plainfilm.metrics.registry import resolve

    names = [name.strip() for name in metrics.split(",")] if metrics is not None else None
    policy = UncertaintyPolicy(f"uncertain-{uncertain}")
    chosen = list(resolve(names))
    return Protocol(chosen, {"policy": policy, "models": load_models(models or [])})
