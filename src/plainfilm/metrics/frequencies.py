"""Document frequencies: in how many references each n-gram occurs, counted block by block.

CIDEr-D needs them for the whole set before it can score the first pair. The words and n-grams of
the references are numbered in order of appearance and kept as sorted integer arrays: 16 bytes for
each distinct n-gram, however many references there are.
"""

import numpy as np

from plainfilm.metrics.ngrams import Counts, Integers, Ngrams
from plainfilm.metrics.statistics import Array

_WORD_BITS = 32
_UNKNOWN = -1


class Frequencies:
    """Document frequencies of the n-grams in the references added so far."""

    def __init__(self, order: int) -> None:
        """Count n-grams of up to ``order`` words."""
        self.references = 0
        self._words: dict[str, int] = {}
        self._tables = [_Table() for _ in range(order)]

    @property
    def vocabulary(self) -> int:
        """Number of distinct words in the references."""
        return len(self._words)

    @property
    def informative(self) -> bool:
        """Whether any n-gram occurs in some references and not in others."""
        return any((table.frequency < self.references).any() for table in self._tables)

    def add(self, ngrams: Ngrams, references: int) -> None:
        """Add the n-grams of a block of ``references`` references."""
        self.references += references
        occurs = [_in_references(counts) for counts in ngrams.counts]
        for number, word in enumerate(ngrams.words):
            if occurs[0][number]:
                self._words.setdefault(word, len(self._words))
        numbers = self._word_numbers(ngrams)
        prefix_numbers: Integers = np.zeros(1, dtype=np.int64)
        for table, counts, frequency in zip(self._tables, ngrams.counts, occurs, strict=True):
            keys = _keys(counts, prefix_numbers, numbers)
            table.add(keys[frequency > 0], frequency[frequency > 0])
            prefix_numbers = table.find(keys)[0]

    def of(self, ngrams: Ngrams) -> list[Array]:
        """Return the frequency of each n-gram, (n-grams,), for each order; 0 for unknown ones."""
        numbers = self._word_numbers(ngrams)
        prefix_numbers: Integers = np.zeros(1, dtype=np.int64)
        found = []
        for table, counts in zip(self._tables, ngrams.counts, strict=True):
            prefix_numbers, frequency = table.find(_keys(counts, prefix_numbers, numbers))
            found.append(frequency)
        return found

    def _word_numbers(self, ngrams: Ngrams) -> Integers:
        return np.array([self._words.get(word, _UNKNOWN) for word in ngrams.words], dtype=np.int64)


class _Table:
    """Sorted keys of n-grams, each with its number and frequency."""

    def __init__(self) -> None:
        self._keys: Integers = np.zeros(0, dtype=np.int64)
        self._numbers = np.zeros(0, dtype=np.int32)
        self.frequency = np.zeros(0, dtype=np.int32)

    def add(self, keys: Integers, frequency: Integers) -> None:
        """Add ``frequency`` to the frequencies of ``keys``, which must be distinct."""
        place, known = self._places(keys)
        self.frequency[place[known]] += frequency[known].astype(np.int32)
        new = np.flatnonzero(~known)
        new = new[np.argsort(keys[new])]
        at = np.searchsorted(self._keys, keys[new])
        numbers = np.arange(len(self._keys), len(self._keys) + len(new))
        self._keys = np.insert(self._keys, at, keys[new])
        self._numbers = np.insert(self._numbers, at, numbers)
        self.frequency = np.insert(self.frequency, at, frequency[new])

    def find(self, keys: Integers) -> tuple[Integers, Array]:
        """Return the number and the frequency of each of ``keys``."""
        place, known = self._places(keys)
        numbers = np.full(len(keys), _UNKNOWN)
        numbers[known] = self._numbers[place[known]]
        frequency = np.zeros(len(keys))
        frequency[known] = self.frequency[place[known]]
        return numbers, frequency

    def _places(self, keys: Integers) -> tuple[Integers, "np.typing.NDArray[np.bool_]"]:
        """Return the index of each of ``keys``, and whether the key exists."""
        place = np.searchsorted(self._keys, keys)
        known = place < len(self._keys)
        known[known] = self._keys[place[known]] == keys[known]
        return place, known


def _in_references(counts: Counts) -> Integers:
    """Return the number of the block's references in which each n-gram occurs."""
    return np.bincount(counts.gram[counts.text % 2 == 0], minlength=len(counts.last))


def _keys(counts: Counts, prefix_numbers: Integers, word_numbers: Integers) -> Integers:
    """Return prefix and last word of each n-gram as one number; negative if either is unknown."""
    if not len(counts.last):
        return counts.last
    prefix, last = prefix_numbers[counts.prefix], word_numbers[counts.last]
    keys: Integers = (prefix << _WORD_BITS) | last
    return np.where((prefix < 0) | (last < 0), _UNKNOWN, keys)
