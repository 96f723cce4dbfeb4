"""METEOR against pycocoevalcap's run of the reference program."""

import math
import shutil

import numpy as np
import pytest

from plainfilm.core import MetricError, MissingDependencyError
from plainfilm.metrics import meteor as module
from plainfilm.metrics import score

REFERENCES = [
    "The heart is normal in size. The lungs are clear.",
    "Small left pleural effusion.",
    "Clear lungs.",
    "No acute process.",
    "Stable cardiomegaly with mild edema.",
]
PREDICTIONS = [
    "Heart size is normal. Lungs are clear.",
    "Small right pleural effusions.",
    "Clear lungs.",
    "",
    "The enlarged heart is unchanged.",
]


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_equal_to_pycocoevalcap():
    """The values are those of pycocoevalcap 1.2's Meteor on the same tokens, recorded."""
    found = score(REFERENCES, PREDICTIONS, ["meteor"], per_report=True, intervals=True)["meteor"]
    assert found.value == pytest.approx(0.26178337349266245, abs=1e-9)
    expected = [0.40307149878714027, 0.2903779145221262, 1.0, 0.0, 0.0]
    np.testing.assert_allclose(found.reports, expected, atol=1e-9)
    assert found.interval[0] < found.value < found.interval[1]
    assert found.signature.checkpoint == "meteor-1.5.jar,en,norm"


def test_two_empty_texts_are_undefined():
    assert math.isnan(module._value(np.zeros(23)))


def test_without_java(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="needs Java, and there is no java"):
        score(["a"], ["a"], ["meteor"])


def test_without_the_archive(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: "/usr/bin/java")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install pycocoevalcap==1\.2"):
        score(["a"], ["a"], ["meteor"])


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_a_program_that_ended_is_told_and_started_anew():
    module._program().kill()
    with pytest.raises(MetricError, match="METEOR's program failed with status -9"):
        score(REFERENCES, PREDICTIONS, ["meteor"])
    assert module._program().poll() is None


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_what_every_metric_must_do_in_one_run_of_the_program():
    """Identity is best, order changes nothing, empty is 0, each report is by itself."""
    count = len(REFERENCES)
    references = REFERENCES + REFERENCES[::-1] + REFERENCES + REFERENCES
    predictions = PREDICTIONS + PREDICTIONS[::-1] + REFERENCES + [" "] * count
    found = score(references, predictions, ["meteor"], per_report=True)["meteor"]
    usual, backwards, equal, empty = np.array(found.reports).reshape(4, count)
    np.testing.assert_allclose(backwards, usual[::-1])
    np.testing.assert_allclose(equal, 1)
    assert usual.max() <= 1
    assert not empty.any()
    assert found.undefined == 0


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
@pytest.mark.parametrize("tokenizer", ["ptb", "whitespace"])
def test_no_text_breaks_the_programs_lines(tokenizer):
    odd = ["a ||| b", "|||", "SCORE ||| x", "a\u2028b\x85c\rd", "\ud800", "", "\x00 é 👍"]
    found = score(odd, odd[::-1], ["meteor"], tokenizer=tokenizer, per_report=True)["meteor"]
    assert len(found.reports) == len(odd)
