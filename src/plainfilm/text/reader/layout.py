"""Removal of markup: HTML, Markdown, escaped line breaks, blanks of de-identification.

The reader reads the plain text, whose characters keep their offsets in the original report, so that
all spans refer to the original.
"""

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

BLANK = "XXXX"
"""The uniform replacement for blanks of de-identification."""


class Plain(NamedTuple):
    """A report's plain text, and the offsets of its characters in the original."""

    text: str
    offsets: Sequence[int] | None
    """Offset of each character in the original report; None if the two texts are the same."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original report that corresponds to ``start:end``."""
        if self.offsets is None or start >= end:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1


_PERHAPS_MARKED = re.compile(
    r"[<*|\\`@\r\t\v\f\x80-\xa0\xab\xad\xbb\u2000-\uffff]|__|\[[A-Za-z \]]|&[#A-Za-z]|^[ \t]*[#>=]",
    re.MULTILINE,
)
"""Matches wherever there may be markup; text without a match has none."""

_BLOCK = (
    "abstracttext|article|blockquote|body|dd|div|dl|dt|footer|h[1-6]|head|header|hr|html|li|ol|p|pre"
    "|section|table|tbody|thead|tr|ul"
)
_HIDDEN = (
    "redacted|removed|deleted|de-?identified|anonymi[sz]ed|masked?|blank|unk|unknown|phi|name|person"
    "|patient|doctor|date|time|age|location|hospital|id|xx+"
)
_MARKUP = re.compile(
    rf"""
    (?P<rule> ^[ \t]*[-=*_|:][-=*_|: \t]{{2,}}$)
    | (?P<blank> \[\*\*[^\]\n]{{0,80}}\*\*\] | _{{3,}} | \*{{4,}} | @{{3,}}
        | [<\[](?:{_HIDDEN})(?:[ _-]?\d{{1,4}})?[>\]])
    | (?P<line> (?:<|&lt;)br\s{{0,9}}/?(?:>|&gt;) | \\r\\n | \\n | \\r | \r\n?
        | [\v\f\x85\u2028\u2029])
    | (?P<cell> </t[dh]>\s{{0,99}}<t[dh]\b[^<>]{{0,200}}>)
    | <abstracttext\b[^<>]{{0,99}}\blabel=["'](?P<label>[^"'<>]{{1,40}})["'][^<>]{{0,99}}>
    | (?P<block> </?(?:{_BLOCK})\b[^<>]{{0,200}}>)
    | (?P<bold> \*\* | </?(?:b|strong)> | (?<!\w)__(?=\w) | (?<=[\w:.])__(?!\w))
    | (?P<unticked> (?:\[[ ]?\]|\u2610)[^\[\]\n\u2610-\u2612]{{0,80}}
        (?=[\[\n\u2610-\u2612]|\Z))
    | (?P<ticked> \[[x\u2713\u2714]\](?=[ ]?[a-z]) | [\u2611\u2612])
    | (?P<gone> </?[a-z]{{1,9}}\b[^<>\n]{{0,200}}> | <!--[^<>]{{0,500}}--> | <!doctype[^<>]{{0,99}}>
        | ^[ \t]*(?:\#{{2,6}}|\#(?![ ](?-i:[a-z\d])|[^\n]*\.[ \t]*$)|>+)[ \t]
        | ` | [\u00ad\u200b-\u200f\u2060\ufeff] | ^[ \t]*\|)
    | (?P<bar> (?<![ \t])[ \t]*+\|[ \t]*)
    | (?P<entity> &(?:\#\d{{1,6}}|\#x[0-9a-f]{{1,5}}|[a-z]{{2,8}});)
    | (?P<space> \\t | [^\S\n ])
    | (?P<bullet> ^[ \t]*[*\u2022\u2023\u25aa\u25cf\u25e6\u2013\u2014](?=[ \t]))
    | (?P<star> (?<!\w)\*(?=\w) | (?<=[\w.,;:!?])\*(?!\w))
    | (?P<single> [\u2018\u2019\u201a\u201b\u2032]) | (?P<double> [\u201c\u201d\u201e\u00ab\u00bb])
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_BECOMES = {
    "rule": "", "line": "\n", "cell": ": ", "block": "\n\n", "gone": "", "space": " ",
    "bullet": "-", "star": "", "bold": "", "single": "'", "double": '"', "unticked": "",
}  # fmt: skip
_INDENT = 12
"""Largest indentation, in characters, of a bold mark that opens its line."""
_TITLE = re.compile(r"[^\W\d_][^\n.:*<]{1,40}(?P<end>\*\*|__|</(?i:b|strong)>)[ \t]*[A-Z\d]")
"""A bold title at the start of a line, and the first letter of the text after it."""


def plain(report: str) -> Plain:
    """Return ``report`` without its markup."""
    if not _PERHAPS_MARKED.search(report):
        return Plain(report, None)
    parts: list[str] = []
    offsets: list[int] = []
    done = line = 0  # ends of what is done, and of the line before
    bars = 0  # cells of a table's row before this one
    title = -1  # where the mark stands that ends a title in bold
    for match in _MARKUP.finditer(report):
        start, end = match.span()
        broken = report.rfind("\n", done, start)
        if broken >= 0:
            line, bars = broken + 1, 0
        if match.lastgroup == "bold" and start - line < _INDENT and not report[line:start].strip():
            titled = _TITLE.match(report, end)
            title = titled.start("end") if titled else title
        if start == title:
            new = ": "
        elif match.lastgroup == "bar":
            last = report[end : end + 1] in ("", "\n", "\r")
            new = "" if last else ", " if bars else ": "
            bars += 1
        else:
            new = _replacement(match, report)
        parts += [report[done:start], new]
        offsets += [*range(done, start), *[start] * len(new)]
        done = end
        if new[:1] == "\n":
            line, bars = end, 0
    parts.append(report[done:])
    offsets += range(done, len(report))
    return Plain("".join(parts), offsets)


def _replacement(match: re.Match[str], report: str) -> str:
    """Return the plain text for one mark."""
    kind = str(match.lastgroup)
    start, end = match.span()
    if kind == "blank":
        before, after = report[start - 1 : start].isalnum(), report[end : end + 1].isalnum()
        return " " * before + BLANK + " " * after
    if kind == "ticked":
        above = report[:start].rstrip()[-1:].isalnum()
        return "; " if above and report[end : end + 2].strip()[:1].isupper() else ""
    if kind == "label":
        return f"\n\n{match['label']}: "
    if kind == "entity":
        meant = html.unescape(match.group())
        return " " if meant.isspace() else meant
    return _BECOMES[kind]
