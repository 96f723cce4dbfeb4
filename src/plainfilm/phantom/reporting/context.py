"""The texts around a report: indication, technique and comparison, by language. The phrases are
data: ``language/<language>.yaml``."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np
import yaml
from pydantic import ValidationError

from plainfilm.core import InputError, View, Word, describe
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.film.exposure import Exposure
from plainfilm.phantom.reporting.background import Background
from plainfilm.phantom.reporting.complaints import COMPLAINTS
from plainfilm.text.writer.choice import Choice

LANGUAGES = ("en", "es")
"""Languages of the phantom's reports."""

Phrasings = tuple[str, ...]


class Phrases(Word):
    """The phrases of one language; ``language/en.yaml`` explains each entry."""

    complaints: dict[str, Phrasings]
    questions: dict[str, Phrasings]
    sentences: dict[Literal["plain", "who", "question", "history"], Phrasings]
    who: dict[Literal["M", "F"], Phrasings]
    blank: str
    history: dict[str, Phrasings]
    technique: dict[Literal["pa", "ap", "pa lateral", "ap lateral"], Phrasings]
    comparison: dict[Literal["day", "before"], Phrasings]
    units: tuple[str, str, str, str]
    unit: tuple[str, str, str, str]


@dataclass(frozen=True)
class Requests:
    """How an institution's clinicians write requests: shares of studies with an indication, and of
    indications that name age and sex, a history, a question."""

    written: float = 0.95
    who: float = 0.4
    history: float = 0.15
    question: float = 0.2
    blank_age: bool = False
    """Whether ages are removed from its texts."""


@cache
def load_phrases(language: str) -> Phrases:
    """Return the phrases of a language.

    Raises:
        InputError: the phantom does not support the language, or its file is invalid.
    """
    check_language(language)
    folder = resources.files("plainfilm.phantom.reporting") / "language"
    entries = yaml.safe_load((folder / f"{language}.yaml").read_text("utf-8"))
    try:
        phrases = Phrases.model_validate(entries)
    except ValidationError as error:
        raise InputError(f"reporting/language/{language}: {describe(error)}") from error
    if phrases.complaints.keys() != COMPLAINTS.keys():
        differ = sorted(phrases.complaints.keys() ^ COMPLAINTS.keys())
        raise InputError(f"reporting/language/{language}: complaints differ in {differ}")
    return phrases


def check_language(language: str) -> None:
    """Raise InputError if the phantom does not support ``language``."""
    if language not in LANGUAGES:
        raise InputError(f"no language {language!r}: the phantom reports in {', '.join(LANGUAGES)}")


def write_indication(
    rng: np.random.Generator,
    complaint: str,
    patient: Patient,
    background: Background,
    requests: Requests,
    dialect: int = 0,
    language: str = "en",
) -> str | None:
    """Return the text of the indication; None if there is none.

    Every language uses the same random draws, so that an indication has the same parts in each.
    """
    phrases = load_phrases(language)
    written, who, history, question = rng.random(4)
    told = sorted(background.chronic & phrases.history.keys())
    known = told[int(rng.integers(len(told)))] if told else None
    choice = Choice(random.Random(int(rng.integers(2**63))), dialect)  # noqa: S311
    if written >= requests.written:
        return None
    text = choice.expand(choice.pick(phrases.complaints[complaint]))
    if who < requests.who:
        age = phrases.blank if requests.blank_age else str(patient.age)
        person = choice.expand(choice.pick(phrases.who["F" if patient.sex == "F" else "M"]))
        sentence = choice.expand(choice.pick(phrases.sentences["who"]))
        text = sentence.format(who=person.format(age=age), complaint=text)
    else:
        text = choice.expand(choice.pick(phrases.sentences["plain"])).format(complaint=text)
    if known and history < requests.history:
        past = choice.expand(choice.pick(phrases.history[known]))
        sentence = choice.expand(choice.pick(phrases.sentences["history"]))
        text = sentence.format(base=text, history=past)
    if complaint in phrases.questions and question < requests.question:
        asked = choice.expand(choice.pick(phrases.questions[complaint]))
        sentence = choice.expand(choice.pick(phrases.sentences["question"]))
        text = sentence.format(base=text, question=asked)
    return text[0].upper() + text[1:] + "."


def technique_of(
    exposure: Exposure,
    views: Collection[str] = ("frontal",),
    dialect: int = 0,
    language: str = "en",
) -> str:
    """Return the text of the technique; ``exposure`` is that of the frontal film."""
    kind: Literal["pa", "ap"] = "pa" if exposure.view is View.PA else "ap"
    key: Literal["pa", "ap", "pa lateral", "ap lateral"] = kind
    if "lateral" in views:
        key = "pa lateral" if kind == "pa" else "ap lateral"
    choice = Choice(None, dialect)
    return choice.expand(choice.pick(load_phrases(language).technique[key])) + "."


def comparison_of(days: int, dialect: int = 0, language: str = "en") -> str:
    """Return the text of the comparison with a film taken ``days`` earlier."""
    phrases, choice = load_phrases(language), Choice(None, dialect)
    if days == 1:
        return choice.expand(choice.pick(phrases.comparison["day"])) + "."
    limits = ((1, 14), (7, 60), (30, 720), (365, None))
    place, length = next(
        (i, length) for i, (length, most) in enumerate(limits) if most is None or days <= most
    )
    number = round(days / length)
    unit = phrases.unit[place] if number == 1 else phrases.units[place]
    text = choice.expand(choice.pick(phrases.comparison["before"]))
    return text.format(number=number, unit=unit) + "."
