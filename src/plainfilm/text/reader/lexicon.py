"""The reader's rules of one language, compiled from ``rules/<language>/*.yaml``.

A rules file has ``rules``: observation → list of findings, each with ``terms`` (phrases that name
it) or ``of`` and ``is`` (an anatomy and a state that together say it: heart, enlarged). The file
``words.yaml`` names anatomies, states, attributes and cues; ``sections.yaml`` the headings.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from plainfilm.core import Change, InputError, Observation, Severity, Side, Status
from plainfilm.text.reader.headings import Headings, compile_headings
from plainfilm.text.reader.phrases import Trie, expand, meanings, node_of, words_of
from plainfilm.text.reader.sentences import Boundaries, compile_boundaries
from plainfilm.text.reader.spelling import Spelling, compile_spelling


class Rule(NamedTuple):
    """The meaning of a term, or of an anatomy with its state."""

    observation: Observation
    detail: str | None = None
    status: Status = Status.PRESENT
    side: Side | None = None
    location: str | None = None
    severity: Severity | None = None
    change: Change | None = None
    blocks: bool = True
    """Whether it is an abnormality, which rules out No Finding."""
    weak: bool = False
    """Whether it yields to any other mention of its observation in the sentence."""
    explained: bool = False
    """Whether it is dropped if the sentence gives its cause ("blunted by pleural thickening")."""
    site: str | None = None
    """The default place: a device's site, if the report doesn't say where its tip is."""
    place: str = "own"
    """``none`` for findings without side and place, ``side`` for those with a side only."""
    name: str = ""
    """Source of the rule: file, observation, number."""
    code: str | None = None
    beside: tuple[str, ...] = ()
    """Anatomies and places of which the sentence must name one ("fluid" needs the pleura)."""
    not_of: str | None = None
    """Observation right before whose mention the rule is void ("fracture of the screw")."""


class Item(NamedTuple):
    """A phrase of the lexicon found at tokens ``start:end``, and its possible roles."""

    start: int
    end: int
    roles: Mapping[str, Any]

    @property
    def cue(self) -> str | None:
        """The kind of cue it is, if one."""
        return self.roles.get("cue")


class Lexicon(NamedTuple):
    """The compiled rules of one language."""

    terms: Trie
    """Phrases that name findings, or only seem to (role ``void``); they are matched first."""
    words: Trie
    """All other phrases → roles: ``anatomy``, ``state``, ``side``, ``cue``…"""
    pairs: Mapping[tuple[str, str], tuple[Rule, ...]]
    """(anatomy, state) → their meaning together."""
    refined: Mapping[tuple[str, str], str]
    """(detail, state) → finer detail: granuloma, calcified → calcified granuloma."""
    headings: Headings
    boundaries: Boundaries
    spelling: Spelling
    fillers: frozenset[str]
    """Adverbs that may occur within a phrase."""
    capitals: Mapping[str, str]
    """Abbreviation → the word that it stands for when written in capitals."""
    rules: tuple[Rule, ...]


class Term(NamedTuple):
    """A finding that the rules know."""

    observation: Observation
    detail: str | None
    """The finer term; None for the observation itself."""
    code: str | None
    """Code of SNOMED CT (``SCT:…``) or RadLex (``RID:…``) with the same meaning, if known."""


def vocabulary(language: str = "en") -> tuple[Term, ...]:
    """Return the findings that the reader knows, by observation and finer term.

    Raises:
        InputError: there are no rules for ``language``.
    """
    found: dict[tuple[Observation, str | None], str | None] = {}
    for rule in load_lexicon(language).rules:
        found[rule.observation, rule.detail] = (
            found.get((rule.observation, rule.detail)) or rule.code
        )
    order = {observation: number for number, observation in enumerate(Observation)}
    terms = (Term(observation, detail, code) for (observation, detail), code in found.items())
    return tuple(sorted(terms, key=lambda term: (order[term.observation], term.detail or "")))


_KEYS = {
    "detail", "status", "side", "location", "severity", "change", "blocks", "weak", "place",
    "code", "not_of", "beside", "site", "explained", "as", "terms", "of", "is", "refined",
}  # fmt: skip
_ROLES = {"side": Side, "severity": Severity, "change": Change}
_RELATIVE = ("other", "same")
"""The side opposite to the one mentioned before, and that side itself."""
_SIDED_PLACES = {"left_place": Side.LEFT, "right_place": Side.RIGHT, "both_place": Side.BILATERAL}
"""Roles of places that say their side ("bibasilar")."""


def languages() -> tuple[str, ...]:
    """Return the languages that the reader has rules for."""
    folder = files("plainfilm.text.reader") / "rules"
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))


def _rule_files(language: str) -> list[tuple[str, dict[str, Any]]]:
    if language not in languages():
        raise InputError(f"no rules for language {language!r}; there are: {', '.join(languages())}")
    folder = files("plainfilm.text.reader") / "rules" / language
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            found.append((entry.name[:-5], yaml.load(entry.read_text("utf-8"), loader)))  # noqa: S506
    return found


@cache
def load_lexicon(language: str = "en") -> Lexicon:
    """Compile the rules of ``language``.

    Raises:
        InputError: no such language, or a rule with an unknown key or value.
    """
    terms: Trie = {}
    vocabulary: Trie = {}
    pairs: dict[tuple[str, str], tuple[Rule, ...]] = {}
    refined: dict[tuple[str, str], str] = {}
    every: list[Rule] = []
    sections: dict[str, Any] = {}
    for name, content in _rule_files(language):
        if name == "sections":
            sections = content
        words = dict(content.get("words", {}))
        void = words.pop("void", {})
        _add_words(terms, {"anatomy": words.pop("first", {})})
        _add_words(terms, {"void": {k: v for k, v in void.items() if k != "word"}})
        _add_words(vocabulary, {"void": {k: v for k, v in void.items() if k == "word"}})
        _add_words(vocabulary, words)
        for observation, findings in content.get("rules", {}).items():
            for number, finding in enumerate(findings, 1):
                rule = _rule(Observation(observation), finding, f"{name}/{observation}/{number}")
                every.append(rule)
                _add_rule(terms, pairs, rule, finding)
                for state, detail in finding.get("refined", {}).items():
                    refined[rule.detail or "", state] = detail
    _mark_predicates(vocabulary)
    _mark_answers(vocabulary)
    meant = {**{word: word for word in words_of(vocabulary)}, **meanings(terms)}
    return Lexicon(
        terms,
        vocabulary,
        pairs,
        refined,
        compile_headings(sections["sections"], sections["read"]),
        compile_boundaries(_with_short(sections), sections.get("capitals_open", True)),
        compile_spelling(
            meant,
            {*meant, *sections.get("real_words", "").split()},
            short=sections.get("short", {}),
            joined=sections.get("joined", "").split(),
            run_on=sections.get("run_on", "").split(),
        ),
        frozenset(sections.get("fillers", "").split()),
        sections.get("capitals", {}),
        tuple(every),
    )


def _with_short(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a language's sections, with the short forms of other words as abbreviations."""
    listed = sections.get("abbreviations", "")
    known = listed.split() if isinstance(listed, str) else list(listed)
    return {**sections, "abbreviations": [*known, *sections.get("short", ())]}


