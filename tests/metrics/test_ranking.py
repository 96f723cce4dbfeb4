"""Several systems at once, and scores by group."""

import itertools
import math
import random

import pytest

from plainfilm.core import MetricError
from plainfilm.metrics import align, score
from plainfilm.metrics.breakdown import UNKNOWN, groups_of, score_by
from plainfilm.metrics.ranking import compact_letters, rank
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.significance import compare, holm

REFERENCES = {
    str(n): text
    for n, text in enumerate(
        ["Small left effusion.", "Clear lungs. No edema.", "Right pneumothorax.",
         "Mild cardiomegaly.", "No acute abnormality."] * 8
    )
}  # fmt: skip


def worse(share):
    chance = random.Random(1)
    return {k: "xyz" if chance.random() < share else text for k, text in REFERENCES.items()}


SYSTEMS = {"good": worse(0.05), "as good": worse(0.1), "bad": worse(0.9)}


@pytest.mark.parametrize(
    ("apart", "letters"),
    [
        ([], {"x": "a", "y": "a", "z": "a"}),
        ([("x", "y"), ("x", "z"), ("y", "z")], {"x": "a", "y": "b", "z": "c"}),
        ([("x", "z")], {"x": "a", "y": "ab", "z": "b"}),
        ([("x", "y"), ("x", "z")], {"x": "a", "y": "b", "z": "b"}),
        ([("x", "y")], {"x": "a", "y": "b", "z": "ab"}),
    ],
)
def test_compact_letters(apart, letters):
    assert compact_letters(["x", "y", "z"], apart) == letters


def test_letters_are_shared_exactly_by_those_that_are_not_apart():
    chance = random.Random(0)
    for size in range(2, 8):
        names = [f"s{n}" for n in range(size)]
        for _ in range(20):
            pairs = list(itertools.combinations(names, 2))
            apart = {pair for pair in pairs if chance.random() < 0.4}
            letters = compact_letters(names, apart)
            for pair in pairs:
                shared = set(letters[pair[0]]) & set(letters[pair[1]])
                assert bool(shared) == (pair not in apart)


def test_every_pair_is_tested_and_corrected():
    found = rank(REFERENCES, SYSTEMS, ["rouge-l", "micro-f1-14"], samples=1000)
    one = found["rouge-l"]
    assert [(t.first, t.second) for t in one.tests] == [
        ("good", "as good"), ("good", "bad"), ("as good", "bad"),
    ]  # fmt: skip
    assert one.letters == {"good": "a", "as good": "a", "bad": "b"}
    alone = compare(REFERENCES, SYSTEMS["good"], SYSTEMS["bad"], ["rouge-l"], samples=1000)
    assert one.tests[1].p_value == alone["rouge-l"].p_value
    assert one.tests[1].difference == pytest.approx(alone["rouge-l"].difference)
    assert one.tests[1].interval == pytest.approx(alone["rouge-l"].interval)
    all_p = {(name, t.first, t.second): t.p_value for name, r in found.items() for t in r.tests}
    corrected = {
        (name, t.first, t.second): t.corrected_p_value for name, r in found.items() for t in r.tests
    }
    assert corrected == pytest.approx(holm(all_p))
    assert (
        one.scores["bad"].value == score(REFERENCES, SYSTEMS["bad"], ["rouge-l"])["rouge-l"].value
    )


def test_lower_is_better_where_it_is():
    systems = {"bad": SYSTEMS["bad"], "good": SYSTEMS["good"]}
    found = rank(REFERENCES, systems, ["omission-rate-14"], samples=500)["omission-rate-14"]
    assert found.letters == {"good": "a", "bad": "b"}


def test_undefined_systems_come_last():
    systems = {"none": dict.fromkeys(REFERENCES, "xyz"), "good": SYSTEMS["good"]}
    found = rank(REFERENCES, systems, ["micro-precision-14"], samples=200)["micro-precision-14"]
    assert math.isnan(found.scores["none"].value)
    assert found.letters["good"] == "a"


def test_what_cannot_be_compared():
    with pytest.raises(MetricError, match="at least two systems, got 1"):
        rank(REFERENCES, {"a": REFERENCES})
    with pytest.raises(MetricError, match="samples must be at least 100"):
        rank(REFERENCES, SYSTEMS, samples=10)


def test_a_group_scores_as_its_reports_do():
    pairs = align(REFERENCES, SYSTEMS["bad"])
    sites = ["north" if n % 3 else "south" for n in range(len(REFERENCES))]
    names = ["rouge-l", "micro-f1-14", "macro-f1-14", "finding-f1-side"]
    found = score_by(pairs, resolve(names), sites, intervals=True)
    assert list(found) == ["north", "south"]
    for site, scores in found.items():
        keys = [key for key, one in zip(REFERENCES, sites, strict=True) if one == site]
        alone = score(
            {key: REFERENCES[key] for key in keys}, {key: SYSTEMS["bad"][key] for key in keys},
            names, intervals=True,
        )  # fmt: skip
        for name in names:
            assert scores[name].value == pytest.approx(alone[name].value)
            assert scores[name].interval == pytest.approx(alone[name].interval)
            assert scores[name].signature == alone[name].signature


def test_groups_keep_the_whole_sets_document_frequencies():
    pairs = align(REFERENCES, SYSTEMS["bad"])
    found = score_by(pairs, resolve(["cider-d"]), ["one"] * len(REFERENCES))
    whole = score(REFERENCES, SYSTEMS["bad"], ["cider-d"])["cider-d"]
    assert found["one"]["cider-d"].value == pytest.approx(whole.value)


def test_groups_of_any_values():
    values = ["b", None, " a ", "", 3, float("nan"), True, "a"]
    assert groups_of(values, 8) == {
        "3": [4], "True": [6], "a": [2, 7], "b": [0], UNKNOWN: [1, 3, 5],
    }  # fmt: skip
    with pytest.raises(MetricError, match="a value for each report, got 1 for 2 reports"):
        groups_of(["a"], 2)
