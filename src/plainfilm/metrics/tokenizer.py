"""Tokens as COCO-caption makes them: Stanford's PTBTokenizer 3.4.1, lower case, no punctuation.

The lexical numbers that the field quotes were made by ``pycocoevalcap``, which pipes every text
through a Java program (``PTBTokenizer -preserveLines -lowerCase``) and then drops a list of
punctuation tokens. :func:`tokenize` gives the same tokens without Java. It was written from the
program's observed output, not from its source: the rules below were fitted until the two agreed on
the 3,955 Indiana University reports and on exhaustive short strings; ``docs/metrics/tokenizer.md``
says how and lists the known differences.

As in ``pycocoevalcap``, brackets stay in as ``-lrb-``, ``-rrb-``, ``-lsb-``, ``-rsb-``: its list
names them in upper case, and the tokens are lower case by then.
"""

import re
from functools import lru_cache

TOKENIZER = "ptb-3.4.1-coco"
"""The name that signatures carry."""

_MARKS = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;"
PUNCTUATION = frozenset(_MARKS.split())
"""The tokens that ``pycocoevalcap`` drops."""

# Abbreviations that keep their full stop in lower, capital and upper case. Found by giving the Java
# program every string of up to four letters, and 178,000 longer words, with a full stop.
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

_LETTER = r"[^\W\d_²³¹½¼¾]"
_WORDY = r"[^\W_²³¹½¼¾]"  # a letter or a digit
_PIECE = rf"(?:{_WORDY}|[.,]){{0,60}}+"  # bounded, so that odd texts take linear time
_NOT = re.compile(rf"({_LETTER}*)(n['’]t)(?![^\W_])", re.IGNORECASE)
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?i:['’](?:s|d|m|ll|re|ve)(?!{_LETTER}))",
        r"''|``",
        rf"{_LETTER}{_WORDY}*(?:[.!?]{_LETTER}{_WORDY}*)*",  # effusion, T8, limits.The
        rf"{_WORDY}+(?:[-_]{_WORDY}+)*",  # left-sided, 8mm, a_b
        rf"{_WORDY}{_PIECE}(?:-{_WORDY}+)+",  # 1.5cm-2; and mid-A.P.
        rf"{_WORDY}{_PIECE}(?:-{_PIECE}){{0,9}}-{_LETTER}(?:\.{_LETTER})+\.(?:-{_WORDY}+)*",
        rf"{_WORDY}+(?:-{_WORDY}+)*\.(?=[,;:])",  # "2.,"
        rf"{_LETTER}{_WORDY}*(?:\.{_LETTER}{_WORDY}*)*\.(?=[,;:])",
        rf"<[!?]?/?{_LETTER}(?:{_WORDY}|[-_:])*/?>|&(?:lt|gt|amp|quot|nbsp);|&#\d+;",
        rf"{_WORDY}+(?:-{_LETTER}+){{0,2}}(?:/{_WORDY}+(?:-{_LETTER}+){{0,2}}){{1,2}}",  # and/or
        r"[-+]?\d*(?:[.:,]\d+)+",  # 1.5, 12:30, ,486
        r"[-+]?\d+",
        r"\d{1,2}[-/]\d{1,2}[-/]\d{2,4}",  # 12/25/2011
        r"(?:\d{1,4}[-\xa0])?\d{1,4}/\d{1,4}",  # 1-1/2
        rf"{_LETTER}(?:\.{_LETTER})+\.?",  # p.m., U.S.
        rf"{_LETTER}\.",  # an initial
        r"[A-Z]+(?:[+&][A-Z]+)+",  # AT&T
        r"(?i:[dnol]['’][a-z]{2,}|qu['’][a-z]+)",  # O'Brien
        r"(?i:[a-z]+[aeiouy]['’][aeiouy][a-z]*)",
        rf"['’]\d\ds(?!{_WORDY})|['’]\d\d(?![^\W_]|['’.,\"/-])",  # '90s
        r"--+",
        r"\.\.\.+",
        r"[?!]+",
        rf"<<|>>|[:;=]-?[()](?![^\W_])|[#@]{_LETTER}+",
        rf"(?i:[dl]['’](?!{_LETTER}{{2}}|['’]?[sd](?!{_LETTER})))",
        rf"(?i:['’]n(?:['’]|(?![^\W_]|-|/))|['’](?:em|cause|til)(?!{_LETTER}))",
        r"__+|\*\*+|##+",
        r"http://\S*[^\W_/]|[\w.]*\w@\w(?:[\w.]*\w)?|(?i:ph\.d\.)",
        r".",
    )
)
_RENAMED = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-",
    "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": "''", "&nbsp;": "''",
    '"': "''", "“": "''", "”": "''", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "½": "1/2", "¼": "1/4", "¾": "3/4", "£": "#", "€": "$", "¢": "cents",
    "’": "'", "…": "...", "–": "--", "—": "--",
}  # fmt: skip
_RUN = re.compile(r"-{2,4}|\.\.\.+")
_SPLIT = {
    "cannot": ("can", "not"), "gonna": ("gon", "na"), "gotta": ("got", "ta"),
    "wanna": ("wan", "na"), "lemme": ("lem", "me"), "gimme": ("gim", "me"),
}  # fmt: skip
_MIXED_NUMBER = re.compile(r"(?<!\S)(\d{1,4}) (?=\d{1,4}/\d{1,4}(?!\d))")


def tokenize(text: str) -> list[str]:
    """Return the tokens of ``text``, lower case, without punctuation.

    A mixed number ("1 1/2") is one token with a no-break space inside, as it is from the Java
    program.
    """
    text = _MIXED_NUMBER.sub("\\1\xa0", " ".join(text.split()))
    chunks = text.split(" ")
    tokens: list[str] = []
    for chunk, after in zip(chunks, [*chunks[1:], ""], strict=True):
        tokens += _tokens_of(chunk, after[:1].isdecimal() and chunk[-1:] == ".")
    return tokens


@lru_cache(maxsize=2**17)
def _tokens_of(chunk: str, before_a_number: bool) -> tuple[str, ...]:
    """Return the tokens of one piece of text without spaces."""
    tokens: list[str] = []
    start = 0
    while start < len(chunk):
        if negation := _NOT.match(chunk, start):  # is n't
            found = [part.lower() for part in negation.groups() if part]
            end = negation.end()
        else:
            end = max(match.end() for p in _PATTERNS if (match := p.match(chunk, start)))
            number_follows = (
                before_a_number if end + 1 == len(chunk) else chunk[end + 1 : end + 2].isdecimal()
            )
            if chunk[end : end + 1] == "." and _is_abbreviation(chunk[start:end], number_follows):
                end += 1
            token = chunk[start:end].lower()
            found = list(_SPLIT.get(token, [_RENAMED.get(token, token)]))
            if len(token) > 1 and token[0] in ":;=":  # an emoticon
                found = ["".join(_RENAMED.get(mark, mark) for mark in token)]
        tokens += [token.replace("’", "'") for token in found]
        start = end
    return tuple(
        token for token in tokens if token not in PUNCTUATION and not _RUN.fullmatch(token)
    )


def _is_abbreviation(word: str, before_a_number: bool) -> bool:
    """Return whether ``word`` keeps the full stop that follows it."""
    lower = word.lower()
    if word not in (lower, lower.capitalize(), word.upper()):
        return False
    if lower in _ABBREVIATIONS or (before_a_number and lower in _BEFORE_A_NUMBER):
        return True
    return (lower in _NOT_IN_UPPER_CASE and word != word.upper()) or (
        lower in _NOT_IN_LOWER_CASE and word != lower
    )
