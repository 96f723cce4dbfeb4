"""Sentences of a report section, and the words and punctuation of a sentence, as spans."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from plainfilm.text.reader.layout import BLANK

LONGEST_SENTENCE = 500
"""Longest sentence in characters; longer ones are cut, so that time stays linear in the text."""
_WIDEST = 140
"""Largest line width, in characters, of wrapped text."""
_ANSWER = 3
"""Most words of a line that may answer the topic above it."""

_LAST_WORD = re.compile(r"[^\W_]+(?:\.[^\W_]+)*\Z")
_LIST_NUMBER = re.compile(r"\s*\(?\d{1,2}[.)]?\s*\Z")
_ITEM = re.compile(r"[ \t]*(?:[-*\u2022]|\(?\d{1,2}[.)])(?:[ \t]|(?=[A-Z]))")
_WORD = re.compile(r"[^\W\d_]+")
_LINE = re.compile(r"[^\s][^\n]*(?<=\S)")
_LABEL = re.compile(r"[A-Z][^\n.,:;]{1,40}:[ \t]")
"""The label that opens a line of a template: "Lung parenchyma: "."""
_MID_STOP = re.compile(r"[.!?][ \t]+[^\W\d]")


class Boundaries(NamedTuple):
    """Rules for sentence boundaries in one language."""

    stop: re.Pattern[str]
    """A full stop, or the white space before a capital that may have lost one."""
    abbreviations: frozenset[str]
    unfinished: frozenset[str]
    """Abbreviations that no sentence ends with: "poss." """
    openers: frozenset[str]
    """Words that open a sentence if capitalized in mid-line."""
    never_last: frozenset[str]
    """Words that no sentence ends with: "of", "the", "lower"."""
    enders: frozenset[str]
    """Words that often end a sentence, so that a blank after them opens another."""
    never_alone: frozenset[str]
    """Words that do not form a sentence alone: "stable"."""
    last: frozenset[str]
    """Phrases that may end a sentence, though their last word alone may not: "on the left"."""
    never_first: frozenset[str]
    """Words that no sentence begins with: "or", "are"."""
    trailing: frozenset[str]
    """Hedges that may end a sentence if the words before them may: "possible"."""
    names: frozenset[str]
    """Words that are always capitalized: "Swan", "Monday"."""
    topics: frozenset[str]
    """Topics that may stand alone on the line above their description: "heart"."""
    answers: frozenset[str]
    """Words that may form an answer alone, after a colon or a dash: "none"."""


def compile_boundaries(words: Mapping[str, Iterable[str] | str], capitals_open: bool) -> Boundaries:
    """Compile the word lists of :class:`Boundaries`.

    Each is a list, or one string of words separated by spaces. ``capitals_open``: any word that is
    capitalized in mid-line may open a sentence.
    """
    lists = {
        name: listed.split() if isinstance(listed, str) else list(listed)
        for name in Boundaries._fields[1:]
        if (listed := words.get(name))
    }
    opening = "|".join(sorted(lists["openers"], key=len, reverse=True))
    patterns = [
        r"(?P<stop>(?<![.!?])(?!(?<=[\s(])\?[^\W_])"
        r"[.!?]++[\"')\]]*+(?=\s|\Z|[A-Z](?:[A-Za-z-]| [a-z]))"
        r"|(?<=[a-z]{3})\.(?=[a-z]{3}))",
        r"(?P<item>(?<=\S)[ \t]+(?=(?:[-\u2013\u2014\u2022]|\(?\d{1,2}\))[ \t]+[A-Z]))",
        rf"(?P<opener>(?<=[^\W_]|[)\]%])[ \t]+(?=(?:{opening})\b))",
    ]
    if capitals_open:
        patterns.append(
            r"(?P<capital>(?<=[a-z\d)\]%])[ \t]+(?=[A-Z](?:[a-z]+(?:[ ,.:-]|\Z)|-[a-z])))"
        )
        patterns.append(rf"(?P<blank>(?<=[a-z])[ \t]+(?={BLANK}[ \t]+[a-z]))")
        patterns.append(r"(?P<label>(?<=[^\W_])[ \t]+(?=[A-Z][a-z]+(?:,?[ /][a-z]+){0,4}:[ \t]))")
        patterns.append(
            r"(?P<acronym>(?<=[a-z])[ \t]+(?=[A-Z]{3,5}(?:[,.]| (?:is|are|has|with)\b)))"
        )
    sets = {
        name: frozenset(word.lower() for word in lists.get(name, ()))
        for name in Boundaries._fields[1:]
    }
    return Boundaries(re.compile("|".join(patterns)), **sets)


def split_sentences(
    text: str, boundaries: Boundaries, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield the spans of the sentences of ``text[start:end]``, without outer white space."""
    end = len(text) if end is None else end
    for first, last in _paragraphs(text, boundaries, start, end):
        begin = first
        for match in boundaries.stop.finditer(text, first, last):
            if _ends(text, begin, match, boundaries):
                yield from _pieces(text, begin, match.end())
                begin = match.end()
        yield from _pieces(text, begin, last)


