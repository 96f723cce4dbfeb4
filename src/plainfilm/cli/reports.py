"""The reports that a scoring command was given, and the protocol that their run folder states."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plainfilm.core import Signature
    from plainfilm.metrics.files import Missing, ReportSet


@dataclass(frozen=True)
class Loaded:
    """Reports, and what is known of them."""

    reports: "ReportSet"
    section: str | None
    split: str | None
    language: str


def load_reports(
    references: Path,
    predictions: Path | None = None,
    *,
    row: str | None = None,
    section: str | None = None,
    split: str | None = None,
    missing: "Missing" = "refuse",
    language: str | None = None,
    beside: "Sequence[str]" = (),
) -> Loaded:
    """Return the reports of two files, or of one file or run folder that holds both sides.

    Section, split and language that are not given are those that the run folder was scored by.
    Arguments and errors as for :func:`plainfilm.metrics.files.read_report_set`.
    """
    from plainfilm.metrics.files import read_report_set

    stored = stored_protocol(references)
    language = language or (stored and stored.language) or "en"
    # A run's texts are the section that it was scored by: there is nothing to select.
    chosen = None if stored is not None and section == stored.section else section
    found = read_report_set(
        references, predictions, row=row, section=chosen, missing=missing, language=language,
        beside=beside,
    )  # fmt: skip
    return Loaded(
        found,
        section or (stored and stored.section) or None,
        split or (stored and stored.split) or None,
        language,
    )


def column_of(loaded: Loaded, column: str, table: Path | None, source: Path) -> "list[Any]":
    """Return the values by which reports are grouped, one for each reference.

    Args:
        loaded: the reports.
        column: of the references' file, or of ``table`` where there is one.
        table: a table of the studies by id.
        source: the references' file or run folder, for messages; a run folder may hold a table of
            its studies.

    Raises:
        InputError: there is no such column, or it lacks a study.
    """
    from plainfilm.core import InputError
    from plainfilm.metrics.files import STUDIES_FILE, read_column

    references = loaded.reports.references
    if table is None and (source / STUDIES_FILE).is_file():
        table = source / STUDIES_FILE
    if table is not None:
        if isinstance(references, list):
            raise InputError(f"{source}: its reports have no ids, by which {table} could be joined")
        return read_column(table, column, references)
    columns = loaded.reports.columns
    if column not in columns:
        there = f"choose from {', '.join(columns)}" if columns else "it holds nothing but reports"
        raise InputError(
            f"{source}: no column {column!r} to break scores down by: {there}, or name a table of "
            "the studies (--table)"
        )
    return columns[column]


def stored_protocol(path: Path) -> "Signature | None":
    """Return a signature that a run folder's scores carry; None where it has none."""
    from plainfilm.metrics.files import SCORES_FILE, read_scores

    if not (path / SCORES_FILE).is_file():
        return None
    return next((one.signature for row in read_scores(path).values() for one in row.values()), None)
