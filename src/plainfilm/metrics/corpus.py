"""A corpus: the reports that a metric takes its corpus statistics from.

With a given corpus, a report's value does not depend on the batch in which it is scored: CIDEr-D as
a reward takes its document frequencies from the training reports.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from plainfilm.core import MetricError

if TYPE_CHECKING:
    from plainfilm.metrics.frequencies import Frequencies
    from plainfilm.metrics.tokens import Tokenizer

_ORDER = 4
_AT_ONCE = 5_000  # reports whose n-grams are counted together


class Corpus:
    """Reports, with a cache of the statistics that metrics take from them."""

    def __init__(self, reports: Iterable[str]) -> None:
        """Store ``reports``; statistics are computed when needed.

        Raises:
            MetricError: there is no report, or one is not text.
        """
        self.reports = tuple(reports) if not isinstance(reports, str) else ()
        if not self.reports or not all(isinstance(report, str) for report in self.reports):
            raise MetricError(
                "a corpus must be a list of at least one report as text, "
                f"got {type(reports).__name__}"
            )
        self._kept: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.reports)

    def keep(self, name: str, count: Callable[[tuple[str, ...]], Any]) -> Any:
        """Return ``count(reports)``, cached under ``name``."""
        if name not in self._kept:
            self._kept[name] = count(self.reports)
        return self._kept[name]

    @property
    def digest(self) -> str:
        """Digest of the reports, independent of their order."""
        return str(self.keep("digest", _digest))

    def frequencies(self, tokenizer: "Tokenizer") -> "Frequencies":
        """Return the document frequency of each n-gram, in words of ``tokenizer``."""
        found: Frequencies = self.keep(
            f"frequencies, {tokenizer.name}", lambda reports: _frequencies(reports, tokenizer)
        )
        return found


def _digest(reports: tuple[str, ...]) -> str:
    digest = sha256()
    for report in sorted(reports):
        digest.update(repr(report).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:8]


def _frequencies(reports: tuple[str, ...], tokenizer: "Tokenizer") -> "Frequencies":
    from plainfilm.metrics.frequencies import Frequencies
    from plainfilm.metrics.ngrams import count_ngrams, words_of

    frequencies = Frequencies(_ORDER)
    longest = None if tokenizer.longest is None else tokenizer.longest[0]
    for start in range(0, len(reports), _AT_ONCE):
        part = reports[start : start + _AT_ONCE]
        words = [words_of(tokenizer.cut(report)[:longest]) for report in part]
        frequencies.add(count_ngrams(words, [[]] * len(words), _ORDER), len(words))
    return frequencies
