"""The error table as an HTML page: kinds of error by system, with the reports behind each cell.

Each report is shown beside its reference and, if given, its film. Statements are marked by the same
comparison that the table counts, and selecting one highlights what the other report says about it.
The page is a single file.
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
    """One cell of the table: a kind of error for one system."""

    id: str
    share: Score
    count: int


@dataclass(frozen=True)
class Film:
    """A film on the page."""

    uri: str
    """The picture as a data URI."""
    simulated: bool


@dataclass(frozen=True)
class Piece:
    """A passage of a report, with its mark."""

    text: str
    mark: Mark | None
    own: str
    """Keys of the passage's statements, separated by spaces."""
    others: str
    """Keys of the other report's statements about the same findings."""


@dataclass(frozen=True)
class Entry:
    """One system's report beside its reference."""

    key: str
    system: str
    cells: str
    """Ids of the table's cells that the report counts in, separated by spaces."""
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
    """Return the page as a complete HTML document.

    Args:
        pairs: system → references and predictions.
        errors: system → its error table.
        shares: system → row of the table → share of reports.
        films: report id → film.
        title: heading of the page.

    Raises:
        InputError: there are no systems.
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
    """Return the text split where its statements begin and end, each piece with its worst mark.

    Args:
        text: the report.
        findings: the findings read from it.
        marks: the mark of each finding.
        counterparts: for each finding, indices of the other report's findings about the same thing.
        letters: first letters of keys, of this report's findings and of the other's.
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
