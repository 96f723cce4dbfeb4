"""Correction of words: abbreviated, joined and misspelled ones are restored.

A misspelling is a letter lost, added, changed or swapped with its neighbour (pneumothrax,
atelectisis), or in a long word two letters changed (atelactesis). The first and the last letter
must be right and the correction unique, so that a real word, or an ending, that the rules lack
remains unchanged. In short words, which are too similar to each other for more, only a swap is
corrected (likley). The abbreviations, and the words that may be joined to the next one, are data
(``rules/<language>/sections.yaml``).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from plainfilm.core import Span
from plainfilm.text.reader.sentences import Tokens

SHORTEST = 7
LONGEST = 24
"""Shortest and longest word, in letters, in which any misspelling is corrected."""
SHORTEST_SWAPPED = 4
"""Shortest word, in letters, in which swapped neighbours are corrected."""
SHORTEST_CHANGED_TWICE = 10
"""Shortest word, in letters, in which two changed letters are corrected."""
_PART = 4
"""Shortest word, in letters, after one of ``joined``, or as a part of two known words."""
_LONG_PART = 7
"""Shortest word, in letters, before one of ``run_on``, or as the longer of two known words."""
_STOP = "."

Words = tuple[str, ...]


class Spelling(NamedTuple):
    """The spelling correction of one language."""

    meant: Callable[[str], Words]
    """Returns the words that a word stands for, usually itself."""
    short: Mapping[str, Words]

    def whole(self, words: Sequence[str], spans: Sequence[tuple[int, int]]) -> Tokens:
        """Return the tokens with each word corrected and a full stop at the end.

        If a word stands for several, they all have its span, or their own if they are simply
        joined. The full stop of an abbreviation is omitted.
        """
        found: list[str] = []
        where: list[Span] = []
        for number, (word, span) in enumerate(zip(words, spans, strict=True)):
            if word == _STOP and number and words[number - 1] in self.short:
                continue
            meant = self.meant(word)
            found += meant
            if len(meant) > 1 and "".join(meant) == word:
                at = span[0]
                for part in meant:
                    where.append((at, at + len(part)))
                    at += len(part)
            else:
                where += [span] * len(meant)
        if found and found[-1] not in ".:;!?":
            found.append(_STOP)
            where.append((spans[-1][1], spans[-1][1]))
        return Tokens(found, where)


def compile_spelling(
    terms: Mapping[str, Hashable],
    known: Iterable[str],
    *,
    short: Mapping[str, str] = MappingProxyType({}),
    joined: Iterable[str] = (),
    run_on: Iterable[str] = (),
) -> Spelling:
    """Return the spelling correction; it caches the last 8192 words.

    Args:
        terms: the possible corrections, each with its meaning.
        known: correct words, which remain unchanged.
        short: abbreviation, clipped word or contraction → the words that it stands for.
        joined: words that may be joined to the word after them ("nopneumothorax").
        run_on: words that may be joined to the word before them ("effusionor").
    """
    right = frozenset(known)
    stands_for = {word: tuple(meant.split()) for word, meant in short.items()}
    shortened: dict[str, set[str]] = {}  # a word with a letter left out, or none → words
    twice: dict[str, set[str]] = {}  # a long word with two letters left out → words
    for term in terms:
        if SHORTEST_SWAPPED <= len(term) <= LONGEST and term.isalpha():
            for one in _shortened(term):
                shortened.setdefault(one, set()).add(term)
            if len(term) >= SHORTEST_CHANGED_TWICE:
                for two in _twice_shortened(term):
                    twice.setdefault(two, set()).add(term)
    parts, after = frozenset(joined), frozenset(run_on)

    @lru_cache(maxsize=8192)
    def meant(word: str) -> Words:
        if word in stands_for:
            return stands_for[word]
        if word in right or len(word) < SHORTEST_SWAPPED:
            return (word,)
        if word.endswith("'s"):
            stem = word[:-2]
            plural = stem + "s"
            return stands_for.get(plural, (plural,) if plural in right else meant(stem))
        if len(word) > 2 * LONGEST:
            return (word,)
        return _parted(word) or (_mended(word),)

    def _parted(word: str) -> Words | None:
        for at in range(2, len(word) - 1):
            one, other = word[:at], word[at:]
            if (
                (one in parts and len(other) >= _PART and other in terms)
                or (other in after and len(one) >= _LONG_PART and one in terms)
                or (
                    max(at, len(other)) >= _LONG_PART
                    and min(at, len(other)) >= _PART
                    and one in terms
                    and other in terms
                )
            ):
                return (one, other)
        return None

    def _mended(word: str) -> str:
        if len(word) > LONGEST + 1:
            return word
        near = {
            term
            for one in _shortened(word)
            for term in shortened.get(one, ())
            if _has_ends(word, term) and _one_slip(word, term)
        }
        if not near and len(word) >= SHORTEST_CHANGED_TWICE:
            near = {
                term
                for two in _twice_shortened(word)
                for term in twice.get(two, ())
                if len(term) == len(word) and _has_ends(word, term)
            }
        return min(near) if len({terms[term] for term in near}) == 1 else word

    return Spelling(meant, stands_for)


def _has_ends(word: str, term: str) -> bool:
    return term[0] == word[0] and term[-1] == word[-1]


def _shortened(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _twice_shortened(word: str) -> set[str]:
    """Return the word with any two of its inner letters marked as unknown."""
    return {
        f"{word[:a]}?{word[a + 1 : b]}?{word[b + 1 :]}"
        for a, b in combinations(range(1, len(word) - 1), 2)
    }


def _one_slip(word: str, term: str) -> bool:
    """Return whether ``word`` is one misspelling away from ``term``; the two share a shortening."""
    if len(word) != len(term):
        return len(term) >= SHORTEST  # one is the other and a letter
    wrong = [at for at, (a, b) in enumerate(zip(word, term, strict=True)) if a != b]
    if len(wrong) == 1:
        return len(term) >= SHORTEST
    first, second = wrong[0], wrong[-1]
    return (
        len(wrong) == 2
        and second == first + 1
        and (word[first], word[second]) == (term[second], term[first])
    )
