"""What the page's template shows: each study as a card of films, reports and statements.

Here everything is put into words and order, so that the template only lays it out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from plainfilm.core import (
    Evidence,
    Finding,
    Grounding,
    Image,
    InputError,
    MapReading,
    Observation,
    Pixels,
    Report,
    Score,
    Status,
    Study,
)
from plainfilm.export.passages import Passage, sections
from plainfilm.export.pictures import film_uri, heatmap_uri
from plainfilm.export.plain import (
    evidence_of,
    file_name,
    not_read,
    probability_of,
    without_folders,
)
from plainfilm.grounding.maps import describe
from plainfilm.grounding.overlay import upsample
from plainfilm.text.matching import WORDS, Mark, compare

_HEATMAP_SIDE = 96  # pixels along the longer side; the browser smooths the rest
_SCALE_MM = 50  # length of the scale bar
_STATUSES = (*Status, "normal")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One study on the page: its drafted report and, where it is known, the true one."""

    study: Study
    report: Report
    reference: Report | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Heat:
    """A heatmap to lay over a film."""

    id: str
    uri: str


@dataclass(frozen=True)
class Layer:
    """A segmentation map that can be switched on over a film."""

    id: str
    name: str


@dataclass
class Film:
    """A film as the page shows it."""

    uri: str
    size: tuple[int, int]
    """(height, width) in pixels; gives the aspect ratio."""
    caption: list[str]
    simulated: bool
    unread: bool
    """Whether it is shown, but the draft was not made from it."""
    letters: str
    """``known``: R and L stand at the film; ``assumed``: likewise, with a doubt; else none."""
    scale_percent: float | None
    """Length of the scale bar, in percent of the film's width."""
    warnings: list[str]
    heats: list[Heat] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)


@dataclass(frozen=True)
class Statement:
    """A row of the list under a report: what is said, however often, and what it rests on."""

    keys: str
    status: str
    """A status, ``normal`` for No Finding, or ``not mentioned``: looked for, and left out."""
    observation: str
    finding: Finding | None
    probability: float | None
    heats: str
    looked: str
    mark: Mark | None
    hangs: bool = False
    """Whether the draft says it only with the indication."""
    grounding: Grounding | None = None


@dataclass(frozen=True)
class Piece:
    """A passage of the report, with the statements that it says."""

    text: str
    keys: str
    heats: str
    looked: str
    status: str
    mark: Mark | None


@dataclass(frozen=True)
class Column:
    """A report: the draft, or the truth beside it."""

    title: str
    sections: dict[str, list[Piece]]
    statements: list[Statement]
    unmentioned: list[Statement]
    missed: list[Statement] = field(default_factory=list)
    """What segmentation maps show and the report does not mention."""

    @property
    def tally(self) -> dict[str, int]:
        """How many statements have each mark, the gravest first."""
        words = [statement.mark.word for statement in self.statements if statement.mark]
        return {word: words.count(word) for word in WORDS if word in words}


@dataclass(frozen=True)
class Card:
    """A study."""

    number: int
    name: str
    films: list[Film]
    columns: list[Column]
    compared: bool
    coded: bool
    """False where a reference is there whose statements nobody has read: nothing to compare."""
    model: str | None
    indication: str | None
    badges: Sequence[str]
    warnings: list[str]
    notes: Sequence[str]
    scores: Mapping[str, Score]

    @classmethod
    def of(cls, number: int, entry: Entry) -> "Card":
        """Return the card of the entry; ``number`` makes its ids on the page unique."""
        study, report, reference = entry.study, entry.report, entry.reference
        unread = {id(image) for image in not_read(study, report)}
        films = [_film(image, report.warnings, id(image) in unread) for image in study.images]
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
            indication=study.indication,
            badges=report.badges,
            warnings=[
                *(f"not read: {file}" for file in study.unread),
                *(without_folders(warning, study.images) for warning in report.warnings),
            ],
            notes=entry.notes,
            scores=entry.scores,
        )

    @property
    def simulated(self) -> bool:
        """Whether a film of the study is simulated."""
        return any(film.simulated for film in self.films)

    @property
    def gist(self) -> str:
        """What the draft finds, in a line: ``Cardiomegaly, possible Pneumonia``."""
        rows = self.columns[0].statements
        found = [row.observation for row in rows if row.status == Status.PRESENT]
        possible = [row.observation for row in rows if row.status == Status.UNCERTAIN]
        doubtful = [f"possible {name}" for name in possible if name not in found]
        nothing = "nothing abnormal" if rows else "the draft says nothing"
        return ", ".join(dict.fromkeys([*found, *doubtful])) or nothing


class _Heats:
    """The heatmaps of one study: each is embedded once, however many statements share it."""

    def __init__(self, prefix: str, films: list[Film]) -> None:
        self._prefix = prefix
        self._films = films
        self._ids: dict[tuple[int, bytes], str] = {}

    def add(self, evidence: Sequence[Evidence]) -> str:
        """Embed the maps, the greatest weight of each place, and return their ids for the page."""
        shown: dict[int, Pixels] = {}
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

    def add_maps(self, readings: Sequence[MapReading]) -> str:
        """Embed segmentation maps as layers of their film, and return their ids for the page."""
        ids = []
        for one in readings:
            evidence = Evidence(observation=Observation.OTHER, image=one.image, heatmap=one.heatmap)
            key = self.add([evidence])
            film = self._films[one.image]
            if key and all(layer.name != one.map_class for layer in film.layers):
                film.layers.append(Layer(key, one.map_class))
            ids.append(key)
        return " ".join(filter(None, ids))

    def _embed(self, image: int, weights: Pixels) -> str:
        key = (image, weights.tobytes())
        if key not in self._ids:
            self._ids[key] = f"{self._prefix}h{len(self._ids)}"
            self._films[image].heats.append(Heat(self._ids[key], heatmap_uri(weights)))
        return self._ids[key]


