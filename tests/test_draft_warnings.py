"""What a radiologist is told of a draft that is no report."""

import pytest

from plainfilm.pipeline import _unreadable
from plainfilm.text import read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the report is empty"),
        ("No effusion. " + "The heart is large. " * 20, "of the report is repetition"),
        ("No effusion" + " ;" * 40, "of the report is repetition"),
        ("lorem ipsum dolor", "the reader finds no statement"),
    ],
)
def test_a_draft_that_is_no_report_is_told(text, reason):
    (warning,) = _unreadable(text, read(text), "en")
    assert reason in warning


@pytest.mark.parametrize("text", ["No effusion.", "Normal chest.", "Small left effusion. Edema."])
def test_a_report_has_no_such_warning(text):
    assert not list(_unreadable(text, read(text), "en"))
