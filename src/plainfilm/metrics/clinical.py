"""Label metrics: precision, recall and F1 of the 14 CheXpert observations, or of five of them.

Both reports are read into labels by the same reader, and an observation counts as positive if it
is present, or uncertain under the ``uncertain-positive`` policy. ``micro`` pools all decisions,
``macro`` averages over classes, ``weighted`` averages them by their positives in the references,
``example`` averages over reports.

A class (or, for ``example``, a report) without a positive in either reference or prediction is
undefined: it is left out of the average and counted. Much published code counts it as 0 instead
(scikit-learn's ``zero_division=0``), which lowers a macro value on small sets; ``parts`` includes
that value too.
"""

from collections.abc import Callable, Iterable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import plainfilm
from plainfilm.core import FIVE_OBSERVATIONS, OBSERVATIONS, Observation, binarize
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import HALF, Array, Statistics, mean_of, ratio, share_of

Average = Literal["micro", "macro", "weighted", "example"]
Measure = Literal["precision", "recall", "f1"]
Decisions = npt.NDArray[np.bool_]

_OBSERVATIONS: dict[int, tuple[Observation, ...]] = {14: OBSERVATIONS, 5: FIVE_OBSERVATIONS}


@cache
def labeler(language: str = "en") -> str:
    """Return the reader's name for signatures: its version, and a digest of its rules and code."""
    room = files("plainfilm.text.reader")
    made_of = [*room.iterdir(), *(room / "rules" / language).iterdir()]
    made_of.append(files("plainfilm.text") / "languages.py")  # decides whether a text is read
    return f"plainfilm-reader-{plainfilm.__version__}+{_digest(made_of)}"


@cache
def matcher() -> str:
    """Return the findings comparison's name for signatures, with a digest of its rules."""
    room = files("plainfilm.text")
    names = ("statements.py", "matching.py", "contradictions.py", "readability.py",
             "repetition.py", "languages.py", "word_order.py", "significance.py",
             "significance.yaml")  # fmt: skip
    return f"matching+{_digest([room / name for name in names])}"


