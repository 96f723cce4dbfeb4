"""How reports are scored: everything but the reports and the names of the metrics."""

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
    """Return ``items`` as they are: shows no progress."""
    return items


class Options(TypedDict, total=False):
    """The fields of :class:`Scoring` as keyword arguments, each of which may be left out."""

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
    """How reports are scored.

    Every function that scores takes one as ``scoring``, or its fields as keyword arguments, or
    both: a keyword argument goes before the field.

    Raises:
        MetricError: ``models`` has an unknown name, the tokenizer is unknown, or CheXbert is to
            read another language than English.
        InputError: the reader does not know ``language``.
    """

    policy: UncertaintyPolicy = UncertaintyPolicy.POSITIVE
    """What an uncertain mention counts as in label metrics."""
    language: str = "en"
    """Of the reports: whose rules the reader uses for labels and findings."""
    tokenizer: str = "ptb"
    """How lexical metrics cut a text into words, a name of ``plainfilm.metrics.tokens``."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """The loaded models that metrics use, by the names of ``plainfilm.metrics.models``; with
    ``chexbert`` among them, it reads the labels in place of plainfilm's reader."""
    corpus: Corpus | None = None
    """The reports that what a metric knows of a whole set is taken from (CIDEr-D's document
    frequencies, BERTScore's IDF, the vocabulary of token accuracy), such as those of the training
    split; the references that are scored where left out, so that a report's value depends on the
    others."""
    section: str | None = None
    """The text that is scored (``findings``), for the signature."""
    split: str | None = None
    """The data that is scored (``test``), for the signature."""
    workers: int = 1
    """Processes that read labels and findings. More than one need a main module that can be
    imported (``if __name__ == "__main__"``), as every program of several processes does."""
    track: Track = untracked
    """Wraps a long iteration, named, to show its progress."""

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
        """Return ``scoring`` with ``options`` in place of its fields.

        None stands for a field's default, and a list of reports for their corpus.
        """
        given: dict[str, Any] = {key: one for key, one in options.items() if one is not None}
        if "corpus" in given and not isinstance(given["corpus"], Corpus):
            given["corpus"] = Corpus(given["corpus"])
        return replace(scoring or Scoring(), **given)

    def settings(self) -> dict[str, Any]:
        """Return the fields of a Scoring by name, of a subclass these alone."""
        return {one.name: getattr(self, one.name) for one in fields(Scoring)}

    @property
    def words(self) -> Tokenizer:
        """The tokenizer."""
        return TOKENIZERS[self.tokenizer]

    @property
    def lexical(self) -> dict[str, str]:
        """The fields of a signature that a metric of words sets."""
        return {"tokenizer": self.words.name, "case": self.words.case}


def _check_language(language: str) -> None:
    """Raise InputError where the reader has no rules of a language; they are not loaded."""
    rules = files("plainfilm").joinpath("text", "reader", "rules")
    known = sorted(folder.name for folder in rules.iterdir() if folder.is_dir())
    if language not in known:
        raise InputError(f"no rules for language {language!r}; there are: {', '.join(known)}")
