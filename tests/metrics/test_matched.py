"""Metrics of matched findings: values by hand."""

import math

import pytest

from plainfilm.metrics import align, score
from plainfilm.metrics.matched import COUNTED

NAMES = [
    "finding-match", "matched-findings", "error-score", "significant-error-score",
    "sentence-precision", "sentence-recall", "sentence-f1", "temporal-f1",
]  # fmt: skip


def value(name, reference, prediction):
    return score([reference], [prediction], [name])[name].value


@pytest.mark.parametrize(
    ("name", "reference", "prediction", "expected"),
    [
        # 5 things told of the effusion: there, certain, where, how large, what became of it
        ("finding-match", "New small left effusion.", "New small left effusion.", 1),
        ("finding-match", "New small left effusion.", "New small right effusion.", 4 / 5),
        ("finding-match", "New small left effusion.", "New large right effusion.", 3 / 5),
        ("finding-match", "Small left effusion.", "Effusion.", 1),
        ("finding-match", "Effusion.", "Possible effusion.", 1 / 2),
        ("finding-match", "Effusion. Edema.", "Effusion.", 2 / 3),
        ("finding-match", "Effusion.", "Pneumothorax.", 0),
        ("finding-match", "Effusion.", "No effusion.", 0),
        ("finding-match", "Effusion.", "", 0),
        ("finding-match", "Clear lungs.", "Clear lungs.", math.nan),
        ("matched-findings", "No edema. Heart normal.", "No edema. Heart normal.", 1),
        ("matched-findings", "No edema. Heart normal.", "Severe edema. Heart normal.", 1 / 2),
        ("matched-findings", "Scoliosis.", "Cardiomegaly. Scoliosis.", 1),
        ("matched-findings", "Left pneumothorax.", "Right pneumothorax.", 0),
        ("matched-findings", "Clear lungs.", "", 0),
        ("matched-findings", "Clear lungs.", "Pulmones claros.", 0),
        ("error-score", "Cardiomegaly.", "Cardiomegaly.", 1),
        ("error-score", "Cardiomegaly. Scoliosis.", "Emphysema.", 1 / 4),
        ("significant-error-score", "Cardiomegaly. Scoliosis.", "Emphysema.", 1),
        ("significant-error-score", "Pneumothorax.", "Lungs are clear.", 1 / 2),
        ("error-score", "Lungs are clear.", "", 0),
        ("error-score", "Edema has worsened.", "Edema.", 1 / 2),
        ("significant-error-score", "Edema has worsened.", "Edema.", 1),
        ("significant-error-score", "Edema has worsened.", "Edema has improved.", 1 / 2),
        ("sentence-precision", "Effusion. No edema.", "Effusion. No edema. Fracture.", 2 / 3),
        ("sentence-recall", "Effusion. No edema.", "Effusion. No edema. Fracture.", 1),
        ("sentence-recall", "Effusion. Edema.", "Effusion and fracture.", 1 / 2),
        ("sentence-precision", "Effusion. Edema.", "Effusion and fracture.", 0),
        ("sentence-f1", "Effusion. Edema.", "Effusion. Fracture.", 1 / 2),
        ("sentence-precision", "Effusion.", "No fracture.", math.nan),
        ("temporal-f1", "Edema has worsened. Stable effusion.", "Worsening edema.", 2 / 3),
        ("temporal-f1", "Clear lungs.", "Clear lungs.", 1),
        ("temporal-f1", "Clear lungs.", "", 0),
        ("temporal-f1", "Clear lungs.", "New edema.", 0),
    ],
)
def test_values(name, reference, prediction, expected):
    assert value(name, reference, prediction) == pytest.approx(expected, nan_ok=True)


def test_errors_are_counted_by_kind_and_significance():
    references = [
        "Small left effusion. Stable cardiomegaly.",
        "Right pneumothorax.",
        "Clear lungs.",
    ]
    predictions = ["Large right effusion. Cardiomegaly.", "Clear lungs.", "Clear lungs. Pneumonia."]
    parts = score(references, predictions, ["error-score"])["error-score"].parts
    counted = {name: round(3 * count) for name, count in parts.items() if count}
    assert counted == {
        "errors": 6,
        "significant errors": 5,
        "hallucinated finding": 1,
        "hallucinated finding, significant": 1,
        "omitted finding": 1,
        "omitted finding, significant": 1,
        "wrong side or place": 1,
        "wrong side or place, significant": 1,
        "wrong severity": 1,
        "wrong severity, significant": 1,
        "omitted comparison": 1,
        "contradiction": 1,
        "contradiction, significant": 1,
    }
    assert set(parts) >= {str(kind) for kind in COUNTED}


def test_a_matching_has_the_counts_that_a_reward_asks():
    pairs = align(["Left pneumothorax. No edema. Scoliosis."], ["Right pneumothorax. No edema."])
    matching = pairs.matchings[0]
    assert (matching.matched, matching.significant, matching.insignificant) == (1, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_spanish(name):
    references = ["Derrame pleural izquierdo pequeño.", "Pulmones claros. Cardiomegalia."]
    found = score(references, references, [name], language="es")[name]
    assert found.value == 1
    assert found.signature.language == "es"
