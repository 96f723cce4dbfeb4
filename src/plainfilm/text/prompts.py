"""Study to words: the request that a language model reads beside the films.

A request is a template with named fields::

    Write the findings of this chest film.
    Indication: {indication}
    Clinical values:
    {table}

A line whose field the study lacks is left out, so that a model never reads "Indication: None", and
with it the line above, if that has no field and ends in a colon. In a template, ``{{`` and ``}}``
stand for braces. Where the films stand among the words can be said, too: ``{frontal}``,
``{lateral}``, ``{films}`` (all that were not named) and ``{prior_frontal}``.
"""

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Literal

from plainfilm.core import InputError, Study

TEXT_FIELDS = ("indication", "technique", "comparison", "style", "prior_report", "table")
"""What a template can say of a study."""
FILM_FIELDS = ("frontal", "lateral", "films", "prior_frontal")
"""Where films can stand in a template."""

TableFormat = Literal["markdown", "key-value", "prose"]
"""How a table is written: rows with bars, ``name: value`` lines, or one sentence."""

_FILM = "\ufffc"  # Unicode's own mark for an object among text; it stands in no report
_FILM_NUMBER = re.compile(f"{_FILM}(\\d+){_FILM}")
_MISSING = "not measured"
_PIECES = {"min": "min", "ml": "mL", "l": "L", "dl": "dL", "pg": "pg", "ng": "ng", "mg": "mg",
           "g": "g", "mmol": "mmol", "10e9": "10^9", "10e12": "10^12"}  # fmt: skip
_UNITS = {"mmhg": "mmHg", "c": "°C", "f": "°F", "percent": "%", "years": "years", "kg": "kg",
          "cm": "cm", "bpm": "/min"}  # fmt: skip
_NAMES = {"spo2": "SpO2", "bnp": "BNP", "crp": "CRP", "d dimer": "D-dimer"}


def check_template(template: str) -> None:
    """Check a template's fields.

    Raises:
        InputError: a field is unknown, or the braces do not pair.
    """
    for line in template.splitlines():
        _fields(line)


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Return a template with its fields filled in.

    Args:
        template: the template.
        fields: name of a field → its text; a line that names one that is absent is left out.

    Raises:
        InputError: a field is unknown, or the braces do not pair.
    """
    lines: list[str] = []
    heading = False
    for line in template.splitlines():
        named = _fields(line)
        if all(fields.get(name) for name in named):
            lines.append(line.format_map(fields))
        elif heading:
            lines.pop()
        heading = not named and line.rstrip().endswith(":")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def study_fields(
    study: Study, *, table: TableFormat = "markdown", prior: bool = False
) -> dict[str, str]:
    """Return the texts of a study by the field's name; what is not known is absent.

    Args:
        study: the study.
        table: how its table is written.
        prior: whether its prior's report is read.
    """
    found = {
        "indication": study.indication,
        "technique": study.technique,
        "comparison": study.comparison,
        "style": study.style,
        "table": table_text(study.table, table) if study.table else None,
    }
    if prior and study.prior is not None and study.prior.report is not None:
        found["prior_report"] = study.prior.report.text
    return {
        name: text.replace(_FILM, " ").strip()
        for name, text in found.items()
        if text and text.strip()
    }


def table_text(table: Mapping[str, float | str | None], form: TableFormat = "markdown") -> str:
    """Return a study's table as text: its units kept, and what was not measured said to be so.

    Args:
        table: name of a value, which ends in its unit (``temperature_c``) → the value.
        form: how it is written.
    """
    rows = [(*_name_and_unit(key), value) for key, value in table.items()]
    if form == "markdown":
        head = ["| value | result | unit |", "| --- | --- | --- |"]
        cells = [
            f"| {_cell(name)} | {_cell(_value(value))} | {unit} |" for name, unit, value in rows
        ]
        return "\n".join([*head, *cells])
    said = [
        (name, _value(value) if value is None or not unit else f"{_value(value)} {unit}")
        for name, unit, value in rows
    ]
    if form == "key-value":
        return "\n".join(f"{name}: {value}" for name, value in said)
    text = ", ".join(f"{name} {value}" for name, value in said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def film_mark(*numbers: int) -> str:
    """Return the text that stands for films in a filled template, until :func:`split_films`."""
    return "".join(f"{_FILM}{number}{_FILM}" for number in numbers)


def split_films(text: str) -> list[str | int]:
    """Return a filled template as texts and numbers of films, in their order."""
    parts: list[str | int] = []
    for index, part in enumerate(_FILM_NUMBER.split(text)):
        if index % 2:
            parts.append(int(part))
        elif part.strip():
            parts.append(part)
    return parts


def without(text: str, tokens: Sequence[str]) -> str:
    """Return ``text`` without a model's own control words, which no study may utter.

    An indication that reads ``<image>`` would otherwise count as a film.
    """
    before = None
    while before != text:  # what is left on both sides of a removed word may spell one again
        before = text
        for token in tokens:
            text = text.replace(token, " ")
    return text


def _fields(line: str) -> list[str]:
    try:
        named = [name for _, name, _, _ in Formatter().parse(line) if name is not None]
    except ValueError as error:
        raise InputError(
            f"the line {line!r} of the request is no template ({error}): write {{{{ and }}}} for "
            "braces that are no field"
        ) from error
    for name in named:
        if name not in TEXT_FIELDS + FILM_FIELDS:
            raise InputError(
                f"the request names an unknown field {{{name}}}: choose from "
                f"{', '.join(TEXT_FIELDS + FILM_FIELDS)}"
            )
    return named


def _name_and_unit(key: str) -> tuple[str, str]:
    """Return a column's name in words, and its unit; a name without a known unit is all name."""
    parts = key.split("_")
    unit, rest = "", parts
    if len(parts) > 2 and parts[-2] == "per":
        below = _PIECES.get(parts[-1], parts[-1])
        above = _PIECES.get(parts[-3]) if len(parts) > 3 else None
        unit, rest = (f"{above}/{below}", parts[:-3]) if above else (f"/{below}", parts[:-2])
    elif len(parts) > 1 and parts[-1] in _UNITS:
        unit, rest = _UNITS[parts[-1]], parts[:-1]
    name = " ".join(rest)
    return _NAMES.get(name, name), unit


def _value(value: float | str | None) -> str:
    if value is None:
        return _MISSING
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
