"""Score and Signature: a number, and the protocol that produced it."""

import math
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from plainfilm.core.errors import MetricError
from plainfilm.core.word import Word

Value = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: None if math.isnan(value) else value, when_used="json"),
]
"""A float whose NaN (undefined) is null in JSON."""


class Signature(Word):
    """The protocol behind a number; scores with different signatures are not compared."""

    metric: str
    version: str
    """Version of the implementation, e.g. ``plainfilm-0.1.0``."""
    tokenizer: str | None = None
    case: str | None = None
    section: str | None = None
    """The target text: ``findings`` or ``findings+impression``."""
    labels: str | None = None
    """The set of labels and the uncertainty policy of a clinical metric."""
    labeler: str | None = None
    """The labeler that read labels or findings: its name, version, and a digest of its rules."""
    undefined: str | None = None
    """Treatment of undefined parts of an average: ``left-out``, or a value such as ``0``."""
    language: str | None = None
    """Language of the reports, unless it is English."""
    split: str | None = None
    references: str | None = None
    """Identifies the data: a digest of the sorted ids and the reference texts."""
    count: Annotated[int, Field(ge=0)]
    checkpoint: str | None = None
    corpus: str | None = None
    """Digest of the reports that a metric took its corpus statistics from, unless these are the
    references."""

    def __str__(self) -> str:
        fields = self.model_dump(exclude={"metric"}, exclude_none=True)
        return "|".join([self.metric, *(f"{name}:{value}" for name, value in fields.items())])

    def differences(self, other: "Signature") -> tuple[str, ...]:
        """Return the differing fields as ``name: ours ≠ theirs``."""
        return tuple(
            f"{name}: {ours} ≠ {theirs}"
            for name in type(self).model_fields
            if (ours := getattr(self, name)) != (theirs := getattr(other, name))
        )


class Score(Word):
    """A metric's value on a set of reports, with its signature."""

    value: Value
    signature: Signature
    undefined: Annotated[int, Field(ge=0)] = 0
    """Number of undefined parts in the average; at least 1 if ``value`` is NaN."""
    interval: tuple[Value, Value] | None = None
    """Confidence interval (lower, upper), if requested."""
    interval_method: str | None = None
    """How the interval was computed: level, method, samples, seed."""
    parts: dict[str, Value] = Field(default_factory=dict)
    """Named values behind ``value``, e.g. F1 per observation."""
    reports: tuple[Value, ...] = ()
    """Value of each single report, in the order given, if requested."""

    @model_validator(mode="after")
    def _undefined_is_counted(self) -> "Score":
        if math.isnan(self.value) and self.undefined == 0:
            raise ValueError("an undefined value (NaN) must count at least 1 undefined, got 0")
        return self

    def difference(self, other: "Score") -> float:
        """Return this value minus ``other``'s, for two systems scored by the same protocol.

        Raises:
            MetricError: the signatures differ; each difference is named.
        """
        if found := self.signature.differences(other.signature):
            raise MetricError(
                f"scores of different protocols do not compare ({'; '.join(found)}): "
                f"score both systems in the same way"
            )
        return self.value - other.value
