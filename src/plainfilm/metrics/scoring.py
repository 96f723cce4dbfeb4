"""Scoring: references and predictions in, metrics with their signatures out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

import plainfilm
from plainfilm.core import MetricError, Score, Signature
from plainfilm.metrics.bootstrap import LARGE, Bootstrap, is_one_value
from plainfilm.metrics.formats import whole_characters
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import Metric, resolve
from plainfilm.metrics.statistics import Array, Statistics

Reports = Sequence[str] | Mapping[str, str]

SIGNATURE_VERSION = f"plainfilm-{plainfilm.__version__}"
"""The version in signatures."""

_NAMED = 3  # maximum number of ids named in a message


def score(
    references: Reports,
    predictions: Reports,
    metrics: Sequence[str] | None = None,
    *,
    intervals: bool | Bootstrap = False,
    per_report: bool = False,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Score]:
    """Score ``predictions`` against ``references``.

    Args:
        references: the radiologists' reports: a list of texts, or a mapping of id to text.
        predictions: the model's reports, of the same type; mappings are aligned by id.
        metrics: names as in ``docs/metrics``; None for the default set.
        intervals: also compute intervals; True for 1000 samples, 95 %, seed 0, or a
            :class:`Bootstrap` with other settings.
        per_report: also give each report's value, in ``Score.reports``.
        scoring: how reports are scored.
        options: fields of :class:`Scoring` (``policy``, ``language``, ``tokenizer``, ``models``,
            ``corpus``, ``section``, ``split``, ``workers``, ``track``), which override those of
            ``scoring``.

    Returns:
        Name → Score, in the order of ``metrics``.

    Raises:
        MetricError: a metric is unknown, or references and predictions do not match.
        InputError: the reader does not support the language.
    """
    chosen = resolve(metrics)
    pairs = align(references, predictions, scoring=scoring, **options)
    return score_pairs(pairs, chosen, intervals=intervals, per_report=per_report)


def score_pairs(
    pairs: Pairs,
    metrics: Mapping[str, Metric],
    *,
    intervals: bool | Bootstrap = False,
    per_report: bool = False,
) -> dict[str, Score]:
    """Score pairs that are already aligned; arguments as for :func:`score`."""
    bootstrap = Bootstrap() if intervals is True else intervals or None
    large = len(pairs) > LARGE and not per_report
    measured = measure(
        pairs,
        metrics,
        rows=per_report or (bootstrap is not None and not large),
        bootstrap=bootstrap if large else None,
    )
    return scores_of(pairs, metrics, measured, intervals=intervals, per_report=per_report)


def scores_of(
    pairs: Pairs,
    metrics: Mapping[str, Metric],
    measured: Mapping[str, Statistics],
    *,
    intervals: bool | Bootstrap = False,
    per_report: bool = False,
) -> dict[str, Score]:
    """Return scores from statistics measured on ``pairs``; arguments as for :func:`score`."""
    bootstrap = Bootstrap() if intervals is True else intervals or None
    drawn = bootstrap.intervals(measured) if bootstrap else {}
    scores = {}
    for name, found in measured.items():
        value, metric = float(found.value(found.totals)), metrics[name]
        interval, method = drawn.get(name), bootstrap and bootstrap.method(found)
        # If all predictions equal their references, the value has no uncertainty.
        if (
            bootstrap
            and interval
            and is_one_value(interval)
            and pairs.references != pairs.predictions
        ):
            interval = bootstrap.around_one_value(value, (metric.worst, metric.best), len(pairs))
            method = f"{bootstrap.level:.0%} bound by Wilson: no report differs from the others"
        scores[name] = Score.model_construct(  # as the signature
            value=value,
            undefined=found.undefined_count(),
            parts={part: float(one) for part, one in found.parts(found.totals).items()},
            interval=interval,
            interval_method=method or None,
            reports=tuple(found.value(found.rows).tolist()) if per_report else (),
            signature=signature(name, found, pairs),
        )
    return scores


def measure(
    pairs: Pairs,
    metrics: Mapping[str, Metric],
    *,
    rows: bool = True,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Statistics]:
    """Return each metric's statistics on ``pairs``, which are read in blocks.

    Args:
        pairs: any number of pairs.
        metrics: name → metric.
        rows: keep the row of every report; otherwise only their sum.
        bootstrap: if rows are not kept, sum its resamples block by block.
    """
    for need in dict.fromkeys(metric.needs for metric in metrics.values() if metric.needs):
        getattr(pairs, need)
    found: dict[str, list[Statistics]] = {name: [] for name in metrics}
    drawn: dict[str, Array] = {}
    for number, part in enumerate(pairs.blocks()):
        weights = None if bootstrap is None else bootstrap.block_weights(number, len(part))
        for name, metric in metrics.items():
            of_part = metric.measure(part)
            if weights is not None and not of_part.share:
                drawn[name] = drawn.get(name, 0) + weights @ of_part.rows
            if not rows:
                of_part = replace(of_part, rows=of_part.totals[None])
            found[name].append(of_part)
    return {
        name: replace(
            parts[0], rows=np.concatenate([part.rows for part in parts]), drawn=drawn.get(name)
        )
        for name, parts in found.items()
    }


def signature(metric: str, statistics: Statistics, pairs: Pairs) -> Signature:
    """Return the protocol of a metric's value on ``pairs``."""
    # Not validated, since all values are made here, and building pydantic's validator takes longer
    # than scoring 600 pairs.
    fields: dict[str, Any] = {
        "metric": metric,
        "version": SIGNATURE_VERSION,
        "section": pairs.section,
        "language": None if pairs.language == "en" else pairs.language,
        "split": pairs.split,
        "references": pairs.digest,
        "count": len(pairs),
        **statistics.protocol,
    }
    return Signature.model_construct(**fields)


