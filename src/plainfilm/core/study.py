"""Study: the films of one examination and everything known around them."""

from __future__ import annotations

from pydantic import Field

from plainfilm.core.image import Image
from plainfilm.core.report import Report
from plainfilm.core.word import Word


class Study(Word):
    """One examination.

    ``table`` maps the name of a clinical value (unit in the name) to the value; a value that was
    not measured is None, never a guess.
    """

    id: str = ""
    images: tuple[Image, ...] = Field(min_length=1)
    indication: str | None = None
    comparison: str | None = None
    technique: str | None = None
    style: str | None = None
    """How the institution reports, in words for a prompt, where that is known."""
    table: dict[str, float | str | None] = Field(default_factory=dict)
    prior: Study | None = None
    report: Report | None = None

    @property
    def frontal(self) -> int | None:
        """Index of the first frontal image; an image of unknown view counts when no other does."""
        known = [i for i, image in enumerate(self.images) if image.view.frontal]
        unknown = [i for i, image in enumerate(self.images) if image.view == "unknown"]
        return next(iter(known + unknown), None)
