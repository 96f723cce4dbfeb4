"""What a draft is worth in reinforcement: metrics and penalties, by name and weight.

A single metric as a reward is gamed: drafts shrink to what it counts, or swell. So a reward is a
weighted sum, each part within its metric's range, and a draft that is much shorter or longer than
the radiologist's report loses in proportion.

A reward is one line in :data:`REWARDS`, or the name of any metric that has a value for each report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import Change, Observation, RecipeError, Report, Status, TrainingError
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.registry import METRICS, Metric
from plainfilm.metrics.scoring import align, measure
from plainfilm.text.repetition import repetition
from plainfilm.text.think import positive

Floats = npt.NDArray[np.float64]
_Key = tuple[str, str, bool, "frozenset[Observation] | None"]
"""Reference, draft, whether there is an earlier study, the observations answered."""
_KEPT = 200_000
"""Drafts whose values are remembered."""


def _repeated(pairs: Pairs, compared: Sequence[bool]) -> list[float]:
    """Return the share of each draft that repeats itself."""
    return [repetition(text) for text in pairs.predictions]


def _contradicted(pairs: Pairs, compared: Sequence[bool]) -> list[float]:
    """Return 1 for each draft that contradicts itself, else 0."""
    return [float(bool(found)) for found in pairs.contradictions]


def _invented(pairs: Pairs, compared: Sequence[bool]) -> list[float]:
    """Return 1 for each draft that compares with an earlier film where there is none, else 0."""
    _, said = pairs.findings
    return [
        float(
            not earlier
            and any(one.change is not None and one.change is not Change.NEW for one in findings)
        )
        for findings, earlier in zip(said, compared, strict=True)
    ]


def _stated(pairs: Pairs, compared: Sequence[bool]) -> list[float]:
    """Return the share of each draft's findings that are hedged."""
    shares = []
    for findings in pairs.findings[1]:
        told = [one.status for one in findings if one.status is not Status.ABSENT]
        shares.append(sum(one is Status.UNCERTAIN for one in told) / max(len(told), 1))
    return shares


def answer_of(report: Report) -> frozenset[Observation] | None:
    """Return the observations that a model answered beside its report; None without an answer."""
    told = [one for one in report.evidence if one.probability is not None]
    return frozenset(one.observation for one in told if one.probability) if told else None


def agreement(text: str, answered: frozenset[Observation] | None) -> float:
    """Return how well a report agrees with the observations answered beside it, in [0, 1].

    F1 of the observations that the reader finds against those answered; 1 where both are none, 0
    without an answer in the form asked for.
    """
    if answered is None:
        return 0.0
    said = positive(text)
    if not said and not answered:
        return 1.0
    return 2 * len(said & answered) / (len(said) + len(answered))


Reward = Callable[[Pairs, Sequence[bool]], Sequence[float]]
"""Takes pairs of reports and whether each study has an earlier one; returns a value for each."""

REWARDS: dict[str, Reward] = {
    "repetition": _repeated,
    "contradiction": _contradicted,
    "invented-comparison": _invented,
    "hedging": _stated,
}
"""Rewards that are no metrics, in [0, 1]; all are faults, which a negative weight punishes."""


AGREEMENT = "agreement"
"""The reward of models that think and answer: that both agree."""


def check_rewards(weights: Mapping[str, float]) -> None:
    """Raise RecipeError where a reward is unknown, or none is given."""
    known = (*REWARDS, AGREEMENT)
    unknown = [name for name in weights if name not in known and name not in METRICS]
    if unknown:
        raise RecipeError(
            f"no reward {', '.join(unknown)}: expected one of {', '.join(known)}, or a metric "
            "(plainfilm metrics list)"
        )
    if not any(weights.values()):
        raise RecipeError("rewards: give at least one with a weight other than 0")


@dataclass(frozen=True)
class Worth:
    """What drafts are worth."""

    total: Floats
    """``(drafts,)``."""
    parts: dict[str, Floats]
    """Reward → its value for each draft, before its weight."""


