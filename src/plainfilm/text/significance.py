"""The clinical weight of findings: what is critical, misplaced, or the same by another name.

Read from ``significance.yaml``, which a radiologist can read and mend.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from plainfilm.core import Finding, Observation, Severity, Status

MISPLACED = "misplaced device"
"""The name under which the file lists a device whose tip lies wrong."""

SLIGHT = frozenset({Severity.TRACE, Severity.SMALL, Severity.MILD})


_TO_CARINA = r"(?:above|over|from|superior to|proximal to|cephalad (?:to|of)|encima de|de)\b"
_ABOVE = re.compile(
    rf"\b{_TO_CARINA}(?:\W+(?:the|la|level|nivel|of|de)\b){{0,4}}\W+carina\b", re.IGNORECASE
)
_DISTANCE = re.compile(
    rf"(?<![\d.,])(\d+(?:[.,]\d+)?)[\s-]*(mm|cm|millimet\w*|milímet\w*|centimet\w*|"
    rf"centímet\w*)\b(?=[^.;]{{0,25}}?\b{_TO_CARINA}[^.;]{{0,20}}?\bcarina\b)"
    rf"|\bcarina\W+by\W+(?:\w+\W+)?(\d+(?:[.,]\d+)?)[\s-]*(mm|cm)\b",
    re.IGNORECASE,
)


def _distances_mm(sentence: str) -> Iterator[float]:
    """Yield how far above the carina a sentence puts a tip."""
    for match in _DISTANCE.finditer(sentence):
        number, unit = match[1] or match[3], match[2] or match[4]
        yield float(number.replace(",", ".")) * (10.0 if unit.lower().startswith("c") else 1.0)


@dataclass(frozen=True)
class Significance:
    """What ``significance.yaml`` says."""

    always: frozenset[str]
    unless_slight: frozenset[str]
    acute: frozenset[str]
    never: frozenset[str]
    old_fracture: re.Pattern[str]
    wrong_tips: Mapping[str, frozenset[str]]
    """Device → places where its tip lies wrong."""
    above_carina_mm: tuple[float, float]
    """Least and greatest distance of a tip that lies right above the carina."""
    misplaced_words: re.Pattern[str]
    own_names: Mapping[str, str]
    """Finer term that is another thing than the rest of its observation → its name."""
    general_names: Mapping[str, frozenset[str]]
    """General name of devices → the finer ones that it covers."""
    overlapping: Mapping[str, frozenset[str]]
    """Place → places that overlap it, itself among them."""

    def lists(self, name: str) -> bool:
        """Return whether a finding of this name can be critical."""
        return name in self.always or name in self.unless_slight

    def critical(self, name: str, findings: Collection[Finding]) -> bool:
        """Return whether any of ``findings``, which ``name`` is said of, is critical."""
        return any(self._critical(name, finding) for finding in findings)

    def _critical(self, name: str, finding: Finding) -> bool:
        if finding.status is not Status.PRESENT or finding.detail in self.never:
            return False
        if name in self.always:
            return True
        old = finding.observation is Observation.FRACTURE and self.old_fracture.search(
            finding.sentence or ""
        )
        return name in self.unless_slight and finding.severity not in SLIGHT and not old

    def misplaced(self, device: Finding) -> bool:
        """Return whether a device that is present is told to lie wrong."""
        if device.status is Status.ABSENT:
            return False
        sentence = device.sentence or ""
        if self.misplaced_words.search(sentence):
            return True
        if device.location not in self.wrong_tips.get(device.detail or "", frozenset()):
            return False
        if device.location != "carina" or not _ABOVE.search(sentence):
            return True
        least, most = self.above_carina_mm
        return any(not least <= distance <= most for distance in _distances_mm(sentence))

    def same_device(self, one: str | None, other: str | None) -> bool:
        """Return whether two names of devices may mean the same one; None is any device."""
        if one == other or one is None or other is None:
            return True
        covered = self.general_names
        return other in covered.get(one, ()) or one in covered.get(other, ())

    def overlap(self, one: str, other: str) -> bool:
        """Return whether two places overlap."""
        return one == other or other in self.overlapping.get(one, ())


@cache
def load_significance() -> Significance:
    """Return what the file says."""
    source = files("plainfilm.text").joinpath("significance.yaml").read_text(encoding="utf-8")
    told = yaml.load(source, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    critical, device = told["critical"], told["misplaced device"]
    overlapping: dict[str, set[str]] = {}
    for group in told["overlapping places"]:
        for place in group:
            overlapping.setdefault(place, set()).update(group)
    return Significance(
        always=frozenset(critical["at any size"]),
        unless_slight=frozenset(critical["unless slight"]),
        acute=frozenset(critical["acute"]),
        never=frozenset(critical["never"]),
        old_fracture=_words(critical["old fracture"]),
        wrong_tips={name: frozenset(places) for name, places in device["tips"].items()},
        above_carina_mm=tuple(device["above the carina"]),
        misplaced_words=_words(device["words"]),
        own_names={
            detail: name for name, details in told["of its own"].items() for detail in details
        },
        general_names={n: frozenset(covered) for n, covered in told["general name of"].items()},
        overlapping={place: frozenset(others) for place, others in overlapping.items()},
    )


def _words(patterns: Collection[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)
