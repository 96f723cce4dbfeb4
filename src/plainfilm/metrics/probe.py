"""Perturbation test: how each metric reacts to one small error in an otherwise perfect report.

Each edit (:mod:`plainfilm.metrics.edits`) makes one clinically relevant change to a copy of a
report (shuffling the sentences is the exception: it must not matter), and the copy is scored
against the original. Most edits barely change a lexical metric; a clinical metric must react. A
report to which an edit does not apply is left out of its row. The error table is tested too.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, Unpack

from plainfilm.core import Signature
from plainfilm.metrics.edits import _INVENTED, EDITS, hallucinate
from plainfilm.metrics.error_table import ACCURATE, error_table
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import Metric, resolve
from plainfilm.metrics.scoring import align, measure, signature
from plainfilm.text import explain

__all__ = ["EDITS", "_INVENTED", "Reaction", "hallucinate", "probe"]

Key = TypeVar("Key", str, int)


@dataclass(frozen=True)
class Reaction:
    """The metrics' reaction to one edit."""

    applied: int
    """Number of reports to which the edit applies."""
    before: Mapping[str, float]
    """Metric → value of those reports against themselves."""
    after: Mapping[str, float]
    """Metric → value of the edited reports against the originals."""
    signatures: Mapping[str, Signature]
    """Metric → the protocol of both values; empty if the edit applies to no report."""
    accurate: tuple[float, float] = (math.nan, math.nan)
    """Share of reports that the error table calls fully accurate, before and after."""

    def drop(self, metric: str) -> float:
        """Return the share of the metric's value that the edit costs; NaN if undefined.

        Args:
            metric: name of the metric, or :data:`ACCURATE` for the error table.
        """
        before, after = self.accurate if metric == ACCURATE else (
            self.before[metric], self.after[metric]
        )  # fmt: skip
        return (before - after) / abs(before) if before else math.nan

    def to_dict(self) -> dict[str, object]:
        """Return applied, before, after and signatures for JSON, undefined values as None."""

        def defined(values: Mapping[Key, float]) -> dict[Key, float | None]:
            return {name: None if value != value else value for name, value in values.items()}

        return {
            "applied": self.applied,
            "before": defined(self.before),
            "after": defined(self.after),
            "fully_accurate": list(defined(dict(enumerate(self.accurate))).values()),
            "signatures": {name: one.to_dict() for name, one in self.signatures.items()},
        }


def probe(
    reports: Sequence[str],
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Reaction]:
    """Apply every edit to every report it fits, and score the copies against the originals.

    Args:
        reports: the original reports.
        metrics: names as for :func:`plainfilm.score`.
        seed: random seed for the choice of what to edit.
        scoring: how reports are scored.
        options: fields of :class:`Scoring`, as for :func:`plainfilm.score`.

    Raises:
        MetricError: there is no report, one is not text, or a metric is unknown.
    """
    chosen = resolve(metrics)
    scoring = Scoring.of(scoring, options)
    flat = [" ".join(report.split()) for report in align(reports, reports).references]
    # One entry per mention, so that a finding mentioned twice is changed twice.
    mentions = [[one.finding for one in explain(t, language=scoring.language)] for t in flat]
    reactions = {}
    for name, edit in EDITS.items():
        chance = random.Random(seed)  # noqa: S311
        edited = [
            (text, changed)
            for text, findings in zip(flat, mentions, strict=True)
            if (changed := edit(text, findings, chance)) is not None
        ]
        if not edited:
            nothing = dict.fromkeys(chosen, float("nan"))
            reactions[name] = Reaction(0, nothing, nothing, {})
            continue
        originals, copies = ([pair[side] for pair in edited] for side in (0, 1))
        perfect = align(originals, originals, scoring=scoring)
        reactions[name] = _react(perfect, copies, chosen)
    return reactions


def _react(perfect: Pairs, copies: Sequence[str], metrics: Mapping[str, Metric]) -> Reaction:
    """Return the reaction to the edited copies of the reports of ``perfect``."""
    wrong = replace(perfect, predictions=tuple(copies))
    before, after = (measure(pairs, metrics, rows=False) for pairs in (perfect, wrong))
    accurate = [error_table(pairs).shares()[ACCURATE] for pairs in (perfect, wrong)]
    return Reaction(
        applied=len(copies),
        before={name: float(found.value(found.totals)) for name, found in before.items()},
        after={name: float(found.value(found.totals)) for name, found in after.items()},
        signatures={name: signature(name, found, wrong) for name, found in after.items()},
        accurate=(accurate[0], accurate[1]),
    )
