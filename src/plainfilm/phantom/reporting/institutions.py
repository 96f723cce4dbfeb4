"""Who writes the report: institutions that differ in style, and in what they mention.

An institution's name is that of its style in :data:`plainfilm.text.writer.STYLES`. What lies below
its limits is in the picture and in the truth, but not in its reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from plainfilm.core import Change, InputError
from plainfilm.text.writer import STYLES, Style


@dataclass(frozen=True)
class Institution:
    """How one place reports."""

    name: str
    share: float
    """Of the studies, where none is chosen."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Name of a measure, without its side, to the smallest that is mentioned."""
    omits: Mapping[str, float] = field(default_factory=dict)
    """Finer term to how often it is left out, whatever its size."""
    absences: float = 1.0
    """How readily absences are stated, relative to
    :data:`plainfilm.phantom.reporting.truth.ABSENCES`."""
    indication: bool = True
    """Whether its reports carry an indication."""
    technique: bool = True
    """Whether they say how the film was taken."""
    compares: frozenset[Change] = frozenset(Change)
    """The changes since an earlier study that they mention; none for one that does not compare."""

    def style_in(self, language: str) -> Style:
        """Return how it writes in ``language``."""
        return STYLES[self.name].model_copy(update={"language": language})


NEVER: frozenset[Change] = frozenset()
CHANGED = frozenset(Change) - {Change.STABLE}
_ALL = (
    Institution("teaching", 0.30, absences=1.1),
    Institution("community", 0.25, technique=False, compares=CHANGED, limits={
        "effusion_ml": 40, "pneumothorax_rim_mm": 10, "lesion_diameter_mm": 8,
        "pleural_thickness_mm": 9, "cobb_angle_deg": 14,
    }, omits={"aortic calcification": 0.4, "healed fracture": 0.3, "flattened diaphragm": 0.5}),
    Institution("structured", 0.20, absences=1.2, limits={
        "effusion_ml": 25, "lesion_diameter_mm": 7, "aortic_calcification_mm": 20,
    }, omits={"flattened diaphragm": 0.3}),
    Institution("checklist", 0.15, absences=1.2, compares=NEVER, limits={
        "effusion_ml": 40, "lesion_diameter_mm": 7, "pleural_thickness_mm": 8.5,
        "cobb_angle_deg": 12,
    }, omits={"aortic calcification": 0.3}),
    Institution("emergency", 0.10, absences=0.8, indication=False, technique=False, compares=NEVER,
                limits={
        "effusion_ml": 60, "pneumothorax_rim_mm": 11, "lesion_diameter_mm": 10,
        "pleural_thickness_mm": 11, "cobb_angle_deg": 25, "hernia_diameter_mm": 50,
    }, omits={
        "aortic calcification": 0.85, "healed fracture": 0.6, "scoliosis": 0.5,
        "hiatal hernia": 0.3, "emphysema": 0.2, "flattened diaphragm": 0.9,
    }),
)  # fmt: skip
INSTITUTIONS: Mapping[str, Institution] = MappingProxyType({one.name: one for one in _ALL})
"""All institutions by name; shares, limits and habits are set by eye."""


def choose_institution(rng: np.random.Generator, name: str | None) -> Institution:
    """Return the institution ``name``, or one drawn by its share.

    Raises:
        InputError: there is no such institution.
    """
    drawn = float(rng.random())
    if name is None:
        edges = np.cumsum([one.share for one in _ALL])
        return _ALL[min(int(np.searchsorted(edges, drawn, side="right")), len(_ALL) - 1)]
    if name not in INSTITUTIONS:
        raise InputError(f"no institution {name!r}; choose one of {', '.join(INSTITUTIONS)}")
    return INSTITUTIONS[name]
