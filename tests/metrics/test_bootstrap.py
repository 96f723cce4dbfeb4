"""Bootstrap intervals: against a plain resampling of texts, coverage of a known case, the seed."""

import math

import numpy as np
import pytest

from plainfilm.core import MetricError
from plainfilm.metrics import Bootstrap, score
from plainfilm.metrics.statistics import mean_of

REFERENCES = [
    "no effusion or edema",
    "small left effusion",
    "the heart is large",
    "clear lungs",
] * 5
PREDICTIONS = ["no effusion", "small right effusion", "the heart is normal", "clear"] * 4 + [
    "x"
] * 4


def test_the_same_as_resampling_the_texts():
    """BLEU of each redrawn corpus, computed from its texts, gives the same interval."""
    bootstrap = Bootstrap(samples=60, level=0.8, seed=3)
    found = score(REFERENCES, PREDICTIONS, ["bleu-2"], intervals=bootstrap)["bleu-2"]
    random = np.random.default_rng(3)
    values = []
    for drawn in random.integers(0, len(REFERENCES), (60, len(REFERENCES))):
        texts = [[side[i] for i in drawn] for side in (REFERENCES, PREDICTIONS)]
        values.append(score(*texts, ["bleu-2"])["bleu-2"].value)
    assert found.interval == pytest.approx(tuple(np.quantile(values, [0.1, 0.9])))


def test_a_mean_has_the_normal_interval():
    values = np.random.default_rng(0).normal(size=2000)
    low, high = Bootstrap(samples=2000).intervals({"mean": mean_of(values)})["mean"]
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.006)
    assert high == pytest.approx(values.mean() + half, abs=0.006)


def test_many_reports_go_in_chunks():
    """Chunks bound memory; they do not change the draws."""
    values = np.random.default_rng(0).random(50_000)
    assert len(Bootstrap(samples=170).values({"mean": mean_of(values)})["mean"]) == 170


def test_the_seed_is_stated_and_repeats():
    runs = [score(REFERENCES, PREDICTIONS, ["rouge-l"], intervals=True)["rouge-l"] for _ in "ab"]
    assert runs[0].interval == runs[1].interval
    expected = "95% percentile bootstrap over reports, 1000 samples, seed 0"
    assert runs[0].interval_method == expected
    low, high = runs[0].interval
    assert low < runs[0].value < high


def test_undefined_everywhere_has_an_undefined_interval():
    found = score(["no edema"], ["no edema"], ["cider-d"], intervals=True)["cider-d"]
    assert all(map(math.isnan, found.interval))


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"level": 1.0}, {"level": 0}])
def test_wrong_settings(wrong):
    with pytest.raises(MetricError, match="at least 1 sample and a level between 0 and 1, got"):
        Bootstrap(**wrong)
