"""How varied, how long and how guarded drafts are: what a reward that is gamed gives away.

A model that overfits to boilerplate writes few distinct reports, out of sentences that stand in
many training reports; one that games a reward shrinks, swells, repeats itself or hedges.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from statistics import fmean

from plainfilm.metrics.outputs import output_profile
from plainfilm.metrics.pairs import Pairs
from plainfilm.training.rewards import REWARDS

_ENDS = re.compile(r"(?<=[.!?])\s+|\n+")
COMMON = 0.01
"""A sentence that stands in this share of the training reports, or more, is a template's."""


def template_sentences(reports: Sequence[str]) -> frozenset[str]:
    """Return the sentences that stand in :data:`COMMON` of ``reports`` or more."""
    counts = Counter(sentence for text in reports for sentence in set(sentences(text)))
    return frozenset(
        sentence for sentence, count in counts.items() if count >= max(2, COMMON * len(reports))
    )


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, in lower case and one-spaced."""
    found = (" ".join(part.lower().split()) for part in _ENDS.split(text))
    return [part for part in found if part]


def variety(pairs: Pairs, compared: Sequence[bool], template: Collection[str]) -> dict[str, float]:
    """Return what is told of drafts beside their scores.

    Args:
        pairs: drafts with their references.
        compared: whether each study has an earlier one.
        template: from :func:`template_sentences` of the training reports.

    Returns:
        ``words``: mean length of a draft; ``length-ratio``: over the references'; ``distinct``:
        distinct drafts over drafts; ``distinct-sentences``: their number; ``template-sentences``:
        share of all sentences that are a template's; ``repetition``, ``contradiction``,
        ``invented-comparison``, ``hedging``: means of the faults of those names.
    """
    said = [sentences(text) for text in pairs.predictions]
    every = [sentence for one in said for sentence in one]
    profile = output_profile(pairs)
    faults = {name: fmean(fault(pairs, compared)) for name, fault in REWARDS.items()}
    return {
        "words": profile.words,
        "length-ratio": profile.length_ratio,
        "distinct": len({" ".join(one) for one in said}) / len(said),
        "distinct-sentences": float(len(set(every))),
        "template-sentences": sum(one in template for one in every) / max(len(every), 1),
        **faults,
    }