def _ends(text: str, begin: int, mark: re.Match[str], boundaries: Boundaries) -> bool:
    """Return whether a sentence ends at a stop, or before a word that may open one."""
    before = text[max(begin, mark.start() - 30) : mark.start()]
    if mark.lastgroup != "stop":
        return _has_lost_stop(text, before, mark, boundaries)
    if mark.group().startswith("?"):
        return bool(before.strip()) and not _goes_on_asked(text, before, mark, boundaries)
    if mark.group() != "." or not before:
        return bool(before.strip())
    if _LIST_NUMBER.match(before) and mark.start() - begin < 8:
        return False
    last = _LAST_WORD.search(before)
    word = last.group() if last else ""
    if len(word) == 1 and word.isalpha() and word.isupper():
        following = _WORD.search(text, mark.end(), mark.end() + 20)
        return bool(following and following.group().lower() in boundaries.openers)
    if word.lower() in boundaries.unfinished:
        return not text[mark.end() : mark.end() + 2].strip()
    follows = text[mark.end() : mark.end() + 2].strip()
    return word.lower() not in boundaries.abbreviations or follows[:1].isupper() or not follows


def _goes_on_asked(text: str, before: str, mark: re.Match[str], boundaries: Boundaries) -> bool:
    """Return whether a sentence goes on at a question mark ("opacity, ? edema", "edema? None")."""
    following = _WORD.search(text, mark.end(), mark.end() + 20)
    if following is None:
        return False
    if before[-1].isspace():
        return following.group().islower() and "\n" not in text[mark.end() : following.start()]
    after = text[following.end() : following.end() + 1]
    return following.group().lower() in boundaries.answers and after in ("", ".", ",", ";", "\n")


def _has_lost_stop(text: str, before: str, mark: re.Match[str], boundaries: Boundaries) -> bool:
    """Return whether a capital in mid-line opens a sentence ("no effusion Heart is enlarged")."""
    earlier = before.split()
    if not earlier or _may_go_on(earlier, boundaries):
        return False
    if mark.lastgroup in ("opener", "label"):
        return True
    following = _WORD.search(text, mark.end() + 4 * (mark.lastgroup == "blank"), mark.end() + 30)
    word = following.group().lower() if following else ""
    if mark.lastgroup in ("blank", "acronym"):
        # "No effusion XXXX scoliosis is unchanged", "No pneumonia COPD, unchanged"
        ends = len(earlier) > 1 and earlier[-1].lower() in boundaries.enders
        return ends and word not in boundaries.never_first
    if mark.lastgroup == "item":  # "Lungs - Clear - Effusion - None"
        topic = " ".join(earlier).lower() in boundaries.topics
        return not topic and word not in boundaries.answers
    if not word or word in boundaries.names:
        return False
    if len(earlier) == 1:  # "Atherosclerosis Mild scoliosis", but no title ("Normal Heart Size")
        rest = text[mark.end() + len(word) : mark.end() + len(word) + 2].strip()
        return earlier[0].lower() not in boundaries.never_alone and not rest.isupper()
    return earlier[-1][0].islower()