class Rewards:
    """A weighted sum of rewards, remembered by text.

    Args:
        weights: reward → weight.
        corpus: the training reports, from which metrics with statistics of a whole set take them.
        length_guard: a draft's length over its reference's: between these it costs nothing, below
            the first or above the second the sum shrinks in proportion; None for no guard.
        language: of the reports.
        models: what model-based metrics ask, loaded.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        corpus: Sequence[str],
        *,
        length_guard: tuple[float, float] | None = (0.5, 2.0),
        language: str = "en",
        models: Mapping[str, Any] | None = None,
    ) -> None:
        check_rewards(weights)
        self.weights = dict(weights)
        self.length_guard = length_guard
        self.options: dict[str, Any] = {"language": language, "models": models}
        metrics = [METRICS[name] for name in weights if name in METRICS]
        if any(metric.needs for metric in metrics):
            self.options["corpus"] = list(corpus)
        self._kept: dict[_Key, tuple[float, ...]] = {}

    def __call__(
        self,
        references: Sequence[str],
        drafts: Sequence[str | Report],
        compared: Sequence[bool],
    ) -> Worth:
        """Return what each draft is worth.

        A value that is undefined (F1 of a report that states nothing) is the mean of the others,
        so that it teaches nothing.

        Args:
            references: what radiologists wrote, one for each draft.
            drafts: what the model wrote; a report may carry the model's answer as evidence.
            compared: whether each study has an earlier one.

        Raises:
            TrainingError: a reward failed.
        """
        texts = [one if isinstance(one, str) else one.text for one in drafts]
        answers = [None if isinstance(one, str) else answer_of(one) for one in drafts]
        keys = list(zip(references, texts, compared, answers, strict=True))
        fresh = list(dict.fromkeys(key for key in keys if key not in self._kept))
        if len(self._kept) + len(fresh) > _KEPT:
            self._kept.clear()
            fresh = list(dict.fromkeys(keys))
        if fresh:
            self._kept |= zip(fresh, self._measured(fresh), strict=True)
        values = np.array([self._kept[key] for key in keys], dtype=np.float64)
        parts = {}
        for column, name in enumerate(self.weights):
            part = values[:, column]
            known = np.isfinite(part)
            parts[name] = np.where(known, part, part[known].mean() if known.any() else 0.0)
        worth, faults = np.zeros(len(keys)), np.zeros(len(keys))
        for name, weight in self.weights.items():
            if weight > 0:
                worth += weight * parts[name]
            else:
                faults += weight * parts[name]
        return Worth(worth * self._guard(keys) + faults, parts)

    def _measured(self, keys: Sequence[_Key]) -> list[tuple[float, ...]]:
        references = [key[0] for key in keys]
        drafts = [key[1] for key in keys]
        compared = [key[2] for key in keys]
        answers = [key[3] for key in keys]
        try:
            pairs = align(references, drafts, **self.options)
            columns = [
                list(map(agreement, drafts, answers))
                if name == AGREEMENT
                else self._column(name, pairs, compared)
                for name in self.weights
            ]
        except (ArithmeticError, LookupError, TypeError) as error:
            raise TrainingError(f"a reward failed: {type(error).__name__}: {error}") from error
        return list(zip(*columns, strict=True))

    def _column(self, name: str, pairs: Pairs, compared: Sequence[bool]) -> list[float]:
        if name in REWARDS:
            return [float(value) for value in REWARDS[name](pairs, compared)]
        metric: Metric = METRICS[name]
        (found,) = measure(pairs, {name: metric}).values()
        low, high = sorted((metric.worst, metric.best))
        sign = 1.0 if metric.higher_is_better else -1.0
        return [float(value) for value in sign * np.clip(found.value(found.rows), low, high)]

    def _guard(self, keys: Sequence[_Key]) -> Floats:
        if self.length_guard is None:
            return np.ones(len(keys))
        low, high = self.length_guard
        ratios = np.array(
            [max(len(said.split()), 0.1) / max(len(true.split()), 1) for true, said, *_ in keys]
        )
        return np.minimum(1.0, np.minimum(ratios / low, high / ratios))
