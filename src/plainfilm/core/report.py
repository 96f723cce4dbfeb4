"""Report, Finding and Evidence: what is said about a study, and the evidence for it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from plainfilm.core.observation import Change, Observation, Severity, Side, Status
from plainfilm.core.word import Word

Span = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
"""Character offsets (start, end) into a text; end is exclusive."""


class Verdict(StrEnum):
    """What segmentation maps say of a statement."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_CHECKABLE = "not checkable"


class Evidence(Word):
    """Evidence for a statement: where the model looked, and the classifier's probability."""

    observation: Observation
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    image: Annotated[int, Field(ge=0)] = 0
    """Index into ``Study.images``."""
    heatmap: tuple[tuple[float, ...], ...] = ()
    """Coarse attention map ``(rows, columns)`` over the whole film, scaled to a maximum of 1."""
    method: str = ""
    """The saliency method that made the heatmap."""


class MapReading(Word):
    """What a segmentation map shows of one class, in words."""

    map_class: str
    """The map's name."""
    source: str
    """Where the maps come from: ``truth``, a segmenter's name, a file's."""
    image: Annotated[int, Field(ge=0)] = 0
    """Index into ``Study.images``."""
    sides: tuple[Side, ...] = ()
    """The patient's sides on which it shows something."""
    zones: tuple[str, ...] = ()
    """Of the lungs, where most of it lies: ``upper``, ``mid``, ``lower``."""
    share: Annotated[float, Field(ge=0)] = 0.0
    """How large it is, as a share of ``share_of``."""
    share_of: Literal["lungs", "film"] = "film"
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Its greatest value on the side that is spoken of: for a segmenter's map how sure it is."""
    heatmap: tuple[tuple[float, ...], ...] = ()
    """The map ``(rows, columns)`` over the whole film, in [0, 1]."""


class Grounding(Word):
    """A statement held against segmentation maps."""

    verdict: Verdict
    reason: str
    """Why, in a line."""
    maps: tuple[MapReading, ...] = ()
    """The maps that it was held against and that show something."""


class Finding(Word):
    """One clinical statement.

    ``side`` is the patient's; ``location`` is the place without its side ("lower lobe"). ``spans``
    are the offsets of the matched words in the text that was read.
    """

    observation: Observation
    status: Status = Status.PRESENT
    detail: str | None = None
    """The finer term under the observation (granuloma, hiatal hernia, PICC)."""
    location: str | None = None
    side: Side | None = None
    severity: Severity | None = None
    change: Change | None = None
    sentence: str | None = None
    spans: tuple[Span, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _spans_run_forward(self) -> "Finding":
        for start, end in self.spans:
            if end <= start:
                raise ValueError(f"a span must end after it starts, got ({start}, {end})")
        return self

    @property
    def statement(self) -> tuple[str | None, ...]:
        """The content without its position in a text: the part that two reports can share."""
        return (
            self.observation, self.detail, self.status, self.location,
            self.side, self.severity, self.change,
        )  # fmt: skip


class Report(Word):
    """A report's text, with the statements read from it and their evidence."""

    findings: str = ""
    """The FINDINGS section."""
    impression: str = ""
    """The IMPRESSION section."""
    statements: tuple[Finding, ...] = ()
    """Findings read from the text, with spans into :attr:`text`."""
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[str, ...] = ()
    badges: tuple[str, ...] = ()
    """Short notices that must come first wherever the draft is shown."""
    images_read: tuple[int, ...] = ()
    """Indices into ``Study.images`` of the films that the draft was made from."""
    hangs_on_indication: tuple[int, ...] = ()
    """Indices into ``statements`` of those that disappear when the indication is withheld."""
    grounding: tuple[Grounding, ...] = ()
    """Of each statement, in their order; empty where none was held against maps."""
    possibly_missed: tuple[MapReading, ...] = ()
    """What maps show and no statement mentions."""
    model: str | None = None
    """Name of the model that drafted the report; None for a person's report."""
    weights: str | None = None
    """SHA-256 of the model's weights, hexadecimal."""

    @property
    def text(self) -> str:
        """Findings and impression, a newline between them; spans point into this."""
        return "\n".join(part for part in (self.findings, self.impression) if part)