def _film(image: Image, said: Sequence[str], unread: bool) -> Film:
    height, width = image.shape
    view = "view unknown" if image.view == "unknown" else f"{image.view} view"
    caption = [view[0].upper() + view[1:]]
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
    return Film(
        uri=film_uri(image),
        size=(height, width),
        caption=caption,
        simulated=image.provenance == "simulated",
        unread=unread,
        letters=letters,
        scale_percent=scale if scale and scale < 60 else None,
        warnings=[without_folders(w, [image]) for w in image.warnings if w not in said],
    )


def _column(
    title: str, prefix: str, report: Report, marks: Sequence[Mark | None], heats: _Heats
) -> Column:
    def piece(passage: Passage) -> Piece:
        findings = [report.statements[i] for i in passage.statements]
        evidence = [item for finding in findings for item in evidence_of(finding, report)]
        shown, looked = heats.add(evidence), _looked([f.observation for f in findings], evidence)
        held = [report.grounding[i] for i in passage.statements] if report.grounding else []
        if not shown and held:
            shown, looked = _held(held, heats)
        statuses = {_status(finding) for finding in findings}
        return Piece(
            text=passage.text,
            keys=" ".join(f"{prefix}{index}" for index in passage.statements),
            heats=shown,
            looked=looked,
            status=next((status for status in _STATUSES if status in statuses), ""),
            mark=_gravest([marks[index] for index in passage.statements]),
        )

    return Column(
        title=title,
        sections={name: list(map(piece, parts)) for name, parts in sections(report).items()},
        statements=list(_statements(report, prefix, marks, heats)),
        unmentioned=list(_unmentioned(report, prefix, heats)),
        missed=list(_missed(report, prefix, heats)),
    )


def _statements(
    report: Report, prefix: str, marks: Sequence[Mark | None], heats: _Heats
) -> Iterator[Statement]:
    """Yield one row for each distinct statement, in the report's order."""
    mentions: dict[tuple[str | None, ...], list[int]] = {}
    for index, finding in enumerate(report.statements):
        mentions.setdefault(finding.statement, []).append(index)
    for indices in mentions.values():
        finding = report.statements[indices[0]]
        evidence = evidence_of(finding, report)
        held = report.grounding[indices[0]] if report.grounding else None
        shown, looked = heats.add(evidence), _looked([finding.observation], evidence)
        if held is not None:
            maps, said = _held([held], heats)
            shown, looked = (shown, looked) if shown else (maps, said)
        yield Statement(
            keys=" ".join(f"{prefix}{index}" for index in indices),
            status=_status(finding),
            observation=finding.observation,
            finding=finding,
            probability=probability_of(evidence),
            heats=shown,
            looked=looked,
            grounding=held,
            mark=marks[indices[0]],
            hangs=any(index in report.hangs_on_indication for index in indices),
        )


def _held(grounding: Sequence[Grounding], heats: _Heats) -> tuple[str, str]:
    """Return the ids of the maps behind statements, and the line under the film."""
    maps = [reading for one in grounding for reading in one.maps]
    said = "; ".join(dict.fromkeys(f"{one.verdict}: {one.reason}" for one in grounding))
    source = next((f" (map of {one.source})" for one in maps), "")
    return heats.add_maps(maps), said + source


def _missed(report: Report, prefix: str, heats: _Heats) -> Iterator[Statement]:
    """Yield a row for each map that shows something and that no statement mentions."""
    for index, reading in enumerate(report.possibly_missed):
        yield Statement(
            keys=f"{prefix}m{index}",
            status="not mentioned",
            observation=reading.map_class,
            finding=None,
            probability=None,
            heats=heats.add_maps([reading]),
            looked=f"{describe(reading)} (map of {reading.source})",
            mark=None,
        )


def _unmentioned(report: Report, prefix: str, heats: _Heats) -> Iterator[Statement]:
    """Yield a row for each observation that the classifier judged and the report leaves out."""
    mentioned = {finding.observation for finding in report.statements}
    left_out = [item for item in report.evidence if item.observation not in mentioned]
    for index, item in enumerate(sorted(left_out, key=lambda item: -(item.probability or 0))):
        yield Statement(
            keys=f"{prefix}e{index}",
            status="not mentioned",
            observation=item.observation,
            finding=None,
            probability=item.probability,
            heats=heats.add([item]),
            looked=_looked([item.observation], [item]),
            mark=None,
        )


def _status(finding: Finding) -> str:
    return "normal" if finding.observation == Observation.NO_FINDING else finding.status


def _gravest(marks: Sequence[Mark | None]) -> Mark | None:
    given = [mark for mark in marks if mark]
    order = list(WORDS)
    return min(given, key=lambda mark: order.index(mark.word), default=None)


def _looked(observations: Sequence[str], evidence: Sequence[Evidence]) -> str:
    """Return the line under the film: what was looked for, and how the map was made."""
    what = ", ".join(dict.fromkeys(observations))
    how = ", ".join(dict.fromkeys(item.method for item in evidence if item.heatmap and item.method))
    if not any(item.heatmap for item in evidence):
        return f"{what}: no map"
    return f"{what} ({how})" if how else what
