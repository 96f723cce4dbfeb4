"""The registry of metrics: name → the function that computes it, imported on first use."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from plainfilm.core import MetricError
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Statistics


@dataclass(frozen=True)
class Metric:
    """An entry of the registry."""

    place: str
    """``module:function`` in ``plainfilm.metrics``; called with Pairs and ``options``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    """The page in ``docs/metrics`` that explains the metric."""
    worst: float = 0.0
    best: float = 1.0
    needs: str | None = None
    """Property of Pairs that must be computed on all pairs before a block is measured."""

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values are better."""
        return self.best > self.worst

    def measure(self, pairs: Pairs) -> Statistics:
        """Return the metric's statistics on ``pairs``."""
        module, function = self.place.split(":")
        compute: Callable[..., Statistics] = getattr(
            import_module(f"plainfilm.metrics.{module}"), function
        )
        return compute(pairs, **self.options)


METRICS: dict[str, Metric] = {
    **{f"bleu-{n}": Metric("lexical:bleu", {"order": n}, "bleu") for n in (1, 2, 3, 4)},
    "rouge-l": Metric("lexical:rouge_l", card="rouge-l"),
    "cider-d": Metric("lexical:cider_d", card="cider-d", best=10.0, needs="frequencies"),
    # COCO-caption prints this number as "CIDEr", but its formula is CIDEr-D's.
    "cider": Metric("lexical:cider_d", card="cider-d", best=10.0, needs="frequencies"),
    **{
        f"token-{measure}": Metric("lexical:token_overlap", {"measure": measure}, "token-f1")
        for measure in ("precision", "recall", "f1")
    },
    "token-accuracy": Metric("lexical:token_accuracy", card="token-f1", needs="frequencies"),
    "meteor": Metric("meteor:meteor", card="meteor"),
    **{
        f"{average}-{measure}-{classes}": Metric(
            "clinical:label_score",
            {"average": average, "measure": measure, "classes": classes},
            "label-f1",
        )
        for classes in (14, 5)
        for average in ("micro", "macro", "weighted", "example")
        for measure in ("precision", "recall", "f1")
    },
    **{
        f"{name}-{classes}": Metric(f"clinical:{function}", {"classes": classes}, "label-f1")
        for classes in (14, 5)
        for name, function in (("label-accuracy", "accuracy"), ("exact-match", "exact_match"))
    },
    **{
        f"{rate}-rate-{classes}": Metric(
            "clinical:error_rate", {"rate": rate, "classes": classes}, "error-rates", 1.0, 0.0
        )
        for classes in (14, 5)
        for rate in ("hallucination", "omission")
    },
    "sembscore": Metric("clinical:sembscore", card="sembscore", worst=-1.0),
    **{
        f"radgraph-f1-{level}": Metric(
            "external.radgraph:radgraph_f1", {"level": level}, "radgraph-f1"
        )
        for level in ("simple", "partial", "complete")
    },
    **{
        name: Metric("external.bridge:pair_score", {"metric": name}, name)
        for name in ("ratescore", "green")
    },
    "radcliq-v1": Metric("radcliq:radcliq", card="radcliq-v1", worst=2.450143, best=-1.440690),
    "bertscore": Metric("bertscore:bertscore", card="bertscore"),
    "finding-f1": Metric("finding:finding_f1", {"level": "status"}, "finding-f1"),
    **{
        f"finding-f1-{level}": Metric("finding:finding_f1", {"level": level}, "finding-f1")
        for level in ("detail", "side", "place", "severity", "change")
    },
    "finding-match": Metric("matched:finding_match", card="finding-match"),
    "matched-findings": Metric("matched:matched_findings", card="matched-findings"),
    "error-score": Metric("matched:error_score", {"significant": False}, "error-score"),
    "significant-error-score": Metric("matched:error_score", {"significant": True}, "error-score"),
    **{
        f"sentence-{measure}": Metric("matched:sentence_score", {"measure": measure}, "sentence-f1")
        for measure in ("precision", "recall", "f1")
    },
    "temporal-f1": Metric("matched:temporal_f1", card="temporal-f1"),
}

DEFAULT_METRICS = (
    "bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l", "cider-d",
    "micro-f1-14", "macro-f1-14", "micro-f1-5", "macro-f1-5",
)  # fmt: skip
"""Metrics that are computed if none is named."""


def resolve(names: Iterable[str] | None) -> dict[str, Metric]:
    """Return the metrics called ``names``, in that order; the default metrics for None.

    Raises:
        MetricError: a name is unknown, not text, or given twice; or there are no names.
    """
    if isinstance(names, str):
        raise MetricError(f"metrics must be a list of names, got the text {names!r}: [{names!r}]")
    wanted = list(DEFAULT_METRICS if names is None else names)
    if not wanted:
        raise MetricError("metrics is empty: name at least one, or leave it out for the defaults")
    for name in wanted:
        if not isinstance(name, str) or name not in METRICS:
            raise MetricError(_unknown(name))
    twice = sorted({name for name in wanted if wanted.count(name) > 1})
    if twice:
        raise MetricError(f"metrics names {', '.join(twice)} more than once: name each once")
    return {name: METRICS[name] for name in wanted}


def _unknown(name: object) -> str:
    from difflib import get_close_matches

    near = get_close_matches(str(name).lower().replace("_", "-"), METRICS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown metric {name!r}: {hint}choose from {', '.join(METRICS)}"
