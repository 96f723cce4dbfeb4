"""Where a report contradicts itself: a finding stated in one sentence and denied in another.

Radiologists write much that only looks like it: "no large effusion" beside a small one, "lungs
otherwise clear" beside an opacity, "no nodules" beside a granuloma. So a denial with a word that
limits it is passed over, and so is what it does not reach: another side, another place.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from plainfilm.core import Change, Finding, Observation, Status
from plainfilm.text.reader import explain
from plainfilm.text.significance import SLIGHT, load_significance
from plainfilm.text.statements import RANK, Said, Statement, name_of, sides

_LIMITING = re.compile(
    r"\b(?:acute|additional|definite|focal|gross|grossly|large|new|obvious|other|otherwise|else|"
    r"elsewhere|remaining|remainder|rest|except|apart|aside|overt|significant|sizable|suspicious|"
    r"agud[oa]s?|nuev[oa]s?|grandes?|rest[oa]|otr[oa]s?)\b",
    re.IGNORECASE,
)
"""Words that limit what a sentence denies."""

_FURTHER_LIMITING = re.compile(
    r"\b(?:active|airspace|air space|borderline|cavitary|infiltrates?|laryngeal|limits?|relatively|"
    r"top|xxxx)\b",
    re.IGNORECASE,
)
"""Words that limit a denial of one term, where another term is stated: "no infiltrate" beside an
opacity, a heart "near the upper limit" beside a mild cardiomegaly."""

_RESERVE = re.compile(r"\b(?:otherwise|other|else|new|additional|except)\b", re.IGNORECASE)

_OPAQUE = (
    Observation.LUNG_OPACITY, Observation.CONSOLIDATION, Observation.PNEUMONIA, Observation.EDEMA,
)  # fmt: skip
"""What "the lungs are clear" denies."""
_GRADES_APART = 2
_ANOTHER_TIME = re.compile(
    r"\b(?:although|but|change\w*|compar\w+|earlier|either|exclude\w*|formerly|if|interval|likely|"
    r"longer|now|or|other\w*|possib\w+|previous\w*|prior|rather|represent\w*|resolv\w+|since|"
    r"suggest\w*|than|then|though|unless|versus|vs|whether|which|while|yet|xxxx|"
    r"aunque|antes|antigu\w+|cambi\w+|compar\w+|o|pero|previ\w+|que|ya)\b",
    re.IGNORECASE,
)
"""Words of a sentence that states and denies a finding and means both: of another time, "no
pneumothorax but a skin fold", "without evidence of active tuberculosis or"."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two findings of one report that can't both be so."""

    what: str
    findings: tuple[int, int]
    """Their places in the report's list."""
    significant: bool


def contradictions(said: Said, text: str = "", language: str = "en") -> Iterator[Contradiction]:
    """Yield the contradictions of a report, at most one for each name.

    Args:
        said: what the report says.
        text: the report, into which the findings' spans point.
        language: by whose rules it is read.
    """
    listed = load_significance().lists
    seen = set()
    findings = list(enumerate(said.findings))
    denials = [(i, f) for i, f in findings if _denies(f)]
    stated = [(i, f) for i, f in findings if f.status is Status.PRESENT]
    for j, statement in stated:
        name = name_of(statement)
        for i, denial in denials:
            if name not in seen and _contradicts(denial, statement, text):
                seen.add(name)
                yield Contradiction(f"{name} is denied and stated", (i, j), listed(name))
    for mention in said.mentions:
        graded = {
            RANK[severity]: index
            for index in mention.findings
            if (severity := said.findings[index].severity)
        }
        if (
            mention.name not in seen
            and listed(mention.name)
            and max(graded, default=0) - min(graded, default=0) >= _GRADES_APART
        ):
            low, high = graded[min(graded)], graded[max(graded)]
            words = " and ".join(str(said.findings[index].severity) for index in (low, high))
            yield Contradiction(f"{mention.name} is {words}", (low, high), True)

    for mention in said.mentions:
        if mention.name not in seen and _is_acute(mention) and _says_normal(text, language):
            index = mention.findings[0]
            yield Contradiction(f"{mention.name} beside a normal report", (index, index), True)


def _is_acute(mention: Statement) -> bool:
    """Return whether a mention can't stand in a report that calls itself normal."""
    old = mention.changes & {Change.STABLE, Change.IMPROVED}
    return mention.critical and not old and mention.name in load_significance().acute


def _says_normal(text: str, language: str) -> bool:
    """Return whether a report says "no acute abnormality" or the like, without reserve."""
    return any(
        found.finding.observation is Observation.NO_FINDING
        and not _RESERVE.search(found.finding.sentence or "")
        for found in explain(text, language=language)
    )


def _denies(finding: Finding) -> bool:
    return (
        finding.status is Status.ABSENT
        and finding.change is not Change.RESOLVED
        and not _LIMITING.search(finding.sentence or "")
    )


def _contradicts(denial: Finding, stated: Finding, text: str) -> bool:
    """Return whether ``denial`` reaches what ``stated`` says, and leaves no room for it."""
    here = bool(denial.sentence) and denial.sentence == stated.sentence
    if here and (_ANOTHER_TIME.search(stated.sentence or "") or name_of(denial) != name_of(stated)):
        return False
    if denial.side is not None and not set(sides(denial)) & set(sides(stated)):
        return False
    if denial.location not in (None, stated.location):
        # "sharp costophrenic angles" leave no room for an effusion, unless it is a small one
        angles = denial.observation is stated.observation is Observation.PLEURAL_EFFUSION
        return angles and stated.severity not in SLIGHT and stated.location is None
    if name_of(denial) == name_of(stated) and _term(denial, text) == _term(stated, text):
        return True
    if _FURTHER_LIMITING.search(denial.sentence or ""):
        return False
    if denial.observation is Observation.LUNG_OPACITY:
        fresh = stated.change is not Change.STABLE and stated.severity not in SLIGHT
        return stated.observation in _OPAQUE and fresh
    return name_of(denial) == name_of(stated) and denial.detail in (None, stated.detail)


def _term(finding: Finding, text: str) -> tuple[str, ...]:
    """Return the words that named a finding, in the singular."""
    return tuple(text[start:end].lower().removesuffix("s") for start, end in finding.spans[:1])
