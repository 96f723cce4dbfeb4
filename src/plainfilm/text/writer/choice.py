"""Choosing words: at random, weighted by a dialect, or always the dialect's favourites."""

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

STRENGTH = 8.0
"""Strength of a dialect's preferences: of five phrases, it takes its favourite about three times
in five."""

_INNERMOST = re.compile(r"<([^<>]*)>")


class Choice:
    """One source of choices.

    Args:
        rng: random generator; None always takes the favourite, so that the same findings are
            always told in the same words.
        dialect: determines the preference for each phrase; 0 has none.
    """

    def __init__(self, rng: random.Random | None, dialect: int = 0) -> None:
        self.rng, self.dialect = rng, dialect

    def pick(self, options: Sequence[T], text: Callable[[T], str] = str) -> T:
        """Return one of ``options``; ``text`` gives the text that the preference depends on."""
        if len(options) == 1:
            return options[0]
        if not self.dialect:
            return self.rng.choice(options) if self.rng else options[0]
        likings = [liking(self.dialect, text(option)) for option in options]
        if self.rng is None:
            return options[likings.index(max(likings))]
        return self.rng.choices(options, [value**STRENGTH for value in likings])[0]

    def chance(self, share: float, what: str) -> bool:
        """Return True in this ``share`` of cases; without a generator, each dialect gives the same
        answer to ``what`` every time."""
        if self.rng is None:
            return not self.dialect or liking(self.dialect, what) < share
        return self.rng.random() < share

    def order(self, options: Sequence[T], text: Callable[[T], str], share: float) -> list[T]:
        """Return ``options`` in the dialect's order (for dialect 0: as given); with a generator, in
        1 - ``share`` of cases in random order."""
        ordered = list(options)
        if self.dialect:
            ordered.sort(key=lambda option: -liking(self.dialect, text(option)))
        if self.rng is not None and not self.chance(share, "order"):
            self.rng.shuffle(ordered)
        return ordered

    def expand(self, text: str) -> str:
        """Return ``text`` with one alternative chosen for each ``<one|another>``."""
        while "<" in text:
            text = _INNERMOST.sub(lambda found: self.pick(found.group(1).split("|")), text)
        return text


@lru_cache(maxsize=200_000)
def liking(dialect: int, text: str) -> float:
    """Return a dialect's preference for a phrase, uniformly distributed over [0, 1)."""
    digest = hashlib.blake2b(f"{dialect}|{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64
