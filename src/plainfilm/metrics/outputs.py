"""Output profile: how varied and how long a set of reports is, beside its references.

A model that writes one template for every film can win on lexical metrics; the profile shows it.
"""

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from plainfilm.metrics.pairs import Pairs


@dataclass(frozen=True)
class OutputProfile:
    """Variety and length of predictions, beside the references'."""

    distinct: float
    """Distinct predictions, as a share of all."""
    most_common: float
    """The share of predictions that are the most common one."""
    empty: int
    """Predictions without a word."""
    words: float
    """Mean length of a prediction."""
    reference_words: float
    """Mean length of a reference."""

    def __str__(self) -> str:
        empty = f", {self.empty} empty" if self.empty else ""
        return (
            f"predictions: {self.distinct:.0%} distinct, the most common one "
            f"{self.most_common:.0%}{empty}; {self.words:.1f} words against the references' "
            f"{self.reference_words:.1f}"
        )


def output_profile(pairs: Pairs) -> OutputProfile:
    """Return the profile of the predictions; texts that differ in white space are one text."""
    references, predictions = pairs.tokens
    texts = Counter(" ".join(text.split()) for text in pairs.predictions)
    return OutputProfile(
        distinct=len(texts) / len(pairs),
        most_common=max(texts.values()) / len(pairs),
        empty=sum(not tokens for tokens in predictions),
        words=fmean(map(len, predictions)),
        reference_words=fmean(map(len, references)),
    )
