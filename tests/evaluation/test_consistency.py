"""What a classifier knows against what the text of the same draft says."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from plainfilm.core import Evidence, Observation, Report
from plainfilm.evaluation.consistency import area_under_curve, consistency, observations_table
from plainfilm.metrics import align

EDEMA, FRACTURE = Observation.EDEMA, Observation.FRACTURE
TRUTH = ["Pulmonary edema.", "Rib fracture.", "The lungs are clear.", "Pulmonary edema."]
SAID = ["The lungs are clear.", "Rib fracture.", "Pulmonary edema.", "Pulmonary edema."]
CHANCES = [(0.9, 0.1), (0.2, 0.4), (0.3, 0.1), (0.6, 0.2)]


def reports():
    return [
        Report(findings=text, evidence=tuple(
            Evidence(observation=name, probability=chance)
            for name, chance in zip((EDEMA, FRACTURE), chances, strict=True)
        ))
        for text, chances in zip(SAID, CHANCES, strict=True)
    ]  # fmt: skip


def test_classifier_text_and_truth_are_held_against_each_other():
    found = consistency(align(TRUTH, SAID), reports())
    edema, fracture = found.observations["Edema"], found.observations["Fracture"]
    assert edema == {
        "positives": 2, "auc": 1.0, "head_f1": 1.0, "text_f1": 0.5, "agreement": 0.5,
        "unsaid": 1, "known": 1,
    }  # fmt: skip
    assert (fracture["head_f1"], fracture["text_f1"], fracture["auc"]) == (0.0, 1.0, 1.0)
    values = {name: one.value for name, one in found.scores.items()}
    assert values == pytest.approx({
        "head-micro-f1": 4 / 5, "head-macro-f1": 1 / 2, "text-micro-f1": 2 / 3,
        "text-macro-f1": 3 / 4, "label-consistency": 5 / 8, "known-but-unsaid": 1,
        "said-though-denied": 1,
    })  # fmt: skip
    assert all(one.interval is not None for one in found.scores.values())
    assert found.to_dict()["auc"] == found.auc == 1.0
    assert observations_table(found.observations)[0] == [
        "Edema", "2", "1.000", "1.000", "0.500", "0.500", "1 of 1",
    ]  # fmt: skip


def test_without_a_classifier_there_is_nothing_to_tell():
    plain = [Report(findings=text) for text in SAID]
    assert consistency(align(TRUTH, SAID), plain) is None


def test_the_area_is_scikit_learns():
    rng = np.random.default_rng(0)
    true = rng.random(200) < 0.3
    chances = np.round(rng.random(200) * 0.5 + true * 0.3, 1)  # with ties
    assert area_under_curve(true, chances) == pytest.approx(roc_auc_score(true, chances))
    assert area_under_curve(np.ones(3, bool), chances[:3]) is None
