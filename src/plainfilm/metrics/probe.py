"""Antagonistic edits: how each metric reacts to one small error in an otherwise perfect report.

Each edit makes one clinically relevant change to a copy of a report (or, for the shuffled one, none
that matters), and the copy is scored against the original. Lexical metrics barely move on most of
them; a clinical metric has to. The edits are rules on text that can be read below; a report that
offers no place for an edit is left out of its row.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from plainfilm.core import Finding, Observation, Signature, Status
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.protocol import Options, Scoring
from plainfilm.metrics.registry import Metric, resolve
from plainfilm.metrics.scoring import align, measure, signature

Edit = Callable[[str, Sequence[Finding], random.Random], str | None]
"""From a report, its findings and a source of chance to the edited report; None if none fits."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_NEGATION = re.compile(
    r"\b(?:there is no|there are no|no evidence of|without|no)\s+", re.IGNORECASE
)
_SIDES = {"left": "right", "right": "left"}
_SEVERITIES = {
    "trace": "large", "tiny": "large", "small": "large", "large": "small",
    "mild": "severe", "minimal": "severe", "slight": "marked",
    "moderate": "minimal", "severe": "mild", "marked": "slight",
}  # fmt: skip
_INVENTED = (
    (Observation.PNEUMOTHORAX, "There is a large right apical pneumothorax."),
    (Observation.FRACTURE, "There is an acute fracture of the left sixth rib."),
    (Observation.LUNG_LESION, "There is a nodule in the right upper lobe."),
    (Observation.EDEMA, "There is severe pulmonary edema."),
)


@dataclass(frozen=True)
class Reaction:
    """How metrics reacted to one edit."""

    applied: int
    """How many reports offered a place for the edit."""
    before: Mapping[str, float]
    """Metric → value of those reports against themselves."""
    after: Mapping[str, float]
    """Metric → value of the edited reports against the originals."""
    signatures: Mapping[str, Signature]
    """Metric → the protocol of both values; none where no report fits the edit."""

    def drop(self, metric: str) -> float:
        """Return the share of the metric's value that the edit cost; NaN where undefined."""
        before, after = self.before[metric], self.after[metric]
        return (before - after) / abs(before) if before else float("nan")

    def to_dict(self) -> dict[str, object]:
        """Return applied, before, after and signatures for JSON, undefined values as None."""

        def defined(values: Mapping[str, float]) -> dict[str, float | None]:
            return {name: None if value != value else value for name, value in values.items()}

        return {
            "applied": self.applied,
            "before": defined(self.before),
            "after": defined(self.after),
            "signatures": {name: one.to_dict() for name, one in self.signatures.items()},
        }


