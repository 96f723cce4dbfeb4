"""Significance: against exact tests where there are any, and the messages."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from plainfilm.core import MetricError
from plainfilm.metrics.significance import compare, holm, repeated, welch

REFERENCES = [
    *("no effusion or edema", "small left effusion", "the heart is large", "clear lungs"),
    *("right base opacity", "no acute process", "old rib fracture", "left chest port"),
]
WORSE = ["effusion", "right effusion", "the heart", "lungs", "opacity", "acute", "rib", "port"]


def test_the_p_value_is_that_of_all_exchanges():
    """With 8 studies all 2⁸ exchanges can be tried."""
    better = REFERENCES[:5] + WORSE[5:]
    found = compare(REFERENCES, WORSE, better, ["rouge-l"], samples=20_000)["rouge-l"]
    from plainfilm.metrics import score

    values = [
        np.array(score(REFERENCES, said, ["rouge-l"], per_report=True)["rouge-l"].reports)
        for said in (WORSE, better)
    ]
    change = values[1] - values[0]
    exact = np.mean(
        [
            abs(change @ signs) >= abs(change.sum()) - 1e-12
            for signs in itertools.product([-1, 1], repeat=8)
        ]
    )
    assert found.p_value == pytest.approx(exact, abs=0.01)
    assert found.difference == pytest.approx(change.mean())
    assert found.interval[0] > 0


def test_equal_systems_do_not_differ():
    found = compare(REFERENCES, WORSE, WORSE, ["bleu-1", "rouge-l"], samples=200)
    for one in found.values():
        assert (one.difference, one.p_value, one.corrected_p_value) == (0, 1, 1)
        assert one.interval == (0, 0)


def test_a_corpus_metric_is_tested_on_its_sums():
    found = compare(REFERENCES, WORSE, REFERENCES, ["bleu-1"], samples=2000)["bleu-1"]
    assert found.second == pytest.approx(1)
    assert found.p_value < 0.02


def test_chance_gives_small_p_values_as_often_as_it_should():
    random = np.random.default_rng(0)
    words = ["effusion", "edema", "opacity", "port", "clear"]
    small = 0
    for seed in range(60):
        texts = [[" ".join(random.choice(words, 3)) for _ in range(25)] for _ in range(3)]
        small += compare(*texts, ["rouge-l"], samples=200, seed=seed)["rouge-l"].p_value < 0.1
    assert 0 < small < 15


def test_an_undefined_difference_has_no_p_value():
    found = compare(["a"], ["a"], ["a"], ["cider-d"], samples=100)["cider-d"]
    assert math.isnan(found.p_value)
    assert math.isnan(found.corrected_p_value)


def test_holm():
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan})
    assert corrected["a"] == pytest.approx(0.03)
    assert corrected["b"] == corrected["c"] == pytest.approx(0.06)
    assert math.isnan(corrected["d"])


def test_welch_as_scipy():
    first, second = [0.30, 0.32, 0.31, 0.29], [0.33, 0.35, 0.31, 0.36]
    assert welch(first, second) == pytest.approx(
        ttest_ind(second, first, equal_var=False, alternative="greater").pvalue
    )
    assert welch(second, first) == pytest.approx(1 - welch(first, second))
    assert welch(first, second, one_sided=False) == pytest.approx(2 * welch(first, second))


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (([0.1], [0.1, 0.2]), "at least two runs of each system, got 1 and 2"),
    ],
)
def test_welch_needs_runs(runs, message):
    with pytest.raises(MetricError, match=message):
        welch(*runs)


@pytest.mark.parametrize(
    "runs", [([0.1, math.nan], [0.1, 0.2]), ([0.1, 0.1], [0.1, 0.1]), ([0.1, 0.1], [0.3, 0.3])]
)
def test_welch_without_spread_or_values_is_undefined(runs, recwarn):
    assert math.isnan(welch(*runs))
    assert not recwarn.list


def test_repeated_runs_are_corrected_for_the_number_of_metrics():
    first = [WORSE, [*WORSE[:7], ""]]
    second = [REFERENCES, [*REFERENCES[:7], "chest port"]]
    found = repeated(REFERENCES, first, second, ["rouge-l", "bleu-1", "finding-f1"])
    single = found["rouge-l"]
    assert len(single.first) == len(single.second) == 2
    assert min(single.second) > max(single.first)
    p_values = {name: one.p_value for name, one in found.items()}
    assert {name: one.corrected_p_value for name, one in found.items()} == holm(p_values)
    assert single.corrected_p_value > single.p_value


def test_both_values_have_one_signature():
    found = compare(REFERENCES, WORSE, WORSE, ["bleu-1"], samples=100, section="findings")["bleu-1"]
    assert (found.signature.metric, found.signature.section, found.signature.count) == (
        ("bleu-1", "findings", 8)
    )


def test_too_few_samples():
    with pytest.raises(MetricError, match="samples must be at least 100 for a p-value, got 10"):
        compare(["a"], ["a"], ["a"], ["bleu-1"], samples=10)


def test_the_references_are_read_once():
    seen = []

    def track(texts, task):
        seen.extend(texts)
        return texts

    compare(["a", "b"], ["c", "d"], ["e", "d"], ["rouge-l"], samples=100, track=track)
    assert sorted(seen) == ["a", "b", "c", "d", "e"]


def test_exchanges_without_a_value_do_not_count():
    """Of the exchanges that leave both precisions defined, every one is as great as the seen."""
    references = ["Pneumonia.", "Clear lungs, no opacity."]
    found = compare(references, ["Pneumonia.", "xyz"], ["xyz", "Edema."], ["micro-precision-14"])
    assert found["micro-precision-14"].difference == -1
    assert found["micro-precision-14"].p_value == 1
