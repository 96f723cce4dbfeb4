"""Labels and SembScore by a CheXbert that is given (here a stand-in of the same face)."""

import math
import re

import numpy as np
import pytest

from plainfilm.core import MetricError, Observation, Status
from plainfilm.metrics import score

VECTORS = {"a": [1.0, 0.0], "b": [3.0, 4.0], "": [0.0, 0.0]}


class StandIn:
    name = "chexbert-12345678"

    def labels(self, texts):
        return [{Observation.EDEMA: Status.PRESENT} if text == "a" else {} for text in texts]

    def embed(self, texts):
        return np.array([VECTORS[text] for text in texts], dtype=np.float32)


def test_labels_are_chexberts():
    found = score(["a", "a", "b"], ["a", "b", "b"], ["micro-f1-14"], models={"chexbert": StandIn()})
    assert found["micro-f1-14"].value == pytest.approx(2 / 3)
    assert found["micro-f1-14"].signature.labeler == "chexbert-12345678"


def test_sembscore_is_the_mean_cosine():
    found = score(
        ["a", "a", "b"],
        ["a", "b", ""],
        ["sembscore"],
        models={"chexbert": StandIn()},
        per_report=True,
    )["sembscore"]
    assert found.reports[:2] == pytest.approx((1, 0.6))
    assert math.isnan(found.reports[2])
    assert found.value == pytest.approx(0.8)
    assert found.undefined == 1
    assert found.signature.checkpoint == "chexbert-12345678"


def test_sembscore_says_what_it_needs():
    message = re.escape(
        "sembscore needs CheXbert's checkpoint and the vocabulary of bert-base-uncased: give "
        "--model chexbert=chexbert.pth,vocabulary=vocab.txt (in Python: "
        "models={'chexbert': load_chexbert(…)})"
    )
    with pytest.raises(MetricError, match=message):
        score(["a"], ["a"], ["sembscore"])
