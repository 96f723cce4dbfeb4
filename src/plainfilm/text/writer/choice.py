"""Choosing words: at random, as a dialect likes them, or always the dialect's favourites."""

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

STRENGTH = 8.0
"""How strongly a dialect prefers what it likes: among five phrases the favourite is taken about
three times in five."""

_INNERMOST = re.compile(r"<([^<>]*)>")


class Choice:
    """One source of choices.

    Args:
        rng: draws; None always takes the favourite, so that the same findings are told in the same
            words each time.
        dialect: which phrases are liked, and how much; 0 likes all of them alike.
    """

    def __init__(self, rng: random.Random | None, dialect: int = 0) -> None:
        self.rng, self.dialect = rng, dialect

    def pick(self, options: Sequence[T], text: Callable[[T], str] = str) -> T:
        """Return one of ``options``; ``text`` is what a dialect knows an option by."""
        if len(options) == 1:
            return options[0]
        if not self.dialect:
            return self.rng.choice(options) if self.rng else options[0]
        likings = [liking(self.dialect, text(option)) for option in options]
        if self.rng is None:
            return options[likings.index(max(likings))]
        return self.rng.choices(options, [value**STRENGTH for value in likings])[0]

    def chance(self, share: float, what: str) -> bool:
        """Return whether something is done that is done in this ``share`` of cases; without a
        generator a dialect does it always or never."""
        if self.rng is None:
            return not self.dialect or liking(self.dialect, what) < share
        return self.rng.random() < share

    def order(self, options: Sequence[T], text: Callable[[T], str], share: float) -> list[T]:
        """Return ``options`` in the dialect's order (as given for dialect 0), or, where there is a
        generator, in any order in 1 - ``share`` of cases."""
        ordered = list(options)
        if self.dialect:
            ordered.sort(key=lambda option: -liking(self.dialect, text(option)))
        if self.rng is not None and not self.chance(share, "order"):
            self.rng.shuffle(ordered)
        return ordered

    def expand(self, text: str) -> str:
        """Return ``text`` with a word chosen wherever it has ``<several|of them>``."""
        while "<" in text:
            text = _INNERMOST.sub(lambda found: self.pick(found.group(1).split("|")), text)
        return text


@lru_cache(maxsize=200_000)
def liking(dialect: int, text: str) -> float:
    """Return how much a dialect likes a phrase, evenly distributed over [0, 1)."""
    digest = hashlib.blake2b(f"{dialect}|{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64
