"""Local checkpoints to start from: an image backbone, a BERT, a T5 decoder.

Nothing is downloaded and nothing is unpickled. Only weights are taken from a checkpoint: the
recipe's ``model.config`` must describe its shape, and settings that the weights do not reveal are
compared.
"""

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from transformers import (
    AutoTokenizer,
    BertForPreTraining,
    PreTrainedConfig,
    PreTrainedModel,
    T5ForConditionalGeneration,
)

from plainfilm.core import ModelError
from plainfilm.core.model_folder import OFFLINE, loading
from plainfilm.models.family import family_of
from plainfilm.vision.checkpoints import load_backbone

_BERT_UNSEEN = ("num_attention_heads", "hidden_act", "layer_norm_eps")
_T5_UNSEEN = ("feed_forward_proj", "layer_norm_epsilon", "relative_attention_max_distance")
"""Settings that change the computation but not the shapes of weights."""


def load_part(kind: Any, path: Path, role: str, **options: Any) -> Any:
    """Load a transformers part from a local folder.

    Raises:
        ModelError: the folder does not exist or cannot be loaded.
    """
    if not path.is_dir():
        raise ModelError(f"no {role} at {path}: expected a folder with a transformers checkpoint")
    if kind is not AutoTokenizer:
        options["use_safetensors"] = True
    with loading(path, f"the {role}"):
        return kind.from_pretrained(path, **OFFLINE, **options)


def vocabulary_size(tokenizer: Any, checkpoint: Path | None) -> int:
    """Return a part's number of embedding rows: the checkpoint's if given, else the tokenizer's.

    A checkpoint may have more rows than its tokenizer has tokens (T5-base: 32,128 and 32,100).

    Raises:
        ModelError: the checkpoint has fewer.
    """
    if checkpoint is None:
        return len(tokenizer)
    rows = _settings(checkpoint).get("vocab_size")
    if not isinstance(rows, int) or rows < len(tokenizer):
        raise ModelError(
            f"{checkpoint} has embeddings for {rows} words, but its tokenizer has "
            f"{len(tokenizer)}: give the checkpoint's own tokenizer in model.tokenizers"
        )
    return rows


def start_backbone(model: PreTrainedModel, path: Path) -> None:
    """Load the image backbone from published weights, or from a trained model's backbone.

    Raises:
        ModelError: there is no backbone, or it does not match.
    """
    file = path / "config.json"
    kind = _settings(path).get("model_type") if file.is_file() else None
    family = family_of(kind)
    if family is not None:
        with loading(path, "the backbone"):
            backbone = family.load(path).model.image_backbone
    else:
        backbone = load_backbone(path, model.config.backbone_config)
    _copy(backbone, model.image_backbone, path)


def start_encoder(model: PreTrainedModel, path: Path) -> None:
    """Load the joint encoder from a BERT, with pooler and heads if the checkpoint has them.

    Raises:
        ModelError: there is no BERT, or it does not match.
    """
    bert, found = load_part(BertForPreTraining, path, "joint encoder", output_loading_info=True)
    absent = set(found["missing_keys"])
    pooler = {name.removeprefix("bert.") for name in absent if name.startswith("bert.pooler.")}
    if {name for name in absent if name.startswith("bert.")} != {f"bert.{x}" for x in pooler}:
        raise ModelError(f"{path} holds no BERT: it lacks {', '.join(sorted(absent)[:3])}…")
    _compare(path, "encoder", bert.config, model.joint_encoder.config, _BERT_UNSEEN)
    _copy(bert.bert, model.joint_encoder, path, fresh=pooler)
    heads = model.pretraining_heads
    if heads is not None:
        missing = {name.removeprefix("cls.") for name in absent if name.startswith("cls.")}
        _copy(bert.cls, heads, path, fresh=missing)


def start_decoder(model: PreTrainedModel, path: Path) -> None:
    """Load the decoder from a T5, and its output layer if that is not tied to the embeddings.

    Raises:
        ModelError: there is no T5, or it does not match.
    """
    t5 = load_part(T5ForConditionalGeneration, path, "decoder")
    tied = _settings(path).get("tie_word_embeddings", True) is not False
    if tied != model.config.tie_word_embeddings:  # T5 ties, T5 1.1 and Flan-T5 do not
        raise ModelError(
            f"{path} was made with other settings than model.config.decoder has; set "
            f"tie_word_embeddings: {str(tied).lower()} there"
        )
    _compare(path, "decoder", t5.config, model.decoder.config, _T5_UNSEEN)
    _copy(t5.decoder, model.decoder, path)
    if not tied:  # transformers would tie the weights
        with torch.no_grad():
            model.lm_head.weight.copy_(_tensor(path, "lm_head.weight"))


def _settings(path: Path) -> dict[str, Any]:
    try:
        values = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"no checkpoint in {path}: expected a folder with config.json and model.safetensors"
        ) from error
    if not isinstance(values, dict):
        raise ModelError(f"{path / 'config.json'} must hold a JSON object")
    return values


def _tensor(path: Path, name: str) -> torch.Tensor:
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            if name in weights.keys():  # noqa: SIM118 - it is no mapping
                return cast(torch.Tensor, weights.get_tensor(name))
    raise ModelError(f"{path} lacks {name}, which a decoder with tie_word_embeddings: false has")


def _compare(
    path: Path, part: str, theirs: PreTrainedConfig, ours: PreTrainedConfig, names: Iterable[str]
) -> None:
    wrong = [
        f"{name}: {getattr(theirs, name)}"
        for name in names
        if getattr(theirs, name) != getattr(ours, name)
    ]
    if wrong:
        raise ModelError(
            f"{path} was made with other settings than model.config.{part} has; set "
            f"{', '.join(wrong)} there"
        )


def _copy(
    source: torch.nn.Module,
    target: torch.nn.Module,
    path: Path,
    fresh: AbstractSet[str] = frozenset(),
) -> None:
    """Copy the weights of ``source`` into ``target``, except those named in ``fresh``."""
    theirs, ours = source.state_dict(), target.state_dict()
    fitting = {
        name: value for name, value in theirs.items()
        if name in ours and ours[name].shape == value.shape and name not in fresh
    }  # fmt: skip
    missing = sorted(set(ours) - set(fitting) - fresh)
    if missing:
        raise ModelError(
            f"the checkpoint {path} lacks {len(missing)} of {len(ours)} weights, or has them in "
            f"another shape ({', '.join(missing[:3])}…): make model.config in the recipe fit it"
        )
    target.load_state_dict(ours | fitting)
