"""The edits of the perturbation test: small errors made in a copy of a report.

Each edit changes one thing that the report says, wherever it says it: a finding mentioned in the
findings and again in the impression is changed in both. Edits are text rules guided by the findings
that the reader read from the original; an edit that does not apply to a report returns None.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from plainfilm.core import Finding, Observation, Side, Status
from plainfilm.text.statements import name_of

Edit = Callable[[str, Sequence[Finding], random.Random], str | None]
"""Maps a report, its findings and a random generator to the edited report; None if the edit does
not apply."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_LIST_NUMBER = re.compile(r"\d{1,2}[.)]\s+")
_IS = re.compile(r"\b(?:is|are)\b", re.IGNORECASE)
_EXISTS = re.compile(r"there (?:is|are) (?:an? )?", re.IGNORECASE)
_NEGATION = re.compile(
    r"\b(?:there is no|there are no|no evidence of|without|no)\s+", re.IGNORECASE
)
_NOTHING_IN_PARTICULAR = re.compile(
    r"(?:(?:acute|active|significant|definite|new|focal|other|further|interval|evidence of|"
    r"radiographic|convincing|gross|suspicious|cardiopulmonary|cardiac|pulmonary|intrathoracic|"
    r"cardio-pulmonary|thoracic|pleural|or|and)[ ,]+)*(?:process\w*|disease|abnormalit\w+|"
    r"findings?|change\w*|pathology|evidence|\d|xxxx)\b",
    re.IGNORECASE,
)
"""Objects of denials that name no finding, as in "no acute cardiopulmonary process"."""
_SIDES = {"left": "right", "right": "left"}
_SEVERITIES = {
    "trace": "large", "tiny": "large", "small": "large", "large": "small",
    "mild": "severe", "minimal": "severe", "slight": "marked",
    "moderate": "minimal", "severe": "mild", "marked": "slight",
}  # fmt: skip
_LOBES = {
    "upper lobe": "lower lobe", "lower lobe": "upper lobe", "middle lobe": "upper lobe",
    "base": "apex", "bases": "apices", "basilar": "apical", "bibasilar": "biapical",
    "apex": "base", "apical": "basilar", "apices": "bases", "biapical": "bibasilar",
}  # fmt: skip
_TIPS = {
    "superior vena cava": "right ventricle", "svc": "right ventricle",
    "cavoatrial junction": "right ventricle", "right atrium": "right ventricle",
    "stomach": "esophagus", "above the carina": "in the right main bronchus",
}  # fmt: skip
_OTHER_SENSE = r"(?! (?:bowel|atri|ventric|heart|main|mainstem|upper quadrant|upper abdomen))"
"""Following words with which "small" is not a grade ("small bowel") and "left" not a side ("left
atrium")."""
_DENIED = re.compile(r"\b(?:no|not|without|free of|negative for)\b", re.IGNORECASE)
_SUBORDINATE = re.compile(
    r"(?:although|while|as|given|compared|since|if|when|again|otherwise|these|this|it)\b",
    re.IGNORECASE,
)
"""Beginnings of sentences that cannot be preceded by "no" or "possible"."""
_TIPPED = frozenset(
    ("endotracheal tube", "enteric tube", "PICC", "central line", "port", "dialysis catheter")
)
"""Devices whose tip can be misplaced; pacemaker leads are not among them, as they belong in the
heart."""
_SIZE = re.compile(
    r"(?<![\d.])(\d+(?:\.\d+)?)"
    r"(?=(?:\s*(?:x|×|by)\s*\d+(?:\.\d+)?){0,2}\s*-?(?:mm|cm|millimet|centimet))",
    re.IGNORECASE,
)
_INVENTED = (
    (Observation.PNEUMOTHORAX, "There is a large right apical pneumothorax."),
    (Observation.FRACTURE, "There is an acute fracture of the left sixth rib."),
    (Observation.LUNG_LESION, "There is a nodule in the right upper lobe."),
    (Observation.EDEMA, "There is severe pulmonary edema."),
)
_LOOPS = 12


