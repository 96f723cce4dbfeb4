"""score: alignment, messages, signatures."""

import math
import re
import shutil
from pathlib import Path

import pytest

import plainfilm.text
from plainfilm.core import MetricError
from plainfilm.metrics import DEFAULT_METRICS, METRICS, clinical, score

LEXICAL = ["bleu-1", "rouge-l"]


def test_mappings_are_aligned_by_id():
    references = {"a": "no effusion", "b": "the heart is large"}
    predictions = {"b": "the heart is large", "a": "no edema"}
    found = score(references, predictions, LEXICAL, per_report=True)
    assert found["bleu-1"].reports == pytest.approx((0.5, 1.0))


@pytest.mark.parametrize(
    ("references", "predictions", "message"),
    [
        (["a"], ["a", "b"], "must have the same length, got 1 references and 2 predictions"),
        ([], [], "references is empty: give at least one report"),
        (["a"], [], "predictions is empty"),
        ("abc", "abc", "references must be a list of texts or a mapping of id to text, got str"),
        (["a"], "a", "predictions must be a list of texts"),
        (["a", None], ["a", "b"], "must hold texts by ids that are text, got NoneType at '2'"),
        ({1: "a"}, {1: "a"}, "got int at 1"),
        ({"x": "a"}, ["a"], "or both mappings of id to text, got dict and list"),
        (
            {"a": "", "b": "", "c": "", "d": "", "e": ""},
            {"e": "", "f": ""},
            r"4 references without a prediction \(a, b, c…\); 1 predictions without .* \(f\)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_one_line(references, predictions, message):
    with pytest.raises(MetricError, match=message) as caught:
        score(references, predictions, LEXICAL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["bleu_4"], "unknown metric 'bleu_4': did you mean 'bleu-4'. choose from bleu-1, "),
        (["F1"], "unknown metric 'F1'"),
        ([3], "unknown metric 3"),
        (["bleu-1", "bleu-1"], "bleu-1 more than once: name each once"),
        ([], "metrics is empty"),
        ("bleu-1", r"metrics must be a list of names, got the text 'bleu-1': \['bleu-1'\]"),
    ],
)
def test_wrong_metrics_are_one_line(metrics, message):
    with pytest.raises(MetricError, match=message):
        score(["a"], ["a"], metrics)


def test_the_order_asked_for_is_the_order_given():
    assert list(score(["a"], ["a"], ["rouge-l", "bleu-2"])) == ["rouge-l", "bleu-2"]


def test_default_metrics_are_in_the_table():
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_the_signature_names_what_was_scored():
    found = score(["a", "b"], ["a", "b"], ["rouge-l"], section="findings", split="test")["rouge-l"]
    assert re.search(
        r"\|section:findings\|split:test\|references:[0-9a-f]{8}\|count:2$", str(found.signature)
    )


def test_the_signature_names_the_data():
    def digest(references):
        return score(references, references, ["rouge-l"])["rouge-l"].signature.references

    first = digest({"a": "no effusion", "b": "edema"})
    assert first == digest({"b": "edema", "a": "no effusion"})
    assert first != digest({"a": "edema", "b": "no effusion"})
    assert first != digest({"a": "no effusion", "b": "edema."})
    assert first != digest({"a": "no effusion", "c": "edema"})


def test_other_predictions_are_scored_by_the_same_protocol():
    signatures = [
        {name: found.signature for name, found in score(["edema", "x"], said).items()}
        for said in (["edema", "y"], ["", ""])
    ]
    assert signatures[0] == signatures[1]


def test_the_signature_says_what_became_of_undefined_classes():
    found = score(["edema"], ["edema"], ["micro-f1-14", "macro-f1-14", "example-f1-14"])
    assert [one.signature.undefined for one in found.values()] == [None, "left-out", "left-out"]


@pytest.mark.parametrize(
    "name", ["micro-f1-14", "micro-recall-5", "finding-f1-side", "token-f1", "macro-f1-14"]
)
def test_an_undefined_value_is_counted(name):
    found = score(["", ""], ["", ""], [name])[name]
    assert math.isnan(found.value)
    assert found.undefined >= 1


def test_the_labeler_changes_with_the_code_of_the_reader(monkeypatch, tmp_path):
    shutil.copytree(Path(plainfilm.text.reader.__file__).parent, tmp_path / "text")
    monkeypatch.setattr(clinical, "files", lambda package: tmp_path / "text")
    (tmp_path / "text" / "languages.py").write_text("", encoding="utf-8")
    before = clinical.labeler.__wrapped__()
    assert before == clinical.labeler.__wrapped__()
    reader = tmp_path / "text" / "reader.py"
    reader.write_text(reader.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    assert clinical.labeler.__wrapped__() != before


def test_progress_is_reported_for_every_distinct_text():
    seen = []

    def track(texts, task):
        for text in texts:
            seen.append((task, text))
            yield text

    score(["a", "a"], ["b", "a"], LEXICAL, track=track)
    assert seen == [("tokens", "a"), ("tokens", "b")]


def test_scores_of_different_protocols_do_not_compare():
    first = score(["a b", "c"], ["a", "c"], ["bleu-1"])["bleu-1"]
    second = score(["a b", "c"], ["a b", "c"], ["bleu-1"])["bleu-1"]
    assert second.difference(first) == pytest.approx(1 - first.value)
    other = score(["a b"], ["a"], ["bleu-1"], split="test")["bleu-1"]
    message = r"do not compare \(split: None ≠ test; references: \w+ ≠ \w+; count: 2 ≠ 1\): score"
    with pytest.raises(MetricError, match=message):
        first.difference(other)
