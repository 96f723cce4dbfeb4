"""CheXbert's published format, on a tiny checkpoint of the same layout made here."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plainfilm.core import OBSERVATIONS, InputError, ModelError, Observation, Status
from plainfilm.text import labels
from plainfilm.text.chexbert import load_chexbert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    "no", "small", "left", "right", "pleural", "effusion", "pneumo", "##thorax", ".",
]  # fmt: skip


class Labeler(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The layout of CheXbert's published network."""

    def __init__(self) -> None:
        super().__init__()
        config = transformers.BertConfig(
            vocab_size=len(VOCABULARY),
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            initializer_range=0.5,  # so that texts differ
        )
        self.bert = transformers.BertModel(config)
        heads = [torch.nn.Linear(128, 4) for _ in range(13)] + [torch.nn.Linear(128, 2)]
        self.linear_heads = torch.nn.ModuleList(heads)


@pytest.fixture
def network() -> Labeler:
    torch.manual_seed(0)
    network = Labeler().eval()
    for head in network.linear_heads:
        torch.nn.init.normal_(head.weight)
    return network


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n")
    return path


@pytest.fixture
def save(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def save(tensors: dict[str, Any]) -> Path:
        path = tmp_path / "chexbert.pth"
        state = {f"module.{key}": tensor for key, tensor in tensors.items()}
        torch.save({"epoch": 3, "model_state_dict": state}, path)
        return path

    return save


Save = Callable[[dict[str, Any]], Path]
TEXTS = ["Small left pleural effusion.", "No\n  pneumothorax", "", "right " * 600]


def expected(network: Labeler, text: str) -> dict[Observation, Status]:
    """Labels by CheXbert's own procedure, one report at a time."""
    tokenizer = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(VOCABULARY)})
    ids = tokenizer(" ".join(text.split()), truncation=True, max_length=512)["input_ids"]
    with torch.no_grad():
        cls = network.bert(torch.tensor([ids])).last_hidden_state[:, 0]
        classes = [int(head(cls).argmax()) for head in network.linear_heads]
    meaning = {1: Status.PRESENT, 2: Status.ABSENT, 3: Status.UNCERTAIN}
    return {o: meaning[c] for o, c in zip(OBSERVATIONS, classes, strict=True) if c}


def test_labels_equal_the_published_procedure(
    network: Labeler, vocabulary: Path, save: Save
) -> None:
    chexbert = load_chexbert(save(network.state_dict()), vocabulary)
    labels = chexbert.labels(TEXTS, batch_size=2)
    assert labels == [expected(network, text) for text in TEXTS]
    assert len({str(label) for label in labels}) > 1
    assert set(Status) <= {status for label in labels for status in label.values()}


def test_padding_does_not_change_a_vector(network: Labeler, vocabulary: Path, save: Save) -> None:
    chexbert = load_chexbert(save(network.state_dict()), vocabulary)
    together = chexbert.embed(TEXTS, batch_size=4)
    alone = np.concatenate([chexbert.embed([text]) for text in TEXTS])
    assert together.shape == (4, 128)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert chexbert.embed([]).shape == (0, 128)
    assert chexbert.labels([]) == []


