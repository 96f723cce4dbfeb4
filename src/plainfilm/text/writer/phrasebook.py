"""The writer's language as data: models of ``language/<language>*.yaml``, checked when loaded.

In any text, ``<seen|noted|visible>`` is a choice among words; choices may be nested, and an
alternative may be empty.
"""

from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from plainfilm.core import Change, InputError, Observation, Severity, Side, Status, Word, describe

Wording = Literal["terse", "wordy"]
Number = Literal["one", "many", "mass"]
Gender = Literal["m", "f"]


def _for_every_wording(value: Any) -> Any:
    return {"terse": value, "wordy": value} if isinstance(value, list) else value


Sentences = Annotated[dict[Wording, tuple[str, ...]], BeforeValidator(_for_every_wording)]
"""Sentence templates per wording; a plain list applies to all wordings."""


class Noun(Word):
    """A name of a finding: countable (``one``, ``many``), always plural, or ``mass``."""

    one: str | None = None
    many: str | None = None
    mass: str | None = None
    adjective: str = ""
    """Part of the name that stands where the language puts adjectives: "old right fracture"."""
    gender: Gender = "m"
    severities: tuple[Severity, ...] | None = None
    """The severities with which the noun may be used; None for all."""
    at: tuple[str, ...] | None = None
    """The places with which the noun must be used ("linear atelectasis" at the base); None: any."""


class Term(Word):
    """Names of one detail of an observation, and the attributes that it may have."""

    group: str
    nouns: tuple[Noun, ...] = ()
    absent: tuple[Noun, ...] = ()
    statuses: tuple[Status, ...] = tuple(Status)
    severities: tuple[Severity, ...] = ()
    sides: tuple[Side, ...] = tuple(Side)
    places: tuple[str, ...] = ()
    changes: tuple[Change, ...] = tuple(Change)
    sentences: dict[str, Sentences] = Field(default_factory=dict)
    variant: bool = False
    """Whether it is a normal variant or a limitation of the film, compatible with No Finding."""
    clears_group: bool = False
    """Whether its sentences of absence imply that its whole group is normal ("lungs are clear")."""
    misplaced: tuple[str, ...] = ()
    """Places where a device's tip is misplaced, which the impression reports."""


class Place(Word):
    """The words for a place before its noun, after it, and for both sides.

    ``gender`` is the gender with which {side} in them agrees.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    both_before: tuple[str, ...] = ()
    """Adjectives that say place and both sides in one word ("bibasilar")."""
    gender: Gender = "m"
    only: Side | None = None
    implies: Side | None = None


class SeverityWords(Word):
    """The adjectives and the adverb for a severity."""

    adjectives: tuple[str, ...]
    adverb: str = ""


class Together(Word):
    """Sentences that deny several observations at once."""

    absent: frozenset[Observation]
    sentences: Sentences


class Causes(Word):
    """Sentences that name the cause of a finding, by the cause's status."""

    of: frozenset[Observation]
    causes: frozenset[str]
    """Observations and finer terms."""
    sentences: dict[Status, Sentences]


class ImpressionRules(Word):
    """What an impression restates, most urgent first: observations, finer terms of Other, and
    :data:`MISPLACED` for misplaced devices."""

    at_most: int
    """Largest number of sentences."""
    order: tuple[str, ...]


MISPLACED, IMPRESSION = "misplaced device", "impression"


class Remark(Word):
    """Sentences that name no finding: a normal trachea, a limitation of the film, advice.

    ``unless`` lists the observations and finer terms that the remark would contradict.
    """

    group: str
    """A group of the findings section, or ``impression``."""
    sentences: Sentences
    unless: frozenset[str] = frozenset()


class Phrasebook(Word):
    """One language's grammar and vocabulary; ``writing/en.yaml`` explains each entry."""

    agreement: dict[str, dict[Number, str]]
    before_vowel: dict[str, str]
    join: dict[Literal["and", "or", "serial", "comma"], str]
    noun_phrase: str
    severities: dict[Severity, SeverityWords]
    sides: dict[Side, tuple[str, ...]]
    sides_after: dict[Side, tuple[str, ...]] = Field(default_factory=dict)
    places: dict[str, dict[str, Place]]
    sentences: dict[str, Sentences]
    absent_lists: Sentences
    together: tuple[Together, ...]
    causes: tuple[Causes, ...]
    groups: dict[str, str]
    absences_merge: frozenset[str]
    impression: ImpressionRules
    remarks: dict[str, Remark]
    terms: dict[Observation, dict[str, Term]]

    def place(self, term: Term, name: str) -> Place | None:
        """Return the place ``name``, or None if findings of ``term`` can't have it."""
        found = (self.places[kind][name] for kind in term.places if name in self.places[kind])
        return next(found, None)


@cache
def load_phrasebook(language: str = "en") -> Phrasebook:
    """Return the phrasebook of ``language``.

    Raises:
        InputError: there is no such language, or its file is wrong; all mistakes are listed.
    """
    folder = resources.files("plainfilm.text.writer") / "language"
    known = sorted(
        path.name.removesuffix("_terms.yaml")
        for path in folder.iterdir()
        if path.name.endswith("_terms.yaml")
    )
    if language not in known:
        raise InputError(f"the writer has no language {language!r}; it has {', '.join(known)}")
    grammar = yaml.safe_load((folder / f"{language}.yaml").read_text("utf-8"))
    entries = yaml.safe_load((folder / f"{language}_terms.yaml").read_text("utf-8"))
    grammar["remarks"] = yaml.safe_load((folder / f"{language}_remarks.yaml").read_text("utf-8"))
    grammar["terms"] = {
        observation: {
            detail: {**{k: v for k, v in entry.items() if k != "terms"}, **term}
            for detail, term in entry["terms"].items()
        }
        for observation, entry in entries.items()
    }
    try:
        return Phrasebook.model_validate(grammar)
    except ValidationError as error:
        raise InputError(f"writing/{language}: {describe(error)}") from error
