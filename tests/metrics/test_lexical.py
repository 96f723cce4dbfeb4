"""BLEU, ROUGE-L and CIDEr-D against pycocoevalcap 1.2 on the same tokens."""

import math
import random

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge, my_lcs

from plainfilm.metrics import score, tokenize
from plainfilm.metrics.lexical import longest_common_subsequence

METRICS = ["bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l", "cider-d"]
SENTENCES = [
    "The heart is normal in size.",
    "No pleural effusion or pneumothorax.",
    "There is a small left pleural effusion, 1 1/2 cm.",
    "The lungs are clear.",
    "Right-sided PICC tip is at the SVC/RA junction.",
    "Stable cardiomegaly; no edema, no edema, no edema.",
    "Dr. XXXX was notified at 3:15 p.m.",
]


def _pairs(count, seed):
    random_ = random.Random(seed)
    sides = [
        [" ".join(random_.choices(SENTENCES, k=random_.randint(0, 6))) for _ in range(count)]
        for _ in range(2)
    ]
    return sides[0], sides[1]


def _theirs(references, predictions):
    gts = {i: [" ".join(tokenize(text))] for i, text in enumerate(references)}
    res = {i: [" ".join(tokenize(text))] for i, text in enumerate(predictions)}
    bleus, bleus_of_report = Bleu(4).compute_score(gts, res, verbose=0)
    values = list(zip(bleus, bleus_of_report, strict=True))
    values += [Rouge().compute_score(gts, res), Cider().compute_score(gts, res)]
    return dict(zip(METRICS, values, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_pycocoevalcap(seed):
    references, predictions = _pairs(40, seed)
    ours = score(references, predictions, METRICS, per_report=True)
    for name, (value, of_report) in _theirs(references, predictions).items():
        assert ours[name].value == pytest.approx(value, abs=1e-9), name
        np.testing.assert_allclose(ours[name].reports, of_report, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("references", "predictions"),
    [
        (["", "a b", "c"], ["", "", "c"]),
        (["a b c", "d e f"], ["", ""]),
        (["a a a a a", "b"], ["a a", "b b b b b b"]),
        (["one", "two", "three"], ["four", "five", "six"]),
    ],
)
def test_equal_at_the_edges(references, predictions):
    ours = score(references, predictions, METRICS, per_report=True)
    for name, (value, of_report) in _theirs(references, predictions).items():
        assert ours[name].value == pytest.approx(value, abs=1e-9), name
        np.testing.assert_allclose(ours[name].reports, of_report, atol=1e-9, err_msg=name)


def test_cider_is_cocos_name_for_cider_d():
    references, predictions = _pairs(20, 7)
    both = score(references, predictions, ["cider", "cider-d"])
    assert both["cider"].value == both["cider-d"].value
    assert both["cider"].signature.metric == "cider"


@pytest.mark.parametrize("references", [["the heart is normal"], ["no edema", "no edema"]])
def test_cider_d_is_undefined_where_no_ngram_tells_references_apart(references):
    found = score(references, references, ["cider-d"])["cider-d"]
    assert math.isnan(found.value)
    assert found.undefined == len(references)


def test_longest_common_subsequence():
    random_ = random.Random(1)
    for _ in range(300):
        first = random_.choices("abcde", k=random_.randint(0, 90))
        second = random_.choices("abcdef", k=random_.randint(0, 90))
        assert longest_common_subsequence(first, second) == my_lcs(first, second)


def test_the_tokenizer_is_in_the_signature():
    found = score(["a b"], ["a b"], ["bleu-4"])["bleu-4"]
    assert "|tokenizer:ptb-3.4.1-coco|case:lower|" in str(found.signature)


def test_token_accuracy_is_the_share_of_right_decisions_over_the_vocabulary():
    references, predictions = _pairs(30, 5)
    words = {word for text in references for word in " ".join(tokenize(text)).split()}
    sides = [
        [set(" ".join(tokenize(text)).split()) for text in side]
        for side in (references, predictions)
    ]
    right = [
        sum((word in said) == (word in so) for word in words)
        for so, said in zip(*sides, strict=True)
    ]
    found = score(references, predictions, ["token-accuracy"], per_report=True)["token-accuracy"]
    assert found.value == pytest.approx(sum(right) / (30 * len(words)))
    assert found.reports == pytest.approx([one / len(words) for one in right])
    assert found.signature.labels == f"words-{len(words)}"


def test_an_invented_word_is_no_decision_of_token_accuracy():
    assert score(["a b"], ["a b c"], ["token-accuracy"])["token-accuracy"].value == 1
