"""Pairs: references and predictions side by side, with what several metrics read from them."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from plainfilm.core import Finding, Observation, Status, UncertaintyPolicy
from plainfilm.metrics.ngrams import Counts, Overlap, count_ngrams, overlap
from plainfilm.metrics.tokenizer import tokenize

if TYPE_CHECKING:
    from plainfilm.text.chexbert import Chexbert

Made = TypeVar("Made")
Track = Callable[[Iterable[str], str], Iterable[str]]
Both = tuple[list[Made], list[Made]]
"""(of references, of predictions)"""


def untracked(texts: Iterable[str], task: str) -> Iterable[str]:
    """Return ``texts`` as they are: shows no progress."""
    return texts


@dataclass(frozen=True)
class Pairs:
    """References and predictions in the same order; what is read from them is read once."""

    ids: tuple[str, ...]
    references: tuple[str, ...]
    predictions: tuple[str, ...]
    policy: UncertaintyPolicy = UncertaintyPolicy.POSITIVE
    """What an uncertain mention counts as in label metrics."""
    chexbert: "Chexbert | None" = None
    """Reads labels in place of plainfilm's reader, where given."""
    track: Track = untracked
    """Wraps a long iteration, named, to show its progress."""
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What → text → what was read; ``dataclasses.replace`` shares it with the new pairs."""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digest(self) -> str:
        """What data this is: a digest over the sorted ids and the texts of the references."""
        digest = sha256()
        for entry in sorted(zip(self.ids, self.references, strict=True)):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()[:8]

    @cached_property
    def tokens(self) -> Both[list[str]]:
        """Tokens as COCO-caption makes them."""
        return self._each(tokenize, "tokens")

    @cached_property
    def ngrams(self) -> list[Counts]:
        """Counts of 1- to 4-grams; a mixed number ("1 1/2") counts as two words here."""
        references, predictions = ([_words(tokens) for tokens in side] for side in self.tokens)
        return list(count_ngrams(references, predictions, order=4))

    @cached_property
    def overlap(self) -> Overlap:
        """The n-grams that each pair shares."""
        return overlap(self.ngrams, len(self))

    @cached_property
    def labels(self) -> Both[Mapping[Observation, Status]]:
        """The 14 observations of each report, as the labeler sees them."""
        from plainfilm.text import labels

        if self.chexbert is None:
            return self._each(labels, "labels")
        references, predictions = map(self.chexbert.labels, (self.references, self.predictions))
        return [*references], [*predictions]

    @cached_property
    def findings(self) -> Both[list[Finding]]:
        """The findings of each report, as plainfilm's reader sees them."""
        from plainfilm.text import read

        return self._each(read, "findings")

    def _each(self, make: Callable[[str], Made], task: str) -> Both[Made]:
        """Return ``make`` of every text; equal texts are read once."""
        made = self.read.setdefault(task, {})
        new = [t for t in dict.fromkeys(self.references + self.predictions) if t not in made]
        for text in self.track(new, task):
            made[text] = make(text)
        return [made[text] for text in self.references], [made[text] for text in self.predictions]


def _words(tokens: list[str]) -> list[str]:
    """Return the words that ``pycocoevalcap`` counts: a mixed number has two."""
    joined = " ".join(tokens)
    return joined.split() if "\xa0" in joined else tokens