def remove_negation(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Affirm what a sentence denies: "No effusion." becomes "Effusion."."""
    denied = [s for f in findings if f.status is Status.ABSENT and (s := _sentence(f)) in text]
    spans = [
        match.span() for s in dict.fromkeys(denied) for match in re.finditer(re.escape(s), text)
    ]
    found = [
        match
        for match in _NEGATION.finditer(text)
        if not _NOTHING_IN_PARTICULAR.match(text, match.end())
        and (not spans or any(start <= match.start() < end for start, end in spans))
    ]
    if not found:
        return None
    match = chance.choice(found)
    if match.group().lower().startswith("without"):
        return text[: match.start()] + match.group()[:4] + " " + text[match.end() :]
    if match.group().lower().startswith("there"):
        return text[: match.start()] + match.group()[:-3].rstrip("nN ") + " " + text[match.end() :]
    rest = text[match.end() :]
    capital = match.group()[0].isupper()
    return text[: match.start()] + (rest[:1].upper() if capital else rest[:1]) + rest[1:]


def add_negation(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Deny what a sentence affirms: "Small effusion." becomes "No small effusion."."""

    def deny(sentence: str) -> str:
        if not _EXISTS.match(sentence) and (verb := _IS.search(sentence)):
            return f"{sentence[: verb.end()]} not{sentence[verb.end() :]}"
        body = _EXISTS.sub("", sentence, count=1)
        opening = re.match(r"(?:an?|the) ", body, re.IGNORECASE)
        body = body[opening.end() :] if opening else body
        return "No " + _uncapitalised(body)

    return _change(text, _said_alone(text, findings, chance), deny)


def swap_side(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Swap left and right wherever one finding's side is mentioned."""
    one_sided = [f for f in findings if f.side in (None, Side.LEFT, Side.RIGHT)]
    return _replace(text, _SIDES, one_sided, chance, every=True)


def change_severity(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Replace one finding's grade with its opposite."""
    return _replace(text, _SEVERITIES, findings, chance)


def change_lobe(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Move one finding to another lobe."""
    return _replace(text, _LOBES, findings, chance, every=True)


def change_measurement(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Make one finding ten times as large: 5 mm becomes 50 mm."""

    def enlarge(sentence: str) -> str:
        return _SIZE.sub(lambda match: f"{float(match[1]) * 10:g}", sentence)

    lesions = [f for f in findings if f.observation is not Observation.SUPPORT_DEVICES]
    return _change(text, _said_of_one(text, lesions, chance, _SIZE.search), enlarge)


def misplace_tip(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Move the tip of a tube or line to a wrong position."""
    return _replace(text, _TIPS, [f for f in findings if f.detail in _TIPPED], chance)


def change_certainty(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Hedge what a sentence states: "Small effusion." becomes "Possible small effusion."."""

    def hedge(sentence: str) -> str:
        if existential := re.match(r"there (?:is|are) ", sentence, re.IGNORECASE):
            return f"There may be {sentence[existential.end() :]}"
        if verb := _IS.search(sentence):
            return f"{sentence[: verb.start()]}may be{sentence[verb.end() :]}"
        opening = re.match(r"(?:an?|the) ", sentence, re.IGNORECASE)
        return "Possible " + _uncapitalised(sentence[opening.end() :] if opening else sentence)

    stated = [f for f in findings if f.status is Status.PRESENT]
    return _change(text, _said_alone(text, stated, chance), hedge)


def hallucinate(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Add a sentence with a finding that the report does not mention."""
    mentioned = {f.observation for f in findings if f.status is not Status.ABSENT}
    offers = [sentence for observation, sentence in _INVENTED if observation not in mentioned]
    return f"{text} {chance.choice(offers)}" if offers else None


def remove_finding(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Remove every sentence that mentions one finding."""
    changed = _change(text, _said_of_one(text, findings, chance), lambda sentence: "")
    return (" ".join(changed.split()) or None) if changed is not None else None


def invent_comparison(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Claim that a finding has worsened since a prior study that the report does not mention."""
    told = {name_of(finding) for finding in findings if finding.change is not None}
    without = [finding for finding in findings if name_of(finding) not in told]
    sentences = _said_of_one(text, without, chance)[:1]
    return _change(
        text,
        sentences,
        lambda sentence: sentence.rstrip(".!? ") + ", increased since the prior examination.",
    )


def shuffle_sentences(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Shuffle the sentences, which changes no finding."""
    sentences = _SENTENCE_END.split(text)
    shuffled = chance.sample(sentences, len(sentences))
    return " ".join(shuffled) if shuffled != sentences else None


def empty(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Return an empty report."""
    return "" if findings else None


def loop(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Repeat the first sentence over and over in place of the rest."""
    first = _SENTENCE_END.split(text)[0]
    return " ".join([first] * _LOOPS) if findings else None


EDITS: dict[str, Edit] = {
    "negation removed": remove_negation,
    "negation added": add_negation,
    "side swapped": swap_side,
    "lobe changed": change_lobe,
    "severity changed": change_severity,
    "measurement changed": change_measurement,
    "certainty changed": change_certainty,
    "tip misplaced": misplace_tip,
    "finding hallucinated": hallucinate,
    "finding removed": remove_finding,
    "comparison invented": invent_comparison,
    "report emptied": empty,
    "report looped": loop,
    "sentences shuffled": shuffle_sentences,
}
"""The edits by name; all but the last make the report wrong."""


def _sentence(finding: Finding) -> str:
    """Return a finding's sentence without its list number; "\\0" if it has no sentence."""
    sentence = " ".join((finding.sentence or "").split())
    return _LIST_NUMBER.sub("", sentence, count=1) if _LIST_NUMBER.match(sentence) else (
        sentence or "\0"
    )  # fmt: skip


def _said_of_one(
    text: str,
    findings: Iterable[Finding],
    chance: random.Random,
    fits: Callable[[str], object] = bool,
) -> list[str]:
    """Return the sentences of a random finding among those with a sentence that ``fits``."""
    sentences: dict[str, dict[str, None]] = {}
    for finding in findings:
        mentioned = (
            finding.status is not Status.ABSENT
            and finding.observation is not Observation.NO_FINDING
        )
        if mentioned and (sentence := _sentence(finding)) in text:
            sentences.setdefault(name_of(finding), {})[sentence] = None
    offers = sorted(name for name, said in sentences.items() if any(fits(s) for s in said))
    return list(sentences[chance.choice(offers)]) if offers else []


def _said_alone(text: str, findings: Sequence[Finding], chance: random.Random) -> list[str]:
    """Return the sentences about one finding alone that can be negated with "no"."""
    names: dict[str, set[str]] = {}
    for finding in findings:
        names.setdefault(_sentence(finding), set()).add(name_of(finding))

    def fits(sentence: str) -> bool:
        return (
            len(names[sentence]) == 1
            and not _SUBORDINATE.match(sentence)
            and not _DENIED.search(sentence)
        )

    told = [finding for finding in findings if fits(_sentence(finding))]
    elsewhere = {name_of(f) for f in findings if f.status is not Status.ABSENT} - {
        name_of(f) for f in told
    }
    return _said_of_one(text, [f for f in told if name_of(f) not in elsewhere], chance)


def _change(text: str, sentences: Iterable[str], change: Callable[[str], str]) -> str | None:
    """Return the text with each of the sentences changed; None if that changes nothing."""
    changed = text
    for sentence in sentences:
        changed = changed.replace(sentence, change(sentence))
    return changed if changed != text else None


def _replace(
    text: str,
    words: Mapping[str, str],
    findings: Iterable[Finding],
    chance: random.Random,
    *,
    every: bool = False,
) -> str | None:
    """Replace one of ``words`` in all sentences of one finding, keeping capitals.

    Args:
        text: the report.
        words: word → its replacement.
        findings: findings, of which one is drawn at random.
        chance: random generator.
        every: replace all of the words, as when sides are swapped.
    """
    longest = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"\b(?:{'|'.join(longest)})\b{_OTHER_SENSE}", re.IGNORECASE)

    def stated(sentence: str) -> list[re.Match[str]]:
        """Return the matches in a sentence that are not negated."""
        denied = _DENIED.search(sentence)
        return [m for m in pattern.finditer(sentence) if not denied or m.start() < denied.start()]

    sentences = _said_of_one(text, findings, chance, stated)
    found = list(dict.fromkeys(match.group().lower() for s in sentences for match in stated(s)))
    if not found or (every and len({words[word] for word in found}) > 1):  # "left more than right"
        return None
    wanted = set(found) if every else {chance.choice(found)}

    def other(match: re.Match[str]) -> str:
        word = match.group()
        if word.lower() not in wanted:
            return word
        instead = words[word.lower()]
        return instead.capitalize() if word[0].isupper() and not word.isupper() else instead

    return _change(text, sentences, lambda sentence: pattern.sub(other, sentence))


def _uncapitalised(text: str) -> str:
    """Return ``text`` with its first letter in lower case, unless it starts an abbreviation."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
