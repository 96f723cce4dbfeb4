"""Bootstrap intervals: against a plain resampling of texts, coverage of a known case, the seed."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from plainfilm.core import MetricError
from plainfilm.metrics import Bootstrap, score
from plainfilm.metrics.scoring import scores_of
from plainfilm.metrics.statistics import mean_of, share_of

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


@pytest.mark.parametrize(("yes", "reports"), [(0, 5), (5, 5), (1, 100), (37, 590), (1, 2)])
def test_a_share_has_wilsons_interval(yes, reports):
    values = np.array([1.0] * yes + [0.0] * (reports - yes))
    found = Bootstrap().intervals({"share": share_of(values)})["share"]
    expected = binomtest(yes, reports).proportion_ci(method="wilson")
    assert found == pytest.approx((expected.low, expected.high))


def test_exact_match_is_a_share():
    found = score(["Edema."] * 5, ["No edema."] * 5, ["exact-match-14"], intervals=True)
    one = found["exact-match-14"]
    assert one.value == 0
    assert one.interval == pytest.approx((0, 0.4345), abs=1e-3)
    assert one.interval_method == "95% Wilson interval of a share"


@pytest.mark.parametrize(
    "name",
    ["micro-f1-14", "macro-f1-14", "micro-recall-5", "example-f1-14", "finding-f1", "rouge-l",
     "bleu-1", "weighted-f1-14", "hallucination-rate-14", "token-f1"],
)  # fmt: skip
def test_no_interval_of_nothing(name):
    """Not one report is right, or wrong, in a small sample: the next one may be."""
    references = ["Cardiomegaly.", "Pulmonary edema.", "Consolidation.", "Atelectasis."] * 2
    predictions = ["Fracture.", "Nodule.", "Pneumothorax.", "Scoliosis."] * 2
    low, high = score(references, predictions, [name], intervals=True)[name].interval
    assert low < high


@pytest.mark.parametrize("count", [1, 3])
def test_reports_that_are_alike_leave_room(count):
    found = score(["no effusion or edema"] * count, ["no effusion"] * count, ["token-recall"],
                  intervals=True)["token-recall"]  # fmt: skip
    low, high = found.interval
    share = 1.96**2 / (count + 1.96**2)
    assert found.value == 0.5
    assert low == pytest.approx(0.5 - 0.5 * share, abs=1e-3)
    assert high == pytest.approx(0.5 + 0.5 * share, abs=1e-3)


def test_an_undefined_value_has_no_interval():
    """No class of five has a positive in the reference; a smoothed draw would have one."""
    said = "Cardiomegaly. Pulmonary edema. Consolidation. Atelectasis. Pleural effusion."
    names = ["weighted-f1-5", "weighted-precision-5"]
    found = score(["Clear lungs."], [said], names, intervals=True)
    for one in found.values():
        assert math.isnan(one.value)
        assert all(map(math.isnan, one.interval))
        assert one.undefined >= 1


def test_the_counts_of_a_few_reports_are_smoothed():
    """Two of two positives found: recall is 1, and its interval reaches down."""
    found = score(["Edema."] * 2 + ["Clear lungs."] * 8, ["Edema."] * 2 + ["No edema."] * 8,
                  ["micro-recall-5"], intervals=True)["micro-recall-5"]  # fmt: skip
    assert found.value == 1
    assert 0.1 < found.interval[0] < 0.8
    assert found.interval[1] == 1
    assert found.interval_method == "95% smoothed bootstrap over reports, 1000 samples, seed 0"


def test_reports_that_are_their_references_have_their_value_for_certain():
    found = score(REFERENCES, REFERENCES, ["rouge-l"], intervals=True)["rouge-l"]
    assert found.interval == (1, 1)


@pytest.mark.parametrize("size", [50, 200])
def test_smoothing_makes_macro_f1_cover(size):
    """Rare classes, often missed: the percentile interval misses the truth far too often."""
    from plainfilm.metrics.clinical import from_decisions

    random = np.random.default_rng(size)
    shares = np.array([0.3, 0.1, 0.04, 0.03, 0.02, 0.02])
    names = tuple("abcdef")

    def sample(reports):
        truth = random.random((reports, 6)) < shares
        said = np.where(
            random.random((reports, 6)) < 0.5, truth, random.random((reports, 6)) < shares
        )
        return from_decisions(truth, said, "macro", "f1", names, {})

    population = sample(200_000)
    truth = float(population.value(population.totals))
    held = {True: 0, False: 0}
    for _ in range(150):
        found = sample(size)
        low, high = Bootstrap(samples=300).intervals({"f1": found})["f1"]
        held[True] += low <= truth <= high
        low, high = np.nanquantile(
            Bootstrap(samples=300).values({"f1": found})["f1"], [0.025, 0.975]
        )
        held[False] += low <= truth <= high
    assert held[True] >= 0.9 * 150
    assert held[False] < held[True]


def test_a_large_set_has_the_same_intervals_without_its_rows(monkeypatch):
    random = np.random.default_rng(0)
    texts = ["Edema.", "Small left effusion.", "No edema. Clear lungs.", "Cardiomegaly."]
    references, predictions = (list(random.choice(texts, 900)) for _ in range(2))
    names = ["rouge-l", "bleu-2", "macro-f1-14", "micro-f1-5", "exact-match-14"]
    usual = score(references, predictions, names, intervals=True)
    monkeypatch.setattr("plainfilm.metrics.scoring.LARGE", 500)
    kept = []
    monkeypatch.setattr(
        "plainfilm.metrics.scoring.scores_of",
        lambda pairs, metrics, measured, **options: kept.append(measured) or scores_of(
            pairs, metrics, measured, **options
        ),
    )  # fmt: skip
    large = score(references, predictions, names, intervals=True)
    assert all(len(one.rows) == 1 for one in kept[0].values())
    for name in names:
        assert large[name].value == pytest.approx(usual[name].value)
        assert large[name].interval == pytest.approx(usual[name].interval, abs=0.012)
    per_report = score(references, predictions, ["rouge-l"], intervals=True, per_report=True)
    assert len(per_report["rouge-l"].reports) == 900
