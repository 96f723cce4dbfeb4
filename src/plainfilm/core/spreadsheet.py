"""Texts in CSV files that a spreadsheet opens: none of them may run.

A cell that begins with =, +, -, @, a tab or a line's end is a formula to Excel and its kin, also
where it is a report ("- No effusion."). Such a text gets an apostrophe in front, as OWASP advises
for "CSV injection"; one that already looks so gets one more, so that reading takes off what writing
put on.
"""

import re
from typing import TypeVar

_Cell = TypeVar("_Cell")

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_PLAIN_NUMBER = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?")
_WRITTEN = re.compile(rf"'(?={_FORMULA.pattern})")


def to_cell(value: _Cell) -> _Cell | str:
    """Return a value as it is written into a cell; numbers, as text too, stay as they are."""
    if isinstance(value, str) and _FORMULA.match(value) and not _PLAIN_NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def from_cell(text: str) -> str:
    """Return the text that :func:`to_cell` made a cell of."""
    return text[1:] if _WRITTEN.match(text) else text
