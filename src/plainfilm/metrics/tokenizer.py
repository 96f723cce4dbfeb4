"""COCO-caption's tokens: Stanford's PTBTokenizer 3.4.1, lower case, without punctuation.

The lexical scores that the field quotes are computed by ``pycocoevalcap``, which pipes every text
through a Java program (``PTBTokenizer -preserveLines -lowerCase``) and then drops a list of
punctuation tokens. :func:`tokenize` gives the same tokens without Java. It was written from the
program's observed output, not from its source: the rules were adjusted until the two agreed on
the 3,955 Indiana University reports and on exhaustive short strings; ``docs/metrics/tokenizer.md``
says how and lists the known differences.

As in ``pycocoevalcap``, brackets are kept as ``-lrb-``, ``-rrb-``, ``-lsb-``, ``-rsb-``: its list
names them in upper case, but by then the tokens are lower case.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import chain

TOKENIZER = "ptb-3.4.1-coco"
"""The tokenizer's name in signatures."""

_MARKS = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;"
PUNCTUATION = frozenset(_MARKS.split())
"""The tokens that ``pycocoevalcap`` drops."""

# Abbreviations that keep their full stop in lower, title and upper case. Found by running the Java
# program on every string of up to four letters, and on 178,000 longer words, with a full stop.
_ALWAYS = """
adj adm adv al ala alex apr ariz assn assoc asst atty attys aug ave bancorp bhd bldg blvd brig
bros calif capt cf cie cmdr co col colo comdr conn corp cos cpl ct dak dec dept det dr drs elec
ens esq est etc ext feb fla fri ft ga gen gov govs hon inc ind insp intl invt jan jos jr jul jun
kan kans ky lieut lt ltd maj mar md messrs mich minn mlle mme mo mon mont mr mrs ms msgr mt natl
neb nev nov oct okla penn pfc ph plc pres prof profs pvt rd rep reps rev rt sen sens sep sept
seq sfc sgt spc sq sr st ste supt sys tel tenn thu thurs tue tues univ va vs vt wed wis wisc wm
wyo
"""
_NOT_UPPER = "mfg mtg ppte ppty pte ptes pty ptys"
_NOT_LOWER = "ark az del ill la mass miss ore pa tex wash"
_BEFORE_NUMBER = "art ca fig figs no nos op pp prop"
_ABBREVIATIONS = frozenset(_ALWAYS.split())
_NOT_IN_UPPER_CASE = frozenset(_NOT_UPPER.split())
_NOT_IN_LOWER_CASE = frozenset(_NOT_LOWER.split())
_BEFORE_A_NUMBER = frozenset(_BEFORE_NUMBER.split())

_HYPHENS = "-\u2010\u2011\u058a"


def _compile(
    letter: str, wordy: str, hyphen: str, digit: str, marked: str
) -> tuple[re.Pattern[str], ...]:
    """Return the patterns of a token; the longest match wins.

    Args:
        letter: character class of letters.
        wordy: character class of letters and digits.
        hyphen: character class of hyphens.
        digit: character class of digits.
        marked: letters, digits and combining accents, which may follow a letter within a word.
    """
    piece = rf"(?:{wordy}|[.,]){{0,60}}+"  # bounded, so that pathological texts take linear time
    patterns = (
        r"(?i:['’](?:s|d|m|ll|re|ve)(?![A-Za-z]))",
        r"''|``",
        rf"{letter}{marked}*(?:[.!?]{letter}{marked}*)*",  # effusion, T8, limits.The
        rf"{wordy}+(?:(?:{hyphen}|_){wordy}+)*",  # left-sided, 8mm, a_b
        rf"{wordy}{piece}(?:-{wordy}+)+",  # 1.5cm-2; and mid-A.P.
        rf"{wordy}{piece}(?:-{piece}){{0,9}}-{letter}(?:\.{letter})+\.(?:-{wordy}+)*",
        rf"{wordy}+(?:-{wordy}+)*\.(?=[,;:])",  # "2.,"
        rf"{letter}{wordy}*(?:\.{letter}{wordy}*)*\.(?=[,;:])",
        rf"<[!?]?/?{letter}(?:{wordy}|[-_:])*/?>|&(?:lt|gt|amp|quot|nbsp);|&#{digit}+;",
        r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}",  # and/or
        rf"[-+]?{digit}*(?:[.:,]{digit}+)+",  # 1.5, 12:30, ,486
        rf"[-+]?{digit}+",
        rf"{digit}{{1,2}}[-/]{digit}{{1,2}}[-/]{digit}{{2,4}}",  # 12/25/2011
        rf"(?:{digit}{{1,4}}[-\xa0])?{digit}{{1,4}}/{digit}{{1,4}}",  # 1-1/2
        rf"{letter}(?:\.{letter})+\.?",  # p.m., U.S.
        rf"{letter}\.",  # an initial
        r"[A-Z]+(?:[+&][A-Z]+)+",  # AT&T
        r"(?i:[dnol]['’][a-z]{2,}|qu['’][a-z]+)",  # O'Brien
        r"(?i:[a-z]+[aeiouy]['’\u2018][aeiouy][a-z]*)",
        rf"['’]{digit}{digit}s(?!{wordy})|['’]{digit}{digit}(?!{wordy}|['’.,\"/-])",  # '90s
        r"--+",
        r"\.\.\.+",
        r"[?!]+",
        rf"<<|>>|[:;=]-?[()](?!{wordy})|[#@]{letter}+",
        rf"(?i:[dl]['’](?!{letter}{{2}}|['’]?[sd](?!{letter})))",
        rf"(?i:['’]n(?:['’]|(?!{wordy}|-|/))|['’](?:em|cause|til)(?!{letter}))",
        r"__+|\*\*+|##+",
        r"(?i:ph\.d\.)",
        r".",
    )
    return tuple(re.compile(pattern) for pattern in patterns)


