"""n-gram counts of all reports at once, in numpy.

The tokens of all pairs are in one array, each reference before its prediction. A stable sort of the
n-grams groups equal ones, ordered by text, so that an n-gram's counts in a pair's reference and
prediction are neighbours and no n-gram has to be looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from plainfilm.metrics.statistics import Array

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Counts of the n-grams of one order; each entry is one n-gram in one text.

    Texts are numbered 2i (reference of pair i) and 2i + 1 (its prediction). Entries are sorted by
    n-gram, then by text.
    """

    gram: Integers
    """(entries,): number of the n-gram, from 0 without gaps."""
    text: Integers
    """(entries,): number of the text."""
    count: Integers
    """(entries,): occurrences of the n-gram in the text."""
    prefix: Integers
    """(n-grams,): the number of the (n-1)-gram formed by the first n - 1 words."""
    last: Integers
    """(n-grams,): the number of the last word."""

    @property
    def shared(self) -> Integers:
        """Indices of reference entries whose n-gram also occurs in the prediction (next entry)."""
        gram, text = self.gram, self.text
        found = (gram[:-1] == gram[1:]) & (text[:-1] + 1 == text[1:]) & (text[:-1] % 2 == 0)
        return np.flatnonzero(found)


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of a set of pairs."""

    words: list[str]
    """The distinct words; a word's index is its number."""
    counts: tuple[Counts, ...]
    """Counts of 1-grams, 2-grams and so on."""


@dataclass(frozen=True)
class Overlap:
    """Numbers of n-grams that the two reports of each pair share, by order."""

    matched: Array
    """(reports, orders): the prediction's n-grams that the reference has, clipped."""
    offered: Array
    """(reports, orders): the prediction's n-grams."""
    lengths: Array
    """(reports, [reference, prediction]): lengths in words."""


def count_ngrams(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], order: int
) -> Ngrams:
    """Return the counts of 1-grams to ``order``-grams in all texts, which are lists of words."""
    texts = [text for pair in zip(references, predictions, strict=True) for text in pair]
    numbers = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(texts)))}
    last_word = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), np.int64)
    text = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    gram = last_word
    counts = []
    for size in range(1, order + 1):
        if size > 1:  # join an (n-1)-gram with the last word of the next one in the same text
            inside = text[:-1] == text[1:]
            gram = (gram[:-1] * len(numbers) + last_word[1:])[inside]
            last_word, text = last_word[1:][inside], text[:-1][inside]
        by_gram = _order(gram)
        sorted_gram, sorted_text = gram[by_gram], text[by_gram]
        new_gram = _changes(sorted_gram)
        start = np.flatnonzero(new_gram | _changes(sorted_text))
        number = np.cumsum(new_gram) - 1
        prefix, last = np.divmod(sorted_gram[new_gram], max(1, len(numbers)))
        gram = np.empty_like(gram)
        gram[by_gram] = number
        counts.append(
            Counts(
                gram=number[start],
                text=sorted_text[start],
                count=np.diff(start, append=len(by_gram)),
                prefix=prefix,
                last=last,
            )
        )
    return Ngrams(list(numbers), tuple(counts))


def words_of(tokens: list[str]) -> list[str]:
    """Return the words that ``pycocoevalcap`` counts; a mixed number ("1 1/2") is two."""
    joined = " ".join(tokens)
    return joined.split() if "\xa0" in joined else tokens


def _order(values: Integers) -> Integers:
    """Return a stable argsort of ``values``; numpy sorts 16-bit digits in linear time."""
    bits = int(values.max(initial=1)).bit_length()
    digits = [(values >> shift).astype(np.uint16) for shift in range(0, bits, 16)]
    return np.lexsort(digits)


def _changes(values: Integers) -> npt.NDArray[np.bool_]:
    """Return where a value differs from its predecessor; True for the first value."""
    changes = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def overlap(ngrams: Ngrams, reports: int) -> Overlap:
    """Return BLEU's counts for each report, from the counts of 1-grams to 4-grams."""
    matched, offered = np.zeros((2, reports, len(ngrams.counts)))
    lengths: Array = np.zeros((reports, 2))
    for k, counts in enumerate(ngrams.counts):
        shared = counts.shared
        clipped = np.minimum(counts.count[shared], counts.count[shared + 1])
        matched[:, k] = np.bincount(counts.text[shared] // 2, clipped, reports)
        of_text = np.bincount(counts.text, counts.count, 2 * reports).astype(np.float64)
        offered[:, k] = of_text[1::2]
        if k == 0:
            lengths = of_text.reshape(reports, 2)
    return Overlap(matched=matched, offered=offered, lengths=lengths)
