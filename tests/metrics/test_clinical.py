"""Label F1 against scikit-learn, and what is undefined."""

import math
import re

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from plainfilm.core import FIVE_OBSERVATIONS, Observation, Status
from plainfilm.metrics import score
from plainfilm.metrics.clinical import (
    accuracy,
    error_rate,
    exact_match,
    from_decisions,
    label_score,
    labeler,
)
from plainfilm.metrics.pairs import Pairs

NAMES = tuple("abcdefgh")


def _decisions(seed, reports=60, classes=8):
    random_ = np.random.default_rng(seed)
    references = random_.random((reports, classes)) < random_.random(classes) * 0.5
    flipped = random_.random((reports, classes)) < 0.25
    return references, references ^ flipped


def _value(references, predictions, average, measure):
    names = NAMES[: references.shape[1]]
    found = from_decisions(references, predictions, average, measure, names, {})
    return found, float(found.value(found.totals))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("average", ["micro", "macro", "weighted", "example"])
def test_equal_to_scikit_learn(average, seed):
    references, predictions = _decisions(seed)
    if average == "example":  # reports without a positive on either side are undefined
        some = (references | predictions).any(axis=1)
        references, predictions = references[some], predictions[some]
    theirs = precision_recall_fscore_support(
        references,
        predictions,
        average="samples" if average == "example" else average,
        zero_division=np.nan,
    )
    for measure, expected in zip(["precision", "recall", "f1"], theirs[:3], strict=True):
        assert _value(references, predictions, average, measure)[1] == pytest.approx(expected)


def test_parts_are_the_classes():
    references, predictions = _decisions(5)
    found, _ = _value(references, predictions, "macro", "f1")
    theirs = precision_recall_fscore_support(references, predictions, zero_division=np.nan)[2]
    parts = found.parts(found.totals)
    assert [parts[name] for name in NAMES] == pytest.approx(theirs.tolist(), nan_ok=True)


def test_a_class_without_positives_is_left_out_and_counted():
    references = np.array([[True, False, False], [True, True, False]])
    predictions = np.array([[True, False, False], [False, True, False]])
    found, value = _value(references, predictions, "macro", "f1")
    assert value == pytest.approx((2 / 3 + 1) / 2)
    assert found.undefined(found.totals) == 1
    assert math.isnan(found.parts(found.totals)["c"])
    assert found.parts(found.totals)["undefined as 0"] == pytest.approx((2 / 3 + 1) / 3)


def test_no_positives_at_all_is_undefined():
    nothing = np.zeros((3, 2), dtype=bool)
    for average in ("micro", "macro", "weighted", "example"):
        assert math.isnan(_value(nothing, nothing, average, "f1")[1]), average


def test_each_report_has_its_own_value():
    references = np.array([[True, True], [False, False]])
    predictions = np.array([[True, False], [False, False]])
    found, _ = _value(references, predictions, "micro", "f1")
    values = found.value(found.rows)
    assert values[0] == pytest.approx(2 / 3)
    assert math.isnan(values[1])


def _pairs_with(labels):
    """Return pairs whose labels are given: of each side, the observations present."""
    ids = tuple(str(i) for i in range(len(labels[0])))
    pairs = Pairs(ids, ids, ids)
    pairs.__dict__["labels"] = tuple(
        [{Observation(name): Status.PRESENT for name in report} for report in side]
        for side in labels
    )
    return pairs


def test_chexbert_f1s_own_example():
    """The labels that f1chexbert 0.0.2's test has CheXbert see, and the values it expects."""
    pairs = _pairs_with(
        (
            [
                ["No Finding"],
                ["Cardiomegaly"],
                ["Cardiomegaly"],
                ["Consolidation"],
                ["Lung Opacity", "Lung Lesion"],
            ],
            [["No Finding"], ["No Finding"], ["Edema", "Atelectasis"], ["Consolidation"], []],
        )
    )

    def value(found):
        return float(found.value(found.totals))

    def micro(measure, classes):
        return value(label_score(pairs, average="micro", measure=measure, classes=classes))

    assert value(exact_match(pairs, classes=5)) == pytest.approx(0.6)
    assert value(accuracy(pairs, classes=14)) == pytest.approx(1 - 7 / 70)
    assert micro("precision", 14) == pytest.approx(0.4)
    assert micro("recall", 14) == pytest.approx(1 / 3)
    assert micro("f1", 14) == pytest.approx(0.363636, abs=1e-6)
    assert micro("f1", 5) == pytest.approx(1 / 3)
    macro = label_score(pairs, average="macro", measure="f1", classes=14)
    assert macro.parts(macro.totals)["undefined as 0"] == pytest.approx(0.119048, abs=1e-6)
    assert value(macro) == pytest.approx((1 + 2 / 3) / 7)
    assert macro.undefined(macro.totals) == 7
    weighted = label_score(pairs, average="weighted", measure="f1", classes=14)
    assert value(weighted) == pytest.approx(0.277778, abs=1e-6)
    example = label_score(pairs, average="example", measure="f1", classes=14)
    assert value(example) == pytest.approx(0.4)
    five = label_score(pairs, average="macro", measure="f1", classes=5)
    assert set(five.parts(five.totals)) == {*map(str, FIVE_OBSERVATIONS), "undefined as 0"}
    assert five.parts(five.totals)["undefined as 0"] == pytest.approx(0.2)


def test_the_labeler_names_version_and_rules():
    assert re.fullmatch(r"plainfilm-reader-\d+\.\d+\.\d+\+[0-9a-f]{8}", labeler())


def test_rates_of_errors_by_observation():
    """The false positive and false negative rates, worked by hand; undefined ones are left out."""
    pairs = _pairs_with(
        (
            [["Edema"], ["Edema"], ["No Finding"], ["Fracture"]],
            [["Edema"], ["Fracture"], ["Edema"], ["Fracture"]],
        )
    )
    invented = error_rate(pairs, rate="hallucination", classes=14)
    parts = invented.parts(invented.totals)
    assert parts["Edema"] == 0.5  # one of the two without it
    assert parts["Fracture"] == pytest.approx(1 / 3)
    assert parts["Pneumonia"] == 0
    assert float(invented.value(invented.totals)) == pytest.approx((0.5 + 1 / 3) / 14)
    left_out = error_rate(pairs, rate="omission", classes=14)
    parts = left_out.parts(left_out.totals)
    assert (parts["Edema"], parts["Fracture"], parts["No Finding"]) == (0.5, 0, 1)
    assert math.isnan(parts["Pneumonia"])
    assert left_out.undefined(left_out.totals) == 11
    assert float(left_out.value(left_out.totals)) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["weighted-f1-5", "weighted-precision-5", "weighted-recall-5"])
def test_weights_of_nothing_are_undefined(name):
    """No reference is positive, and every class is predicted: weights sum to 0."""
    said = "Cardiomegaly. Pulmonary edema. Consolidation. Atelectasis. Pleural effusion."
    found = score(["Clear lungs."], [said], [name])[name]
    assert math.isnan(found.value)
    assert found.undefined >= 1
