"""RadCliQ-v1 at the published model's reference values, and as a metric with small models."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from encoders import save_encoder

from plainfilm.core import MetricError
from plainfilm.metrics import score
from plainfilm.metrics.bertscore import load_bertscore
from plainfilm.metrics.radcliq import radcliq_v1


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((1, 1, 1, 1), -1.440690), ((0, 0, 0, 0), 2.450143), ((0.5, 1, 1, 1), -0.818082)],
)
def test_reference_values(parts, expected):
    assert float(radcliq_v1(*parts)) == pytest.approx(expected, abs=5e-7)


def test_each_report_by_itself():
    values = radcliq_v1([1, 0, math.nan], [1, 0, 1], [1, 0, 1], [1, 0, 1])
    np.testing.assert_allclose(values[:2], [-1.440690, 2.450143], atol=5e-7)
    assert math.isnan(values[2])


def test_parts_of_unequal_length():
    message = r"one value for each report, got radgraph \(2,\), bertscore \(1,\)"
    with pytest.raises(MetricError, match=message):
        radcliq_v1([1, 1], [1], [1, 1], [1, 1])


class Radgraph:
    """Finds each word to be an entity."""

    name = "radgraph-0.1.18,radgraph-xl"

    def ask(self, items):
        return [
            {
                str(i): {"tokens": word, "label": "OBS-DP", "relations": []}
                for i, word in enumerate(item["text"].split())
            }
            for item in items
        ]


class Chexbert:
    name = "chexbert-12345678"

    def embed(self, texts):
        return np.array([[len(text) + 1.0, text.count("e")] for text in texts])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    folder.mkdir()
    save_encoder(folder)
    (folder / "baseline.tsv").write_text("LAYER,P,R,F\n2,0.5,0.5,0.5\n")
    scorer = load_bertscore(folder, layer=2, baseline=folder / "baseline.tsv")
    return {"radgraph": Radgraph(), "bertscore": scorer, "chexbert": Chexbert()}


def test_its_parts_are_those_metrics(models):
    references = ["no effusion", "small left effusion", "", "clear lungs"]
    predictions = ["no effusion", "small right effusion", "", ""]
    found = score(references, predictions, ["radcliq-v1", "bertscore", "sembscore", "bleu-2"],
                  models=models, per_report=True)  # fmt: skip
    whole = found["radcliq-v1"]
    entities = [1 / 2, 1 / 3, 0, 0]  # there is no relation: its F1 is 0
    expected = radcliq_v1(
        entities, *(found[name].reports for name in ("bertscore", "sembscore", "bleu-2"))
    )
    np.testing.assert_allclose(whole.reports, expected)
    assert math.isnan(whole.reports[2])
    assert whole.undefined == 1
    assert whole.value == pytest.approx(np.nanmean(expected))
    assert whole.parts["1/mean"] == pytest.approx(1 / whole.value)
    assert whole.parts["radgraph"] == pytest.approx((1 / 2 + 1 / 3) / 3)
    bertscores = [found["bertscore"].reports[i] for i in (0, 1, 3)]
    assert whole.parts["bertscore"] == pytest.approx(sum(bertscores) / 3)
    names = r"radgraph-0\.1\.18,radgraph-xl[+]tiny-bert:.*,rescaled:.*[+]chexbert-12345678"
    assert re.fullmatch(names, whole.signature.checkpoint)
    assert whole.signature.tokenizer


def test_it_names_all_that_is_missing(models):
    message = (
        r"radcliq-v1 lacks radgraph, bertscore, chexbert \(RadGraph in .*\): give "
        "--model radgraph=FOLDER --model bertscore=.* --model chexbert=.*"
    )
    with pytest.raises(MetricError, match=message):
        score(["a"], ["a"], ["radcliq-v1"])
    given = {name: model for name, model in models.items() if name != "radgraph"}
    with pytest.raises(
        MetricError, match=r"radcliq-v1 lacks radgraph .* give --model radgraph=FOL"
    ):
        score(["a"], ["a"], ["radcliq-v1"], models=given)


@pytest.mark.parametrize("change", [{"idf": True}, {"baseline": None}])
def test_another_bertscore_is_refused(models, change):
    given = {**models, "bertscore": replace(models["bertscore"], **change)}
    with pytest.raises(MetricError, match="was fitted to BERTScore rescaled and without IDF, got"):
        score(["a"], ["a"], ["radcliq-v1"], models=given)
