"""Pairs: aligned references and predictions, with cached readings that several metrics share."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from plainfilm.core import Finding, Observation, Status
from plainfilm.metrics.frequencies import Frequencies
from plainfilm.metrics.models import require
from plainfilm.metrics.ngrams import Ngrams, Overlap, count_ngrams, overlap, words_of
from plainfilm.metrics.protocol import Scoring, Track, untracked
from plainfilm.metrics.reading import read_in_batches

if TYPE_CHECKING:
    from plainfilm.text.contradictions import Contradiction
    from plainfilm.text.matching import Matching
    from plainfilm.text.statements import Said

__all__ = ["Pairs", "Track", "untracked"]

Made = TypeVar("Made")
Item = TypeVar("Item")
Both = tuple[list[Made], list[Made]]
"""(values of references, values of predictions)"""

_ORDER = 4
_BATCH = 64


@dataclass(frozen=True)
class Pairs(Scoring):
    """References and predictions in the same order, and how they are scored.

    Tokens, labels and findings are read once and cached.
    """

    ids: tuple[str, ...]
    references: tuple[str, ...]
    predictions: tuple[str, ...]
    read: dict[str, dict[Any, Any]] = field(default_factory=dict)
    """Cache: kind → text or pair → value; shared by copies made with ``dataclasses.replace``."""
    block: int = 5_000
    """Number of pairs scored at once; their cached values are dropped before the next block."""
    part_of: "Pairs | None" = None
    """The pairs that this block is part of."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def whole(self) -> "Pairs":
        """All pairs that are scored together, if these are a block of them; else these."""
        return self.part_of or self

    def blocks(self, task: str = "pairs") -> Iterator["Pairs"]:
        """Yield the pairs in blocks, each with an empty cache.

        A single block is the pairs themselves. With several, progress is shown in pairs rather than
        in texts.
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
        next(progress, None)  # completes the progress bar

    def model(self, name: str, metric: str) -> Any:
        """Return a loaded model that ``metric`` uses.

        Raises:
            MetricError: the model was not given.
        """
        return require(self.models, name, metric)

    @cached_property
    def digest(self) -> str:
        """Identifies the data: a digest of the sorted ids and the texts of the references."""
        digest = sha256()
        for entry in sorted(zip(self.ids, self.references, strict=True)):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()[:8]

    @cached_property
    def tokens(self) -> Both[list[str]]:
        """The words of each report, by the tokenizer."""
        words = self.words
        task = "tokens" if self.tokenizer == "ptb" else f"tokens, {words.name}"
        cut = self.each(lambda texts: map(words.cut, texts), task)
        if words.longest is None:
            return cut
        references, predictions = (
            [tokens[:longest] for tokens in side]
            for side, longest in zip(cut, words.longest, strict=True)
        )
        return references, predictions

    @cached_property
    def ngrams(self) -> Ngrams:
        """Counts of 1- to 4-grams; a mixed number ("1 1/2") counts as two words here."""
        references, predictions = ([words_of(tokens) for tokens in side] for side in self.tokens)
        return count_ngrams(references, predictions, _ORDER)

    @cached_property
    def overlap(self) -> Overlap:
        """The n-grams that each pair shares."""
        return overlap(self.ngrams, len(self))

    @cached_property
    def frequencies(self) -> Frequencies:
        """Document frequency of each n-gram in the corpus, or else in the references."""
        if self.corpus is not None:
            return self.corpus.frequencies(self.words)
        frequencies = Frequencies(_ORDER)
        for block in self.blocks(task="document frequencies"):
            frequencies.add(block.ngrams, len(block))
        return frequencies

    @cached_property
    def labels(self) -> Both[Mapping[Observation, Status]]:
        """The 14 observations of each report, by the labeler."""
        if chexbert := self.models.get("chexbert"):
            return self.each(chexbert.labels, "labels by CheXbert")
        return self._read_by_reader("labels")

    @cached_property
    def findings(self) -> Both[list[Finding]]:
        """The findings of each report, by plainfilm's reader."""
        return self._read_by_reader("findings")

    def _read_by_reader(self, what: str) -> Both[Any]:
        made: dict[str, Any] = self.read.setdefault(what, {})
        texts = dict.fromkeys(self.references + self.predictions)
        new = [text for text in texts if text not in made]
        found = read_in_batches(what, new, self.language, self.workers)
        for text, read in zip(self.track(new, what), found, strict=True):
            made[text] = read
        return [made[text] for text in self.references], [made[text] for text in self.predictions]

    @cached_property
    def said(self) -> "Both[Said]":
        """The statements of each report, grouped from its findings."""
        from plainfilm.text.statements import gather

        gathered = self.read.setdefault("statements", {})
        sides: Both[Said] = ([], [])
        for findings, side in zip(self.findings, sides, strict=True):
            for found in findings:  # equal texts share one list
                if id(found) not in gathered:
                    gathered[id(found)] = (found, gather(found))
                side.append(gathered[id(found)][1])
        return sides

    @cached_property
    def matchings(self) -> "list[Matching]":
        """The comparison of the two reports of each pair: what they share, how they differ."""
        from plainfilm.text.matching import match

        both = [(id(truth), id(said)) for truth, said in zip(*self.said, strict=True)]
        made: dict[tuple[int, int], Matching] = {}
        for pair, truth, said in zip(both, *self.said, strict=True):
            if pair not in made:
                made[pair] = match(truth, said)
        return [made[pair] for pair in both]

    @cached_property
    def unreadable(self) -> list[str | None]:
        """The reason why each prediction is unreadable; None for a readable one."""
        from plainfilm.text.readability import unreadable

        made: dict[tuple[str, str], str | None] = {}
        for reference, prediction, said in zip(
            self.references, self.predictions, self.said[1], strict=True
        ):
            if (reference, prediction) not in made:
                made[reference, prediction] = unreadable(
                    prediction, said.findings, reference, self.language
                )
        return [made[pair] for pair in zip(self.references, self.predictions, strict=True)]

    @cached_property
    def contradictions(self) -> "list[list[Contradiction]]":
        """The contradictions within each prediction."""
        from plainfilm.text.contradictions import contradictions

        made: dict[int, list[Contradiction]] = {}
        for text, said in zip(self.predictions, self.said[1], strict=True):
            if id(said) not in made:
                made[id(said)] = list(contradictions(said, text, self.language))
        return [made[id(said)] for said in self.said[1]]

    def each(self, make: Callable[[Sequence[str]], Iterable[Made]], task: str) -> Both[Made]:
        """Return the result of ``make`` for every text of references and of predictions.

        ``make`` gets each distinct text once, in batches.
        """
        made = self._make(self.references + self.predictions, make, task)
        return [made[text] for text in self.references], [made[text] for text in self.predictions]

    def each_pair(
        self, make: Callable[[Sequence[tuple[str, str]]], Iterable[Made]], task: str
    ) -> list[Made]:
        """Return the result of ``make`` for every (reference, prediction).

        ``make`` gets each distinct pair once, in batches.
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
