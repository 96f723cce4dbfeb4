"""Pairs: references and predictions side by side, with what several metrics read from them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar

from plainfilm.core import Finding, Observation, Status, UncertaintyPolicy
from plainfilm.metrics.frequencies import Frequencies
from plainfilm.metrics.models import require
from plainfilm.metrics.ngrams import Ngrams, Overlap, count_ngrams, overlap
from plainfilm.metrics.tokenizer import tokenize
from plainfilm.text.matching import Matching, match
from plainfilm.text.statements import Said, gather

Made = TypeVar("Made")
Item = TypeVar("Item")
Track = Callable[[Iterable[Any], str], Iterable[Any]]
Both = tuple[list[Made], list[Made]]
"""(of references, of predictions)"""

_ORDER = 4
_BATCH = 64


def untracked(items: Iterable[Any], task: str) -> Iterable[Any]:
    """Return ``items`` as they are: shows no progress."""
    return items


@dataclass(frozen=True)
class Pairs:
    """References and predictions in the same order; what is read from them is read once."""

    ids: tuple[str, ...]
    references: tuple[str, ...]
    predictions: tuple[str, ...]
    policy: UncertaintyPolicy = UncertaintyPolicy.POSITIVE
    """What an uncertain mention counts as in label metrics."""
    language: str = "en"
    """Of the reports: whose rules the reader uses."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """What model-based metrics ask, loaded, by the names of ``plainfilm.metrics.models``; with
    ``chexbert`` among them, it reads the labels in place of plainfilm's reader."""
    track: Track = untracked
    """Wraps a long iteration, named, to show its progress."""
    read: dict[str, dict[Any, Any]] = field(default_factory=dict)
    """What → text or pair → what was read; ``dataclasses.replace`` shares it with the new pairs."""
    block: int = 5_000
    """How many pairs are scored at once; what is read from them is dropped before the next ones."""
    part_of: "Pairs | None" = None
    """The pairs that this block was cut from."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def whole(self) -> "Pairs":
        """All pairs that are scored together, of which these may be a block."""
        return self.part_of or self

    def blocks(self, task: str = "pairs") -> Iterator["Pairs"]:
        """Yield the pairs in blocks, each without what was read for the others.

        One block is the pairs themselves. With more, progress is shown in pairs, not in texts.
        """
        size = self.block
        if len(self) <= size:
            yield self
            return
        progress = iter(self.track(self.ids, task))
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield replace(
                self,
                ids=self.ids[part],
                references=self.references[part],
                predictions=self.predictions[part],
                track=untracked,
                read={},
                part_of=self.whole,
            )
            for _ in islice(progress, size):
                pass
        next(progress, None)  # lets the progress end

    def model(self, name: str, metric: str) -> Any:
        """Return a loaded model that ``metric`` asks.

        Raises:
            MetricError: it was not given.
        """
        return require(self.models, name, metric)

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
        return self.each(lambda texts: map(tokenize, texts), "tokens")

    @cached_property
    def ngrams(self) -> Ngrams:
        """Counts of 1- to 4-grams; a mixed number ("1 1/2") counts as two words here."""
        references, predictions = ([_words(tokens) for tokens in side] for side in self.tokens)
        return count_ngrams(references, predictions, _ORDER)

    @cached_property
    def overlap(self) -> Overlap:
        """The n-grams that each pair shares."""
        return overlap(self.ngrams, len(self))

    @cached_property
    def frequencies(self) -> Frequencies:
        """In how many references each n-gram occurs."""
        frequencies = Frequencies(_ORDER)
        for block in self.blocks(task="document frequencies"):
            frequencies.add(block.ngrams, len(block))
        return frequencies

    @cached_property
    def labels(self) -> Both[Mapping[Observation, Status]]:
        """The 14 observations of each report, as the labeler sees them."""
        from plainfilm.text import labels

        if chexbert := self.models.get("chexbert"):
            return self.each(chexbert.labels, "labels by CheXbert")
        reader = partial(labels, language=self.language)
        return self.each(lambda texts: map(reader, texts), "labels")

    @cached_property
    def findings(self) -> Both[list[Finding]]:
        """The findings of each report, as plainfilm's reader sees them."""
        from plainfilm.text import read

        reader = partial(read, language=self.language)
        return self.each(lambda texts: map(reader, texts), "findings")

    @cached_property
    def said(self) -> Both[Said]:
        """What each report says, its findings gathered into statements."""
        gathered = self.read.setdefault("statements", {})
        sides: Both[Said] = ([], [])
        for findings, side in zip(self.findings, sides, strict=True):
            for found in findings:  # the same list for equal texts
                if id(found) not in gathered:
                    gathered[id(found)] = (found, gather(found))
                side.append(gathered[id(found)][1])
        return sides

    @cached_property
    def matchings(self) -> list[Matching]:
        """What the two reports of each pair share, and how they differ."""
        both = [(id(truth), id(said)) for truth, said in zip(*self.said, strict=True)]
        made: dict[tuple[int, int], Matching] = {}
        for pair, truth, said in zip(both, *self.said, strict=True):
            if pair not in made:
                made[pair] = match(truth, said)
        return [made[pair] for pair in both]

    def each(self, make: Callable[[Sequence[str]], Iterable[Made]], task: str) -> Both[Made]:
        """Return what ``make`` reads from every text, of references and of predictions.

        Equal texts are read once, and ``make`` gets them in batches.
        """
        made = self._make(self.references + self.predictions, make, task)
        return [made[text] for text in self.references], [made[text] for text in self.predictions]

    def each_pair(
        self, make: Callable[[Sequence[tuple[str, str]]], Iterable[Made]], task: str
    ) -> list[Made]:
        """Return what ``make`` finds for every (reference, prediction); equal pairs are asked once.

        ``make`` gets them in batches.
        """
        both = list(zip(self.references, self.predictions, strict=True))
        made = self._make(both, make, task)
        return [made[pair] for pair in both]

    def _make(
        self,
        items: Iterable[Item],
        make: Callable[[Sequence[Item]], Iterable[Made]],
        task: str,
    ) -> dict[Item, Made]:
        made: dict[Any, Any] = self.read.setdefault(task, {})
        new = [item for item in dict.fromkeys(items) if item not in made]
        tracked = iter(self.track(new, task))
        while batch := list(islice(tracked, _BATCH)):
            made.update(zip(batch, make(batch), strict=True))
        return made


def _words(tokens: list[str]) -> list[str]:
    """Return the words that ``pycocoevalcap`` counts: a mixed number has two."""
    joined = " ".join(tokens)
    return joined.split() if "\xa0" in joined else tokens
