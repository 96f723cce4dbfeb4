"""The reader's results in common formats: CheXpert's values, RadGraph's graph, measurements."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from plainfilm.core import OBSERVATIONS, InputError, Observation, Span, Status
from plainfilm.text.reader.reader import Found, Stated, find_statements, labels_of

Uncertain = Literal["keep", "ones", "zeros", "ignore"]
"""Treatment of -1: CheXpert's U-Ones, U-Zeros and U-Ignore (Irvin et al. 2019)."""
UNCERTAIN: Mapping[Uncertain, str] = {"keep": "-1", "ones": "1", "zeros": "0", "ignore": ""}

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)*|[^\w\s]|_+")
_GRAPH_LABELS = {Status.PRESENT: "OBS-DP", Status.UNCERTAIN: "OBS-U", Status.ABSENT: "OBS-DA"}
_MODIFIERS = ("severity", "change")
_MEASURE = re.compile(
    r"(?<![\w.,/-])(?P<numbers>\d{1,4}(?:[.,]\d{1,2})?"
    r"(?:\s*(?:x|×|by|-|–|to)\s*\d{1,4}(?:[.,]\d{1,2})?){0,2})\s?-?"
    r"(?P<unit>mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|ml|cc|%|percent|degrees?)"
    r"(?![^\W_])",
    re.IGNORECASE,
)
_UNITS = {"millimeter": "mm", "millimetre": "mm", "centimeter": "cm", "centimetre": "cm",
          "cc": "ml", "percent": "%", "degree": "degrees"}  # fmt: skip


def chexpert_values(
    labels: Mapping[Observation, Status], uncertain: Uncertain = "keep"
) -> dict[str, str]:
    """Return the 14 observations as CheXpert's CSV has them: 1, 0, -1, or nothing if not mentioned.

    Args:
        labels: the labels of a report.
        uncertain: whether an uncertain observation stays -1, or becomes 1, 0 or empty.

    Raises:
        InputError: ``uncertain`` is none of its values.
    """
    if uncertain not in UNCERTAIN:
        raise InputError(f"uncertain={uncertain!r}: choose from {', '.join(UNCERTAIN)}")
    values = {Status.PRESENT: "1", Status.ABSENT: "0", Status.UNCERTAIN: UNCERTAIN[uncertain]}
    return {str(one): values[labels[one]] if one in labels else "" for one in OBSERVATIONS}


class SentenceLabels(NamedTuple):
    """The labels of one sentence."""

    sentence: str
    span: Span
    """Position in the report, in characters."""
    labels: dict[Observation, Status]


def sentence_labels(text: str, *, language: str = "en") -> list[SentenceLabels]:
    """Return the labels of each sentence that names a finding, in order.

    No Finding is a label of whole reports, so no sentence has it.

    Raises:
        InputError: as :func:`plainfilm.text.read`.
    """
    by_sentence: dict[Span, list[Stated]] = {}
    for found in find_statements(text, language):
        by_sentence.setdefault(found.sentence, []).append(found.stated)
    told = []
    for (start, end), statements in by_sentence.items():
        labels = labels_of(statements)
        labels.pop(Observation.NO_FINDING, None)
        if labels:
            told.append(SentenceLabels(text[start:end], (start, end), labels))
    return told


class Measurement(NamedTuple):
    """A measurement in the text."""

    values: tuple[float, ...]
    """One number, or one for each dimension ("1.2 x 0.8 cm"), or both ends ("2-3 cm")."""
    unit: str
    """mm, cm, ml, % or degrees."""
    span: Span
    """Position in the report, in characters."""
    sentence: str
    observation: Observation | None
    """Observation of the nearest finding in the same sentence; None if there is none."""
    detail: str | None


