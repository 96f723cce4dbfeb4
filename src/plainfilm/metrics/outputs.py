"""Output profile: how varied, repetitive and long predictions are, beside their references.

A model that writes one template for every film can win on lexical metrics, and one that repeats
itself loses little; the profile reveals both, and so do the baselines that need no film: the most
common training report, and a randomly drawn one.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from plainfilm.metrics.pairs import Pairs
from plainfilm.text.repetition import LOOPING, repetition

MOST_COMMON = "most common report"
RANDOM = "random training report"


@dataclass(frozen=True)
class OutputProfile:
    """Variety and length of predictions, beside those of the references."""

    duplicates: float
    """Share of predictions that another study also received, word for word."""
    most_common: float
    """Share of predictions identical to the most common one."""
    empty: int
    """Number of predictions without a word."""
    looping: int
    """Number of predictions of which a third or more is repetition."""
    repetition: float
    """Mean share of a prediction that is repetition."""
    words: float
    """Mean length of a prediction, in words."""
    reference_words: float
    """Mean length of a reference, in words."""

    @property
    def length_ratio(self) -> float:
        """Length of the predictions divided by that of the references; NaN if these are empty."""
        return self.words / self.reference_words if self.reference_words else float("nan")

    def __str__(self) -> str:
        empty = f", {self.empty} empty" if self.empty else ""
        looping = f", {self.looping} looping" if self.looping else ""
        return (
            f"duplicates {self.duplicates:.0%}, the most common one {self.most_common:.0%}"
            f"{empty}{looping}; "
            f"{self.words:.1f} words against the references' {self.reference_words:.1f} "
            f"(ratio {self.length_ratio:.2f})"
        )

    def to_dict(self) -> dict[str, float | None]:
        """Return every value by name, undefined ones as None, for JSON."""
        ratio = self.length_ratio
        return {**asdict(self), "length_ratio": None if ratio != ratio else ratio}


def output_profile(pairs: Pairs) -> OutputProfile:
    """Return the profile of the predictions; differences in white space are ignored."""
    lengths: list[tuple[int, int]] = []
    for block in pairs.blocks("output profile"):
        lengths += [(len(truth), len(said)) for truth, said in zip(*block.tokens, strict=True)]
    references, predictions = zip(*lengths, strict=True)
    texts = Counter(" ".join(text.split()) for text in pairs.predictions)
    repeated = {text: repetition(text) for text in set(pairs.predictions)}
    return OutputProfile(
        duplicates=sum(count for count in texts.values() if count > 1) / len(pairs),
        most_common=max(texts.values()) / len(pairs),
        empty=predictions.count(0),
        looping=sum(repeated[text] >= LOOPING for text in pairs.predictions),
        repetition=fmean(repeated[text] for text in pairs.predictions),
        words=fmean(predictions),
        reference_words=fmean(references),
    )


def template_answers(training: Sequence[str], count: int, *, seed: int = 0) -> dict[str, list[str]]:
    """Return the predictions for ``count`` studies of the two baselines that need no film.

    Args:
        training: the reports of the training split.
        count: number of predictions.
        seed: random seed of the baseline with randomly drawn reports.
    """
    common = Counter(training).most_common(1)[0][0]
    chance = random.Random(seed)  # noqa: S311
    return {MOST_COMMON: [common] * count, RANDOM: chance.choices(training, k=count)}
