"""How reports are scored: tokenizers, a corpus, workers, and one object that holds it all."""

import math
from dataclasses import replace

import pytest

from plainfilm.core import InputError, MetricError, UncertaintyPolicy
from plainfilm.metrics import Corpus, Scoring, align, reading, score
from plainfilm.metrics.significance import compare, repeated
from plainfilm.metrics.tokens import TOKENIZERS, r2gen_words

REFERENCES = [
    "Small left pleural effusion. No pneumothorax.",
    "The heart is normal in size. Lungs are clear.",
    "Possible right lower lobe pneumonia. No effusion.",
]
PREDICTIONS = [
    "Small right pleural effusion. No pneumothorax.",
    "The heart is normal in size. No effusion.",
    "Right lower lobe opacity. The heart is normal.",
]
TRAINING = [
    "No pneumothorax or effusion.",
    "Lungs are clear. The heart is normal in size.",
    "Small right pleural effusion.",
    "Left lower lobe opacity. No pneumothorax.",
]


def as_json(scores):
    return {name: one.to_json() for name, one in scores.items()}


def test_one_object_or_its_fields():
    scoring = Scoring(policy=UncertaintyPolicy.NEGATIVE, section="findings", tokenizer="whitespace")
    names = ["bleu-2", "micro-f1-14"]
    found = score(REFERENCES, PREDICTIONS, names, scoring=scoring)
    fields = score(
        REFERENCES, PREDICTIONS, names, policy="uncertain-negative", section="findings",
        tokenizer="whitespace",
    )  # fmt: skip
    assert as_json(found) == as_json(fields)
    assert found["micro-f1-14"].signature.labels == "chexpert-14,uncertain-negative"
    other = score(REFERENCES, PREDICTIONS, names, scoring=scoring, section="impression")
    assert other["bleu-2"].signature.section == "impression"
    assert other["bleu-2"].value == found["bleu-2"].value


def test_every_function_takes_it():
    scoring = Scoring(tokenizer="whitespace", split="test")
    pairs = align(REFERENCES, PREDICTIONS, scoring=scoring)
    assert pairs.settings() == scoring.settings()
    one = compare(REFERENCES, PREDICTIONS, REFERENCES, ["bleu-1"], samples=100, scoring=scoring)
    assert one["bleu-1"].signature.tokenizer == "whitespace"
    runs = [PREDICTIONS, REFERENCES]
    assert repeated(REFERENCES, runs, runs, ["bleu-1"], scoring=scoring)["bleu-1"].first[1] == (
        pytest.approx(1)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": "bert"}, "no tokenizer 'bert': choose from ptb, whitespace, r2gen-60"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"corpus": []}, "a corpus must be a list of at least one report"),
        ({"corpus": "a report"}, "a corpus must be a list of at least one report"),
        ({"models": {"bert": None}}, "no metric uses a model 'bert'"),
        ({"language": "es", "models": {"chexbert": None}}, "CheXbert reads English, not 'es'"),
    ],
)
def test_what_is_not_possible_is_said(options, message):
    with pytest.raises(MetricError, match=message):
        score(REFERENCES, PREDICTIONS, ["bleu-1"], **options)
    with pytest.raises(InputError, match="no rules for language 'xx'; there are: en, es"):
        Scoring(language="xx")


def test_words_that_are_cut_already():
    """As they stand: "cannot" is one word, a stop is one, and capitals differ."""
    references, predictions = ["we cannot see it ."], ["We cannot see it ."]
    plain = score(references, predictions, ["bleu-1", "token-f1"], tokenizer="whitespace")
    assert plain["bleu-1"].value == pytest.approx(4 / 5)
    assert plain["token-f1"].value == pytest.approx(4 / 5)
    signature = plain["bleu-1"].signature
    assert (signature.tokenizer, signature.case) == ("whitespace", "as-is")
    usual = score(references, predictions, ["bleu-1"])["bleu-1"]
    assert usual.value == pytest.approx(1)
    assert usual.signature.tokenizer == "ptb-3.4.1-coco"
    assert plain["bleu-1"].signature.differences(usual.signature)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The heart is normal. No effusion.", "the heart is normal . no effusion ."),
        (
            "1. Left-sided effusion (small). 2. No edema...",
            "left-sided effusion small . no edema .",
        ),
        ('A 5.5 x 3 cm mass; T8/T9 "wedge".', "a 55 x 3 cm mass t8t9 wedge ."),
        ("Clear\nlungs", "clear lungs ."),
        ("", "."),
    ],
)
def test_r2gens_cleaning(text, words):
    assert r2gen_words(text) == words.split()


def test_r2gens_truncation():
    """Its reference is 60 tokens with the start mark, its draft 60 without one."""
    long = " ".join(f"w{n}" for n in range(150))
    for name, longest in (("r2gen-60", 60), ("r2gen-100", 100)):
        pairs = align([long], [long], tokenizer=name)
        assert [len(side[0]) for side in pairs.tokens] == [longest - 1, longest]
        found = score([long], [long], ["bleu-1"], tokenizer=name)["bleu-1"]
        assert found.value == pytest.approx((longest - 1) / longest)
        assert found.signature.tokenizer == name


@pytest.mark.parametrize("name", ["cider-d", "token-accuracy"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_with_a_corpus_a_reports_value_does_not_depend_on_its_batch(name, tokenizer):
    options = {"corpus": TRAINING, "tokenizer": tokenizer, "per_report": True}
    together = score(REFERENCES, PREDICTIONS, [name], **options)[name]
    for number, pair in enumerate(zip(REFERENCES, PREDICTIONS, strict=True)):
        alone = score([pair[0]], [pair[1]], [name], **options)[name]
        assert alone.value == pytest.approx(together.reports[number], abs=1e-12)
        assert alone.signature.corpus == together.signature.corpus is not None
    assert not math.isnan(together.value)


def test_the_references_as_their_own_corpus_change_nothing():
    names = ["cider-d", "token-accuracy"]
    usual = score(REFERENCES, PREDICTIONS, names)
    given = score(REFERENCES, PREDICTIONS, names, corpus=REFERENCES)
    for name in names:
        assert given[name].value == pytest.approx(usual[name].value, abs=1e-14)
        assert usual[name].signature.corpus is None
    assert "corpus:" not in str(usual["cider-d"].signature)


def test_a_corpus_is_counted_once():
    corpus = Corpus(TRAINING)
    words = TOKENIZERS["ptb"]
    assert corpus.frequencies(words) is corpus.frequencies(words)
    assert corpus.digest == Corpus(reversed(TRAINING)).digest != Corpus(TRAINING[1:]).digest
    assert len(corpus) == 4


def test_several_processes_read_the_same(monkeypatch):
    monkeypatch.setattr(reading, "_FEWEST", 1)
    names = ["micro-f1-14", "finding-f1-side"]
    texts = [f"{text} Nodule of {n} mm." for n in range(60) for text in REFERENCES]
    one = score(texts, PREDICTIONS * 60, names, per_report=True)
    two = score(texts, PREDICTIONS * 60, names, per_report=True, workers=2)
    assert as_json(one) == as_json(two)
    pairs = align(texts, PREDICTIONS * 60, workers=2)
    assert pairs.findings == replace(pairs, workers=1, read={}).findings
