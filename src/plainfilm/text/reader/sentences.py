"""Sentences of a report section, and the words and punctuation of a sentence, as spans."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LONGEST_SENTENCE = 500
"""Characters after which a sentence is cut, so that reading stays linear in the text's length."""


class Boundaries(NamedTuple):
    """What ends a sentence in one language."""

    pattern: re.Pattern[str]
    abbreviations: frozenset[str]
    openers: re.Pattern[str]
    """White space and a word that opens a sentence."""


_LAST_WORD = re.compile(r"[^\W_]+(?:\.[^\W_]+)*\Z")
_LIST_NUMBER = re.compile(r"\s*\(?\d{1,2}[.)]?\s*\Z")


def compile_boundaries(abbreviations: Iterable[str], openers: Iterable[str]) -> Boundaries:
    """Compile the boundaries: full stops, blank lines, list items, and a lost full stop.

    ``openers`` are words that open a sentence where they stand in mid-line with a capital.
    """
    lost = "|".join(sorted(openers, key=len, reverse=True))
    pattern = re.compile(
        rf"(?P<stop>[.!?]+[\"')\]]*(?=\s|\Z|[A-Z][a-z]))"
        rf"|(?P<line>\n[ \t]*\n|\n(?=[ \t]*(?:[-*•]|\(?\d{{1,2}}[.)]|[A-Z][a-z]))|\n(?=[A-Z]{{2}}))"
        rf"|(?P<lost>(?<=[a-z)\]])\s+(?=(?:{lost})\b))"
    )
    return Boundaries(pattern, frozenset(abbreviations), re.compile(rf"\s+(?:{lost})\b"))


def split_sentences(
    text: str, boundaries: Boundaries, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield the spans of the sentences of ``text[start:end]``, without outer white space."""
    end = len(text) if end is None else end
    begin = start
    for match in boundaries.pattern.finditer(text, start, end):
        if match.start() < begin:
            continue
        if match["stop"] and not _ends(text, begin, match, boundaries):
            continue
        yield from _pieces(text, begin, match.end())
        begin = match.end()
    yield from _pieces(text, begin, end)


def _ends(text: str, begin: int, stop: re.Match[str], boundaries: Boundaries) -> bool:
    """Return whether a full stop ends the sentence, and not an abbreviation or a list number."""
    before = text[max(begin, stop.start() - 30) : stop.start()]
    if stop.group() != "." or not before:
        return bool(before.strip())
    if _LIST_NUMBER.match(before) and stop.start() - begin < 8:
        return False
    last = _LAST_WORD.search(before)
    word = last.group() if last else ""
    if len(word) == 1 and word.isalpha() and word.isupper():
        return bool(boundaries.openers.match(text, stop.end()))
    follows = text[stop.end() : stop.end() + 2].strip()
    return word.lower() not in boundaries.abbreviations or follows[:1].isupper() or not follows


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the span without its outer white space, cut where it is overlong."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > LONGEST_SENTENCE:
        cut = text.rfind(" ", start + LONGEST_SENTENCE // 2, start + LONGEST_SENTENCE)
        cut = cut if cut > 0 else start + LONGEST_SENTENCE
        yield start, cut
        start = cut
    if end > start:
        yield start, end


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
