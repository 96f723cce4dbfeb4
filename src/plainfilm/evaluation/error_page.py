"""The error table as one page: rows of errors by systems, and behind each cell its reports.

Each report stands beside its reference and, where it is given, its film. The statements are marked
by the comparison that the table counts, and a chosen one lights what the other report says of it.
The page is one file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plainfilm.core import Finding, InputError, Report, Score
from plainfilm.export.html import render
from plainfilm.export.passages import sections
from plainfilm.metrics.error_table import ROWS, ErrorTable, ReportError
from plainfilm.metrics.pairs import Pairs
from plainfilm.text.matching import WORDS, Mark


@dataclass(frozen=True)
class Cell:
    """A row of the table for one system."""

    id: str
    share: Score
    count: int


@dataclass(frozen=True)
class Film:
    """A film as the page shows it."""

    uri: str
    """A data URI."""
    simulated: bool


@dataclass(frozen=True)
class Piece:
    """A passage of a text, and the word for what it says."""

    text: str
    mark: Mark | None
    own: str
    """The keys of its statements, between spaces."""
    others: str
    """The keys of what the other report says of them."""


@dataclass(frozen=True)
class Entry:
    """One report of one system beside its reference."""

    key: str
    system: str
    cells: str
    """The ids of the table's cells that it is behind, between spaces."""
    errors: tuple[ReportError, ...]
    reference: list[Piece]
    prediction: list[Piece]
    film: Film | None


def error_page(
    pairs: Mapping[str, Pairs],
    errors: Mapping[str, ErrorTable],
    shares: Mapping[str, Mapping[str, Score]],
    *,
    films: Mapping[str, Film] | None = None,
    title: str = "What is wrong with the reports",
) -> str:
    """Return the page, a complete HTML document.

    Args:
        pairs: system → references and predictions.
        errors: system → its error table.
        shares: system → row of the table → share of reports.
        films: report id → its film.
        title: the page's heading.

    Raises:
        InputError: there is no system.
    """
    if not pairs:
        raise InputError("a page of errors needs at least one system, got none")
    table = {
        row: [
            Cell(_cell(system, row), shares[name][row], len(errors[name].reports(row)))
            for system, name in enumerate(pairs)
        ]
        for row in ROWS
    }
    signature = next(iter(next(iter(shares.values())).values())).signature
    return render(
        "errors",
        title=title,
        systems=list(pairs),
        table=table,
        count=len(next(iter(pairs.values()))),
        marks=WORDS,
        signature=signature,
        entries=[
            entry
            for system, name in enumerate(pairs)
            for entry in _entries(system, name, pairs[name], errors[name], films or {})
        ],
    )


def _entries(
    system: int, name: str, pairs: Pairs, table: ErrorTable, films: Mapping[str, Film]
) -> list[Entry]:
    members = {row: set(table.reports(row)) for row in ROWS}
    entries = []
    for key, reference, prediction, matching in zip(
        pairs.ids, pairs.references, pairs.predictions, pairs.matchings, strict=True
    ):
        true, drafted = matching.marks()
        of_truth, of_draft = matching.counterparts()
        rows = [row for row in ROWS if key in members[row]]
        entries.append(
            Entry(
                key=key,
                system=name,
                cells=" ".join(_cell(system, row) for row in rows),
                errors=table.errors[key],
                reference=_pieces(reference, matching.reference.findings, true, of_truth, "rp"),
                prediction=_pieces(prediction, matching.prediction.findings, drafted, of_draft,
                                   "pr"),
                film=films.get(key),
            )
        )  # fmt: skip
    return entries


def _pieces(
    text: str,
    findings: Sequence[Finding],
    marks: Sequence[Mark | None],
    counterparts: Sequence[Sequence[int]],
    letters: str,
) -> list[Piece]:
    """Return the text cut where its statements begin and end; a passage has its gravest mark.

    Args:
        text: the report.
        findings: what was read of it.
        marks: of each finding.
        counterparts: for each finding, those of the other report that are about it.
        letters: that keys begin with, of this report's findings and of the other's.
    """
    report = Report(findings=text, statements=tuple(findings))
    order = list(WORDS)
    own, other = letters[0], letters[1]
    return [
        Piece(
            passage.text,
            min(
                (mark for index in passage.statements if (mark := marks[index])),
                key=lambda mark: order.index(mark.word),
                default=None,
            ),
            " ".join(f"{own}{index}" for index in passage.statements),
            " ".join(
                f"{other}{far}" for index in passage.statements for far in counterparts[index]
            ),
        )
        for passages in sections(report).values()
        for passage in passages
    ]


def _cell(system: int, row: str) -> str:
    return f"cell-{system}-{ROWS.index(row)}"
