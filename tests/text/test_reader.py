"""The reader: its interface, its rules as data, growth with length, and bad input."""

import re
import string
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import plainfilm
from plainfilm.core import Change, Finding, InputError, Observation, Severity, Side, Status
from plainfilm.text import explain, labels, read, vocabulary
from plainfilm.text.reader.phrases import expand
from plainfilm.text.reader.sentences import LONGEST_SENTENCE

RULES = files("plainfilm.text.reader") / "rules"
LANGUAGES = sorted(folder.name for folder in RULES.iterdir() if folder.is_dir())


def line(finding: Finding) -> str:
    """Return a finding as the rules' examples write it."""
    detail = f" ({finding.detail})" if finding.detail else ""
    said = (finding.side, finding.location, finding.severity, finding.change)
    head = f"{finding.status} {finding.observation}{detail}"
    return ", ".join((head, *filter(None, said)))


def examples() -> list[Any]:
    return [
        pytest.param(
            language, example["text"], example["expect"], id=f"{language}: {example['text']}"
        )
        for language in LANGUAGES
        for file in sorted((RULES / language).iterdir(), key=lambda file: file.name)
        for example in yaml.safe_load(file.read_text("utf-8")).get("examples", ())
    ]


@pytest.mark.parametrize(("language", "text", "expected"), examples())
def test_example_in_the_rules(language: str, text: str, expected: list[str]) -> None:
    assert sorted(map(line, read(text, language=language))) == sorted(expected)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_file_of_rules_has_examples(language: str) -> None:
    folder = RULES / language
    without = [f.name for f in folder.iterdir() if "\nexamples:" not in f.read_text("utf-8")]
    assert without == ["sections.yaml"], "headings are tested in test_reader_sections.py"


def test_a_finding_carries_all_that_is_said() -> None:
    text = "Heart normal. There is a stable small left apical pneumothorax."
    finding = read(text)[1]
    assert finding.statement == (
        Observation.PNEUMOTHORAX, None, Status.PRESENT, "apex", Side.LEFT, Severity.SMALL,
        Change.STABLE,
    )  # fmt: skip
    assert finding.sentence == "There is a stable small left apical pneumothorax."
    assert [text[start:end] for start, end in finding.spans] == ["pneumothorax"]


def test_spans_of_an_anatomy_and_its_state() -> None:
    text = "The heart is mildly enlarged."
    assert [text[a:b] for a, b in read(text)[0].spans] == ["heart", "enlarged"]


def test_a_repeated_statement_is_one_finding_with_all_its_spans() -> None:
    findings = read("Left effusion.\nLeft effusion.")
    assert len(findings) == 1
    assert findings[0].spans == ((5, 13), (20, 28))


def test_explain_names_rule_and_cues() -> None:
    fired = next(explain("No pleural effusion."))
    assert fired.rule.name.startswith("pleura/Pleural Effusion/")
    assert fired.cues == ("No",)


def test_labels_prefer_present_to_uncertain_to_absent() -> None:
    found = labels("No effusion. Possible effusion.")
    assert found[Observation.PLEURAL_EFFUSION] is Status.UNCERTAIN
    found = labels("No effusion. Possible effusion. Small effusion.")
    assert found == {Observation.PLEURAL_EFFUSION: Status.PRESENT}


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Lungs are clear. Heart size is normal.", True),
        ("No acute cardiopulmonary abnormality.", True),
        ("Lungs are clear. Right PICC in place.", True),
        ("Low lung volumes. Azygos lobe.", True),
        ("Lungs are clear. Mild scoliosis.", False),
        ("Hyperinflated lungs, otherwise clear.", False),
        ("Lungs are clear. Possible effusion.", False),
        ("PA and lateral views.", False),
        ("", False),
    ],
)
def test_no_finding(text: str, normal: bool) -> None:
    assert (labels(text).get(Observation.NO_FINDING) is Status.PRESENT) is normal


def test_top_level_names() -> None:
    assert plainfilm.read("Small effusion.") == read("Small effusion.")
    assert plainfilm.labels("Small effusion.") == labels("Small effusion.")


@pytest.mark.parametrize(("bad", "name"), [(None, "NoneType"), (b"effusion", "bytes"), (3, "int")])
def test_what_is_no_text(bad: Any, name: str) -> None:
    for function in (read, labels):
        with pytest.raises(InputError, match=f"must be text \\(str\\), got {name}"):
            function(bad)


def test_an_unknown_language() -> None:
    with pytest.raises(InputError, match="'tlh'; there are: en, es"):
        read("effusion", language="tlh")


@pytest.mark.parametrize("text", ["", " \n\t", "???", "El corazón es normal.", "(((", "No."])
def test_nothing_is_read_from_nothing(text: str) -> None:
    assert read(text) == []
    assert labels(text) == {}


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=string.printable + "éß°–", max_size=300))
def test_any_text_is_read_and_spans_lie_inside(text: str) -> None:
    for finding in read(text):
        assert all(0 <= start < end <= len(text) for start, end in finding.spans)


def test_reading_sentence_by_sentence_bounds_the_work() -> None:
    """An overlong sentence is cut, so work grows with the number of pieces, not their square."""
    text = "left effusion and " * 2_000
    for finding in read(text):
        assert finding.sentence is not None
        assert len(finding.sentence) <= LONGEST_SENTENCE
    assert read("(" * 100_000) == []
    assert read("x" * 1_000_000) == []


def test_details_are_many_and_their_codes_well_formed() -> None:
    terms = vocabulary()
    assert len({term.detail for term in terms if term.detail}) >= 90
    coded = {(term.code, term.detail) for term in terms if term.code}
    assert len(coded) >= 60
    assert all(re.fullmatch(r"SCT:\d{6,18}|RID:RID\d+", code) for code, _ in coded)
    assert len({code for code, _ in coded}) == len(coded), "one code for two terms"


def test_the_vocabulary_gives_every_term_once_with_its_parent() -> None:
    terms = vocabulary()
    assert len({(term.observation, term.detail) for term in terms}) == len(terms)
    assert (Observation.SUPPORT_DEVICES, "PICC", "SCT:398176008") in terms
    assert (Observation.OTHER, "scoliosis", "SCT:298382003") in terms
    with pytest.raises(InputError, match="'tlh'"):
        vocabulary("tlh")


def test_phrases() -> None:
    assert expand("opacit(y|ies)") == [("opacities",), ("opacity",)]
    assert expand("effusion(s)") == [("effusion",), ("effusions",)]
    assert expand("[pleural] air-space") == [("air", "space"), ("pleural", "air", "space")]
    with pytest.raises(InputError, match="brackets do not pair"):
        expand("(left|right effusion")
