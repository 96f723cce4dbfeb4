"""Scoring settings: everything except the reports and the names of the metrics."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from typing import Any, TypedDict

from plainfilm.core import InputError, MetricError, UncertaintyPolicy
from plainfilm.metrics.corpus import Corpus
from plainfilm.metrics.models import check_names
from plainfilm.metrics.tokens import TOKENIZERS, Tokenizer

Track = Callable[[Iterable[Any], str], Iterable[Any]]


def untracked(items: Iterable[Any], task: str) -> Iterable[Any]:
    """Return ``items`` unchanged, without showing progress."""
    return items


class Options(TypedDict, total=False):
    """The fields of :class:`Scoring` as optional keyword arguments."""

    policy: UncertaintyPolicy
    language: str
    tokenizer: str
    models: Mapping[str, Any] | None
    corpus: Corpus | Iterable[str] | None
    section: str | None
    split: str | None
    workers: int
    track: Track | None


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """Settings for scoring reports.

    Every scoring function accepts a Scoring as ``scoring``, or its fields as keyword arguments, or
    both: a keyword argument overrides the field.

    Raises:
        MetricError: ``models`` has an unknown name, the tokenizer is unknown, or CheXbert is given
            with another language than English.
        InputError: the reader does not support ``language``.
    """

    policy: UncertaintyPolicy = UncertaintyPolicy.POSITIVE
    """How an uncertain mention counts in label metrics."""
    language: str = "en"
    """Language of the reports, for the reader of labels and findings."""
    tokenizer: str = "ptb"
    """Tokenizer of lexical metrics, a name of ``plainfilm.metrics.tokens``."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """Loaded models that metrics use, by the names of ``plainfilm.metrics.models``; ``chexbert``,
    if given, also replaces plainfilm's reader as the labeler."""
    corpus: Corpus | None = None
    """Reports from which metrics take corpus statistics (CIDEr-D's document frequencies,
    BERTScore's IDF, the vocabulary of token accuracy), such as those of the training split;
    default: the scored references, so that a report's value depends on the others."""
    section: str | None = None
    """The scored section (``findings``), for the signature."""
    split: str | None = None
    """The scored split (``test``), for the signature."""
    workers: int = 1
    """Number of processes that read labels and findings. More than one requires an importable main
    module (``if __name__ == "__main__"``), like every multi-process program."""
    track: Track = untracked
    """Wraps a long iteration, given its name, to show progress."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", UncertaintyPolicy(self.policy))
        check_names(self.models)
        _check_language(self.language)
        if self.language != "en" and "chexbert" in self.models:
            raise MetricError(f"CheXbert reads English, not {self.language!r}: leave it out")
        if self.tokenizer not in TOKENIZERS:
            raise MetricError(
                f"no tokenizer {self.tokenizer!r}: choose from {', '.join(TOKENIZERS)}"
            )
        if self.workers < 1:
            raise MetricError(f"workers must be at least 1, got {self.workers}")

    @classmethod
    def of(cls, scoring: "Scoring | None", options: Options) -> "Scoring":
        """Return ``scoring`` with its fields overridden by ``options``.

        None as an option means the field's default; a list of reports is turned into a corpus.
        """
        given: dict[str, Any] = {key: one for key, one in options.items() if one is not None}
        if "corpus" in given and not isinstance(given["corpus"], Corpus):
            given["corpus"] = Corpus(given["corpus"])
        return replace(scoring or Scoring(), **given)

    def settings(self) -> dict[str, Any]:
        """Return the fields of Scoring by name, without those of a subclass."""
        return {one.name: getattr(self, one.name) for one in fields(Scoring)}

    @property
    def words(self) -> Tokenizer:
        """The tokenizer."""
        return TOKENIZERS[self.tokenizer]

    @property
    def lexical(self) -> dict[str, str]:
        """The signature fields that lexical metrics set."""
        return {"tokenizer": self.words.name, "case": self.words.case}


def _check_language(language: str) -> None:
    """Raise InputError if the reader has no rules for a language, without loading any."""
    rules = files("plainfilm").joinpath("text", "reader", "rules")
    known = sorted(folder.name for folder in rules.iterdir() if folder.is_dir())
    if language not in known:
        raise InputError(f"no rules for language {language!r}; there are: {', '.join(known)}")
