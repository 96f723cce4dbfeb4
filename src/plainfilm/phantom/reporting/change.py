"""Change since the earlier film: decided from the sizes measured on both, by the limits below.

A finding is the same as an earlier one where observation, side and place are the same (a device:
kind and side). A pneumonia changes with the opacity that it is; what is uncertain has no change;
a heart counts as new or resolved only where its ratio has moved by more than the limit.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from plainfilm.core import Change, Finding, Observation, Side, Status, View
from plainfilm.phantom.reporting.truth import HEART_LIMIT


@dataclass(frozen=True)
class Limit:
    """By how much a measure must differ before its finding counts as changed."""

    measure: str
    """Without its side."""
    least: float
    """In the measure's own unit."""
    share: float = 0.0
    """Of the earlier size; the larger of the two counts."""

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
"""Set by eye but for the lesion's (MacMahon et al., Radiology 2017, 284:228)."""

BY_DETAIL = {Observation.SUPPORT_DEVICES, Observation.FRACTURE, Observation.OTHER}
"""Observations whose findings are told apart by their detail, too."""
OPACITIES = (Observation.CONSOLIDATION, Observation.LUNG_OPACITY)


@dataclass(frozen=True)
class Seen:
    """What one frontal film shows."""

    truth: tuple[Finding, ...]
    measures: Mapping[str, float]
    view: View

    def size(self, finding: Finding) -> float | None:
        """Return the measured size of a finding of one side, if it has one."""
        limit = LIMITS.get(finding.observation)
        if limit is None:
            return None
        size = self.measures.get("_".join(filter(None, (finding.side, limit.measure))))
        if size is not None and finding.observation is Observation.CARDIOMEGALY:
            size -= HEART_LIMIT[self.view]  # an AP film magnifies the heart
        return size

    def match(self, finding: Finding) -> Finding | None:
        """Return the present or uncertain finding that is the same as one of another film."""
        alike = (other for other in parts_of(self.truth) if key_of(other) == key_of(finding))
        return next(alike, None)


def compare(now: Seen, before: Seen) -> tuple[Finding, ...]:
    """Return the findings of ``now`` with their change, then those of ``before`` that are gone.

    A bilateral finding whose sides changed differently comes as two.
    """
    changed = [part for finding in now.truth for part in with_change(finding, now, before)]
    return (*changed, *_gone(now, before))


def _gone(now: Seen, before: Seen) -> list[Finding]:
    """Return what was there ``before``, as absent and resolved."""
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
    """Return ``finding`` with its change since ``before`` where that is among those ``told``."""
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
    """Return what a report says that compares with an earlier film.

    Args:
        said: what it says without comparing.
        now: what this film shows.
        before: what the earlier one showed.
        said_before: what was reported of it; only of this is it said that it is gone.
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
    """Return whether what no longer counts as present has measurably gone."""
    sizes = now.size(part), before.size(part)
    if sizes[0] is None or sizes[1] is None:
        return True
    return LIMITS[part.observation].change(sizes[0], sizes[1]) is Change.IMPROVED


def parts_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, each bilateral one as its left and its right."""
    return [
        finding if side is finding.side else finding.model_copy(update={"side": side})
        for finding in findings
        for side in ((Side.LEFT, Side.RIGHT) if finding.side is Side.BILATERAL else (finding.side,))
    ]


def key_of(finding: Finding) -> tuple[str | None, ...]:
    """Return what two films' findings share if they are the same one."""
    if finding.observation in BY_DETAIL:
        return finding.observation, finding.detail, finding.side
    return finding.observation, finding.side, finding.location