@cache
def _of_ascii() -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str]]:
    """Return the patterns of a token, and of a word with "n't", in ASCII text."""
    letter = "[A-Za-z]"
    wordy = "[A-Za-z0-9]"
    patterns = _compile(letter, wordy, "-", "[0-9]", wordy)
    return patterns, re.compile(rf"({letter}*)(n't)(?![A-Za-z])", re.IGNORECASE)


@cache
def _of_unicode() -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str]]:
    """Return the same patterns for any Unicode text."""
    marks, apart = (re.escape(_characters()[name]) for name in ("marks", "apart"))
    letter, wordy = rf"[^\W\d_{apart}]", rf"[^\W_{apart}]"
    marked = rf"(?:{wordy}|[{marks}])"
    hyphen = f"[{re.escape(_HYPHENS)}]"
    patterns = _compile(rf"(?:{letter}|[{marks}])", wordy, hyphen, r"\d", marked)
    return patterns, re.compile(r"([A-Za-z]*)(n['’]t)(?![A-Za-z])", re.IGNORECASE)


@cache
def _characters() -> Mapping[str, str]:
    """Return the character lists of ``ptb_characters.txt``, each as one string."""
    found: dict[str, list[str]] = {}
    name = ""
    text = files("plainfilm.metrics").joinpath("ptb_characters.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith("#"):
            name = line[:-1]
        elif line and not line.startswith("#"):
            for span in line.split():
                first, _, last = span.partition("-")
                codes = range(int(first, 16), int(last or first, 16) + 1)
                found.setdefault(name, []).extend(map(chr, codes))
    return {name: "".join(characters) for name, characters in found.items()}


@cache
def _translation() -> Mapping[int, str | None]:
    """Return the replacements of characters that are applied before tokenizing."""
    dropped: dict[int, str | None] = dict.fromkeys(map(ord, _characters()["dropped"]), " ")
    return dropped | {
        0xAD: None,  # a soft hyphen
        **dict.fromkeys((0x91,), "\N{LEFT SINGLE QUOTATION MARK}"),
        **dict.fromkeys((0x92,), "’"),
        **dict.fromkeys((0x93, 0xAB), "“"),
        **dict.fromkeys((0x94, 0xBB), "”"),
        **dict.fromkeys((0x96,), "–"),
        **dict.fromkeys((0x97,), "—"),
        **dict.fromkeys((0x80, 0xA4, 0x20A0), "€"),
    }


_BEYOND = re.compile("[\U00010000-\U0010ffff]")
"""Characters that are two code units in Java strings; they are dropped."""
_WEB = re.compile(r"http://\S{0,2000}[^\W_/]")
_MAIL = re.compile(r"[\w.]{0,64}\w@\w(?:[\w.]{0,250}\w)?")
_SIMPLE = re.compile(r"([A-Za-z]{2,}|[0-9]+)[.,;:]?")
"""A word or number followed by at most one punctuation mark, which covers most of a report."""
_RENAMED = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-",
    "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": "''", "&nbsp;": "''",
    '"': "''", "“": "''", "”": "''", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "£": "#", "€": "$", "¢": "cents",
    "’": "'", "…": "...", "–": "--", "—": "--",
}  # fmt: skip
_RUN = re.compile(rf"-{{2,4}}|\.\.\.+|[{re.escape(_HYPHENS)}]")
_SPLIT = {
    "cannot": ("can", "not"), "gonna": ("gon", "na"), "gotta": ("got", "ta"),
    "wanna": ("wan", "na"), "lemme": ("lem", "me"), "gimme": ("gim", "me"),
}  # fmt: skip
_MIXED_NUMBER = re.compile(r"(?<!\S)(\d{1,4})\s(?=\d{1,4}/\d{1,4}(?!\d))")
_FRACTION = re.compile(r"\d\s\d{1,4}/\d")
_BEFORE_A_DIGIT = re.compile(r"\.\s\d")
_NUMBERED = re.compile(rf"\b(?:{'|'.join(_BEFORE_NUMBER.split())})\.\s\d", re.IGNORECASE)
_SPACE = re.compile(r"([^\S\xa0]+)")  # a no-break space holds a mixed number together
_KEPT = 2**17  # size of the cache of tokenized pieces


