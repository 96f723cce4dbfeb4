"""Report, Finding and Evidence: what is said of a study, and what it rests on."""

from typing import Annotated

from pydantic import Field, model_validator

from plainfilm.core.observation import Change, Observation, Severity, Side, Status
from plainfilm.core.word import Word

Span = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
"""Character offsets (start, end) into a text; end is exclusive."""


class Evidence(Word):
    """What a statement was read from: where the model looked, and how sure its classifier is."""

    observation: Observation
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    image: Annotated[int, Field(ge=0)] = 0
    """Index into ``Study.images``."""
    heatmap: tuple[tuple[float, ...], ...] = ()
    """Coarse attention map ``(rows, columns)`` over the whole film, scaled to a maximum of 1."""
    method: str = ""
    """How the heatmap was made."""


class Finding(Word):
    """One clinical statement.

    ``side`` is the patient's; ``location`` is the place without its side ("lower lobe"). Spans are
    offsets of the matched words into the text that was read.
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
        """What is said, without where it was said: the part that two reports can share."""
        return (
            self.observation, self.detail, self.status, self.location,
            self.side, self.severity, self.change,
        )  # fmt: skip


class Report(Word):
    """A report as written, with the statements read from it and what they rest on."""

    findings: str = ""
    """The FINDINGS section."""
    impression: str = ""
    """The IMPRESSION section."""
    statements: tuple[Finding, ...] = ()
    """The list of Finding, with spans into :attr:`text`."""
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[str, ...] = ()
    badges: tuple[str, ...] = ()
    """What must stand first wherever the draft is shown, in a few words each."""
    images_read: tuple[int, ...] = ()
    """Indices into ``Study.images`` of the films that the draft was made from."""
    hangs_on_indication: tuple[int, ...] = ()
    """Indices into ``statements`` of those that the draft makes only with the indication."""
    model: str | None = None
    """The name of the model that drafted it; None for a person's report."""
    weights: str | None = None
    """SHA-256 of the model's weights, hexadecimal."""

    @property
    def text(self) -> str:
        """Findings and impression, a newline between them; spans point into this."""
        return "\n".join(part for part in (self.findings, self.impression) if part)
