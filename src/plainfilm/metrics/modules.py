"""The metrics with the interfaces of other tools.

- :func:`load`: as a module of Hugging Face's ``evaluate`` (``add_batch``, ``compute``).
- :func:`torch_metric`: as a ``torchmetrics.Metric``, whose state is a sum of rows, so that it is
  reduced over processes like any other.
- :func:`reward`: as a reward function for TRL's GRPO, with a value for each completion.

All three are thin wrappers: values and protocol are those of :func:`plainfilm.score`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from plainfilm.core import MetricError, MissingDependencyError
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import align, measure, score

Completion = str | Sequence[Mapping[str, Any]]
"""A text, or the messages of a chat, of which the last one's content is used."""


class Module:
    """Metrics that collect pairs of reports and score them together."""

    def __init__(self, metrics: Sequence[str], scoring: Scoring) -> None:
        """Create a module without any pairs.

        Raises:
            MetricError: a metric is unknown.
        """
        self.metrics = list(resolve(metrics))
        self.scoring = scoring
        self._references: list[str] = []
        self._predictions: list[str] = []

    def add(self, *, prediction: str, reference: str) -> None:
        """Add one pair."""
        self.add_batch(predictions=[prediction], references=[reference])

    def add_batch(self, *, predictions: Sequence[str], references: Sequence[str]) -> None:
        """Add pairs.

        Raises:
            MetricError: the numbers of predictions and references differ.
        """
        if len(predictions) != len(references):
            raise MetricError(
                f"got {len(predictions)} predictions and {len(references)} references: give one "
                "for each"
            )
        self._predictions += predictions
        self._references += references

    def compute(
        self,
        *,
        predictions: Sequence[str] | None = None,
        references: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Return the value of each metric on all pairs added and given, and reset the module.

        Raises:
            MetricError: there are no pairs, or the numbers of predictions and references differ.
        """
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions or [], references=references or [])
        collected = self._references, self._predictions
        self._references, self._predictions = [], []
        found = score(*collected, self.metrics, scoring=self.scoring)
        return {name: one.value for name, one in found.items()}


def load(*metrics: str, **options: Unpack[Options]) -> Module:
    """Return metrics as a module like those of ``evaluate``: ``load("micro-f1-14").compute(...)``.

    Args:
        metrics: names as for :func:`plainfilm.score`.
        options: fields of :class:`plainfilm.metrics.Scoring`.

    Raises:
        MetricError: a metric is unknown, or none was named.
    """
    return Module(metrics, Scoring.of(None, options))


def reward(
    metric: str, *, reference: str = "reference", **options: Unpack[Options]
) -> Callable[..., list[float | None]]:
    """Return a metric as a reward function for TRL: completions in, a value for each out.

    An undefined value is None, which TRL ignores. A metric for which lower is better is negated.

    Args:
        metric: name of the metric.
        reference: the dataset's column with the radiologists' reports.
        options: fields of :class:`plainfilm.metrics.Scoring`; ``corpus`` holds the reports that
            CIDEr-D takes its document frequencies from.

    Raises:
        MetricError: the metric is unknown, or needs statistics of a whole set and no corpus is
            given, so that a completion's reward would depend on its batch.
    """
    (described,) = resolve([metric]).values()
    scoring = Scoring.of(None, options)
    if described.needs is not None and scoring.corpus is None:
        raise MetricError(
            f"{metric} takes its {described.needs} from all references: give corpus=, such as the "
            "training reports, so that a completion's reward does not depend on its batch"
        )
    sign = 1.0 if described.higher_is_better else -1.0

    def function(
        *, completions: Sequence[Completion], **columns: Sequence[Any]
    ) -> list[float | None]:
        if reference not in columns:
            raise MetricError(
                f"the reward {metric} needs a column {reference!r} with the references, got "
                f"{', '.join(columns) or 'none'}"
            )
        said = [_text(completion) for completion in completions]
        pairs = align([str(text) for text in columns[reference]], said, scoring=scoring)
        (found,) = measure(pairs, {metric: described}).values()
        values = (sign * value for value in found.value(found.rows).tolist())
        return [None if math.isnan(value) else value for value in values]

    function.__name__ = metric.replace("-", "_")  # the name under which TRL logs it
    return function


def _text(completion: Completion) -> str:
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"])


def torch_metric(metric: str, **options: Unpack[Options]) -> Any:
    """Return a metric as a ``torchmetrics.Metric``: ``update(preds, target)``, ``compute()``.

    Its state is the sum of the reports' rows, which is summed over processes; the texts are not
    kept.

    Args:
        metric: name of the metric.
        options: fields of :class:`plainfilm.metrics.Scoring`.

    Raises:
        MetricError: the metric is unknown, or needs statistics of a whole set and no corpus is
            given.
        MissingDependencyError: torchmetrics is not installed.
    """
    try:
        import torch
        from torchmetrics import Metric
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "this needs torchmetrics, which is not installed: pip install torchmetrics"
        ) from error
    (described,) = resolve([metric]).values()
    scoring = Scoring.of(None, options)
    if described.needs is not None and scoring.corpus is None:
        raise MetricError(
            f"{metric} takes its {described.needs} from all references: give corpus=, such as the "
            "training reports"
        )
    (empty,) = measure(align([""], [""], scoring=scoring), {metric: described}).values()

    class ReportMetric(Metric):  # type: ignore[misc]
        is_differentiable = False
        higher_is_better = described.higher_is_better
        full_state_update = False

        def __init__(self) -> None:
            super().__init__()
            columns = torch.zeros(empty.rows.shape[1], dtype=torch.float64)
            self.add_state("totals", default=columns, dist_reduce_fx="sum")

        def update(self, preds: str | Sequence[str], target: str | Sequence[str]) -> None:
            """Add predictions and their references."""
            said, truth = ([one] if isinstance(one, str) else list(one) for one in (preds, target))
            (found,) = measure(
                align(truth, said, scoring=scoring), {metric: described}, rows=False
            ).values()
            self.totals += torch.from_numpy(found.totals)

        def compute(self) -> "torch.Tensor":
            """Return the value on all pairs added."""
            return torch.tensor(float(empty.value(self.totals.cpu().numpy())))

    return ReportMetric()
