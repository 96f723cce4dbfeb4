"""BERTScore against its definition computed word by word, with a tiny encoder of random weights."""

import math

import pytest
import torch
from encoders import VOCABULARY, save_encoder

from plainfilm.core import MetricError, ModelError
from plainfilm.metrics import score
from plainfilm.metrics.bertscore import load_bertscore
from plainfilm.metrics.models import load_models
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.registry import METRICS
from plainfilm.metrics.scoring import measure

REFERENCES = ["No effusion.", "The heart is normal.", "Small left effusion.", "Clear lungs."]
PREDICTIONS = ["Small effusion.", "Heart is normal. Lungs clear.", "Small right effusion", ""]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    folder.mkdir()
    return folder, *save_encoder(folder)


def by_hand(model, reference, prediction, layer, documents=None):
    """F1 in plain loops over words."""
    sides = []
    for text in (reference, prediction):
        words = ["[CLS]", *text.lower().replace(".", " .").split(), "[SEP]"]
        words = [word if word in VOCABULARY else "[UNK]" for word in words]
        ids = torch.tensor([[VOCABULARY.index(word) for word in words]])
        with torch.no_grad():
            hidden = model(ids, output_hidden_states=True).hidden_states[layer][0]
        sides.append((words, hidden))

    def weight(word):
        if word in ("[CLS]", "[SEP]"):
            return 0.0
        if documents is None:
            return 1.0
        found = sum(word in d.lower().replace(".", " .").split() for d in documents)
        if word == "[UNK]":
            found = sum("the" in d.lower().split() for d in documents)
        return math.log((len(documents) + 1) / (found + 1))

    def mean_of_best(one, other):
        best = [
            max(torch.cosine_similarity(vector, v, dim=0).item() for v in other[1])
            for vector in one[1]
        ]
        weights = [weight(word) for word in one[0]]
        return sum(b * w for b, w in zip(best, weights, strict=True)) / sum(weights)

    recall, precision = mean_of_best(sides[0], sides[1]), mean_of_best(sides[1], sides[0])
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("idf", [False, True])
def test_equal_to_the_definition(saved, layer, idf):
    folder, model, _ = saved
    scorer = load_bertscore(folder, layer=layer, idf=idf)
    found = score(
        REFERENCES, PREDICTIONS, ["bertscore"], models={"bertscore": scorer}, per_report=True
    )["bertscore"]
    expected = [
        by_hand(model, r, p, layer, REFERENCES if idf else None)
        for r, p in zip(REFERENCES[:3], PREDICTIONS[:3], strict=True)
    ]
    assert found.reports == pytest.approx([*expected, 0.0], abs=1e-5)
    assert found.value == pytest.approx(sum(expected) / 4, abs=1e-5)


def test_the_signature_names_model_layer_idf_and_rescaling(saved, tmp_path):
    folder = saved[0]
    plain = load_bertscore(folder, layer=2).name
    assert plain.startswith("tiny-bert:")
    assert plain.endswith(",layer:2,no-idf,raw")
    assert load_bertscore(folder, layer=1, idf=True).name.endswith(",layer:1,idf,raw")
    baseline = tmp_path / "baseline.tsv"
    baseline.write_text("LAYER,P,R,F\n0,0.1,0.1,0.1\n1,0.2,0.3,0.25\n2,0.5,0.5,0.5\n")
    rescaled = load_bertscore(folder, layer=1, baseline=baseline)
    assert ",no-idf,rescaled:" in rescaled.name
    found = score(["No effusion."] * 2, ["No effusion.", ""], ["bertscore"],
                  models={"bertscore": rescaled}, per_report=True)["bertscore"]  # fmt: skip
    assert found.reports == pytest.approx([1, -1 / 3], abs=1e-6)
    assert found.signature.checkpoint == rescaled.name


def test_undefined_is_counted(saved):
    models = {"bertscore": load_bertscore(saved[0], layer=2)}
    found = score(["", "Clear."], [" ", "Clear."], ["bertscore"], models=models)["bertscore"]
    assert found.value == pytest.approx(1)
    assert found.undefined == 1
    models = {"bertscore": load_bertscore(saved[0], layer=2, idf=True)}
    alone = score(["Clear."], ["Clear."], ["bertscore"], models=models)["bertscore"]
    assert math.isnan(alone.value)  # every word is in every reference


@pytest.mark.parametrize("idf", [False, True])
def test_blocks_change_nothing(saved, idf):
    models = {"bertscore": load_bertscore(saved[0], layer=2, idf=idf)}
    values = []
    for block in (2, 100):
        pairs = Pairs(
            ids=tuple("abcd"),
            references=tuple(REFERENCES),
            predictions=tuple(PREDICTIONS),
            models=models,
            block=block,
        )
        found = measure(pairs, {"bertscore": METRICS["bertscore"]})["bertscore"]
        values.append(found.value(found.rows).tolist())
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_a_long_text_is_cut(saved):
    models = {"bertscore": load_bertscore(saved[0], layer=2)}
    long = "effusion " * 14
    found = score([long], [long + "clear lungs"], ["bertscore"], models=models)["bertscore"]
    assert found.value == pytest.approx(1)


def test_it_loads_by_name(saved, tmp_path):
    folder = saved[0]
    scorer = load_models([f"bertscore={folder},layer=1,idf=true"])["bertscore"]
    assert (scorer.layer, scorer.idf, scorer.baseline) == (1, True, None)
    with pytest.raises(MetricError, match=r"is no model: .*layer.*expected bertscore=distil"):
        load_models([f"bertscore={folder}"])
    with pytest.raises(ModelError, match="has layers 1 to 2, got layer 5"):
        load_models([f"bertscore={folder},layer=5"])
    with pytest.raises(ModelError, match=r"no encoder in .*: expected a folder with config\.json"):
        load_models([f"bertscore={tmp_path},layer=5"])
    (tmp_path / "b.tsv").write_text("LAYER,P,R,F\n9,1,1,1\n")
    with pytest.raises(ModelError, match="has no F of layer 1; expected a baseline file"):
        load_models([f"bertscore={folder},layer=1,baseline={tmp_path / 'b.tsv'}"])
    with pytest.raises(ModelError, match="no file at"):
        load_models([f"bertscore={folder},layer=1,baseline={tmp_path / 'none.tsv'}"])


def test_pickled_weights_are_not_read(saved, tmp_path):
    folder, model, tokenizer = saved
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no encoder in .*\*\.safetensors"):
        load_bertscore(tmp_path, layer=1)


def test_damaged_weights_get_one_line(saved, tmp_path):
    for path in saved[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot load the encoder from ") as caught:
        load_bertscore(tmp_path, layer=1)
    assert "\n" not in str(caught.value)


def test_it_says_what_it_needs():
    with pytest.raises(MetricError, match="give --model bertscore=distilroberta-base,layer=5"):
        score(["a"], ["a"], ["bertscore"])