def align(
    references: Reports,
    predictions: Reports,
    *,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> Pairs:
    """Return aligned references and predictions; arguments as for :func:`score`.

    Raises:
        MetricError: they are not both lists or both mappings of texts, are empty, or differ in
            length or in ids; or the scoring settings are invalid.
        InputError: the reader does not support the language.
    """
    settings = Scoring.of(scoring, options).settings()
    reference_of = _by_id("references", references)
    prediction_of = _by_id("predictions", predictions)
    if isinstance(references, Mapping) != isinstance(predictions, Mapping):
        kinds = f"{type(references).__name__} and {type(predictions).__name__}"
        raise MetricError(
            f"references and predictions must both be lists, or both mappings of id to text, "
            f"got {kinds}"
        )
    if isinstance(references, Mapping):
        _check_ids(reference_of, prediction_of)
    elif len(reference_of) != len(prediction_of):
        raise MetricError(
            f"references and predictions must have the same length, got {len(reference_of)} "
            f"references and {len(prediction_of)} predictions"
        )
    return Pairs(
        ids=tuple(reference_of),
        references=tuple(reference_of.values()),
        predictions=tuple(prediction_of[key] for key in reference_of),
        **settings,
    )


def _by_id(name: str, reports: Reports) -> dict[str, str]:
    """Return id → text; the ids of a list are positions from 1.

    A lone surrogate, which cannot be written to a file, becomes U+FFFD.
    """
    if isinstance(reports, str | bytes) or not isinstance(reports, Mapping | Sequence):
        raise MetricError(
            f"{name} must be a list of texts or a mapping of id to text, "
            f"got {type(reports).__name__}"
        )
    if isinstance(reports, Mapping):
        texts = dict(reports)
    else:
        texts = {str(position): text for position, text in enumerate(reports, start=1)}
    if not texts:
        raise MetricError(f"{name} is empty: give at least one report")
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):
            wrong = key if not isinstance(key, str) else text
            raise MetricError(
                f"{name} must hold texts by ids that are text, "
                f"got {type(wrong).__name__} at {key!r}"
            )
    return {key: whole_characters(text) for key, text in texts.items()}


def _check_ids(references: Mapping[str, str], predictions: Mapping[str, str]) -> None:
    problems = [
        f"{len(ids)} {what} ({', '.join(ids[:_NAMED])}{'…' if len(ids) > _NAMED else ''})"
        for what, ids in (
            ("references without a prediction", [i for i in references if i not in predictions]),
            ("predictions without a reference", [i for i in predictions if i not in references]),
        )
        if ids
    ]
    if problems:
        raise MetricError(f"ids of references and predictions differ: {'; '.join(problems)}")
