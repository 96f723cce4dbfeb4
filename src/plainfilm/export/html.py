"""Drafted reports as one page that a person reads: film, report, and where the model looked.

The page is one file. Styles and script are inline, films and heatmaps are data URIs, and its
Content-Security-Policy admits exactly these, so that it opens anywhere and loads nothing. Of a
study it shows the films, their file names and the reports; the indication, the comparison and the
table stay out, since a page travels further than a study and free text may name the patient.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from plainfilm.core import Evidence, Finding, Image, InputError, Report, Score, Status, Study
from plainfilm.export.agreement import Mark, compare
from plainfilm.export.passages import Passage, sections
from plainfilm.export.pictures import film_uri, heatmap_uri
from plainfilm.export.plain import (
    DISCLAIMER,
    describe_finding,
    evidence_of,
    file_name,
    probability_of,
    without_folders,
)
from plainfilm.grounding.overlay import upsample

_FILES = Path(__file__).parent / "page"
_HEATMAP_SIDE = 96  # pixels along the longer side; the browser smooths the rest
_SCALE_MM = 50  # length of the scale bar


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One study on the page: its drafted report and, where it is known, the true one."""

    study: Study
    report: Report
    reference: Report | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    notes: Sequence[str] = ()


def report_page(
    entries: Sequence[Entry],
    *,
    title: str,
    notes: Sequence[str] = (),
    scores: Mapping[str, Mapping[str, Score]] | None = None,
) -> str:
    """Return the page, a complete HTML document.

    Args:
        entries: the studies, in the order in which they are shown.
        title: the page's heading.
        notes: paragraphs under it, plain text.
        scores: a table of scores: name of the row → name of the metric → score.

    Raises:
        InputError: there is no entry, an evidence points to an image that its study does not have,
            or a heatmap is no grid of weights in [0, 1].
    """
    if not entries:
        raise InputError("a page needs at least one study, got none")
    style = (_FILES / "page.css").read_text(encoding="utf-8")
    script = (_FILES / "page.js").read_text(encoding="utf-8")
    cards = [_Card.of(number, entry) for number, entry in enumerate(entries, start=1)]
    shared = [w for w in cards[0].warnings if all(w in card.warnings for card in cards)]
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        notes=notes,
        disclaimer=DISCLAIMER,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704, our own file
        script=Markup(script),  # noqa: S704, our own file
        cards=cards,
        warnings=shared,
        scores=scores or {},
        metrics=list(dict.fromkeys(chain.from_iterable((scores or {}).values()))),
        number=_number,
        parts=_parts(scores or {}),
    )


@dataclass(frozen=True)
class _Heat:
    """A heatmap to lay over a film."""

    id: str
    uri: str


@dataclass
class _Film:
    """A film as the page shows it."""

    uri: str
    size: tuple[int, int]
    """(height, width) in pixels; gives the aspect ratio."""
    caption: list[str]
    simulated: bool
    letters: str
    """``known``: R and L stand at the film; ``assumed``: likewise, with a doubt; else none."""
    scale_percent: float | None
    """Length of the scale bar, in percent of the film's width."""
    warnings: list[str]
    heats: list[_Heat] = field(default_factory=list)


@dataclass(frozen=True)
class _Statement:
    """A statement in the list under a report."""

    key: str
    finding: Finding
    text: str
    probability: float | None
    heats: str
    looked: str
    mark: Mark | None


@dataclass(frozen=True)
class _Piece:
    """A passage of the report, with the statements that it says."""

    text: str
    keys: str
    heats: str
    looked: str
    status: str
    mark: Mark | None


@dataclass(frozen=True)
class _Column:
    """A report: the draft, or the truth beside it."""

    title: str
    sections: dict[str, list[_Piece]]
    statements: list[_Statement]
    tally: dict[str, int]


@dataclass(frozen=True)
class _Card:
    """A study."""

    number: int
    name: str
    films: list[_Film]
    columns: list[_Column]
    compared: bool
    coded: bool
    """False where a reference is there whose statements nobody has read: nothing to compare."""
    model: str | None
    warnings: list[str]
    notes: Sequence[str]
    scores: Mapping[str, Score]

    @classmethod
    def of(cls, number: int, entry: Entry) -> "_Card":
        study, report, reference = entry.study, entry.report, entry.reference
        films = [_film(image) for image in study.images]
        heats = _Heats(f"s{number}", films)
        drafted: Sequence[Mark | None] = [None] * len(report.statements)
        coded = reference is None or bool(reference.statements) or not reference.text
        columns = []
        if reference is not None:
            truth: Sequence[Mark | None] = [None] * len(reference.statements)
            if coded:
                drafted, truth = compare(report.statements, reference.statements)
            columns.append(_column("Truth", f"s{number}t", reference, truth, heats))
        columns.insert(0, _column("Report drafted", f"s{number}d", report, drafted, heats))
        names = [file_name(image) for image in study.images]
        return cls(
            number=number,
            name=study.id or next((name for name in names if name), "") or f"Study {number}",
            films=films,
            columns=columns,
            compared=reference is not None,
            coded=coded,
            model=report.model,
            warnings=[without_folders(warning, study.images) for warning in report.warnings],
            notes=entry.notes,
            scores=entry.scores,
        )

    @property
    def simulated(self) -> bool:
        return any(film.simulated for film in self.films)

    @property
    def abnormal(self) -> list[_Statement]:
        return [s for s in self.columns[0].statements if s.finding.status != Status.ABSENT]