def tokenize(text: str) -> list[str]:
    """Return the tokens of ``text``, lower case, without punctuation.

    A mixed number ("1 1/2") is one token with a no-break space inside, as in the Java program.
    """
    if not text.isascii():
        text = _BEYOND.sub(" ", text.translate(_translation()))
    if len(_TOKENS) > _KEPT:
        _TOKENS.clear()
    fraction = "/" in text and _FRACTION.search(text)
    numbered = _BEFORE_A_DIGIT.search(text) and _NUMBERED.search(text)
    if not fraction and not numbered:
        return list(chain.from_iterable(map(_TOKENS.__getitem__, text.split())))
    pieces = _SPACE.split(_MIXED_NUMBER.sub("\\1\xa0", text.replace("\xa0", " ")))
    tokens: list[str] = []
    for chunk, space, after in zip(
        pieces[::2], [*pieces[1::2], ""], [*pieces[2::2], ""], strict=True
    ):
        if len(space) == 1 and after[:1].isdecimal() and chunk[-1:] == ".":
            tokens += _cut(chunk, before_a_number=True)
        elif chunk:
            tokens += _TOKENS[chunk]
    return tokens


class _Tokens(dict[str, tuple[str, ...]]):
    """Cache: piece of text without spaces → its tokens."""

    def __missing__(self, chunk: str) -> tuple[str, ...]:
        self[chunk] = tokens = tuple(_cut(chunk, before_a_number=False))
        return tokens


_TOKENS = _Tokens()


def _cut(chunk: str, *, before_a_number: bool) -> Iterator[str]:
    """Yield the tokens of a piece of text without spaces."""
    simple = _SIMPLE.fullmatch(chunk)
    if simple and not (chunk[-1] == "." and _is_abbreviation(simple[1], before_a_number)):
        word = simple[1].lower()
        yield from _SPLIT.get(word, (word,))
        return
    for token in _raw_tokens(chunk, before_a_number):
        token = token.replace("’", "'")
        if token not in PUNCTUATION and not _RUN.fullmatch(token):
            yield token


def _raw_tokens(chunk: str, before_a_number: bool) -> Iterator[str]:
    patterns, negated = _of_ascii() if chunk.isascii() else _of_unicode()
    if "://" in chunk:
        patterns = (*patterns, _WEB)
    if "@" in chunk:
        patterns = (*patterns, _MAIL)
    start = 0
    while start < len(chunk):
        if negation := negated.match(chunk, start):  # is n't
            yield from (part.lower() for part in negation.groups() if part)
            start = negation.end()
            continue
        end = max(match.end() for p in patterns if (match := p.match(chunk, start)))
        number_follows = (
            before_a_number if end + 1 == len(chunk) else chunk[end + 1 : end + 2].isdecimal()
        )
        if chunk[end : end + 1] == "." and _is_abbreviation(chunk[start:end], number_follows):
            end += 1
        token = chunk[start:end].lower()
        if len(token) > 1 and token[0] in ":;=":  # an emoticon
            yield "".join(_RENAMED.get(mark, mark) for mark in token)
        else:
            yield from _SPLIT.get(token, (_RENAMED.get(token, token),))
        start = end


def _is_abbreviation(word: str, before_a_number: bool) -> bool:
    """Return whether ``word`` keeps a following full stop."""
    lower = word.lower()
    if word not in (lower, lower.capitalize(), word.upper()):
        return False
    if lower in _ABBREVIATIONS or (before_a_number and lower in _BEFORE_A_NUMBER):
        return True
    return (lower in _NOT_IN_UPPER_CASE and word != word.upper()) or (
        lower in _NOT_IN_LOWER_CASE and word != lower
    )
