"""Bounding boxes on films, as published by the sources."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from plainfilm.core import DatasetError


@dataclass(frozen=True, kw_only=True)
class Box:
    """A bounding box on one film of a study.

    Edges are fractions of the film's width (``left``, ``right``) and height (``top``, ``bottom``),
    so that they are independent of the size at which the film is stored.

    Raises:
        DatasetError: an edge lies outside [0, 1], or the box has no area.
    """

    name: str
    """Name of the box's content, as in the source."""
    image: int = 0
    """Index into the row's ``images``."""
    left: float
    top: float
    right: float
    bottom: float
    phrase: str | None = None
    """The phrase of the report that the box belongs to."""
    reader: str | None = None
    """The annotator, if the source names one."""

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            edges = f"{self.left:.4g} to {self.right:.4g}, {self.top:.4g} to {self.bottom:.4g}"
            raise DatasetError(
                f"box {self.name!r}: edges must be fractions of the film with left < right and "
                f"top < bottom, got {edges}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, without unknown ones."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Box":
        """Return the box from the output of :meth:`to_dict`."""
        try:
            return cls(**values)
        except TypeError as error:
            raise DatasetError(f"a box has fields that are missing or unknown: {error}") from error


def box_of(
    name: str, edges: tuple[float, float, float, float], size: tuple[float, float], **more: Any
) -> Box | None:
    """Return the box with ``edges`` (left, top, right, bottom) on a film of ``size``.

    The size is (width, height), and the edges have the same unit. The box is clipped to the film;
    None if nothing is left.
    """
    width, height = size
    if not all(map(math.isfinite, (*edges, width, height))) or min(width, height) <= 0:
        return None
    left, right = (min(max(edge / width, 0.0), 1.0) for edge in (edges[0], edges[2]))
    top, bottom = (min(max(edge / height, 0.0), 1.0) for edge in (edges[1], edges[3]))
    if left >= right or top >= bottom:
        return None
    return Box(name=name, left=left, top=top, right=right, bottom=bottom, **more)