def remove_negation(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Affirm what a sentence denies: "No effusion." becomes "Effusion."."""
    found = list(_NEGATION.finditer(text))
    if not found:
        return None
    match = chance.choice(found)
    if match.group().lower().startswith("there"):
        return text[: match.start()] + match.group()[:-3].rstrip("nN ") + " " + text[match.end() :]
    rest = text[match.end() :]
    capital = match.group()[0].isupper()
    return text[: match.start()] + (rest[:1].upper() if capital else rest[:1]) + rest[1:]


def add_negation(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Deny what a sentence affirms: "Small effusion." becomes "No small effusion."."""
    sentence = _positive_sentence(text, findings, chance)
    if sentence is None:
        return None
    existential = re.match(r"there (?:is|are) (?:an? )?", sentence, re.IGNORECASE)
    body = sentence[existential.end() :] if existential else sentence
    opening = re.match(r"(?:an?|the) ", body, re.IGNORECASE)
    body = body[opening.end() :] if opening else body
    return text.replace(sentence, "No " + _uncapitalised(body), 1)


def swap_side(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Exchange left and right once."""
    return _replace_word(text, _SIDES, chance)


def change_severity(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Exchange one severity for its opposite."""
    return _replace_word(text, _SEVERITIES, chance)


def hallucinate(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Add a sentence with a finding that the report does not mention."""
    mentioned = {f.observation for f in findings if f.status is not Status.ABSENT}
    offers = [sentence for observation, sentence in _INVENTED if observation not in mentioned]
    return f"{text} {chance.choice(offers)}" if offers else None


def remove_finding(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Leave out a sentence that mentions a finding."""
    sentence = _positive_sentence(text, findings, chance)
    if sentence is None:
        return None
    return " ".join(text.replace(sentence, "", 1).split()) or None


def shuffle_sentences(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Put the sentences into another order, which changes no finding."""
    sentences = _SENTENCE_END.split(text)
    shuffled = chance.sample(sentences, len(sentences))
    return " ".join(shuffled) if shuffled != sentences else None


def invent_comparison(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Let a finding have worsened since a prior study that the report does not mention."""
    sentence = _positive_sentence(
        text, [finding for finding in findings if finding.change is None], chance
    )
    if sentence is None:
        return None
    body = sentence.rstrip(".!? ")
    return text.replace(sentence, f"{body}, increased since the prior examination.", 1)


EDITS: dict[str, Edit] = {
    "negation removed": remove_negation,
    "negation added": add_negation,
    "side swapped": swap_side,
    "severity changed": change_severity,
    "finding hallucinated": hallucinate,
    "finding removed": remove_finding,
    "comparison invented": invent_comparison,
    "sentences shuffled": shuffle_sentences,
}
"""The edits by name; all but the last make the report wrong."""


def probe(
    reports: Sequence[str],
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    scoring: Scoring | None = None,
    **options: Unpack[Options],
) -> dict[str, Reaction]:
    """Apply every edit to every report it fits, and score the edited against the originals.

    Args:
        reports: reports as written.
        metrics: names as for :func:`plainfilm.score`.
        seed: of the choice of places.
        scoring: how reports are scored.
        options: fields of :class:`Scoring`, as for :func:`plainfilm.score`.

    Raises:
        MetricError: no report, or one that is not text; an unknown metric.
    """
    chosen = resolve(metrics)
    scoring = Scoring.of(scoring, options)
    original = align(reports, reports, scoring=scoring)
    reactions = {}
    for name, edit in EDITS.items():
        chance = random.Random(seed)  # noqa: S311
        edited = [
            (text, changed)
            for text, findings in zip(original.references, original.findings[0], strict=True)
            if (changed := edit(" ".join(text.split()), findings, chance)) is not None
        ]
        if not edited:
            nothing = dict.fromkeys(chosen, float("nan"))
            reactions[name] = Reaction(0, nothing, nothing, {})
            continue
        originals, copies = ([pair[side] for pair in edited] for side in (0, 1))
        perfect = align(originals, originals, scoring=scoring)
        reactions[name] = _react(perfect, copies, chosen)
    return reactions


def _react(perfect: Pairs, copies: Sequence[str], metrics: Mapping[str, Metric]) -> Reaction:
    """Return the reaction to the edited copies of ``perfect``'s reports; a text is read once."""
    wrong = replace(perfect, predictions=tuple(copies))
    before, after = (measure(pairs, metrics, rows=False) for pairs in (perfect, wrong))
    return Reaction(
        applied=len(copies),
        before={name: float(found.value(found.totals)) for name, found in before.items()},
        after={name: float(found.value(found.totals)) for name, found in after.items()},
        signatures={name: signature(name, found, wrong) for name, found in after.items()},
    )


def _positive_sentence(text: str, findings: Sequence[Finding], chance: random.Random) -> str | None:
    """Return a sentence that mentions a finding as present."""
    offers = sorted(
        {
            " ".join(finding.sentence.split())
            for finding in findings
            if finding.sentence
            and finding.status is Status.PRESENT
            and finding.observation is not Observation.NO_FINDING
        }
    )
    offers = [sentence for sentence in offers if sentence in text]
    return chance.choice(offers) if offers else None


def _replace_word(text: str, words: Mapping[str, str], chance: random.Random) -> str | None:
    """Replace one of ``words``, keeping its capital."""
    found = list(re.finditer(rf"\b(?:{'|'.join(words)})\b", text, re.IGNORECASE))
    if not found:
        return None
    match = chance.choice(found)
    word = words[match.group().lower()]
    word = word.capitalize() if match.group()[0].isupper() else word
    return text[: match.start()] + word + text[match.end() :]


def _uncapitalised(text: str) -> str:
    """Return ``text`` without its opening capital, unless it opens with an abbreviation."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
