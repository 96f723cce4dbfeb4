"""Change since the earlier film: decided from the sizes measured on both, by the limits below.

Two findings on different films are the same if observation, side and place are the same (for a
device: kind and side). A pneumonia changes with its opacity; an uncertain finding has no change; an
enlarged heart counts as new or resolved only if its ratio has changed by more than the limit.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from plainfilm.core import Change, Finding, Observation, Side, Status, View
from plainfilm.phantom.reporting.truth import HEART_LIMIT


@dataclass(frozen=True)
class Limit:
    """Minimum difference of a measure for its finding to count as changed."""

    measure: str
    """Name of the measure, without side."""
    least: float
    """Absolute minimum, in the measure's unit."""
    share: float = 0.0
    """Minimum relative to the earlier size; the larger of the two applies."""

    def change(self, now: float, before: float) -> Change:
        """Return worse, improved or stable."""
        step = max(self.least, self.share * before)
        if now - before > step:
            return Change.WORSE
        return Change.IMPROVED if before - now > step else Change.STABLE


LIMITS: Mapping[Observation, Limit] = {
    Observation.CARDIOMEGALY: Limit("cardiothoracic_ratio", 0.03),
    Observation.ENLARGED_CARDIOMEDIASTINUM: Limit("mediastinal_width_mm", 5),
    Observation.PLEURAL_EFFUSION: Limit("effusion_ml", 25, 0.30),
    Observation.PNEUMOTHORAX: Limit("pneumothorax_rim_mm", 3, 0.20),
    Observation.EDEMA: Limit("edema_water_ml", 40, 0.20),
    Observation.CONSOLIDATION: Limit("consolidation_area_cm2", 4, 0.20),
    Observation.LUNG_OPACITY: Limit("opacity_area_cm2", 4, 0.20),
    Observation.LUNG_LESION: Limit("lesion_diameter_mm", 2),  # Fleischner Society, 2017: growth
    Observation.ATELECTASIS: Limit("atelectasis_area_cm2", 3, 0.20),
    Observation.PLEURAL_OTHER: Limit("pleural_thickness_mm", 3, 0.20),
}
"""Limits by observation, set by eye except the lesion's (MacMahon et al., Radiology 2017,
284:228)."""

BY_DETAIL = {Observation.SUPPORT_DEVICES, Observation.FRACTURE, Observation.OTHER}
"""Observations whose findings are also distinguished by detail."""
OPACITIES = (Observation.CONSOLIDATION, Observation.LUNG_OPACITY)


@dataclass(frozen=True)
class Seen:
    """The truth and measures of one frontal film."""

    truth: tuple[Finding, ...]
    measures: Mapping[str, float]
    view: View

    def size(self, finding: Finding) -> float | None:
        """Return the measured size of a one-sided finding, if it has one."""
        limit = LIMITS.get(finding.observation)
        if limit is None:
            return None
        size = self.measures.get("_".join(filter(None, (finding.side, limit.measure))))
        if size is not None and finding.observation is Observation.CARDIOMEGALY:
            size -= HEART_LIMIT[self.view]  # an AP film magnifies the heart
        return size

    def match(self, finding: Finding) -> Finding | None:
        """Return this film's present or uncertain finding that is the same as ``finding``."""
        alike = (other for other in parts_of(self.truth) if key_of(other) == key_of(finding))
        return next(alike, None)


def compare(now: Seen, before: Seen) -> tuple[Finding, ...]:
    """Return the findings of ``now`` with their changes, then those of ``before`` that resolved.

    A bilateral finding whose sides changed differently is split in two.
    """
    changed = [part for finding in now.truth for part in with_change(finding, now, before)]
    return (*changed, *_gone(now, before))


def _gone(now: Seen, before: Seen) -> list[Finding]:
    """Return the findings of ``before`` that are gone, as absent and resolved."""
    gone = {
        key_of(part): Finding(
            observation=part.observation,
            detail=part.detail,
            status=Status.ABSENT,
            side=part.side,
            location=None if part.observation is Observation.SUPPORT_DEVICES else part.location,
            change=Change.RESOLVED,
        )
        for part in parts_of(before.truth)
        if part.status is Status.PRESENT and now.match(part) is None and _left(part, now, before)
    }
    return list(gone.values())


def with_change(
    finding: Finding, now: Seen, before: Seen, told: Collection[Change] = tuple(Change)
) -> list[Finding]:
    """Return ``finding`` with its change since ``before``, if that is among the ``told`` ones."""
    changes = [_change(part, now, before) for part in parts_of([finding])]
    changes = [change if change in told else None for change in changes]
    if len(set(changes)) == 1:
        return [finding.model_copy(update={"change": changes[0]})]
    parts = zip(parts_of([finding]), changes, strict=True)
    return [part.model_copy(update={"change": change}) for part, change in parts]


def report_change(
    said: Sequence[Finding],
    now: Seen,
    before: Seen,
    said_before: Iterable[Finding],
    told: Collection[Change],
) -> tuple[Finding, ...]:
    """Return the statements of a report that compares with an earlier film.

    Args:
        said: the statements without comparison.
        now: truth and measures of this film.
        before: truth and measures of the earlier film.
        said_before: findings reported earlier; only these can be called resolved.
        told: the changes that the institution mentions.
    """
    drawn = {finding.statement for finding in now.truth}
    found = [
        part
        for finding in said
        for part in (
            with_change(finding, now, before, told) if finding.statement in drawn else [finding]
        )
    ]
    known = {key_of(part) for part in parts_of(said_before) if part.status is not Status.ABSENT}
    resolves = Change.RESOLVED in told
    gone = [finding for finding in _gone(now, before) if resolves and key_of(finding) in known]
    whole = {finding.observation for finding in gone if not (finding.side or finding.location)}
    found = [f for f in found if not (f.status is Status.ABSENT and f.observation in whole)]
    return (*found, *gone)


def _change(part: Finding, now: Seen, before: Seen) -> Change | None:
    if part.status is not Status.PRESENT:
        return None
    if part.observation is Observation.PNEUMONIA:
        for opacity in parts_of(now.truth):
            place = (opacity.side, opacity.location) == (part.side, part.location)
            if opacity.observation in OPACITIES and place:
                return _change(opacity, now, before)
    same = before.match(part)
    sizes = now.size(part), before.size(part)
    if part.observation is Observation.SUPPORT_DEVICES and same is not None:
        return Change.STABLE if same.location == part.location else None
    if sizes[0] is None or sizes[1] is None:
        return Change.STABLE if same is not None else Change.NEW
    change = LIMITS[part.observation].change(sizes[0], sizes[1])
    if same is not None:
        return change
    return Change.NEW if change is Change.WORSE else None


def _left(part: Finding, now: Seen, before: Seen) -> bool:
    """Return whether a finding that no longer counts as present has measurably resolved."""
    sizes = now.size(part), before.size(part)
    if sizes[0] is None or sizes[1] is None:
        return True
    return LIMITS[part.observation].change(sizes[0], sizes[1]) is Change.IMPROVED


def parts_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with bilateral ones split into left and right."""
    return [
        finding if side is finding.side else finding.model_copy(update={"side": side})
        for finding in findings
        for side in ((Side.LEFT, Side.RIGHT) if finding.side is Side.BILATERAL else (finding.side,))
    ]


def key_of(finding: Finding) -> tuple[str | None, ...]:
    """Return the key that findings on two films share if they are the same."""
    if finding.observation in BY_DETAIL:
        return finding.observation, finding.detail, finding.side
    return finding.observation, finding.side, finding.location
