"""BERTScore with a local checkpoint: words matched by the cosine of their contextual embeddings.

Zhang et al., "BERTScore: Evaluating Text Generation with BERT" (ICLR 2020), as computed by its
authors' package ``bert_score``: embeddings of one layer, each word matched with the nearest word of
the other text, precision and recall as means over words, and their F1. The special tokens at both
ends of a text have weight 0 but may be matched. Options are IDF weights over the references and
rescaling with a baseline file of that package. It departs in two cases, in which the package gives
0: two empty texts, and a text in which every word has IDF weight 0, are undefined.
"""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plainfilm.core import MissingDependencyError, ModelError
from plainfilm.core.model_folder import OFFLINE, loading
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.statistics import Array, Statistics, mean_of

MARKS = 2
"""Number of special tokens, the only tokens of an empty text."""

EmbeddedText = tuple[npt.NDArray[np.float32], Array]
"""Embeddings (tokens, width) and weights (tokens,) of one text of a pair."""


@dataclass(frozen=True)
class BertScorer:
    """A loaded encoder with the settings for comparing its embeddings."""

    name: str
    """Name in signatures: folder and digest of the checkpoint, layer, IDF, rescaling."""
    encoder: Any
    tokenizer: Any
    layer: int
    idf: bool
    baseline: float | None
    """F1 of unrelated texts, which rescaling maps to 0; None for no rescaling."""
    longest: int
    """Maximum number of tokens; longer texts are truncated, as in ``bert_score``."""

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, including the special tokens at both ends."""
        # With the space, a byte-level tokenizer treats the first word like the others.
        return [
            self.tokenizer.encode(
                f" {text.strip()}" if text.strip() else "", truncation=True, max_length=self.longest
            )
            for text in texts
        ]

    def vectors(self, tokens: Sequence[list[int]]) -> list[npt.NDArray[np.float32]]:
        """Return the embeddings of each text's tokens, (tokens, width), with norm 1."""
        import torch

        device = self.encoder.device
        padded = [torch.tensor(numbers, device=device) for numbers in tokens]
        ids = torch.nn.utils.rnn.pad_sequence(
            padded, batch_first=True, padding_value=self.tokenizer.pad_token_id
        )
        lengths = torch.tensor([len(numbers) for numbers in tokens], device=device)
        mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
        with torch.inference_mode():
            output = self.encoder(
                input_ids=ids, attention_mask=mask.long(), output_hidden_states=True
            )
            hidden = torch.nn.functional.normalize(output.hidden_states[self.layer], dim=-1)
        return [
            row[: len(numbers)].float().cpu().numpy()
            for row, numbers in zip(hidden, tokens, strict=True)
        ]

    def f1(self, both: Sequence[tuple[str, str]], weights: "Weights") -> list[float]:
        """Return the F1 of each (reference, prediction), before rescaling."""
        texts = list(dict.fromkeys(text for pair in both for text in pair))
        tokens = self.tokens(texts)
        vectors = dict(zip(texts, self.vectors(tokens), strict=True))
        weighed = {
            text: np.array([weights[number] for number in numbers])
            for text, numbers in zip(texts, tokens, strict=True)
        }
        return [_f1(*((vectors[text], weighed[text]) for text in pair)) for pair in both]


class Weights(dict[int, float]):
    """Token id → weight; unlisted tokens have the weight ``other``."""

    def __init__(self, of_listed: Mapping[int, float], other: float) -> None:
        super().__init__(of_listed)
        self.other = other

    def __missing__(self, token: int) -> float:
        return self.other


def bertscore(pairs: Pairs) -> Statistics:
    """Return the mean over reports of BERTScore's F1.

    Raises:
        MetricError: the model ``bertscore`` was not given.
    """
    scorer: BertScorer = pairs.model("bertscore", "bertscore")
    values = bertscore_values(pairs, scorer)
    corpus = {"corpus": pairs.corpus.digest} if scorer.idf and pairs.corpus is not None else {}
    return mean_of(values, checkpoint=scorer.name, undefined="left-out", **corpus)


def bertscore_values(pairs: Pairs, scorer: BertScorer) -> Array:
    """Return BERTScore's F1 of each pair, (pairs,).

    If one text is empty the value is 0 before rescaling; if both are, NaN.
    """
    weights, task = _weights(pairs, scorer)
    values = np.array(pairs.each_pair(lambda both: scorer.f1(both, weights), task))
    if scorer.baseline is None:
        return values
    rescaled: Array = (values - scorer.baseline) / (1 - scorer.baseline)
    return rescaled


