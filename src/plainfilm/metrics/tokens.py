"""The registry of tokenizers for lexical metrics.

BLEU of the same reports differs by several points between tokenizers. So the tokenizer is part of
every signature, and scores with different tokenizers are not compared.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from plainfilm.metrics.tokenizer import TOKENIZER, tokenize


@dataclass(frozen=True)
class Tokenizer:
    """How a text is split into words."""

    name: str
    """Name in signatures."""
    cut: Callable[[str], list[str]]
    case: str = "lower"
    longest: tuple[int, int] | None = None
    """Maximum number of words of a reference and of a prediction; longer ones are truncated."""


_STOPS = re.compile(r"\.\.+")
_DROPPED = str.maketrans("", "", ".,?;*!%^&_+():<=>@[]{}\"'/\\")


def r2gen_words(text: str) -> list[str]:
    """Return the words that R2Gen scores, before truncation.

    Cleaned like R2Gen's tokenizer does (``modules/tokenizers.py`` of cuhksz-nlp/R2Gen; Chen et al.,
    EMNLP 2020): lower case, list numbers up to 5 and all punctuation but hyphens dropped, sentences
    joined by a separate full stop. It drops "1. " anywhere, even in "L1. ".
    """
    text = _STOPS.sub(".", " ".join(text.split())).replace("1. ", "")
    for number in "2345":
        text = text.replace(f". {number}. ", ". ")
    for number in "2345":
        text = text.replace(f" {number}. ", ". ")
    sentences = text.strip().lower().split(". ")
    cleaned = (sentence.translate(_DROPPED).strip() for sentence in sentences)
    return (" . ".join(cleaned) + " .").split()


TOKENIZERS = {
    "ptb": Tokenizer(TOKENIZER, tokenize),
    "whitespace": Tokenizer("whitespace", str.split, case="as-is"),
    # R2Gen counts the start token, so 60 tokens of a reference are 59 words.
    "r2gen-60": Tokenizer("r2gen-60", r2gen_words, longest=(59, 60)),
    "r2gen-100": Tokenizer("r2gen-100", r2gen_words, longest=(99, 100)),
}
"""Name → tokenizer. ``ptb`` is COCO-caption's, which most papers use; ``whitespace`` is for texts
that are already tokenized; ``r2gen-60`` and ``r2gen-100`` are R2Gen's protocol on IU X-ray and
MIMIC-CXR, whose numbers papers quote beside COCO-caption's."""
