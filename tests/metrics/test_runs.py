"""Several runs of a system: mean, spread over runs, interval over studies."""

import math
from dataclasses import replace
from statistics import fmean, stdev

import pytest

import plainfilm
from plainfilm.core import MetricError
from plainfilm.metrics.bootstrap import Bootstrap
from plainfilm.metrics.runs import difference, over_runs
from plainfilm.metrics.significance import welch

REFERENCES = {
    "a": "Small left pleural effusion.",
    "b": "The heart is enlarged. No effusion.",
    "c": "Right pneumothorax.",
    "d": "No acute abnormality.",
}
GOOD = [
    REFERENCES | {"a": "No effusion."},
    REFERENCES | {"c": "Left pneumothorax and edema."},
    REFERENCES,
]
BAD = [dict.fromkeys(REFERENCES, text) for text in ("Edema.", "No effusion.", "The heart is big.")]
METRICS = ["micro-f1-14", "rouge-l", "macro-f1-14"]


def test_every_run_has_the_value_that_score_gives_it() -> None:
    found = over_runs(REFERENCES, GOOD, METRICS, section="findings", split="test")
    for name in METRICS:
        single = [plainfilm.score(REFERENCES, run, [name])[name].value for run in GOOD]
        assert found[name].values == pytest.approx(single)
        assert found[name].mean == pytest.approx(fmean(single))
        assert found[name].deviation == pytest.approx(stdev(single))
        low, high = found[name].interval
        assert low <= found[name].mean <= high
        assert (found[name].signature.section, found[name].signature.split) == ("findings", "test")
    assert found["macro-f1-14"].parts["Pneumothorax"] == (1.0, 1.0, 1.0)


def test_the_interval_of_one_run_is_the_one_that_score_gives() -> None:
    alone = over_runs(REFERENCES, GOOD[:1], METRICS, bootstrap=Bootstrap(samples=200))
    scored = plainfilm.score(REFERENCES, GOOD[0], METRICS, intervals=Bootstrap(samples=200))
    for name in METRICS:
        assert alone[name].interval == pytest.approx(scored[name].interval)
        assert math.isnan(alone[name].deviation)


def test_the_difference_of_two_systems() -> None:
    good, bad = (over_runs(REFERENCES, runs, METRICS)["rouge-l"] for runs in (GOOD, BAD))
    found = difference(bad, good)
    assert found.value == pytest.approx(good.mean - bad.mean)
    assert 0 < found.interval[0] <= found.value <= found.interval[1]
    assert found.p_value == welch(bad.values, good.values, one_sided=False)
    back = difference(good, bad)
    assert (back.value, back.interval[0]) == (-found.value, pytest.approx(-found.interval[1]))
    alone = over_runs(REFERENCES, GOOD[:1], METRICS)["rouge-l"]
    assert math.isnan(difference(bad, alone).p_value)


def test_what_does_not_compare() -> None:
    good = over_runs(REFERENCES, GOOD, METRICS)
    with pytest.raises(MetricError, match="different protocols"):
        difference(good["rouge-l"], good["micro-f1-14"])
    with pytest.raises(MetricError, match="runs is empty"):
        over_runs(REFERENCES, [], METRICS)


def test_a_difference_in_the_last_bit_is_none() -> None:
    """Equal systems whose sums came in another order."""
    first = over_runs(REFERENCES, [GOOD[0]], ["bleu-4"])["bleu-4"]
    nudged = replace(first, values=(first.values[0] - 2.5e-14,), draws=first.draws - 2.5e-14)
    found = difference(first, nudged)
    assert found.value == 0
    assert found.interval == (0, 0)
