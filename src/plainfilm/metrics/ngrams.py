"""n-gram counts of all reports at once, in numpy.

The tokens of every pair lie in one array, reference before prediction. A stable sort of the
n-grams then brings equal ones together, and within them the texts in order; so the counts of one
n-gram in a pair's reference and prediction are neighbours, and no n-gram is ever looked up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """The n-grams of one order: each entry is one n-gram in one text.

    Texts are numbered 2i (reference of pair i) and 2i + 1 (its prediction). Entries are sorted by
    n-gram, then by text.
    """

    gram: Integers
    """(entries,), numbered from 0 without gaps."""
    text: Integers
    """(entries,)"""
    count: Integers
    """(entries,)"""

    @property
    def shared(self) -> Integers:
        """Positions of references' entries whose n-gram the prediction has too: the next entry."""
        gram, text = self.gram, self.text
        found = (gram[:-1] == gram[1:]) & (text[:-1] + 1 == text[1:]) & (text[:-1] % 2 == 0)
        return np.flatnonzero(found)


def count_ngrams(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], order: int
) -> Iterator[Counts]:
    """Yield the counts of 1-grams to ``order``-grams of all texts, given as words."""
    texts = [text for pair in zip(references, predictions, strict=True) for text in pair]
    numbers = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(texts)))}
    last_word = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), np.int64)
    text = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    gram = last_word
    for size in range(1, order + 1):
        if size > 1:  # an (n-1)-gram and the last word of the next one, in the same text
            inside = text[:-1] == text[1:]
            gram = (gram[:-1] * len(numbers) + last_word[1:])[inside]
            last_word, text = last_word[1:][inside], text[:-1][inside]
        by_gram = np.argsort(gram, kind="stable")
        sorted_gram, sorted_text = gram[by_gram], text[by_gram]
        new_gram = np.diff(sorted_gram, prepend=-1) != 0
        start = np.flatnonzero(new_gram | (np.diff(sorted_text, prepend=-1) != 0))
        number = np.cumsum(new_gram) - 1
        gram = np.empty_like(gram)
        gram[by_gram] = number
        yield Counts(
            gram=number[start],
            text=sorted_text[start],
            count=np.diff(start, append=len(by_gram)),
        )
