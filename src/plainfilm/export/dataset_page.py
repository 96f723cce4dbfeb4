"""A dataset on one page: its counts, and some studies with what the reader found in their reports.

The page is one file and loads nothing. It shows films and reports, so that it goes no further than
the dataset may.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.core import Provenance, Report
from plainfilm.data import Dataset, Row
from plainfilm.data.boxes import Box
from plainfilm.data.overview import Overview
from plainfilm.export.html import render
from plainfilm.export.passages import Passage, sections
from plainfilm.export.pictures import film_uri
from plainfilm.text import read

_SIDE = 420
"""Pixels of a film's longer side on the page."""


@dataclass(frozen=True)
class Shown:
    """A film as the page shows it."""

    uri: str
    size: tuple[int, int]
    caption: str
    simulated: bool
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Piece:
    """A passage of a report, and the status of what it says; blank for plain text."""

    text: str
    status: str
    title: str


@dataclass(frozen=True)
class Card:
    """A study as the page shows it."""

    row: Row
    films: tuple[Shown, ...]
    sections: dict[str, list[Piece]]
    report: Report
    labels: dict[str, dict[str, list[str]]]
    """Labeller → status → names."""
    values: dict[str, str]


def dataset_page(dataset: Dataset, overview: Overview, rows: Sequence[Row], *, title: str) -> str:
    """Return the page, a complete HTML document.

    Args:
        dataset: where the films are.
        overview: its counts.
        rows: the studies to show.
        title: the page's heading.
    """
    return render(
        "dataset",
        title=title,
        overview=overview,
        cards=[_card(dataset, row) for row in rows],
        total=len(dataset.rows),
    )


def _card(dataset: Dataset, row: Row) -> Card:
    texts = Report(findings=row.findings, impression=row.impression)
    found = tuple(read(texts.text, language=dataset.card.language)) if texts.text else ()
    report = texts.model_copy(update={"statements": found})
    return Card(
        row,
        tuple(_film(dataset, row, at) for at in range(len(row.images))),
        {name: [_piece(passage, report) for passage in passages]
         for name, passages in sections(report).items()},
        report,
        {name: _by_status(told) for name, told in row.labels.items()},
        {name: str(value) for name, value in row.table.items() if value is not None},
    )  # fmt: skip


def _film(dataset: Dataset, row: Row, index: int) -> Shown:
    image = dataset.image(row, index)
    height, width = image.shape
    scale = min(1.0, _SIDE / max(height, width))
    return Shown(
        film_uri(image, _SIDE),
        (max(1, round(width * scale)), max(1, round(height * scale))),
        row.views[index],
        image.provenance is Provenance.SIMULATED,
        tuple(box for box in row.boxes if box.image == index),
    )


def _piece(passage: Passage, report: Report) -> Piece:
    said = [report.statements[at] for at in passage.statements]
    status = next((one for one in ("present", "uncertain", "absent")
                   if any(finding.status == one for finding in said)), "")  # fmt: skip
    names = dict.fromkeys(f"{finding.observation}: {finding.status}" for finding in said)
    return Piece(passage.text, status, "; ".join(names))


def _by_status(told: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    assert isinstance(told, dict)  # noqa: S101 - a row's labels
    for name, status in told.items():
        found.setdefault(status, []).append(name)
    return found
