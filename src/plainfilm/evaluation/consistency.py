"""What a model's classifier knows, held against what its own text says and against the truth.

Both are labels of the same draft: the classifier's probability from one half on, and what the
reader finds in the text. Where they differ, one of them is wrong, and the reference says which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import Observation, Report, Score, binarize
from plainfilm.metrics.bootstrap import Bootstrap
from plainfilm.metrics.clinical import from_decisions, labeler
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.scoring import signature
from plainfilm.metrics.statistics import Statistics, mean_of, ratio

Decisions = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Consistency:
    """How classifier and text agree."""

    scores: dict[str, Score]
    """``head-micro-f1`` and ``head-macro-f1``: the classifier's labels against the reference's;
    ``text-micro-f1`` and ``text-macro-f1``: the text's, over the same observations;
    ``label-consistency``: share of decisions in which classifier and text agree;
    ``known-but-unsaid``: of the reference's observations that the text leaves out, the share that
    the classifier tells; ``said-though-denied``: of those that the text states and the reference
    doesn't, the share that the classifier denies."""
    observations: dict[str, dict[str, float | None]]
    """Observation → ``positives`` in the references, ``auc`` of the classifier, ``head_f1``,
    ``text_f1``, ``agreement``, ``unsaid`` and ``known`` (how many the text leaves out, and how many
    of these the classifier tells)."""

    @property
    def auc(self) -> float | None:
        """Mean area under the classifier's ROC curve, over observations that have one."""
        values = [one["auc"] for one in self.observations.values()]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {
            "scores": {name: one.to_dict() for name, one in self.scores.items()},
            "auc": self.auc,
            "observations": self.observations,
        }


def consistency(pairs: Pairs, reports: Sequence[Report]) -> Consistency | None:
    """Return how classifier and text of a model agree; None where it doesn't classify.

    Args:
        pairs: references and the texts of ``reports``, in their order.
        reports: with the classifier's probabilities as evidence.
    """
    names = [one.observation for one in reports[0].evidence if one.probability is not None]
    if not names:
        return None
    chances = np.array(
        [
            [next(e.probability for e in one.evidence if e.observation is name) for name in names]
            for one in reports
        ],
        dtype=np.float64,
    )
    told = chances >= 0.5
    truth, said = (
        np.array([binarize(one, pairs.policy, names) for one in side], dtype=bool)
        for side in pairs.labels
    )
    protocol = {"labels": f"{len(names)} observations,{pairs.policy}",
                "labeler": labeler(pairs.language)}  # fmt: skip
    words = tuple(map(str, names))
    unsaid, invented = truth & ~said, said & ~truth
    measured: dict[str, Statistics] = {
        f"{side}-{average}-f1": from_decisions(truth, labels, average, "f1", words, protocol)
        for side, labels in (("head", told), ("text", said))
        for average in ("micro", "macro")
    }
    measured["label-consistency"] = mean_of((told == said).mean(axis=1), **protocol)
    measured["known-but-unsaid"] = _share(unsaid & told, unsaid, protocol)
    measured["said-though-denied"] = _share(invented & ~told, invented, protocol)
    bootstrap = Bootstrap()
    intervals = bootstrap.intervals(measured)
    scores = {
        name: Score(
            value=float(found.value(found.totals)),
            undefined=found.undefined_count(),
            interval=intervals[name],
            interval_method=bootstrap.method(found),
            signature=signature(name, found, pairs),
        )
        for name, found in measured.items()
    }
    return Consistency(scores, _by_observation(names, truth, told, said, chances))


def _share(part: Decisions, whole: Decisions, protocol: dict[str, str]) -> Statistics:
    """Return the share of decisions, over all reports, that are also in ``part``."""
    return Statistics(
        rows=np.column_stack([part.sum(axis=1), whole.sum(axis=1)]).astype(np.float64),
        value=lambda totals: ratio(totals[..., 0], totals[..., 1]),
        protocol=protocol,
    )


def _by_observation(
    names: Sequence[Observation],
    truth: Decisions,
    told: Decisions,
    said: Decisions,
    chances: npt.NDArray[np.float64],
) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for place, name in enumerate(names):
        true, head, text = (one[:, place] for one in (truth, told, said))
        found[str(name)] = {
            "positives": int(true.sum()),
            "auc": area_under_curve(true, chances[:, place]),
            "head_f1": _f1(true, head),
            "text_f1": _f1(true, text),
            "agreement": float((head == text).mean()),
            "unsaid": int((true & ~text).sum()),
            "known": int((true & ~text & head).sum()),
        }
    return found


def area_under_curve(true: Decisions, chances: npt.NDArray[np.float64]) -> float | None:
    """Return how often a positive's chance is above a negative's, half for equal ones; None where
    there is none of either."""
    positive, negative = chances[true], np.sort(chances[~true])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, side="left")
    equal = np.searchsorted(negative, positive, side="right") - below
    return float((below + equal / 2).mean() / len(negative))


def _f1(true: Decisions, told: Decisions) -> float | None:
    both, any_ = int((true & told).sum()), int(true.sum() + told.sum())
    return 2 * both / any_ if any_ else None


def observations_table(found: Mapping[str, Mapping[str, float | None]]) -> list[list[str]]:
    """Return a row of words for each observation: name, positives, AUC, F1 of both, agreement,
    what the text leaves out and the classifier knows."""
    rows = []
    for name, one in found.items():
        values = [one[key] for key in ("auc", "head_f1", "text_f1", "agreement")]
        shown = ["–" if value is None else f"{value:.3f}" for value in values]
        rows.append([name, str(one["positives"]), *shown, f"{one['known']} of {one['unsaid']}"])
    return rows
