"""Study: the films of one examination and everything else known about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from plainfilm.core.image import Image, View
from plainfilm.core.report import Report
from plainfilm.core.word import Word

Floats = npt.NDArray[np.float32]


def _as_floats(value: Any) -> Floats:
    array = np.asarray(value, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ValueError("values must be finite")
    array = np.array(array)
    array.flags.writeable = False
    return array


Array = Annotated[
    Floats,
    BeforeValidator(_as_floats),
    PlainSerializer(lambda array: array.tolist(), when_used="json"),
]
"""A read-only float32 array."""


class Maps(Word):
    """Segmentation maps of one film, one for each class of structure or finding."""

    classes: tuple[str, ...]
    """Names of the classes; maps are identified by name, never by position."""
    values: Array
    """``(classes, rows, columns)``, the share of each cell covered by the class, in [0, 1]; the
    cells divide the letterboxed square of the film."""
    source: str
    """Origin of the maps: ``truth``, the name of a model, or of a file."""
    image: Annotated[int, Field(ge=0)] = 0
    """Index into ``Study.images`` of the film that the maps belong to."""
    study: str = ""
    """Id of the study whose film they are of, where it is known."""

    @model_validator(mode="after")
    def _a_map_for_each_class(self) -> Maps:
        shape = self.values.shape
        if len(shape) != 3 or shape[0] != len(self.classes):
            raise ValueError(
                f"{len(self.classes)} classes need maps of shape (classes, rows, columns), "
                f"got {shape}"
            )
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two maps are of the same class")
        if self.values.size and (self.values.min() < 0 or self.values.max() > 1):
            raise ValueError("maps must lie in [0, 1]")
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Maps):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]


class Study(Word):
    """One examination.

    ``table`` maps the name of a clinical value (unit in the name) to the value; a value that was
    not measured is None, never a guess.
    """

    id: str = ""
    images: tuple[Image, ...] = Field(min_length=1)
    unread: tuple[str, ...] = ()
    """Its other files, that could not be read as films, and why: ``name: reason``."""
    indication: str | None = None
    comparison: str | None = None
    technique: str | None = None
    style: str | None = None
    """The institution's reporting style, described in words for a prompt, if known."""
    table: dict[str, float | str | None] = Field(default_factory=dict)
    prior: Study | None = None
    report: Report | None = None
    maps: tuple[Maps, ...] = ()
    """Segmentation maps of the study's films."""
    features: dict[str, Array] = Field(default_factory=dict)
    """Name of a specialist model → its feature vector of the frontal film."""

    @property
    def frontal(self) -> int | None:
        """Index of the first frontal image; an image of unknown view counts when no other does."""
        return next(iter(self.films_to_read(1)), None)

    def films_to_read(self, count: int) -> list[int]:
        """Return indices of at most ``count`` images to read (see :func:`films_to_read`)."""
        return films_to_read([image.view for image in self.images], count)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Study):
            return NotImplemented
        if self.features.keys() != other.features.keys():
            return False
        same = all(np.array_equal(self.features[k], other.features[k]) for k in self.features)
        names = [name for name in type(self).model_fields if name != "features"]
        return same and all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]


def films_to_read(views: Sequence[View], count: int) -> list[int]:
    """Return the indices of the films that a model reads, at most ``count``, in reading order.

    First a frontal film (one of unknown view if there is none), then a lateral one, then the
    others in their order. Empty if no film is or may be frontal.
    """
    kinds = ([view.frontal for view in views], [view is View.UNKNOWN for view in views])
    first = next((kind.index(True) for kind in kinds if True in kind), None)
    if first is None:
        return []
    rest = [index for index in range(len(views)) if index != first]
    rest.sort(key=lambda index: views[index] is not View.LATERAL)
    return [first, *rest][:count]
