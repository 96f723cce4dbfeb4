"""A study's clinical table as text: names, units, reference ranges, missing values.

A table maps the name of a column, which ends in its unit (``bnp_pg_per_ml``), to a number, a word,
or None if it was not measured. A column ``NAME_reference`` ("4-11", "-100") holds the laboratory's
own reference range of NAME; the default is that of ``reference_ranges.yaml``.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import numpy as np

from plainfilm.core import InputError, Word
from plainfilm.core.yaml_text import parse_yaml

Table = Mapping[str, float | str | None]
TableFormat = Literal["markdown", "key-value", "prose"]
"""A Markdown table, ``name: value`` lines, or one sentence."""
Edges = tuple[float | None, float | None]
"""The lowest and the highest normal value; None if there is no such limit."""

REFERENCE = "_reference"
"""Suffix of a column that holds another column's reference range."""
UNITLESS = ("sex", "pain_0_to_10", "chief_complaint")
"""Known columns whose name has no unit."""
_MISSING = "not measured"
_PIECES = {"min": "min", "ml": "mL", "l": "L", "ul": "µL", "dl": "dL", "pg": "pg", "ng": "ng",
           "mg": "mg", "g": "g", "mmol": "mmol", "meq": "mEq", "k": "K", "10e9": "10^9",
           "10e12": "10^12"}  # fmt: skip
_UNITS = {"mmhg": "mmHg", "c": "°C", "f": "°F", "percent": "%", "years": "years", "kg": "kg",
          "cm": "cm", "bpm": "/min"}  # fmt: skip
_NAMES = {"spo2": "SpO2", "bnp": "BNP", "nt pro bnp": "NT-proBNP", "crp": "CRP",
          "d dimer": "D-dimer"}  # fmt: skip


class TableForm(Word):
    """How a study's table is written into the prompt."""

    form: TableFormat = "markdown"
    ranges: bool = True
    """Whether the reference range follows a value that has one."""
    flags: bool = False
    """Whether a value outside its range is marked ``high`` or ``low``, as laboratories do."""
    shuffled: bool = True
    """Whether the order of columns is drawn anew for each training example."""
    columns: tuple[str, ...] = ()
    """The columns, in order; one that a study lacks is written as not measured. Default: all
    columns of the training studies."""
    other_columns: Literal["refuse", "ignore"] = "refuse"
    """Whether a study with a column outside ``columns`` is refused, or the column ignored."""
    source: str | None = None
    """The table added to the dataset (``plainfilm values``) that replaces the studies' own."""


class Cell(NamedTuple):
    """One value as it is written."""

    name: str
    value: str
    unit: str
    range: str
    flag: str


