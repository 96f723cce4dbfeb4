"""Base class of the shared types: immutable, typed, validated, to and from JSON."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from plainfilm.core.errors import InputError


class Word(BaseModel):
    """An immutable value with validated fields.

    An invalid field raises :class:`pydantic.ValidationError` (a ``ValueError``) in the constructor,
    and a one-line :class:`InputError` in :meth:`from_json` and :meth:`from_dict`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values (enums as strings, tuples as lists)."""
        return self.model_dump(mode="json")

    def to_json(self, indent: int | None = None) -> str:
        """Return the value as JSON text."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the value from the output of :meth:`to_dict`.

        Raises:
            InputError: a field is missing, unknown or of the wrong type; all are listed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(f"not a {cls.__name__}: {describe(error)}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the value from the output of :meth:`to_json`.

        Raises:
            InputError: the text is not JSON, or a field is missing, unknown or of the wrong type.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"not a {cls.__name__}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """Return all problems of a pydantic error in one line: ``field: problem (got value)``."""
    problems = []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        given = problem.get("input")
        nothing = isinstance(given, dict | list) or problem["type"].startswith("missing")
        shown = "" if nothing else f" (got {str(given)[:60]!r})"
        problems.append(f"{place}: {problem['msg']}{shown}" if place else problem["msg"])
    return "; ".join(problems)
