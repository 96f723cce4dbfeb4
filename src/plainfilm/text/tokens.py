"""Words and punctuation of a text, with their offsets."""

import re
import unicodedata
from typing import NamedTuple

# A hyphen inside a word parts it ("air-space" is "air space"); a number keeps its decimal point.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’][^\W\d_]+)?|[^\w\s]")
_INNER_HYPHEN = re.compile(r"(?<=\w)[-\u2010\u2011](?=\w)")


class Tokens(NamedTuple):
    """A text's tokens: ``words`` in lower case, ``spans`` (start, end) in the text."""

    words: list[str]
    spans: list[tuple[int, int]]


def tokenize(text: str) -> Tokens:
    """Split ``text`` into words, without their accents, and punctuation marks."""
    words, spans = [], []
    for match in _TOKEN.finditer(_INNER_HYPHEN.sub(" ", text)):
        words.append(_plain(match.group().lower()))
        spans.append(match.span())
    return Tokens(words, spans)


def _plain(word: str) -> str:
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFD", word)
    return "".join(part for part in parts if not unicodedata.combining(part))