def _weights(pairs: Pairs, scorer: BertScorer) -> tuple[Weights, str]:
    """Return the weights of tokens, and a name for the cache of values made with them."""
    marks = dict.fromkeys(scorer.tokens([""])[0], 0.0)
    if not scorer.idf:
        return Weights(marks, 1.0), "BERTScore"
    whole = pairs.whole
    source, name = whole.references, whole.digest
    if pairs.corpus is not None:
        source, name = pairs.corpus.reports, f"corpus {pairs.corpus.digest}"
    kept = whole.read.setdefault("BERTScore's IDF", {})
    if name not in kept:
        frequencies = Counter(token for numbers in scorer.tokens(source) for token in set(numbers))
        count = len(source)
        idf = {token: math.log((count + 1) / (n + 1)) for token, n in frequencies.items()}
        kept[name] = Weights({**idf, **marks}, math.log(count + 1))
    return kept[name], f"BERTScore, IDF of {name}"


def _f1(reference: EmbeddedText, prediction: EmbeddedText) -> float:
    (of_reference, reference_weights), (of_prediction, prediction_weights) = reference, prediction
    empty = [len(weights) <= MARKS for weights in (reference_weights, prediction_weights)]
    if any(empty):
        return math.nan if all(empty) else 0.0
    totals = reference_weights.sum(), prediction_weights.sum()
    if 0 in totals:
        return math.nan
    cosines = of_reference @ of_prediction.T
    recall = float(cosines.max(axis=1) @ reference_weights / totals[0])
    precision = float(cosines.max(axis=0) @ prediction_weights / totals[1])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def load_bertscore(
    checkpoint: str | Path,
    *,
    layer: int,
    idf: bool = False,
    baseline: Path | None = None,
    device: str = "cpu",
) -> BertScorer:
    """Return a scorer that uses the encoder in a folder.

    Args:
        checkpoint: folder of a transformers encoder with weights as safetensors and its tokenizer.
        layer: the layer whose embeddings are compared, counted from 1; ``bert_score`` uses 5 for
            distilroberta-base, 17 for roberta-large, 9 for bert-base-uncased.
        idf: weight words by their rarity in the references; a pair's value then depends on the set.
        baseline: a baseline file of ``bert_score`` (lines ``LAYER,P,R,F``), for rescaling.
        device: torch device to run it on.

    Raises:
        ModelError: the folder or the file is missing or malformed.
        MissingDependencyError: torch or transformers is missing.
    """
    folder = Path(checkpoint)
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"no encoder in {folder}: expected a folder with config.json, *.safetensors and the "
            "files of the tokenizer, such as a download of distilroberta-base"
        )
    encoder, tokenizer = _load_encoder(folder)
    layers = encoder.config.num_hidden_layers
    if not 1 <= layer <= layers:
        raise ModelError(f"the encoder in {folder} has layers 1 to {layers}, got layer {layer}")
    # RoBERTa's positions start at 2.
    positions = encoder.config.max_position_embeddings - 2 * (
        "roberta" in encoder.config.model_type
    )
    rescaling = "raw" if baseline is None else f"rescaled:{_digest([baseline])}"
    name = f"{folder.resolve().name}:{_digest(_files(folder))}"
    return BertScorer(
        name=f"{name},layer:{layer},{'idf' if idf else 'no-idf'},{rescaling}",
        encoder=encoder.to(device).eval(),
        tokenizer=tokenizer,
        layer=layer,
        idf=idf,
        baseline=None if baseline is None else _read_baseline(baseline, layer),
        longest=min(tokenizer.model_max_length, positions),
    )


def _load_encoder(folder: Path) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise MissingDependencyError.of("transformers", "model") from error
    with loading(folder, "the encoder"):
        encoder = AutoModel.from_pretrained(folder, use_safetensors=True, **OFFLINE)
        tokenizer = AutoTokenizer.from_pretrained(folder, **OFFLINE)
    if len(tokenizer.encode("")) != MARKS:
        raise ModelError(
            f"the tokenizer in {folder} makes {len(tokenizer.encode(''))} tokens of an empty text; "
            "BERTScore expects one mark at each end, as BERT and RoBERTa have"
        )
    return encoder, tokenizer


def _files(folder: Path) -> list[Path]:
    """Return the files that determine the output of an encoder and its tokenizer."""
    kinds = (".safetensors", ".json", ".txt", ".model")
    return sorted(path for path in folder.iterdir() if path.suffix in kinds)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        if not path.is_file():
            raise ModelError(f"no file at {path}")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]


def _read_baseline(path: Path, layer: int) -> float:
    """Return the F1 of unrelated texts from a baseline file of ``bert_score``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [row.get("F") for row in rows if row.get("LAYER") == str(layer)]
    try:
        (value,) = (float(text or "") for text in found)
    except ValueError as error:
        raise ModelError(
            f"{path} has no F of layer {layer}; expected a baseline file of bert_score: "
            "LAYER,P,R,F and a line for each layer"
        ) from error
    return value