def _digest(made_of: Iterable[Traversable]) -> str:
    digest = sha256()
    for file in sorted(made_of, key=lambda file: file.name):
        if file.name.endswith((".py", ".yaml")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def label_score(
    pairs: Pairs, *, average: Average, measure: Measure, classes: Literal[14, 5]
) -> Statistics:
    """Return ``measure`` over the labels of ``classes`` observations, averaged as ``average``."""
    names = tuple(str(observation) for observation in _OBSERVATIONS[classes])
    return from_decisions(
        *_decisions(pairs, classes), average, measure, names, _protocol(pairs, classes)
    )


def exact_match(pairs: Pairs, *, classes: Literal[14, 5]) -> Statistics:
    """Return the share of reports whose labels are all right."""
    references, predictions = _decisions(pairs, classes)
    right = (references == predictions).all(axis=1)
    return share_of(right.astype(np.float64), **_protocol(pairs, classes))


def accuracy(pairs: Pairs, *, classes: Literal[14, 5]) -> Statistics:
    """Return the share of decisions (reports times observations) that are right."""
    references, predictions = _decisions(pairs, classes)
    right = (references == predictions).mean(axis=1)
    return mean_of(right, **_protocol(pairs, classes))


def error_rate(
    pairs: Pairs, *, rate: Literal["hallucination", "omission"], classes: Literal[14, 5]
) -> Statistics:
    """Return the hallucination or omission rate of observations: the mean over ``classes``.

    The hallucination rate of an observation is the share of predictions that state it, among
    references without it; its omission rate is the share of predictions that lack it, among
    references with it. An observation is left out of the mean if no report could show the error.
    """
    references, predictions = _decisions(pairs, classes)
    open_to_it = references if rate == "omission" else ~references
    wrong = open_to_it & (references != predictions)
    names = tuple(str(observation) for observation in _OBSERVATIONS[classes])

    right = open_to_it & ~wrong

    def counts(totals: Array) -> Array:
        return totals.reshape(*totals.shape[:-1], 2, len(names))

    def rates(totals: Array) -> Array:
        return ratio(counts(totals)[..., 0, :], counts(totals).sum(axis=-2))

    def mean(totals: Array) -> Array:
        values = rates(totals)
        known = ~np.isnan(values)
        return ratio(np.nan_to_num(values).sum(axis=-1), known.sum(axis=-1))

    return Statistics(
        rows=np.concatenate([wrong, right], axis=1).astype(np.float64),
        value=mean,
        parts=lambda totals: dict(zip(names, rates(totals).tolist(), strict=True)),
        undefined=lambda totals: int(np.isnan(rates(totals)).sum()),
        protocol={**_protocol(pairs, classes), "undefined": "left-out"},
        pseudo=lambda totals: np.tile(HALF * ~np.isnan(rates(totals)), 2),
    )


def sembscore(pairs: Pairs) -> Statistics:
    """Return SembScore: the cosine between CheXbert's CLS vectors, mean over reports.

    Raises:
        MetricError: the model ``chexbert`` was not given.
    """
    chexbert = pairs.model("chexbert", "sembscore")
    return mean_of(
        sembscore_values(pairs, chexbert), checkpoint=chexbert.name, undefined="left-out"
    )


def sembscore_values(pairs: Pairs, chexbert: Any) -> Array:
    """Return the SembScore of each pair, (pairs,); NaN if a vector is 0."""
    references, predictions = (
        np.array(side, dtype=np.float64) for side in pairs.each(chexbert.embed, "CheXbert")
    )
    lengths = np.linalg.norm(references, axis=1) * np.linalg.norm(predictions, axis=1)
    return ratio((references * predictions).sum(axis=1), lengths)


def positives(pairs: Pairs, *, classes: Literal[14, 5] = 14) -> dict[str, int]:
    """Return the number of references in which each observation counts as positive."""
    references, _ = _decisions(pairs, classes)
    names = map(str, _OBSERVATIONS[classes])
    return dict(zip(names, references.sum(axis=0).tolist(), strict=True))


def _decisions(pairs: Pairs, classes: int) -> tuple[Decisions, Decisions]:
    """Return the positives of references and of predictions, each (reports, classes)."""
    references, predictions = (
        np.array(
            [binarize(labels, pairs.policy, _OBSERVATIONS[classes]) for labels in side], dtype=bool
        )
        for side in pairs.labels
    )
    return references, predictions


def _protocol(pairs: Pairs, classes: int) -> dict[str, str]:
    chexbert = pairs.models.get("chexbert")
    return {
        "labels": f"chexpert-{classes},{pairs.policy}",
        "labeler": chexbert.name if chexbert else labeler(pairs.language),
    }


def from_decisions(
    references: Decisions,
    predictions: Decisions,
    average: Average,
    measure: Measure,
    names: tuple[str, ...],
    protocol: dict[str, str],
) -> Statistics:
    """Return the statistics of yes-or-no decisions, both arrays of shape (reports, classes)."""
    counts = np.stack(
        [references & predictions, ~references & predictions, references & ~predictions], axis=1
    ).astype(np.float64)  # (reports, [true positives, false positives, false negatives], classes)
    if average == "example":
        return mean_of(_MEASURES[measure](counts.sum(axis=2)), **protocol, undefined="left-out")

    def per_class(totals: Array) -> Array:
        shaped = totals.reshape(*totals.shape[:-1], 3, len(names))
        return _MEASURES[measure](np.moveaxis(shaped, -2, -1))

    def value(totals: Array) -> Array:
        shaped = totals.reshape(*totals.shape[:-1], 3, len(names))
        if average == "micro":
            return _MEASURES[measure](shaped.sum(axis=-1))
        values = per_class(totals)
        positives = shaped[..., 0, :] + shaped[..., 2, :]
        weights = positives if average == "weighted" else np.ones_like(values)
        weights = np.where(np.isnan(values), 0.0, weights)
        return ratio((np.nan_to_num(values) * weights).sum(axis=-1), weights.sum(axis=-1))

    def pseudo(totals: Array) -> Array:
        if average == "micro":  # one pseudo-count in total for each of the three counts
            return np.full(3 * len(names), HALF / len(names))
        return np.tile(HALF * ~np.isnan(per_class(totals)), 3)

    def parts(totals: Array) -> dict[str, float]:
        values = per_class(totals)
        found = dict(zip(names, values.tolist(), strict=True))
        if average == "macro":
            found["undefined as 0"] = float(np.nan_to_num(values).mean())
        return found

    return Statistics(
        rows=counts.reshape(len(counts), -1),
        value=value,
        parts=parts,
        undefined=None if average == "micro" else lambda t: int(np.isnan(per_class(t)).sum()),
        protocol=protocol if average == "micro" else {**protocol, "undefined": "left-out"},
        pseudo=pseudo,
    )


def _precision(counts: Array) -> Array:
    return ratio(counts[..., 0], counts[..., 0] + counts[..., 1])


def _recall(counts: Array) -> Array:
    return ratio(counts[..., 0], counts[..., 0] + counts[..., 2])


def _f1(counts: Array) -> Array:
    return ratio(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


# Each function maps (..., [true positives, false positives, false negatives]) to (...,).
_MEASURES: dict[Measure, Callable[[Array], Array]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
}
