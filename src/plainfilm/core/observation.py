"""The 14 CheXpert observations and the attributes of a finding.

The order of observations, the five-class subset and the uncertainty policy are defined only here.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Observation(StrEnum):
    """The subject of a finding: one of CheXpert's 14 observations, or ``Other``."""

    ENLARGED_CARDIOMEDIASTINUM = "Enlarged Cardiomediastinum"
    CARDIOMEGALY = "Cardiomegaly"
    LUNG_OPACITY = "Lung Opacity"
    LUNG_LESION = "Lung Lesion"
    EDEMA = "Edema"
    CONSOLIDATION = "Consolidation"
    PNEUMONIA = "Pneumonia"
    ATELECTASIS = "Atelectasis"
    PNEUMOTHORAX = "Pneumothorax"
    PLEURAL_EFFUSION = "Pleural Effusion"
    PLEURAL_OTHER = "Pleural Other"
    FRACTURE = "Fracture"
    SUPPORT_DEVICES = "Support Devices"
    NO_FINDING = "No Finding"
    OTHER = "Other"


OBSERVATIONS: tuple[Observation, ...] = tuple(o for o in Observation if o is not Observation.OTHER)
"""The 14 observations in CheXbert's order, which every vector of labels uses."""

FIVE_OBSERVATIONS: tuple[Observation, ...] = (
    Observation.CARDIOMEGALY,
    Observation.EDEMA,
    Observation.CONSOLIDATION,
    Observation.ATELECTASIS,
    Observation.PLEURAL_EFFUSION,
)
"""The five-class subset of the CheXpert competition, used by the field's ``-5`` scores."""


class Status(StrEnum):
    """What a report says about an observation; an unmentioned one has no status."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"


class Side(StrEnum):
    """The patient's side, never the picture's."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


class Severity(StrEnum):
    """Extent of a finding: an amount (trace, small, large) or a grade (mild, moderate, severe)."""

    TRACE = "trace"
    SMALL = "small"
    MILD = "mild"
    MODERATE = "moderate"
    LARGE = "large"
    SEVERE = "severe"


class Change(StrEnum):
    """Change since the prior study."""

    NEW = "new"
    WORSE = "worse"
    IMPROVED = "improved"
    STABLE = "stable"
    RESOLVED = "resolved"


class UncertaintyPolicy(StrEnum):
    """How an uncertain mention counts when a metric or a classifier needs yes or no."""

    POSITIVE = "uncertain-positive"
    NEGATIVE = "uncertain-negative"


def binarize(
    labels: Mapping[Observation, Status],
    policy: UncertaintyPolicy,
    observations: Iterable[Observation] = OBSERVATIONS,
) -> tuple[bool, ...]:
    """Return whether each of ``observations`` counts as present in ``labels``.

    An observation missing from ``labels`` was not mentioned and counts as not present.
    """
    positive = {Status.PRESENT}
    if policy is UncertaintyPolicy.POSITIVE:
        positive.add(Status.UNCERTAIN)
    return tuple(labels.get(observation) in positive for observation in observations)
