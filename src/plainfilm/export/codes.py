"""What is said of a film, in the codes of SNOMED CT, RadLex and DICOM.

A finding's code is the reader's (:func:`plainfilm.text.vocabulary`); sides, places, statuses and
the rest have theirs here. What no vocabulary is known to name gets a code of plainfilm's own, in
the private scheme ``99PLAINFILM``: readable by people, and never mistaken for another's.
"""

import re
from dataclasses import dataclass
from functools import cache

from plainfilm.core import Change, Finding, Observation, Severity, Side, Status
from plainfilm.text import vocabulary

PRIVATE = "99PLAINFILM"
_SCHEMES = {"SCT": "SCT", "RID": "RADLEX"}
_MEANINGS = {
    Observation.LUNG_OPACITY: "Opacity of lung",
    Observation.EDEMA: "Pulmonary edema",
    Observation.CONSOLIDATION: "Consolidation of lung",
    Observation.NO_FINDING: "No abnormality found",
}


@dataclass(frozen=True)
class Code:
    """A concept of a vocabulary."""

    value: str
    scheme: str
    """A coding scheme designator of DICOM (PS3.16 chapter 8)."""
    meaning: str


def _snomed(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


STATUSES = {
    Status.PRESENT: _snomed("52101004", "Present"),
    Status.ABSENT: _snomed("2667000", "Absent"),
    Status.UNCERTAIN: _snomed("64957009", "Uncertain"),
}
SIDES = {
    Side.LEFT: _snomed("7771000", "Left"),
    Side.RIGHT: _snomed("24028007", "Right"),
    Side.BILATERAL: _snomed("51440002", "Bilateral"),
}
SEVERITIES = {
    Severity.TRACE: _snomed("260405006", "Trace"),
    Severity.SMALL: _snomed("255507004", "Small"),
    Severity.MILD: _snomed("255604002", "Mild"),
    Severity.MODERATE: _snomed("6736007", "Moderate"),
    Severity.LARGE: _snomed("255509001", "Large"),
    Severity.SEVERE: _snomed("24484000", "Severe"),
}
CHANGES = {
    Change.NEW: _snomed("7147002", "New"),
    Change.WORSE: _snomed("230993007", "Worsening"),
    Change.IMPROVED: _snomed("385425000", "Improved"),
    Change.STABLE: _snomed("58158008", "Stable"),
    Change.RESOLVED: _snomed("723506003", "Resolved"),
}
STATUS = _snomed("263490005", "Status")
SITE = _snomed("363698007", "Finding Site")
SIDE = _snomed("272741003", "Laterality")
SEVERITY = _snomed("246112005", "Severity")
CHANGE = _snomed("263502005", "Clinical course")
CHEST = _snomed("51185008", "Chest")
_PLACES = {
    "apex": _snomed("86598002", "Apex of Lung"),
    "upper lobe": _snomed("45653009", "Upper lobe of lung"),
    "middle lobe": _snomed("72481006", "Middle lobe of right lung"),
    "lower lobe": _snomed("90572001", "Lower lobe of lung"),
    "upper lung": _snomed("281392002", "Upper zone of lung"),
    "mid lung": _snomed("281393007", "Middle zone of lung"),
    "lower lung": _snomed("281394001", "Lower zone of lung"),
    "hilum": _snomed("46750007", "Hilum of lung"),
    "fissure": _snomed("278983006", "Fissure of lung"),
    "rib": _snomed("113197003", "Rib"),
    "spine": _snomed("421060004", "Spine"),
}
_STRUCTURES = {
    "lungs": _snomed("39607008", "Lung"),
    "lung": _snomed("39607008", "Lung"),
    "right lung": _snomed("3341006", "Right lung"),
    "left lung": _snomed("44029006", "Left lung"),
    "upper lung zones": _snomed("281392002", "Upper zone of lung"),
    "lower lung zones": _snomed("281394001", "Lower zone of lung"),
    "heart": _snomed("80891009", "Heart"),
    "aorta": _snomed("15825003", "Aorta"),
    "mediastinum": _snomed("72410000", "Mediastinum"),
    "diaphragm": _snomed("5798000", "Diaphragm"),
    "spine": _snomed("421060004", "Spine"),
    "clavicles": _snomed("51299004", "Clavicle"),
    "scapulae": _snomed("79601000", "Scapula"),
    "airways": _snomed("89187006", "Airway structure"),
    "breasts": _snomed("76752008", "Breast"),
    "Effusion": _snomed("60046008", "Pleural effusion"),
    "Pneumothorax": _snomed("36118008", "Pneumothorax"),
    "Atelectasis": _snomed("46621007", "Atelectasis"),
    "Consolidation": _snomed("95436008", "Consolidation of lung"),
    "Fracture": _snomed("125605004", "Fracture"),
    "Emphysema": _snomed("87433001", "Emphysema"),
}


def private(meaning: str) -> Code:
    """Return plainfilm's own code of a meaning: its words, joined by hyphens."""
    return Code(re.sub(r"[^a-z0-9]+", "-", meaning.lower()).strip("-")[:64], PRIVATE, meaning[:64])


def code_of(finding: Finding) -> Code:
    """Return the code of what a finding is about: of its finer term, else of its observation."""
    known = _terms()
    if finding.detail is not None:
        code = known.get((finding.observation, finding.detail))
        name = finding.detail[0].upper() + finding.detail[1:]
        return Code(*code, name) if code else private(name)
    return observation_code(finding.observation)


def observation_code(observation: Observation) -> Code:
    """Return the code of one of the 14 observations."""
    code = _terms().get((observation, None))
    meaning = _MEANINGS.get(observation, str(observation))
    return Code(*code, meaning) if code else private(meaning)


def place_code(finding: Finding) -> Code | None:
    """Return the code of a finding's place without its side; None where it has none."""
    if finding.location is None:
        return None
    return _PLACES.get(finding.location) or private(finding.location)


def structure_code(name: str) -> Code:
    """Return the code of what a segmentation map shows, by the name of its class."""
    return _STRUCTURES.get(name) or private(name.removeprefix("plainfilm: "))


@cache
def _terms() -> dict[tuple[Observation, str | None], tuple[str, str]]:
    """Return (value, scheme) of each term of the reader that has a code."""
    found = {}
    for term in vocabulary():
        if term.code:
            scheme, _, value = term.code.partition(":")
            found[term.observation, term.detail] = value, _SCHEMES[scheme]
    return found
