"""CSV cells that a spreadsheet must not run as formulas.

Excel and similar programs treat a cell that begins with =, +, -, @, a tab or a line break as a
formula, even if it is a report ("- No effusion."). Such a text gets a leading apostrophe, as OWASP
advises against "CSV injection"; a text that already has one gets another, so that reading removes
exactly what writing added.
"""

import re
from typing import TypeVar

_Cell = TypeVar("_Cell")

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_PLAIN_NUMBER = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?")
_WRITTEN = re.compile(rf"'(?={_FORMULA.pattern})")


def to_cell(value: _Cell) -> _Cell | str:
    """Return a value as written to a cell; numbers, including numbers as text, are unchanged."""
    if isinstance(value, str) and _FORMULA.match(value) and not _PLAIN_NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def from_cell(text: str) -> str:
    """Return the text behind a cell written by :func:`to_cell`."""
    return text[1:] if _WRITTEN.match(text) else text