def _may_go_on(words: list[str], boundaries: Boundaries) -> bool:
    """Return whether no sentence ends with the last of ``words``: "of", "the lower"."""
    tail = [word.lower() for word in words[-3:]]
    if tail[-1] in boundaries.trailing and len(tail) > 1 and tail[-2][-1].isalnum():
        return _may_go_on(words[:-1], boundaries)  # "infiltrate possible", but "with possible"
    if any(" ".join(tail[at:]) in boundaries.last for at in range(len(tail))):
        return False
    return tail[-1] in boundaries.never_last or tail[-1][-1] in ",(/-&+"


def _paragraphs(
    text: str, boundaries: Boundaries, start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Yield the lines of ``text[start:end]``, those of one wrapped paragraph as one."""
    lines = [(m.start(), m.end()) for m in _LINE.finditer(text, start, end)]
    if len(lines) < 2:
        yield start, end
        return
    wrapping = _Wrapping(text, lines)
    begin = lines[0][0]
    for (first, last), (following, _) in pairwise(lines):
        if wrapping.parts(first, last, following, boundaries):
            yield begin, last
            begin = following
    yield begin, lines[-1][1]


class _Wrapping:
    """How the lines of a section are broken: at the full width, or at the end of a sentence."""

    def __init__(self, text: str, lines: list[tuple[int, int]]) -> None:
        self.text = text
        start, end = lines[0][0], lines[-1][1]
        whole = text[start:end]
        self.cased = whole.upper() != whole and whole.lower() != whole
        # A heading that stands before the first line's text is part of its width.
        lengths = [last - first for first, last in lines]
        lengths[0] += start - 1 - text.rfind("\n", max(0, start - _WIDEST), start)
        self.lengths = dict(zip((first for first, _ in lines), lengths, strict=True))
        self.width = max((length for length in lengths if length <= _WIDEST), default=_WIDEST)
        self.prose = bool(_MID_STOP.search(whole)) or (
            any(text[first].islower() for first, _ in lines[1:])
            if self.cased
            else whole.endswith((".", "!", "?"))
        )

    def parts(self, first: int, last: int, following: int, boundaries: Boundaries) -> bool:
        """Return whether the line ``first:last`` ends a sentence, and the one after begins one."""
        text = self.text
        if text.count("\n", last, following) > 1 or _ITEM.match(text, following):
            return True
        if text[last - 1] in ".!?:":
            return False  # decided at the stop itself
        before = text[max(first, last - 30) : last].split()
        opening = _WORD.match(text, following)
        if self.cased and _LABEL.match(text, following):
            return True
        if opening is None or _may_go_on(before, boundaries):
            return False
        word = opening.group()
        after = _WORD.search(text, opening.end(), opening.end() + 20)
        begins = self.cased and word.istitle() and after is not None and after.group().islower()
        if word.lower() in boundaries.never_first and not begins:
            return False
        if text[first:last].lower() in boundaries.topics and self._answers(following, boundaries):
            return False
        unbroken = text[following : following + _WIDEST].split(None, 1)[0]
        full = self.lengths[first] + 1 + len(unbroken) > self.width
        if self.cased and not (len(word) > 1 and word.isupper()):
            return word[0].isupper() and word.lower() not in boundaries.names
        return not (full and self.prose)

    def _answers(self, start: int, boundaries: Boundaries) -> bool:
        """Return whether the line describes the topic above it ("HEART", then "Enlarged")."""
        end = self.text.find("\n", start, start + _WIDEST)
        words = _WORD.findall(self.text, start, end if end >= 0 else start + _WIDEST)
        return words[0].lower() in boundaries.answers or len(words) <= _ANSWER


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the span without outer white space, cut at the longest length of a sentence."""
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


# A hyphen splits a word ("air-space" is "air space"); a number keeps its decimal point.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’][^\W\d_]+)?|[^\w\s]")
_INNER_HYPHEN = re.compile(r"(?<=\w)[-\u2010\u2011](?=\n?\w)")


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
