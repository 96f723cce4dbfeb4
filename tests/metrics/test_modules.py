"""The metrics under other tools' interfaces give the values of plainfilm.score."""

import math

import pytest

from plainfilm.core import MetricError, MissingDependencyError
from plainfilm.metrics import Corpus, score
from plainfilm.metrics.modules import load, reward, torch_metric

REFERENCES = ["Small left effusion.", "Lungs are clear. No edema.", "Right pneumothorax."]
PREDICTIONS = ["Small right effusion.", "No edema.", "Large right pneumothorax."]
NAMES = ("bleu-2", "micro-f1-14", "cider-d")


def test_a_module_of_evaluate():
    expected = {name: one.value for name, one in score(REFERENCES, PREDICTIONS, NAMES).items()}
    module = load(*NAMES)
    assert module.compute(predictions=PREDICTIONS, references=REFERENCES) == expected
    module.add(prediction=PREDICTIONS[0], reference=REFERENCES[0])
    module.add_batch(predictions=PREDICTIONS[1:], references=REFERENCES[1:])
    assert module.compute() == expected
    with pytest.raises(MetricError, match="references is empty"):
        module.compute()
    with pytest.raises(MetricError, match="got 1 predictions and 0 references"):
        module.add_batch(predictions=["a"], references=[])
    with pytest.raises(MetricError, match="unknown metric 'f1'"):
        load("f1")


@pytest.mark.parametrize("name", ["bleu-4", "rouge-l", "finding-match", "error-score", "cider-d"])
def test_a_reward_of_trl(name):
    corpus = Corpus(REFERENCES + PREDICTIONS)
    function = reward(name, corpus=corpus)
    expected = score(REFERENCES, PREDICTIONS, [name], corpus=corpus, per_report=True)[name].reports
    found = function(
        prompts=["p"] * 3, completions=PREDICTIONS, completion_ids=[[1]] * 3, reference=REFERENCES
    )
    assert [math.nan if v is None else v for v in found] == pytest.approx(expected, nan_ok=True)
    chats = [[{"role": "assistant", "content": text}] for text in PREDICTIONS]
    assert function(completions=chats, reference=REFERENCES) == found
    assert function.__name__ == name.replace("-", "_")


def test_a_completions_reward_does_not_depend_on_its_batch():
    function = reward("cider-d", corpus=REFERENCES)
    together = function(completions=PREDICTIONS, reference=REFERENCES)
    for n in range(3):
        alone = function(completions=PREDICTIONS[n : n + 1], reference=REFERENCES[n : n + 1])
        assert alone == pytest.approx(together[n : n + 1])
    with pytest.raises(MetricError, match=r"cider-d takes its frequencies .* give corpus="):
        reward("cider-d")


def test_a_reward_of_errors_is_negative_and_an_undefined_one_is_none():
    function = reward("hallucination-rate-14", reference="truth")
    found = function(completions=["Edema.", "Lungs are clear."], truth=["Lungs are clear."] * 2)
    assert found[0] < 0
    assert found[1] == 0
    assert reward("micro-recall-14")(completions=["Edema."], reference=["Scoliosis."]) == [None]
    with pytest.raises(MetricError, match="needs a column 'truth' with the references, got refer"):
        function(completions=["a"], reference=["b"])


def test_a_metric_of_torchmetrics():
    pytest.importorskip("torchmetrics")
    for name in ("bleu-2", "macro-f1-14", "rouge-l"):
        metric = torch_metric(name)
        for said, truth in zip(PREDICTIONS, REFERENCES, strict=True):
            metric.update(said, truth)
        expected = score(REFERENCES, PREDICTIONS, [name])[name].value
        assert float(metric.compute()) == pytest.approx(expected)
        metric.reset()
        metric.update(PREDICTIONS[:2], REFERENCES[:2])
        expected = score(REFERENCES[:2], PREDICTIONS[:2], [name])[name].value
        assert float(metric.compute()) == pytest.approx(expected)


def test_without_torchmetrics_it_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics", None)
    with pytest.raises(MissingDependencyError, match="pip install torchmetrics"):
        torch_metric("bleu-1")
