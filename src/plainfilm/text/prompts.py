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

import numpy as np

from plainfilm.core import InputError, Study
from plainfilm.text.clinical_table import TableForm, TableFormat, table_text

TEXT_FIELDS = ("ask", "indication", "technique", "comparison", "style", "prior_report", "table")
"""What a template can say of a study; ``ask`` is a request for a report, in training one of many
wordings (:data:`plainfilm.text.chats.REQUESTS`), else the first."""
FILM_FIELDS = ("frontal", "lateral", "films", "prior_frontal")
"""Where films can stand in a template."""

_FILM = "\ufffc"  # Unicode's own mark for an object among text; it stands in no report
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
    study: Study,
    *,
    table: TableForm | TableFormat = "markdown",
    prior: bool = False,
    rng: np.random.Generator | None = None,
) -> dict[str, str]:
    """Return the texts of a study by the field's name; what is not known is absent.

    Args:
        study: the study.
        table: how its table is written.
        prior: whether its prior's report is read.
        rng: what the order of its table is drawn from, in training.

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
