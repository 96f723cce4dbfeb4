"""The error table as one page: rows of errors by systems, and behind each cell its reports.

Each report stands beside its reference, with the statements marked as on the page of drafts. The
page is one file, like that one, and holds no film.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from plainfilm.core import Finding, InputError, Report, Score
from plainfilm.export.html import render
from plainfilm.export.passages import sections
from plainfilm.metrics.error_table import ROWS, ErrorTable, ReportError
from plainfilm.metrics.pairs import Pairs
from plainfilm.text.matching import WORDS, Mark, compare


@dataclass(frozen=True)
class Cell:
    """A row of the table for one system."""

    id: str
    share: Score
    count: int


@dataclass(frozen=True)
class Piece:
    """A passage of a text, and the word for what it says."""

    text: str
    mark: Mark | None


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


def error_page(
    pairs: Mapping[str, Pairs],
    errors: Mapping[str, ErrorTable],
    shares: Mapping[str, Mapping[str, Score]],
    *,
    title: str = "What is wrong with the reports",
) -> str:
    """Return the page, a complete HTML document.

    Args:
        pairs: system → references and predictions.
        errors: system → its error table.
        shares: system → row of the table → share of reports.
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
            for entry in _entries(system, name, pairs[name], errors[name])
        ],
    )


def _entries(system: int, name: str, pairs: Pairs, table: ErrorTable) -> list[Entry]:
    members = {row: set(table.reports(row)) for row in ROWS}
    entries = []
    for key, reference, prediction, truth, said in zip(
        pairs.ids, pairs.references, pairs.predictions, *pairs.findings, strict=True
    ):
        drafted, true = compare(said, truth)
        rows = [row for row in ROWS if key in members[row]]
        entries.append(
            Entry(
                key=key,
                system=name,
                cells=" ".join(_cell(system, row) for row in rows),
                errors=table.errors[key],
                reference=_pieces(reference, truth, true),
                prediction=_pieces(prediction, said, drafted),
            )
        )
    return entries


def _pieces(text: str, findings: list[Finding], marks: tuple[Mark | None, ...]) -> list[Piece]:
    """Return the text cut where its statements begin and end; a passage has its gravest mark."""
    report = Report(findings=text, statements=tuple(findings))
    order = list(WORDS)
    return [
        Piece(
            passage.text,
            min(
                (mark for index in passage.statements if (mark := marks[index])),
                key=lambda mark: order.index(mark.word),
                default=None,
            ),
        )
        for passages in sections(report).values()
        for passage in passages
    ]


def _cell(system: int, row: str) -> str:
    return f"cell-{system}-{ROWS.index(row)}"