def table_text(
    table: Table,
    form: TableForm | TableFormat = "markdown",
    rng: np.random.Generator | None = None,
) -> str:
    """Return a table as text; empty if the table is.

    Args:
        table: the table.
        form: how it is written.
        rng: shuffles the columns in training; None keeps their order.

    Raises:
        InputError: the table has a column that is not among the form's.
    """
    form = form if isinstance(form, TableForm) else TableForm(form=form)
    names = list(_chosen(table, form))
    if rng is not None and form.shuffled:
        names = [names[place] for place in rng.permutation(len(names))]
    cells = [_cell(name, table, form) for name in names]
    if form.form == "markdown":
        heads = ["value", "result", "unit", *["reference"] * form.ranges, *["flag"] * form.flags]
        lines = [_row(heads), _row(["---"] * len(heads))]
        for one in cells:
            more = [*[one.range] * form.ranges, *[one.flag] * form.flags]
            lines.append(_row([one.name, one.value, one.unit, *more]))
        return "\n".join(lines) if cells else ""
    said = [(one.name, _said(one)) for one in cells]
    if form.form == "key-value":
        return "\n".join(f"{name}: {value}" for name, value in said)
    text = "; ".join(f"{name} {value}" for name, value in said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def value_columns(names: Iterable[str]) -> list[str]:
    """Return the names of columns that hold values, each once, in order."""
    return [name for name in dict.fromkeys(names) if not name.endswith(REFERENCE)]


def check_columns(names: Sequence[str], where: str) -> None:
    """Check that each column is known or ends in a known unit.

    Args:
        names: names of the columns.
        where: where they come from, for the message.

    Raises:
        InputError: some are not; all of them are named.
    """
    unknown = [
        name
        for name in names
        if name not in UNITLESS
        and not _name_and_unit(name.removesuffix(REFERENCE))[1]
        and name not in _ranges()
    ]
    if unknown:
        raise InputError(
            f"{where}: unknown columns {', '.join(unknown)}: end each name in its unit "
            f"(bnp_pg_per_ml, temperature_c), or take one of {', '.join(UNITLESS)}"
        )


def limits(name: str, table: Table) -> Edges | None:
    """Return the reference range of a column, from the table or else from the known ranges.

    Args:
        name: name of the column.
        table: the study's table, for its own ranges and the patient's sex.
    """
    own = table.get(f"{name}{REFERENCE}")
    if isinstance(own, str) and own.count("-") == 1:
        low, high = (_number(part) for part in own.split("-"))
        return None if low is None and high is None else (low, high)
    known = _ranges().get(name)
    if isinstance(known, dict):
        known = known.get(str(table.get("sex")))
    return None if known is None else (known[0], known[1])


def flag(name: str, table: Table) -> Literal["low", "high"] | None:
    """Return whether a value is below or above its reference range; None if inside or unknown."""
    value, edges = table.get(name), limits(name, table)
    if edges is None or not isinstance(value, int | float):
        return None
    low, high = edges
    if low is not None and value < low:
        return "low"
    return "high" if high is not None and value > high else None


@cache
def _ranges() -> Mapping[str, dict[str, list[float | None]] | list[float | None]]:
    text = files("plainfilm.text").joinpath("reference_ranges.yaml").read_text("utf-8")
    found: dict[str, dict[str, list[float | None]] | list[float | None]] = parse_yaml(text)
    return found


def _chosen(table: Table, form: TableForm) -> Sequence[str]:
    there = value_columns(table)
    if not form.columns:
        return there
    others = [name for name in there if name not in form.columns]
    if others and form.other_columns == "refuse":
        raise InputError(
            f"the table has columns that this model doesn't read: {', '.join(others)}; it reads "
            f"{', '.join(form.columns)}: leave them out, or set model.table.other_columns to ignore"
        )
    return form.columns


def _cell(name: str, table: Table, form: TableForm) -> Cell:
    said, unit = _name_and_unit(name)
    value = table.get(name)
    if value is None:
        return Cell(said, _MISSING, unit, _range(name, table, form), "")
    shown = f"{value:.10g}" if isinstance(value, float) else str(value)
    mark = flag(name, table) if form.flags else None
    return Cell(said, shown, unit, _range(name, table, form), mark or "")


def _range(name: str, table: Table, form: TableForm) -> str:
    edges = limits(name, table) if form.ranges else None
    if edges is None:
        return ""
    low, high = (None if edge is None else f"{edge:g}" for edge in edges)
    if low is None or high is None:
        return f"up to {high}" if low is None else f"from {low}"
    return f"{low} to {high}"


def _said(cell: Cell) -> str:
    if cell.value == _MISSING:
        return _MISSING
    text = f"{cell.value} {cell.unit}".strip()
    text += f" ({cell.range})" if cell.range else ""
    return f"{text}, {cell.flag}" if cell.flag else text


def _name_and_unit(key: str) -> tuple[str, str]:
    """Return a column's name in words, and its unit; the unit is empty if none is known."""
    parts = key.split("_")
    unit, rest = "", parts
    if len(parts) > 2 and parts[-2] == "per" and parts[-1] in _PIECES:
        below = _PIECES[parts[-1]]
        above = _PIECES.get(parts[-3]) if len(parts) > 3 else None
        unit, rest = (f"{above}/{below}", parts[:-3]) if above else (f"/{below}", parts[:-2])
    elif len(parts) > 1 and parts[-1] in _UNITS:
        unit, rest = _UNITS[parts[-1]], parts[:-1]
    name = " ".join(rest)
    return _NAMES.get(name, name), unit


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _row(cells: Sequence[str]) -> str:
    kept = (cell.replace("|", "/").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(kept)} |"