def measurements(text: str, *, language: str = "en") -> list[Measurement]:
    """Return the measurements in sentences that name a finding, as numbers with units.

    Raises:
        InputError: as :func:`plainfilm.text.read`.
    """
    by_sentence: dict[Span, list[Found]] = {}
    for found in find_statements(text, language):
        by_sentence.setdefault(found.sentence, []).append(found)
    told = []
    for (start, end), there in by_sentence.items():
        for match in _MEASURE.finditer(text, start, end):
            named = [
                (abs(match.start() - span[0]), number)
                for number, found in enumerate(there)
                for span in found.spans(found.stated.tokens)
            ]
            stated = there[min(named)[1]].stated if named else None
            unit = match["unit"].lower().removesuffix("s")
            told.append(
                Measurement(
                    tuple(
                        float(number.replace(",", "."))
                        for number in re.findall(r"\d+(?:[.,]\d+)?", match["numbers"])
                    ),
                    _UNITS.get(unit, unit),
                    match.span(),
                    text[start:end],
                    stated and stated.rule.observation,
                    stated and stated.detail,
                )
            )
    return told


def graph(text: str, *, language: str = "en") -> dict[str, Any]:
    """Return entities and relations in RadGraph's JSON format (Jain et al. 2021).

    ``text`` is the report's tokens joined by spaces; ``start_ix`` and ``end_ix`` (inclusive) index
    these tokens. Findings are ``OBS-DP``, ``OBS-U`` or ``OBS-DA``, places ``ANAT-DP``. A finding is
    ``located_at`` its place; words of severity ``modify`` it.

    Raises:
        InputError: as :func:`plainfilm.text.read`.
    """
    tokens = [match.span() for match in _TOKEN.finditer(text)]
    graph_of = _Graph(text, tokens)
    for found in find_statements(text, language):
        graph_of.add(found)
    return {
        "text": " ".join(text[start:end] for start, end in tokens),
        "entities": graph_of.entities,
        "data_source": None,
        "data_split": "inference",
    }


class _Graph:
    """Entities and relations, indexed by position."""

    def __init__(self, text: str, tokens: Sequence[Span]) -> None:
        self.text, self.tokens = text, tokens
        self.starts = {start: number for number, (start, _) in enumerate(tokens)}
        self.ends = {end: number for number, (_, end) in enumerate(tokens)}
        self.entities: dict[str, dict[str, Any]] = {}
        self.known: dict[tuple[int, int], str] = {}

    def add(self, found: Found) -> None:
        """Add a finding with its words of place, severity and change."""
        label = _GRAPH_LABELS[found.stated.status]
        names = [self._entity(span, label) for span in found.spans(found.stated.tokens)]
        name = next((one for one in names if one), None)
        if name is None:
            return
        for other in names:
            if other and other != name:
                self._relate(other, "modify", name)
        places: list[str] = []
        for role, span in sorted(found.qualifiers(), key=lambda one: one[0] != "place"):
            if self.text[slice(*span)][:1].isdigit():
                continue  # a size as part of a change
            graded = role in _MODIFIERS
            entity = self._entity(span, label if graded else "ANAT-DP")
            if entity is None or entity == name:
                continue
            if graded:
                self._relate(entity, "modify", name)
            elif role == "place":
                self._relate(name, "located_at", entity)
                places.append(entity)
            elif places and entity not in places:
                self._relate(entity, "modify", places[0])  # "right" of "upper lobe"
            else:
                self._relate(name, "located_at", entity)

    def _entity(self, span: Span, label: str) -> str | None:
        """Return the key of the entity at ``span``, which is created if needed."""
        first, last = self.starts.get(span[0]), self.ends.get(span[1])
        if first is None or last is None:
            return None
        if (first, last) not in self.known:
            key = str(len(self.entities) + 1)
            self.known[first, last] = key
            words = (self.text[start:end] for start, end in self.tokens[first : last + 1])
            self.entities[key] = {
                "tokens": " ".join(words), "label": label, "start_ix": first, "end_ix": last,
                "relations": [],
            }  # fmt: skip
        return self.known[first, last]

    def _relate(self, key: str, kind: str, other: str) -> None:
        relations = self.entities[key]["relations"]
        if [kind, other] not in relations:
            relations.append([kind, other])
