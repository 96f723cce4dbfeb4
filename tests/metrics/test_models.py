"""Metrics that ask a model, all alike, with stand-ins for the models; and how models are named.

Each metric's own file compares its values; here is what every metric must do (as in test_common,
whose metrics need nothing).
"""

import math
import random
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
from encoders import save_encoder
from test_common import APART, PREDICTIONS, REFERENCES

from plainfilm.core import MetricError, Score
from plainfilm.metrics import METRICS, score
from plainfilm.metrics.bertscore import load_bertscore
from plainfilm.metrics.models import MODELS, load_models

NAMES = [name for name in METRICS if name.startswith(APART) and name != "meteor"]
OF_PAIRS = ("ratescore", "green")


class Chexbert:
    name = "chexbert-12345678"

    def embed(self, texts):
        return np.array([[1.0, *(text.count(letter) for letter in "eln")] for text in texts])


class Radgraph:
    """Each word an entity that modifies the next one."""

    name = "radgraph-1,words"

    def ask(self, items):
        return [self.annotate(item["text"].split()) for item in items]

    def annotate(self, words):
        found = {
            str(i): {"tokens": word, "label": "OBS-DP", "relations": []}
            for i, word in enumerate(words)
        }
        for one, other in pairwise(found):
            found[one]["relations"].append(["modify", other])
        return found


class PairScorer:
    """The share of words that both texts have."""

    name = "pairs-1,words"

    def ask(self, items):
        sides = [
            (set(item["reference"].split()), set(item["prediction"].split())) for item in items
        ]
        return [len(one & other) / len(one | other) for one, other in sides]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    encoder = folder / "tiny-bert"
    encoder.mkdir()
    save_encoder(encoder)
    baseline = folder / "baseline.tsv"
    baseline.write_text("LAYER,P,R,F\n2,0.1,0.1,0.1\n")
    return {
        "chexbert": Chexbert(),
        "bertscore": load_bertscore(encoder, layer=2, baseline=baseline),
        "radgraph": Radgraph(),
        **dict.fromkeys(OF_PAIRS, PairScorer()),
    }


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def usual(name, models):
    return score(REFERENCES, PREDICTIONS, [name], models=models, per_report=True)[name]


def test_identity_is_best(name, usual, models):
    best = score(REFERENCES, REFERENCES, [name], models=models)[name].value
    assert best > usual.value if METRICS[name].higher_is_better else best < usual.value
    assert best == pytest.approx(METRICS[name].best, abs=1e-3)


def test_the_order_of_pairs_changes_nothing(name, usual, models):
    order = random.Random(0).sample(range(len(REFERENCES)), len(REFERENCES))
    found = score(
        [REFERENCES[i] for i in order],
        [PREDICTIONS[i] for i in order],
        [name],
        models=models,
        per_report=True,
    )[name]
    assert found.value == pytest.approx(usual.value, abs=1e-6)
    assert found.reports == pytest.approx([usual.reports[i] for i in order], abs=1e-6)


def test_empty_predictions_are_defined(name, usual, models):
    found = score(REFERENCES, [""] * len(REFERENCES), [name], models=models)[name]
    assert found.undefined == 0
    worse = found.value < usual.value
    assert worse if METRICS[name].higher_is_better else not worse


def test_nothing_on_either_side_is_undefined(name, models):
    found = score(["", "Clear."], ["\n", "Clear."], [name], models=models, per_report=True)[name]
    if name == "sembscore":
        assert found.reports[0] == pytest.approx(1)  # the vectors of two empty texts are equal
    else:
        assert math.isnan(found.reports[0])
    assert not math.isnan(found.value)


@pytest.mark.parametrize("index", [0, 5])
def test_each_report_is_as_if_scored_alone(name, usual, models, index):
    alone = score([REFERENCES[index]], [PREDICTIONS[index]], [name], models=models)[name].value
    assert usual.reports[index] == pytest.approx(alone, abs=1e-6)


def test_a_mean_is_the_mean_of_the_reports(name, usual):
    assert usual.value == pytest.approx(math.fsum(usual.reports) / len(usual.reports))


def test_the_signature_names_what_answered(name, usual, models):
    asked = [m.name for m in models.values() if m.name in (usual.signature.checkpoint or "")]
    assert asked
    assert Score.from_json(usual.to_json()).to_json() == usual.to_json()


def test_a_missing_model_is_named(name):
    with pytest.raises(MetricError, match=r"give --model \w+="):
        score(["a"], ["a"], [name])


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("chexbert", "a model is given as NAME=PATH or NAME=PATH,OPTION=VALUE, got 'chexbert'"),
        ("chexbert=", "a model is given as NAME=PATH"),
        ("chexbert=a.pth,vocabulary", "a model is given as NAME=PATH"),
        ("chexpert=a.pth", "no metric uses a model 'chexpert': choose from chexbert, bertscore"),
        ("chexbert=a.pth", "is no model: .*vocabulary.*expected chexbert=chexbert.pth,vocabulary="),
        ("radgraph=a,layer=2", "is no model: .*layer.*expected radgraph=FOLDER"),
        ("bertscore=a,layer=two", "is no model: .*layer.*expected bertscore="),
    ],
)
def test_a_malformed_model_gets_one_line(description, message):
    with pytest.raises(MetricError, match=message) as caught:
        load_models([description])
    assert "\n" not in str(caught.value)


def test_a_model_is_given_once(tmp_path):
    save_encoder(tmp_path)
    given = f"={tmp_path},layer=2"
    with pytest.raises(MetricError, match="--model names bertscore more than once"):
        load_models([f"bertscore{given}"] * 2)
    assert list(load_models([f" bertscore {given}"])) == ["bertscore"]


def test_an_unknown_name_is_refused_by_score():
    with pytest.raises(MetricError, match="no metric uses a model 'bert': choose from chexbert"):
        score(["a"], ["a"], ["bleu-1"], models={"bert": None})


@pytest.mark.parametrize("model", list(MODELS.values()), ids=list(MODELS))
def test_every_loader_exists_and_its_example_names_it(model):
    module, function = model.loader.split(":")
    assert callable(getattr(import_module(module), function))
    assert model.example.partition("=")[0] in MODELS