class _Heats:
    """The heatmaps of one study: each is embedded once, however many statements share it."""

    def __init__(self, prefix: str, films: list[_Film]) -> None:
        self._prefix = prefix
        self._films = films
        self._ids: dict[tuple[int, bytes], str] = {}

    def add(self, evidence: Sequence[Evidence]) -> str:
        """Embed the maps, the greatest weight of each place, and return their ids for the page."""
        shown: dict[int, np.ndarray] = {}
        for item in evidence:
            if item.image >= len(self._films):
                raise InputError(
                    f"evidence on {item.observation} points to image {item.image}, but the study "
                    f"has {len(self._films)}: count from 0 in Study.images"
                )
            if item.heatmap:
                height, width = self._films[item.image].size
                scale = _HEATMAP_SIDE / max(height, width)
                shape = (max(1, round(height * scale)), max(1, round(width * scale)))
                weights = upsample(item.heatmap, shape)
                shown[item.image] = np.maximum(weights, shown.get(item.image, weights))
        return " ".join(self._embed(image, weights) for image, weights in shown.items())

    def _embed(self, image: int, weights: np.ndarray) -> str:
        key = (image, weights.tobytes())
        if key not in self._ids:
            self._ids[key] = f"{self._prefix}h{len(self._ids)}"
            self._films[image].heats.append(_Heat(self._ids[key], heatmap_uri(weights)))
        return self._ids[key]


def _film(image: Image) -> _Film:
    height, width = image.shape
    view = "View unknown" if image.view == "unknown" else f"{image.view} view".capitalize()
    caption = [view if not image.view.frontal else f"{image.view} view"]
    if image.laterality:
        caption.append(f"{'left' if image.laterality == 'L' else 'right'} side at the detector")
    letters = "known" if image.view.frontal else "assumed" if image.view == "unknown" else ""
    if letters == "assumed":
        caption.append("sides shown as on a frontal film")
    scale = None
    if image.spacing_mm:
        rows, columns = image.spacing_mm
        caption.append(f"{columns:.3g} mm per pixel" if rows == columns else
                       f"{rows:.3g} × {columns:.3g} mm per pixel")  # fmt: skip
        scale = 100 * _SCALE_MM / (columns * width)
    if name := file_name(image):
        caption.append(name)
    return _Film(
        uri=film_uri(image),
        size=(height, width),
        caption=caption,
        simulated=image.provenance == "simulated",
        letters=letters,
        scale_percent=scale if scale and scale < 60 else None,
        warnings=[without_folders(warning, [image]) for warning in image.warnings],
    )


def _column(
    title: str, prefix: str, report: Report, marks: Sequence[Mark | None], heats: _Heats
) -> _Column:
    statements = []
    for index, (finding, mark) in enumerate(zip(report.statements, marks, strict=True)):
        evidence = evidence_of(finding, report)
        statements.append(
            _Statement(
                key=f"{prefix}{index}",
                finding=finding,
                text=describe_finding(finding),
                probability=probability_of(evidence),
                heats=heats.add(evidence),
                looked=_looked([finding], evidence),
                mark=mark,
            )
        )

    def piece(passage: Passage) -> _Piece:
        findings = [report.statements[i] for i in passage.statements]
        evidence = [item for finding in findings for item in evidence_of(finding, report)]
        statuses = {finding.status for finding in findings}
        return _Piece(
            text=passage.text,
            keys=" ".join(f"{prefix}{index}" for index in passage.statements),
            heats=heats.add(evidence),
            looked=_looked(findings, evidence),
            status=next((status for status in _GRAVEST if status in statuses), ""),
            mark=_gravest([marks[index] for index in passage.statements]),
        )

    texts = {name: list(map(piece, parts)) for name, parts in sections(report).items()}
    words = [mark.word for mark in marks if mark]
    return _Column(title, texts, statements, {w: words.count(w) for w in _WORDS if w in words})


_GRAVEST = (Status.PRESENT, Status.UNCERTAIN, Status.ABSENT)
_WORDS = ("hallucinated", "omitted", "contradicted", "differs", "agrees")


def _gravest(marks: Sequence[Mark | None]) -> Mark | None:
    given = [mark for mark in marks if mark]
    return min(given, key=lambda mark: _WORDS.index(mark.word), default=None)


def _looked(findings: Sequence[Finding], evidence: Sequence[Evidence]) -> str:
    """Return the line under the film: what was looked for, and how the map was made."""
    what = ", ".join(dict.fromkeys(str(finding.observation) for finding in findings))
    how = ", ".join(dict.fromkeys(item.method for item in evidence if item.heatmap and item.method))
    if not any(item.heatmap for item in evidence):
        return f"{what}: no map"
    return f"{what} ({how})" if how else what


def _number(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"  # NaN alone differs from itself


def _parts(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, list[str]]:
    """Return for each metric that has parts their names, over all rows."""
    names: dict[str, list[str]] = {}
    for row in scores.values():
        for metric, score in row.items():
            known = names.setdefault(metric, [])
            known.extend(part for part in score.parts if part not in known)
    return {metric: known for metric, known in names.items() if known}


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style, this script, data URIs, nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )
