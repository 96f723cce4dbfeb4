"""CheXbert from a local copy of its published checkpoint: report text to the 14 labels.

CheXbert (Smit et al., EMNLP 2020, https://arxiv.org/abs/2004.09167) is BERT-base-uncased with one
linear head per observation on the CLS vector: 4 classes (blank, positive, negative, uncertain),
for No Finding 2. Its checkpoint may not be redistributed, so it is loaded from a local path and
its tokenizer from BERT's vocabulary; nothing is downloaded. Two things differ from its authors'
code: pickled objects other than tensors are refused, and the sizes are read from the tensors, so
that smaller checkpoints of the same format load as well.
"""

import hashlib
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import (
    OBSERVATIONS,
    InputError,
    MissingDependencyError,
    ModelError,
    Observation,
    Status,
)

SOURCE = "https://github.com/stanfordmlgroup/CheXbert"
LONGEST_REPORT = 512
"""Longest report in tokens; the rest is truncated, as CheXbert does."""
HEAD_SIZE = 64
"""Width of one attention head in every published BERT."""

_STATUSES = (None, Status.PRESENT, Status.ABSENT, Status.UNCERTAIN)
"""Meaning of the classes 0 to 3 of a head."""


@dataclass(frozen=True)
class Chexbert:
    """A loaded CheXbert."""

    name: str
    """Name in metric signatures: ``chexbert-`` and the start of the checkpoint's SHA-256."""
    bert: Any
    heads: tuple[tuple[Any, Any], ...]
    """(weight, bias) of each observation's head, in the order of ``OBSERVATIONS``."""
    tokenizer: Any

    def labels(self, texts: Sequence[str], batch_size: int = 16) -> list[dict[Observation, Status]]:
        """Return the labels of each text, without unmentioned observations."""
        import torch

        labels: list[dict[Observation, Status]] = []
        for vectors in self._vectors(texts, batch_size):
            classes = torch.stack(
                [(vectors @ weight.T + bias).argmax(dim=1) for weight, bias in self.heads], dim=1
            )  # (batch, 14)
            for row in classes.tolist():
                statuses = zip(OBSERVATIONS, (_STATUSES[index] for index in row), strict=True)
                labels.append({name: status for name, status in statuses if status})
        return labels

    def embed(self, texts: Sequence[str], batch_size: int = 16) -> npt.NDArray[np.float32]:
        """Return the CLS vectors (texts, hidden), which SembScore compares."""
        batches = [vectors.cpu().numpy() for vectors in self._vectors(texts, batch_size)]
        width = self.bert.config.hidden_size
        return np.concatenate([np.zeros((0, width), dtype=np.float32), *batches])

    def _vectors(self, texts: Sequence[str], batch_size: int) -> Iterator[Any]:
        """Yield CLS vectors (batch, hidden)."""
        import torch

        if isinstance(texts, str):
            raise InputError("CheXbert labels a list of texts, got one str; put it into a list")
        device = self.bert.device
        for start in range(0, len(texts), batch_size):
            batch = [" ".join(text.split()) for text in texts[start : start + batch_size]]
            encoded = self.tokenizer.encode_batch(batch)
            ids = torch.tensor([one.ids for one in encoded], device=device)
            mask = torch.tensor([one.attention_mask for one in encoded], device=device)
            with torch.inference_mode():
                output = self.bert(input_ids=ids, attention_mask=mask)
                yield output.last_hidden_state[:, 0]


def load_chexbert(
    checkpoint: str | Path, vocabulary: str | Path, *, device: str = "cpu"
) -> Chexbert:
    """Return the CheXbert in ``checkpoint``.

    Args:
        checkpoint: ``chexbert.pth`` as its authors publish it, or the same tensors as safetensors.
        vocabulary: ``vocab.txt`` of bert-base-uncased, or the folder that holds it.
        device: name of a torch device.

    Raises:
        ModelError: a file is missing, damaged or not of this format.
        MissingDependencyError: torch, transformers, safetensors or tokenizers is missing.
    """
    path = Path(checkpoint)
    if not path.is_file():
        raise ModelError(
            f"no CheXbert checkpoint at {path}; download chexbert.pth as {SOURCE} describes "
            "and give its path"
        )
    tensors = {key.removeprefix("module."): tensor for key, tensor in _read_tensors(path).items()}
    _check_shapes(tensors, path)
    tokenizer = _load_tokenizer(
        Path(vocabulary), len(tensors["bert.embeddings.word_embeddings.weight"])
    )
    bert = _build_bert(tensors, path)
    tokenizer = _load_tokenizer(Path(vocabulary), bert.config.vocab_size)
    heads = tuple(
        (
            tensors[f"linear_heads.{i}.weight"].to(device),
            tensors[f"linear_heads.{i}.bias"].to(device),
        )
        for i in range(len(OBSERVATIONS))
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Chexbert(f"chexbert-{digest[:8]}", bert.to(device), heads, tokenizer)


def _build_bert(tensors: Mapping[str, Any], path: Path) -> Any:
    """Return a BERT with the sizes and weights of ``tensors``."""
    try:
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise MissingDependencyError.of("transformers", "model") from error
    words, hidden = tensors["bert.embeddings.word_embeddings.weight"].shape
    layers = {key.split(".")[3] for key in tensors if key.startswith("bert.encoder.layer.")}
    config = BertConfig(
        vocab_size=words,
        hidden_size=hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, hidden // HEAD_SIZE),
        intermediate_size=len(tensors["bert.encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(tensors["bert.embeddings.position_embeddings.weight"]),
    )
    bert: Any = BertModel(config, add_pooling_layer=False)
    state = {
        key.removeprefix("bert."): tensor
        for key, tensor in tensors.items()
        if key.startswith("bert.")
        and not key.startswith("bert.pooler.")
        and key != "bert.embeddings.position_ids"  # written by older transformers
    }
    try:
        bert.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path} is not a CheXbert: {' '.join(str(error).split())}") from error
    return bert.eval()


def _read_tensors(path: Path) -> Mapping[str, Any]:
    """Return the tensors of a .pth or .safetensors file by name."""
    try:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingDependencyError.of("torch", "model") from error
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ModelError(f"{path} is not a safetensors file: {error}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path} cannot be read safely: {problem}; give CheXbert's own chexbert.pth, "
            "or its tensors as .safetensors"
        ) from error
    keys = list(content) if isinstance(content, dict) else []
    if "model_state_dict" not in keys:
        found = ", ".join(map(str, keys))[:200] or type(content).__name__
        raise ModelError(f"{path} is not a CheXbert: expected model_state_dict, found {found}")
    state: Mapping[str, Any] = content["model_state_dict"]
    return state


def _check_shapes(tensors: Mapping[str, Any], path: Path) -> None:
    """Raise ModelError if a tensor of CheXbert is missing or a head has the wrong shape."""
    bert = [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "encoder.layer.0.intermediate.dense.bias",
    ]
    heads = [f"linear_heads.{i}.{part}" for i in range(14) for part in ("weight", "bias")]
    expected = [*(f"bert.{key}" for key in bert), *heads]
    if missing := [key for key in expected if key not in tensors]:
        raise ModelError(f"{path} is not a CheXbert: it has no {', '.join(missing[:3])}")
    hidden = tensors[expected[0]].shape[1]
    for i, observation in enumerate(OBSERVATIONS):
        classes = 2 if observation is Observation.NO_FINDING else 4
        shape = tuple(tensors[f"linear_heads.{i}.weight"].shape)
        if shape != (classes, hidden):
            raise ModelError(
                f"{path} is not a CheXbert: its head {i} ({observation}) has shape {shape}, "
                f"expected {(classes, hidden)}"
            )


def _load_tokenizer(path: Path, words: int) -> Any:
    """Return BERT's uncased tokenizer over the vocabulary at ``path``, of ``words`` entries."""
    from tokenizers import BertWordPieceTokenizer

    file = path / "vocab.txt" if path.is_dir() else path
    if not file.is_file():
        raise ModelError(
            f"no BERT vocabulary at {file}; give vocab.txt of bert-base-uncased or its folder"
        )
    tokenizer = BertWordPieceTokenizer(str(file), lowercase=True)
    if tokenizer.get_vocab_size() != words:
        raise ModelError(
            f"{file} has {tokenizer.get_vocab_size()} entries but the checkpoint {words}; "
            "give the vocabulary of bert-base-uncased"
        )
    tokenizer.enable_truncation(LONGEST_REPORT)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"))
    return tokenizer
