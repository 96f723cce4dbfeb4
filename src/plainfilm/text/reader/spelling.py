"""Misspelled terms: a long word that no rule knows, one slip away from a word of a term.

A slip is a letter lost, added, changed or swapped with its neighbour (pneumothrax, atelectisis).
The first and the last letter must be right and the meaning the only one, so that a real word which
the rules merely lack, or an ending of theirs, is left as it is. In a short word only a swap is
mended (likley), since short words are too close to each other for more.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache

SHORTEST = 7
LONGEST = 24
"""Letters of a meant word that may have any slip."""
SHORTEST_SWAPPED = 5
"""Letters of a meant word that may have two neighbours swapped."""


def compile_spelling(terms: Mapping[str, Hashable], known: Iterable[str]) -> Callable[[str], str]:
    """Return the function that gives a word as it was meant; it remembers the last 8192 words.

    Args:
        terms: the words that may be meant, each with what it stands for.
        known: the words that are right as they are.
    """
    right = frozenset(known)
    shortened: dict[str, set[str]] = {}  # a word with a letter left out, or none → words
    for term in terms:
        if SHORTEST_SWAPPED <= len(term) <= LONGEST and term.isalpha():
            for short in _shortened(term):
                shortened.setdefault(short, set()).add(term)

    @lru_cache(maxsize=8192)
    def mend(word: str) -> str:
        if word in right or not SHORTEST_SWAPPED <= len(word) <= LONGEST + 1:
            return word
        near = {
            term
            for short in _shortened(word)
            for term in shortened.get(short, ())
            if term[0] == word[0] and term[-1] == word[-1] and _one_slip(word, term)
        }
        return min(near) if len({terms[term] for term in near}) == 1 else word

    return mend


def _shortened(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _one_slip(word: str, term: str) -> bool:
    """Return whether one slip makes ``word`` of ``term``, with which it shares a shortened form."""
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
