"""What every metric must do, whatever it measures (as scikit-learn tests its metrics in common)."""

import math
import random

import pytest

from plainfilm.core import Score
from plainfilm.metrics import METRICS as ALL
from plainfilm.metrics import score

APART = ("meteor", "sembscore", "bertscore", "radgraph-f1", "ratescore", "green", "radcliq")
"""METEOR (a Java program for every score) and what needs a model, tested on their own."""

METRICS = {name: metric for name, metric in ALL.items() if not name.startswith(APART)}

REFERENCES = [
    "The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.",
    "Small left pleural effusion. Mild cardiomegaly. No pneumothorax is seen.",
    "Right lower lobe consolidation, likely pneumonia. The heart size is normal.",
    "Severe pulmonary edema with moderate bilateral pleural effusions. Stable cardiomegaly.",
    "Bibasilar atelectasis. Right PICC tip in the SVC. Old left rib fracture.",
    "No acute cardiopulmonary abnormality is identified on this examination.",
    "Large right apical pneumothorax. The left lung is clear.",
    "New nodule in the left upper lobe. Pleural thickening at the right base.",
]
PREDICTIONS = [
    "The heart is normal in size. The lungs are clear. No effusion.",
    "Moderate left pleural effusion. The heart is normal in size.",
    "Left lower lobe opacity, possibly pneumonia. No pneumothorax.",
    "Mild pulmonary edema. Small right pleural effusion. Cardiomegaly is unchanged.",
    "Atelectasis at the left base. No fracture is seen on this examination.",
    "No acute cardiopulmonary abnormality.",
    "Small right apical pneumothorax. Mild pulmonary edema.",
    "The lungs are clear. No nodule is seen.",
]
OF_THE_SET = [name for name in METRICS if name.startswith(("cider", "token-accuracy"))]
"""Their document frequencies, or their vocabulary, come from the whole set."""
EASY = ("exact", "label-accuracy", "token-accuracy")
"""Right decisions, most of which silence gets right: they have no empty prediction at the worst."""
MEANS = [
    name for name in METRICS if name.startswith(("rouge", "cider", "example", "exact", "label-acc"))
]
RECALLS = [name for name in METRICS if "recall" in name and not name.startswith("weighted")]


@pytest.fixture(scope="module")
def usual():
    return score(REFERENCES, PREDICTIONS, list(METRICS), per_report=True, intervals=True)


@pytest.fixture(scope="module")
def perfect():
    return score(REFERENCES, REFERENCES, list(METRICS))


@pytest.fixture(params=METRICS)
def name(request):
    return request.param


def test_identity_is_best(name, usual, perfect):
    best, found = perfect[name].value, usual[name].value
    assert best > found if METRICS[name].higher_is_better else best < found


def test_identity_reaches_the_top_of_the_range(name, perfect):
    assert perfect[name].value == pytest.approx(METRICS[name].best, abs=1e-6)


def test_values_lie_in_the_range(name, usual):
    low, high = sorted([METRICS[name].worst, METRICS[name].best])
    assert low <= usual[name].value <= high
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in usual[name].reports if not math.isnan(v))


def test_the_order_of_pairs_changes_nothing(name, usual):
    pairs = list(zip(REFERENCES, PREDICTIONS, strict=True))
    random.Random(0).shuffle(pairs)
    shuffled = score(*map(list, zip(*pairs, strict=True)), [name])[name]
    assert shuffled.value == pytest.approx(usual[name].value, abs=1e-12)


def test_mappings_in_any_order_give_the_same(name, usual):
    references = {str(i): text for i, text in enumerate(REFERENCES)}
    predictions = {str(i): PREDICTIONS[i] for i in reversed(range(len(PREDICTIONS)))}
    found = score(references, predictions, [name])[name]
    assert found.value == pytest.approx(usual[name].value, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if not name.startswith(EASY)])
@pytest.mark.parametrize("texts", [[""] * len(REFERENCES), [" \n "] * len(REFERENCES)])
def test_empty_predictions_are_defined(name, texts):
    found = score(REFERENCES, texts, [name])[name]
    if math.isnan(found.value):
        assert "precision" in name  # nothing was predicted
    elif name.startswith("hallucination"):
        assert found.value == 0  # nothing was invented either
    else:
        assert found.value == pytest.approx(METRICS[name].worst, abs=1e-6)


def test_nothing_on_either_side_is_never_a_silent_number(name):
    found = score(["", ""], ["", ""], [name])[name]
    defined = ("bleu", "rouge", "exact", "label-accuracy", "hallucination")
    assert math.isnan(found.value) or name.startswith(defined)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_THE_SET])
def test_each_report_is_as_if_scored_alone(name, usual):
    for index, pair in enumerate(zip(REFERENCES, PREDICTIONS, strict=True)):
        alone = score([pair[0]], [pair[1]], [name])[name].value
        assert usual[name].reports[index] == pytest.approx(alone, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", MEANS)
def test_a_mean_is_the_mean_of_the_reports(name, usual):
    defined = [value for value in usual[name].reports if not math.isnan(value)]
    assert usual[name].value == pytest.approx(math.fsum(defined) / len(defined))
    assert usual[name].undefined == len(REFERENCES) - len(defined)


@pytest.mark.parametrize("name", RECALLS)
def test_sides_are_not_exchanged(name):
    """Swapped arguments swap precision and recall."""
    recall = score(REFERENCES, PREDICTIONS, [name])[name].value
    mirror = name.replace("recall", "precision")
    assert score(PREDICTIONS, REFERENCES, [mirror])[mirror].value == pytest.approx(recall)


def test_the_interval_holds_the_value(name, usual):
    low, high = usual[name].interval
    assert low <= usual[name].value <= high


def test_scores_survive_json(name, usual):
    assert Score.from_json(usual[name].to_json()).to_json() == usual[name].to_json()


def test_the_signature_names_metric_and_count(name, usual):
    signature = usual[name].signature
    assert (signature.metric, signature.count) == (name, len(REFERENCES))
    assert signature.version.startswith("plainfilm-")
    assert signature.tokenizer or signature.labeler or signature.checkpoint
