"""Score and Signature: a number, and the protocol that made it."""

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
    """The protocol behind a number; two scores with different signatures are not compared."""

    metric: str
    version: str
    """Of the implementation, e.g. ``plainfilm-0.1.0``."""
    tokenizer: str | None = None
    case: str | None = None
    section: str | None = None
    """The target text: ``findings`` or ``findings+impression``."""
    labels: str | None = None
    """The set of labels and the uncertainty policy of a clinical metric."""
    labeler: str | None = None
    """Who read the labels or findings: a name, a version, and a digest of its rules."""
    undefined: str | None = None
    """What became of undefined parts of an average: ``left-out``, or a value such as ``0``."""
    language: str | None = None
    """Of the reports, where it is not English."""
    split: str | None = None
    references: str | None = None
    """What data: a digest over the sorted ids and the reference texts."""
    count: Annotated[int, Field(ge=0)]
    checkpoint: str | None = None
    corpus: str | None = None
    """A digest of the reports from which a metric took what it knows of a whole set, where these
    are not the references."""

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
    """How many of the parts averaged into ``value`` were undefined; at least 1 if it is NaN."""
    interval: tuple[Value, Value] | None = None
    """A confidence interval (lower, upper), where asked for."""
    interval_method: str | None = None
    """How the interval was made: level, method, samples, seed."""
    parts: dict[str, Value] = Field(default_factory=dict)
    """The values behind it by name, e.g. F1 per observation."""
    reports: tuple[Value, ...] = ()
    """The value of each report by itself, in the order given, where asked for."""

    @model_validator(mode="after")
    def _undefined_is_counted(self) -> "Score":
        if math.isnan(self.value) and self.undefined == 0:
            raise ValueError("an undefined value (NaN) must count at least 1 undefined, got 0")
        return self

    def difference(self, other: "Score") -> float:
        """Return this value less ``other``'s, of two systems scored by one protocol.

        Raises:
            MetricError: the signatures differ; each difference is named.
        """
        if found := self.signature.differences(other.signature):
            raise MetricError(
                f"scores of different protocols do not compare ({'; '.join(found)}): "
                f"score both systems in the same way"
            )
        return self.value - other.value
