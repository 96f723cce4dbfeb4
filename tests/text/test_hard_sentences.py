"""Hard sentences, one or more for each rule of the conventions, and what must be read from them.

The cases are data (``hard_sentences.yaml`` by rule, ``hard_patterns.yaml`` after the ways in which
reports are really dictated, ``hard_reports.yaml`` for whole reports and edits); this file only
holds the reader against them.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from plainfilm.core import Change, Finding, Observation, Severity, Side, Status
from plainfilm.text import labels, read

HERE = Path(__file__).parent
SENTENCES = ("hard_sentences.yaml", "hard_patterns.yaml", "hard_attributes.yaml", "hard_kinds.yaml")
OPEN = "..."
WORDS = {
    **{word.value: ("side", word.value) for word in Side},
    **{word.value: ("severity", word.value) for word in Severity},
    **{word.value: ("change", word.value) for word in Change},
    **{f"no-{field}": (field, None) for field in ("side", "severity", "change")},
    "no-place": ("location", None),
}


class Expected(NamedTuple):
    """One expected finding: only ``fields`` are compared beyond observation and status."""

    status: Status
    observation: Observation
    fields: dict[str, str | None]

    def matches(self, finding: Finding) -> bool:
        if (finding.status, finding.observation) != (self.status, self.observation):
            return False
        return all(
            fits(name, wanted, getattr(finding, name)) for name, wanted in self.fields.items()
        )


def fits(name: str, wanted: str | None, found: str | None) -> bool:
    if name != "location" or wanted is None or found is None:
        return wanted == found
    return any(place.lower() in found.lower() for place in wanted.split("|"))


def parse(line: str) -> tuple[list[Expected], bool]:
    """Return the expected findings of a line, and whether others may be found as well."""
    parts = [part.strip() for part in line.split(";")]
    wanted = [parse_one(part) for part in parts if part not in ("nothing", OPEN)]
    return wanted, OPEN in parts


def parse_one(part: str) -> Expected:
    head, _, tail = part.partition("/")
    words, _, place = tail.partition(" at ")
    if " at " in head:
        head, _, place = head.partition(" at ")
    status, _, observation = head.strip().partition(" ")
    fields = dict(WORDS[word] for word in words.split())
    if place:
        fields["location"] = place.strip()
    return Expected(Status(status), Observation(observation.strip()), fields)


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def cases(groups: dict[str, dict[str, str]]) -> list[Any]:
    return [
        pytest.param(text, line, id=f"{group}: {text}")
        for group, sentences in groups.items()
        for text, line in sentences.items()
    ]


def fourteen(text: str) -> list[Finding]:
    """Return what ``read`` finds of the observations themselves (Other and No Finding aside)."""
    apart = (Observation.OTHER, Observation.NO_FINDING)
    return [finding for finding in read(text) if finding.observation not in apart]


def show(findings: list[Finding]) -> str:
    return "; ".join(
        " ".join(str(value) for value in finding.statement if value is not None)
        for finding in findings
    )


@pytest.mark.parametrize(
    ("text", "line"), [case for name in SENTENCES for case in cases(load(name))]
)
def test_sentence_is_read_as_expected(text: str, line: str) -> None:
    wanted, open_ended = parse(line)
    found = fourteen(text)
    missed = [one for one in wanted if not any(one.matches(finding) for finding in found)]
    assert not missed, f"missed {missed} in {text!r}; read: {show(found)}"
    if not open_ended:
        extra = [finding for finding in found if not any(one.matches(finding) for one in wanted)]
        assert not extra, f"not said in {text!r}: {show(extra)}"


@pytest.mark.parametrize(("text", "line"), load("hard_reports.yaml")["labels"].items())
def test_labels_of_a_report(text: str, line: str) -> None:
    found = labels(text)
    for part in line.split(";"):
        status, _, name = part.strip().partition(" ")
        wanted = None if status == "left-out" else Status(status)
        assert found.get(Observation(name)) == wanted, f"{name} in {text!r}: {found}"


def statements(text: str) -> set[tuple[str | None, ...]]:
    """What is said, without the finer term and the words that said it."""
    return {
        (one.observation, one.status, one.location, one.side, one.severity, one.change)
        for one in fourteen(text)
    }


@pytest.mark.parametrize(("one", "other"), load("hard_reports.yaml")["different"])
def test_one_edit_changes_what_is_read(one: str, other: str) -> None:
    assert statements(one) != statements(other), f"both give: {show(fourteen(one))}"


@pytest.mark.parametrize("texts", load("hard_reports.yaml")["same"], ids=lambda texts: texts[0])
def test_another_wording_or_order_does_not(texts: list[str]) -> None:
    first = statements(texts[0])
    assert first, f"nothing read from {texts[0]!r}"
    for text in texts[1:]:
        assert statements(text) == first, f"{text!r} gives {show(fourteen(text))}"
