"""nltk's METEOR with a dictionary of two synonyms."""

import math

import pytest

from plainfilm.core import MetricError, ModelError
from plainfilm.metrics import score
from plainfilm.metrics.meteor_nltk import FILES, load_wordnet
from plainfilm.metrics.models import load_models


@pytest.fixture
def dictionary(tmp_path):
    folder = tmp_path / "wordnet"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("")
    synset = "00000000 18 n 02 doctor 0 physician 0 000 | one who heals  \n"
    (folder / "data.noun").write_text(synset)
    words = [f"{word} n 1 0 1 0 00000000  \n" for word in ("doctor", "physician")]
    (folder / "index.noun").write_text("".join(words))
    return folder


def by_formula(matches, chunks, reference, prediction):
    precision, recall = matches / prediction, matches / reference
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    return mean * (1 - 0.5 * (chunks / matches) ** 3)


def test_words_stems_and_synonyms_match(dictionary):
    models = load_models([f"wordnet={dictionary}"])
    references = [
        "The doctor came.",
        "small effusion",
        "clear lungs",
        "no",
        "edema",
        "",
        "left lung",
    ]
    predictions = ["the physician came", "effusions", "lungs clear", "no", "", " ", "heart"]
    found = score(references, predictions, ["meteor-nltk"], models=models, per_report=True)
    found = found["meteor-nltk"]
    expected = [
        by_formula(3, 1, 3, 3),
        by_formula(1, 1, 2, 1),
        by_formula(2, 2, 2, 2),
        0.5,  # one word in one piece: nltk gives identity less than 1
        0,
    ]
    assert found.reports[:5] == pytest.approx(expected)
    assert math.isnan(found.reports[5])
    assert found.reports[6] == 0
    assert found.value == pytest.approx(sum(expected) / 6)
    assert found.undefined == 1
    assert found.signature.tokenizer == "ptb-3.4.1-coco"
    assert found.signature.checkpoint.startswith("nltk-3.")


def test_the_signature_names_the_dictionary(dictionary):
    before = load_wordnet(dictionary).name
    assert load_wordnet(dictionary).name == before
    (dictionary / "index.noun").write_text("doctor n 1 0 1 0 00000000  \n")
    assert load_wordnet(dictionary).name != before


def test_a_missing_dictionary_gets_one_line(dictionary):
    with pytest.raises(
        MetricError, match=r"meteor-nltk needs the folder of WordNet 3\.0's dict.*give"
    ):
        score(["a"], ["a"], ["meteor-nltk"])
    (dictionary / "verb.exc").unlink()
    with pytest.raises(
        ModelError, match=r"lacks verb\.exc: give the folder of WordNet 3\.0's dict"
    ):
        load_wordnet(dictionary)
    (dictionary / "verb.exc").write_text("")
    (dictionary / "index.noun").write_text("doctor n one\n")
    with pytest.raises(ModelError, match="is no dictionary of WordNet: "):
        load_wordnet(dictionary)
