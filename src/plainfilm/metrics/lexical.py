"""BLEU, ROUGE-L and CIDEr-D as ``pycocoevalcap`` 1.2 computes them, and plain word overlap.

With one reference per report, each follows that program's formula including its smoothing
constants, so that values on the same tokens agree to rounding error. None of them understands a
report: all count shared words.

Sources: Papineni et al. 2002 (BLEU), Lin 2004 (ROUGE-L), Vedantam et al. 2015 (CIDEr, CIDEr-D).
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Array, Statistics, mean_of, ratio

_SMALL, _TINY = 1e-9, 1e-15  # pycocoevalcap's guards against division by zero
_ROUGE_BETA = 1.2
_CIDER_SIGMA = 6.0
_ORDER = 4


def bleu(pairs: Pairs, *, order: int) -> Statistics:
    """Return BLEU-``order``: geometric mean of clipped n-gram precisions × brevity penalty."""

    def value(totals: Array) -> Array:
        matched, offered = totals[..., :order], totals[..., order : 2 * order]
        precisions = (matched + _TINY) / (offered + _SMALL)
        ratio = (totals[..., -1] + _TINY) / (totals[..., -2] + _SMALL)
        brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
        found: Array = np.prod(precisions, axis=-1) ** (1 / order) * brevity
        return found

    found = pairs.overlap
    return Statistics(
        rows=np.hstack([found.matched[:, :order], found.offered[:, :order], found.lengths]),
        value=value,
        protocol=pairs.lexical,
    )


def token_overlap(pairs: Pairs, *, measure: Literal["precision", "recall", "f1"]) -> Statistics:
    """Return precision, recall or F1 of the bags of words."""

    def value(totals: Array) -> Array:
        matched, reference, prediction = np.moveaxis(totals, -1, 0)
        if measure == "f1":
            return ratio(2 * matched, reference + prediction)
        return ratio(matched, prediction if measure == "precision" else reference)

    found = pairs.overlap
    return Statistics(
        rows=np.column_stack([found.matched[:, 0], found.lengths]),
        value=value,
        protocol=pairs.lexical,
    )


def token_accuracy(pairs: Pairs) -> Statistics:
    """Return the share of right decisions "does the report contain this word?".

    Each report has one decision for each word of the vocabulary, which is that of the corpus if
    given, else of the references; other words are ignored.
    """
    frequencies = pairs.whole.frequencies
    words = pairs.ngrams.counts[0]
    decided = frequencies.of(pairs.ngrams)[0][words.gram] > 0
    said = np.bincount(words.text[decided], minlength=2 * len(pairs)).reshape(-1, 2).sum(axis=1)
    both = np.bincount(words.text[words.shared] // 2, minlength=len(pairs))

    def value(totals: Array) -> Array:
        wrong, reports = np.moveaxis(totals, -1, 0)
        return 1 - ratio(wrong, reports * frequencies.vocabulary)

    return Statistics(
        rows=np.column_stack([said - 2 * both, np.ones(len(pairs))]).astype(np.float64),
        value=value,
        protocol={**pairs.lexical, **_corpus(pairs), "labels": f"words-{frequencies.vocabulary}"},
    )


def rouge_l(pairs: Pairs) -> Statistics:
    """Return ROUGE-L: the mean over reports of the longest common subsequence's F-measure (β=1.2).

    As in ``pycocoevalcap``, an empty text counts as one empty word.
    """
    return mean_of(np.array([_rouge_l(*pair) for pair in zip(*pairs.tokens, strict=True)]),
                   **pairs.lexical)  # fmt: skip


def _rouge_l(reference: Sequence[str], prediction: Sequence[str]) -> float:
    reference, prediction = reference or [""], prediction or [""]
    common = longest_common_subsequence(reference, prediction)
    if common == 0:
        return 0.0
    precision, recall = common / len(prediction), common / len(reference)
    weight = _ROUGE_BETA**2
    return (1 + weight) * precision * recall / (recall + weight * precision)


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two token sequences.

    Bit-parallel (Hyyrö 2004): an integer encodes one column of the dynamic programming table; its
    zero bits count the length.
    """
    positions: dict[str, int] = {}
    bit = 1
    for token in first:
        positions[token] = positions.get(token, 0) | bit
        bit <<= 1
    full = column = bit - 1
    for token in second:
        if token in positions:
            hits = column & positions[token]
            column = (column + hits) | (column - hits)
    return len(first) - (column & full).bit_count()


def cider_d(pairs: Pairs) -> Statistics:
    """Return CIDEr-D: ten times the mean cosine of clipped tf-idf n-gram vectors, length-penalised.

    Without a corpus the document frequencies are those of all references given, so a report's value
    depends on the set it is scored with. If every n-gram occurs in every reference, as with a
    single report, the value is undefined.
    """
    reports = len(pairs)
    frequencies = pairs.whole.frequencies
    protocol = {**pairs.lexical, **_corpus(pairs)}
    if not frequencies.informative:
        return mean_of(np.full(reports, np.nan), **protocol)
    similarity = np.zeros(reports)
    length_difference: Array = np.zeros(reports)
    found = zip(pairs.ngrams.counts, frequencies.of(pairs.ngrams), strict=True)
    for size, (counts, frequency) in enumerate(found, start=1):
        weight = math.log(frequencies.references) - np.log(np.maximum(1, frequency))
        entries = counts.count * weight[counts.gram]
        norm = np.sqrt(np.bincount(counts.text, entries**2, 2 * reports))
        shared = counts.shared
        product = np.minimum(entries[shared], entries[shared + 1]) * entries[shared]
        product_of_report = np.bincount(counts.text[shared] // 2, product, reports)
        norms = norm[0::2] * norm[1::2]
        similarity += np.divide(product_of_report, norms, out=np.zeros(reports), where=norms != 0)
        if size == 2:  # pycocoevalcap measures length in bigrams
            lengths = np.bincount(counts.text, counts.count, 2 * reports).astype(np.float64)
            length_difference = lengths[1::2] - lengths[0::2]
    penalty = np.exp(-(length_difference**2) / (2 * _CIDER_SIGMA**2))
    return mean_of(10 * similarity / _ORDER * penalty, **protocol)


def _corpus(pairs: Pairs) -> dict[str, str]:
    return {} if pairs.corpus is None else {"corpus": pairs.corpus.digest}
