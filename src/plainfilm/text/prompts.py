"""Study to prompt: the text that a language model reads beside the films.

A prompt is a template with named fields::

    Write the findings of this chest film.
    Indication: {indication}
    Clinical values:
    {table}

A line whose field the study lacks is omitted, so that a model never reads "Indication: None"; so
is the line above it, if that has no field and ends in a colon. ``{{`` and ``}}`` stand for braces.
``{frontal}``, ``{lateral}``, ``{films}`` (all those not named) and ``{prior_frontal}`` place the
films among the words.
"""

import re
from collections.abc import Mapping, Sequence
from string import Formatter

import numpy as np

from plainfilm.core import InputError, Study
from plainfilm.text.clinical_table import TableForm, TableFormat, table_text

TEXT_FIELDS = ("ask", "indication", "technique", "comparison", "style", "prior_report", "table")
"""Text fields of a template. ``ask`` is a request for a report: in training, a random one of
:data:`plainfilm.text.chats.REQUESTS`; otherwise the first."""
FILM_FIELDS = ("frontal", "lateral", "films", "prior_frontal")
"""Film fields of a template."""

_FILM = "\ufffc"  # Unicode's object replacement character, which occurs in no report
_FILM_NUMBER = re.compile(f"{_FILM}(\\d+){_FILM}")


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
        fields: name of a field → its text; lines with a field that is absent are omitted.

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
    study: Study,
    *,
    table: TableForm | TableFormat = "markdown",
    prior: bool = False,
    rng: np.random.Generator | None = None,
) -> dict[str, str]:
    """Return the texts of a study's fields by name; unknown ones are absent.

    Args:
        study: the study.
        table: how its table is written.
        prior: whether to include the prior study's report.
        rng: shuffles the table's columns in training.

    Raises:
        InputError: its table has a column that is not among the form's.
    """
    found = {
        "indication": study.indication,
        "technique": study.technique,
        "comparison": study.comparison,
        "style": study.style,
        "table": table_text(study.table, table, rng),
    }
    if prior and study.prior is not None and study.prior.report is not None:
        found["prior_report"] = study.prior.report.text
    return {
        name: text.replace(_FILM, " ").strip()
        for name, text in found.items()
        if text and text.strip()
    }


def film_mark(*numbers: int) -> str:
    """Return the placeholder of films in a filled template, for :func:`split_films`."""
    return "".join(f"{_FILM}{number}{_FILM}" for number in numbers)


def split_films(text: str) -> list[str | int]:
    """Split a filled template into texts and numbers of films, in order."""
    parts: list[str | int] = []
    for index, part in enumerate(_FILM_NUMBER.split(text)):
        if index % 2:
            parts.append(int(part))
        elif part.strip():
            parts.append(part)
    return parts


def without(text: str, tokens: Sequence[str]) -> str:
    """Return ``text`` without a model's control tokens.

    Otherwise, ``<image>`` in a study's indication would count as a film.
    """
    before = None
    while before != text:  # the text around a removed token may form another one
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
