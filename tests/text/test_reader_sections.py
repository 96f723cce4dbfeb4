"""Which text of a whole report is read, and where its sentences end."""

import pytest

from plainfilm.core import Observation, Status
from plainfilm.text import labels, read

REPORT = """INDICATION: Chest pain, rule out pneumothorax. History of pneumonia.
COMPARISON: Film with a large effusion.
TECHNIQUE: PA and lateral.

FINDINGS:
The lungs are clear. Heart size is normal.

IMPRESSION:
1. No acute disease.
2. Small hiatal hernia.
RECOMMENDATION: CT to evaluate for nodules.
"""


def test_only_findings_and_impression_are_read() -> None:
    assert labels(REPORT) == {
        Observation.CARDIOMEGALY: Status.ABSENT,
        Observation.LUNG_OPACITY: Status.ABSENT,
    }
    assert [f.detail for f in read(REPORT) if f.detail] == ["hiatal hernia"]


@pytest.mark.parametrize(
    "text",
    [
        "Indication: effusion. Findings: Lungs are clear.",
        "INDICATION: effusion FINDINGS: Lungs are clear.",
        "Indication:\nEffusion.\n\nLungs are clear.",
        "COMPARISON\nEffusion.\nIMPRESSION\nLungs are clear.",
    ],
)
def test_forms_of_headings(text: str) -> None:
    assert labels(text).keys() == {Observation.LUNG_OPACITY, Observation.NO_FINDING}


def test_a_report_without_headings_is_read_whole() -> None:
    assert labels("Small effusion.\nLungs are clear.").keys() == {
        Observation.LUNG_OPACITY,
        Observation.PLEURAL_EFFUSION,
    }


def test_headings_of_organs_are_part_of_their_sentence() -> None:
    found = labels("Lungs: Clear. Pleura: No effusion. Heart: Enlarged.")
    assert found == {
        Observation.CARDIOMEGALY: Status.PRESENT,
        Observation.LUNG_OPACITY: Status.ABSENT,
        Observation.PLEURAL_EFFUSION: Status.ABSENT,
    }


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("No effusion.Small pneumothorax.", ["No effusion.", "Small pneumothorax."]),
        ("No effusion Heart size is enlarged.", ["No effusion", "Heart size is enlarged."]),
        ("A 1.5 cm nodule. Effusion.", ["A 1.5 cm nodule.", "Effusion."]),
        ("1. Effusion\n2. Edema", ["1. Effusion", "2. Edema"]),
        ("An effusion vs. edema.", ["An effusion vs. edema."]),
    ],
)
def test_where_sentences_end(text: str, sentences: list[str]) -> None:
    assert list(dict.fromkeys(finding.sentence for finding in read(text))) == sentences


@pytest.mark.parametrize(
    "text",
    [
        "COMPARISON: June 4. The heart is enlarged. IMPRESSION: Unchanged.",
        "TECHNIQUE: Portable film after line placement. The heart is enlarged.",
        "INDICATION: Cough, pneumonia?\n\nThe heart is enlarged.",
    ],
)
def test_text_after_a_lone_heading_is_read(text: str) -> None:
    assert labels(text) == {Observation.CARDIOMEGALY: Status.PRESENT}


def test_an_indication_of_two_sentences_asserts_nothing() -> None:
    text = "INDICATION: Cough. Pneumonia last week. IMPRESSION: No effusion."
    assert Observation.PNEUMONIA not in labels(text)
