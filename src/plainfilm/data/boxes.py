"""Boxes on films, as the sources that publish them say where something lies."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from plainfilm.core import DatasetError


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box on one film of a study.

    Edges are fractions of the film's width (``left``, ``right``) and height (``top``, ``bottom``),
    so that they hold at any size that the film is prepared at.

    Raises:
        DatasetError: an edge lies outside [0, 1], or the box has no area.
    """

    name: str
    """What is in it, in the source's word."""
    image: int = 0
    """Index into the row's ``images``."""
    left: float
    top: float
    right: float
    bottom: float
    phrase: str | None = None
    """The words of the report that it belongs to."""
    reader: str | None = None
    """Who drew it, where the source says so."""

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            edges = f"{self.left:.4g} to {self.right:.4g}, {self.top:.4g} to {self.bottom:.4g}"
            raise DatasetError(
                f"box {self.name!r}: edges must be fractions of the film with left < right and "
                f"top < bottom, got {edges}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; what isn't known is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Box":
        """Return the box that :meth:`to_dict` described."""
        try:
            return cls(**values)
        except TypeError as error:
            raise DatasetError(f"a box has fields that are missing or unknown: {error}") from error


def box_of(
    name: str, edges: tuple[float, float, float, float], size: tuple[float, float], **more: Any
) -> Box | None:
    """Return the box with ``edges`` (left, top, right, bottom) on a film of ``size``.

    The size is (width, height), and edges are in its unit. What reaches over the film's border is
    cut there; None where nothing is left.
    """
    width, height = size
    if not all(map(math.isfinite, (*edges, width, height))) or min(width, height) <= 0:
        return None
    left, right = (min(max(edge / width, 0.0), 1.0) for edge in (edges[0], edges[2]))
    top, bottom = (min(max(edge / height, 0.0), 1.0) for edge in (edges[1], edges[3]))
    if left >= right or top >= bottom:
        return None
    return Box(name=name, left=left, top=top, right=right, bottom=bottom, **more)
