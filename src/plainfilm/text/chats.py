"""Paraphrased requests for a report, and chats about a film generated from its findings.

The ASaRG paper turns each report into one question and answer, with one of 33 paraphrases as the
question, and adds chats of several turns that a language model wrote from reports. Here, rules
generate the chats from the findings that the reader extracts, so that no answer goes beyond the
report. Questions ask for presence, side, severity, change, comparison with the prior film, the
findings at a place, and what is normal. All wordings are plainfilm's own, and English.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from plainfilm.core import Change, Finding, Observation, Side, Status

REQUESTS = (
    "Write the report.",
    "Write the report of this chest film.",
    "Please report this chest film.",
    "Report this chest X-ray.",
    "Describe the findings on this chest film.",
    "What does this chest film show?",
    "What are the findings here?",
    "What do you see on this radiograph?",
    "Please describe what this chest radiograph shows.",
    "Draft the report for this film.",
    "Draft a radiology report for this examination.",
    "Give me the findings of this chest X-ray.",
    "Tell me what is on this film.",
    "Read this chest film, please.",
    "Could you read this radiograph for me?",
    "How would you report this film?",
    "Dictate the report.",
    "Dictate the findings of this chest radiograph.",
    "Summarise what is to be seen on this chest film.",
    "Look at this film and write down what you find.",
    "Go through this chest film and report it.",
    "Which findings does this radiograph have?",
    "Is there anything abnormal on this film? Write a full report.",
    "A report of this chest examination, please.",
    "I need a report for this film.",
    "Prepare the findings section for this radiograph.",
    "Assess this chest film.",
    "Interpret this chest radiograph.",
    "Please interpret the film and write the report.",
    "Put the findings on this chest X-ray into words.",
    "What would a radiologist write about this film?",
    "Comment on heart, lungs, pleura and bones on this film.",
    "State all findings, the normal ones too.",
    "List what this film shows and what it does not.",
    "Write up this chest examination.",
    "Complete the report of this radiograph.",
)
"""Ways to ask for a report; the first is the default."""


class Turn(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


_NAMES = {
    Observation.ENLARGED_CARDIOMEDIASTINUM: "widening of the mediastinum",
    Observation.CARDIOMEGALY: "enlargement of the heart",
    Observation.LUNG_OPACITY: "opacity in the lungs",
    Observation.LUNG_LESION: "nodule or mass",
    Observation.EDEMA: "pulmonary edema",
    Observation.CONSOLIDATION: "consolidation",
    Observation.PNEUMONIA: "pneumonia",
    Observation.ATELECTASIS: "atelectasis",
    Observation.PNEUMOTHORAX: "pneumothorax",
    Observation.PLEURAL_EFFUSION: "pleural effusion",
    Observation.PLEURAL_OTHER: "pleural thickening",
    Observation.FRACTURE: "fracture",
    Observation.SUPPORT_DEVICES: "line, tube or device",
}
_PRESENCE = ("Is there any {name}?", "Do you see any {name}?", "Any {name}?",
             "Does the film show any {name}?")  # fmt: skip
_SIDE = ("On which side is the {name}?", "Which side is the {name} on?",
         "Is the {name} on the left or on the right?")  # fmt: skip
_SEVERITY = ("How much {name} is there?", "How severe is the {name}?",
             "How would you grade the {name}?")  # fmt: skip
_CHANGE = ("Has the {name} changed?", "How has the {name} changed since the earlier film?",
           "Is the {name} new?")  # fmt: skip
_COMPARISON = ("How does this film compare with the earlier one?",
               "What has changed since the earlier film?")  # fmt: skip
_PLACE = ("What do you see at the {place}?", "What is there at the {place}?")
_NORMAL = ("What is normal on this film?", "What can be excluded?")
_ABNORMAL = ("What is abnormal on this film?", "What are the abnormal findings?")
_CHANGES = {
    Change.NEW: "new", Change.WORSE: "worse than before", Change.IMPROVED: "better than before",
    Change.STABLE: "unchanged", Change.RESOLVED: "gone",
}  # fmt: skip


def write_chat(findings: Sequence[Finding], rng: random.Random, turns: int = 5) -> list[Turn]:
    """Return a chat about a film, with as many turns as its findings can answer.

    Args:
        findings: the findings of the film's report.
        rng: chooses questions and wordings.
        turns: largest number of turns.
    """
    named = [one for one in findings if one.observation in _NAMES]
    seen = [one for one in named if one.status is not Status.ABSENT]
    denied = [one for one in named if one.status is Status.ABSENT and one.change is None]
    found: list[Turn] = []
    for one in _distinct(named):
        found.append(_turn(rng, _PRESENCE, _presence(one, seen), name=_name(one)))
    for one in _distinct(seen):
        same = [other for other in seen if _name(other) == _name(one)]
        sides = _sides(same)
        if sides is not None:
            found.append(_turn(rng, _SIDE, sides, name=_name(one)))
        grades = list(dict.fromkeys(str(o.severity) for o in same if o.severity is not None))
        if grades:
            found.append(_turn(rng, _SEVERITY, f"It is {' to '.join(grades)}.", name=_name(one)))
        if one.change in _CHANGES:
            answer = f"It is {_CHANGES[one.change]}."
            found.append(_turn(rng, _CHANGE, answer, name=_name(one)))
    changed = [one for one in seen if one.change in _CHANGES]
    if changed:
        said = [f"the {phrase(one)} is {_CHANGES[one.change]}" for one in changed if one.change]
        found.append(_turn(rng, _COMPARISON, _sentence(", ".join(dict.fromkeys(said)))))
    for place in dict.fromkeys(_place(one) for one in seen if _place(one)):
        here = [phrase(one, place=False) for one in seen if _place(one) == place]
        found.append(_turn(rng, _PLACE, _sentence(_listed(here)), place=place or ""))
    if denied:
        names = _listed([_name(one) for one in denied], last="or")
        found.append(_turn(rng, _NORMAL, f"There is no {names}."))
    if seen:
        listed = _listed([phrase(one) for one in seen])
        found.append(_turn(rng, _ABNORMAL, _sentence(listed)))
    once = list({turn.question: turn for turn in found}.values())
    rng.shuffle(once)
    return once[:turns]


def phrase(finding: Finding, *, place: bool = True) -> str:
    """Return a finding as a noun phrase: ``possible small left pleural effusion``."""
    words = (
        "possible" if finding.status is Status.UNCERTAIN else None,
        finding.severity,
        finding.side if place else None,
        finding.location if place and finding.location else None,
        finding.detail or _name(finding),
    )
    return " ".join(str(word) for word in words if word)


def _turn(rng: random.Random, wordings: Sequence[str], answer: str, **fields: str) -> Turn:
    return Turn(rng.choice(wordings).format(**fields), answer)


def _distinct(findings: Sequence[Finding]) -> list[Finding]:
    return list({_name(one): one for one in reversed(findings)}.values())[::-1]


def _name(finding: Finding) -> str:
    return _NAMES[finding.observation]


def _presence(finding: Finding, seen: Sequence[Finding]) -> str:
    same = [one for one in seen if _name(one) == _name(finding)]
    if not same:
        return f"No, there is no {_name(finding)}."
    sure = any(one.status is Status.PRESENT for one in same)
    listed = _listed([phrase(one) for one in same])
    return f"Yes, {listed}." if sure else f"It is possible: {listed.replace('possible ', '')}."


def _sides(same: Sequence[Finding]) -> str | None:
    sides = {one.side for one in same if one.side is not None}
    if not sides:
        return None
    both = Side.BILATERAL in sides or len(sides) > 1
    return "It is on both sides." if both else f"It is on the {next(iter(sides))}."


def _place(finding: Finding) -> str | None:
    if finding.location is None:
        return None
    side = finding.side if finding.side in (Side.LEFT, Side.RIGHT) else None
    return f"{side} {finding.location}" if side else finding.location


def _listed(parts: Sequence[str], last: str = "and") -> str:
    once = list(dict.fromkeys(parts))
    if len(once) < 2:
        return once[0] if once else ""
    return f"{', '.join(once[:-1])} {last} {once[-1]}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