def test_safetensors_and_old_buffers_load_alike(
    network: Labeler, vocabulary: Path, save: Save, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    tensors = network.state_dict()
    old = {**tensors, "bert.embeddings.position_ids": torch.arange(512)[None]}
    save_file(tensors, tmp_path / "chexbert.safetensors")
    first = load_chexbert(save(old), vocabulary.parent)
    second = load_chexbert(tmp_path / "chexbert.safetensors", vocabulary)
    assert first.labels(TEXTS) == second.labels(TEXTS)
    assert first.name.startswith("chexbert-")
    assert first.name != second.name


def test_pickled_code_is_refused(tmp_path: Path, vocabulary: Path) -> None:
    marker = tmp_path / "ran"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (marker,)

    path = tmp_path / "chexbert.pth"
    with path.open("wb") as file:
        pickle.dump({"model_state_dict": Malicious()}, file, protocol=2)
    torch.save({"model_state_dict": Malicious()}, tmp_path / "zipped.pth")
    for name in ("chexbert.pth", "zipped.pth"):
        with pytest.raises(ModelError, match=r"cannot be read safely: .*give CheXbert's own"):
            load_chexbert(tmp_path / name, vocabulary)
    assert not marker.exists()


def test_wrong_files_get_one_clear_line(
    network: Labeler, vocabulary: Path, save: Save, tmp_path: Path
) -> None:
    tensors = network.state_dict()
    good = save(tensors)
    with pytest.raises(ModelError, match=r"no CheXbert checkpoint at .*; download chexbert\.pth"):
        load_chexbert(tmp_path / "missing.pth", vocabulary)
    with pytest.raises(ModelError, match=r"no BERT vocabulary at .*missing; give vocab\.txt"):
        load_chexbert(good, tmp_path / "missing")
    short = tmp_path / "short.txt"
    short.write_text("\n".join(VOCABULARY[:9]))
    with pytest.raises(ModelError, match=r"has 9 entries but the checkpoint 14; give the vocab"):
        load_chexbert(good, short)
    (tmp_path / "damaged.pth").write_bytes(good.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read safely"):
        load_chexbert(tmp_path / "damaged.pth", vocabulary)
    (tmp_path / "damaged.safetensors").write_bytes(b"not it")
    with pytest.raises(ModelError, match="is not a safetensors file"):
        load_chexbert(tmp_path / "damaged.safetensors", vocabulary)
    torch.save({"weights": {}}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="expected model_state_dict, found weights"):
        load_chexbert(tmp_path / "other.pth", vocabulary)
    with pytest.raises(ModelError, match=r"its head 13 \(No Finding\) has shape \(4, 128\)"):
        load_chexbert(save({**tensors, "linear_heads.13.weight": torch.zeros(4, 128)}), vocabulary)
    headless = {k: v for k, v in tensors.items() if k != "linear_heads.0.bias"}
    with pytest.raises(ModelError, match=r"it has no linear_heads\.0\.bias"):
        load_chexbert(save(headless), vocabulary)
    cut = {k: v for k, v in tensors.items() if "layer.1.output" not in k}
    with pytest.raises(ModelError, match=r"is not a CheXbert: .*layer\.1\.output") as caught:
        load_chexbert(save(cut), vocabulary)
    assert "\n" not in str(caught.value)


def test_one_text_in_place_of_a_list_is_refused(
    network: Labeler, vocabulary: Path, save: Save
) -> None:
    chexbert = load_chexbert(save(network.state_dict()), vocabulary)
    with pytest.raises(InputError, match="put it into a list"):
        chexbert.labels("No effusion.")


def test_labels_takes_chexbert_by_name(
    network: Labeler, vocabulary: Path, save: Save, tmp_path: Path
) -> None:
    path = save(network.state_dict())
    text = "No pneumothorax. Small left effusion."
    by_chexbert = labels(text, labeler="chexbert", checkpoint=path)  # vocab.txt lies beside it
    assert by_chexbert == expected(network, text)
    assert by_chexbert != labels(text) == labels(text, labeler="reader")
    with pytest.raises(InputError, match=r"needs checkpoint=PATH of its chexbert\.pth"):
        labels(text, labeler="chexbert")
    with pytest.raises(InputError, match="no labeler 'vader'; give reader or chexbert"):
        labels(text, labeler="vader")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="CheXbert reads English, not language 'es'"):
        labels(text, labeler="chexbert", checkpoint=path, language="es")
    with pytest.raises(InputError, match=r"must be text \(str\), got bytes"):
        labels(b"", labeler="chexbert", checkpoint=path)  # type: ignore[arg-type]


def test_importing_it_does_not_import_torch() -> None:
    code = "import sys, plainfilm.text.labeler; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