def _mark_predicates(trie: Trie) -> None:
    """Mark the changes that begin with a verb, which apply to the finding before them."""
    for first in trie.values():
        if first.get("\0", {}).get("cue") not in ("copula", "verb"):
            continue
        waiting = [node for word, node in first.items() if word != "\0"]
        while waiting:
            node = waiting.pop()
            for word, after in node.items():
                if word != "\0":
                    waiting.append(after)
                elif "change" in after:
                    after["predicate"] = True


def _mark_answers(trie: Trie) -> None:
    """Mark the denials after a colon, which apply to everything listed before it."""
    for node in trie.get(":", {}).values():
        if "cue" in node.get("\0", {}):
            node["\0"]["answers"] = True


def _add_words(trie: Trie, words: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
    """Add ``role → value → phrases``."""
    for role, values in words.items():
        for value, phrases in values.items():
            meant = _ROLES[role](value) if role in _ROLES and value not in _RELATIVE else value
            for phrase in phrases:
                for sequence in expand(str(phrase)):
                    roles = node_of(trie, sequence)
                    if role in _SIDED_PLACES:
                        roles.update(side=_SIDED_PLACES[role], place=meant)
                    else:
                        roles[role] = meant
                    if role == "through_list":
                        roles["change"] = Change(value)
                    if meant is Change.STABLE:
                        roles["state"] = "stable"
                    if role == "cue" and value.startswith("resolution"):
                        roles.update(
                            cue=value.replace("resolution", "negation"), change=Change.RESOLVED
                        )


def _rule(observation: Observation, finding: Mapping[str, Any], name: str) -> Rule:
    if unknown := sorted(set(finding) - _KEYS):
        raise InputError(f"rule {name}: unknown keys {unknown}; known are {sorted(_KEYS)}")
    kinds = {"status": Status, **_ROLES}
    given: dict[str, Any] = {
        key: kinds[key](value) if key in kinds and value is not None else value
        for key, value in finding.items()
        if key in Rule._fields
    }
    given["beside"] = tuple(given.get("beside", ()))
    return Rule(observation, name=name, **given)


def _add_rule(
    trie: Trie,
    pairs: dict[tuple[str, str], tuple[Rule, ...]],
    rule: Rule,
    finding: Mapping[str, Any],
) -> None:
    for phrase in finding.get("terms", ()):
        for sequence in expand(str(phrase)):
            roles = node_of(trie, sequence)
            if rule not in roles.get("rules", ()):
                roles["rules"] = (*roles.get("rules", ()), rule)
            if "as" in finding:
                roles["anatomy"] = finding["as"]
    for anatomy in finding.get("of", ()):
        for state in finding["is"]:
            pairs[anatomy, state] = (*pairs.get((anatomy, state), ()), rule)
