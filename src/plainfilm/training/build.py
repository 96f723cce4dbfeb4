"""From a recipe to a model and its processor, fresh or from local checkpoints."""

import json
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoTokenizer,
    BertForPreTraining,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    T5ForConditionalGeneration,
)

from plainfilm.core import ModelError
from plainfilm.models import FAMILIES, load_family
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import report_to_target
from plainfilm.training.examples import Examples
from plainfilm.training.recipe import Recipe
from plainfilm.vision.checkpoints import load_backbone
from plainfilm.vision.preparation import FilmImageProcessor


def build_config(
    recipe: Recipe, *, report_tokenizer: Any = None, text_tokenizer: Any = None
) -> PreTrainedConfig:
    """Return the configuration that ``recipe`` describes.

    Args:
        recipe: the recipe.
        report_tokenizer: of what the model writes; the recipe's or the family's own sizes are taken
            where it is left out.
        text_tokenizer: of the joint encoder; likewise.
    """
    values = dict(recipe.model.config)
    if "backbone" in values or recipe.model.family == "radscribe":
        values["backbone"] = {"num_channels": recipe.model.channels} | (
            values.get("backbone") or {"model_type": "vit"}
        )
    if recipe.model.family == "radscribe":
        values["max_views"] = recipe.data.views
        values["pretraining"] = any(stage.objective == "pretraining" for stage in recipe.stages)
    if recipe.model.family == "radscribe" and report_tokenizer is not None:
        vocabulary = {"vocab_size": len(report_tokenizer)}
        values["decoder"] = (values.get("decoder") or {}) | vocabulary
    if text_tokenizer is not None:
        vocabulary = {"vocab_size": len(text_tokenizer)}
        values["encoder"] = (values.get("encoder") or {}) | vocabulary
    if recipe.model.family == "medvill" and text_tokenizer is not None:
        for name in ("pad_token_id", "cls_token_id", "sep_token_id", "mask_token_id"):
            values[name] = getattr(text_tokenizer, name)
    return cast(PreTrainedConfig, load_family(recipe.model.family).config(**values))


def build_processor(recipe: Recipe, training: Examples) -> ProcessorMixin:
    """Return the processor; a vocabulary with no folder of its own is learned from ``training``."""
    settings = recipe.model.tokenizers
    if settings.report is None:
        texts = [report_to_target(report) for report in training.reports]
        texts += [row.indication for row in training.rows if row.indication]
        report_tokenizer = train_tokenizer(texts, settings.vocabulary_size)
    else:
        report_tokenizer = _load(AutoTokenizer, settings.report, "tokenizer")
    text_tokenizer: PreTrainedTokenizerBase = report_tokenizer
    if settings.text is not None:
        text_tokenizer = _load(AutoTokenizer, settings.text, "tokenizer")
    film = FilmImageProcessor(
        size=recipe.model.config.get("image_size", 512),
        image_mean=recipe.model.image_mean,
        image_std=recipe.model.image_std,
        num_channels=recipe.model.channels,
    )
    family = load_family(recipe.model.family)
    limits = {"max_report_tokens": settings.max_report_tokens}
    if recipe.model.family == "medvill":  # one vocabulary: BERT writes as well
        return cast(ProcessorMixin, family.processor(film, text_tokenizer, **limits))
    limits |= {"max_text_tokens": settings.max_text_tokens, "max_views": recipe.data.views}
    return cast(ProcessorMixin, family.processor(film, report_tokenizer, text_tokenizer, **limits))


def build_model(recipe: Recipe, processor: ProcessorMixin) -> PreTrainedModel:
    """Return the untrained model of ``recipe``, its weights drawn from the recipe's seed.

    Raises:
        ModelError: a checkpoint it starts from cannot be loaded, or has another shape.
    """
    torch.manual_seed(recipe.seed)
    tokens = processor.tokenizer
    text_tokens = getattr(processor, "text_tokenizer", tokens)
    config = build_config(recipe, report_tokenizer=tokens, text_tokenizer=text_tokens)
    model = load_family(recipe.model.family).model(config)
    initial = recipe.model.initial
    if initial.backbone is not None:
        backbone = _backbone(initial.backbone, config)
        _copy(backbone, model.image_backbone, initial.backbone)
    if initial.encoder is not None:
        _start_encoder(model, initial.encoder)
    if initial.decoder is not None:
        t5 = _load(T5ForConditionalGeneration, initial.decoder, "decoder")
        _copy(t5.decoder, model.decoder, initial.decoder)
    start, end = tokens.pad_token_id, tokens.eos_token_id
    if recipe.model.family == "medvill":  # the report lies between two [SEP]
        start = end = tokens.sep_token_id
    model.generation_config.update(
        pad_token_id=tokens.pad_token_id,
        eos_token_id=end,
        decoder_start_token_id=start,
        max_new_tokens=processor.max_report_tokens,
        num_beams=recipe.model.num_beams,
        no_repeat_ngram_size=recipe.model.no_repeat_ngram_size,
    )
    return model


def _backbone(path: Path, config: PreTrainedConfig) -> PreTrainedModel:
    """Return the backbone at ``path``: published weights, or the backbone of a trained model."""
    file = path / "config.json"
    if file.is_file():
        kind = json.loads(file.read_text(encoding="utf-8")).get("model_type")
        if kind in FAMILIES:
            whole = _load(load_family(kind).model, path, "backbone")
            return cast(PreTrainedModel, whole.image_backbone)
    return load_backbone(path, config.backbone_config)


def _start_encoder(model: PreTrainedModel, path: Path) -> None:
    """Copy a BERT checkpoint into the joint encoder, with pooler and heads where it has them."""
    bert, found = _load(BertForPreTraining, path, "joint encoder", output_loading_info=True)
    absent = set(found["missing_keys"])
    pooler = {name.removeprefix("bert.") for name in absent if name.startswith("bert.pooler.")}
    if {name for name in absent if name.startswith("bert.")} != {f"bert.{x}" for x in pooler}:
        raise ModelError(f"{path} holds no BERT: it lacks {', '.join(sorted(absent)[:3])}…")
    _copy(bert.bert, model.joint_encoder, path, fresh=pooler)
    heads = model.pretraining_heads
    if heads is not None:
        missing = {name.removeprefix("cls.") for name in absent if name.startswith("cls.")}
        _copy(bert.cls, heads, path, fresh=missing)


def _load(kind: Any, path: Path, role: str, **options: Any) -> Any:
    """Load a part from a local folder; nothing is downloaded and nothing is unpickled."""
    if not path.is_dir():
        raise ModelError(f"no {role} at {path}: expected a folder with a transformers checkpoint")
    if kind is not AutoTokenizer:
        options["use_safetensors"] = True
    try:
        return kind.from_pretrained(path, local_files_only=True, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"cannot load the {role} from {path}: {reason}") from error


def _copy(
    source: torch.nn.Module,
    target: torch.nn.Module,
    path: Path,
    fresh: AbstractSet[str] = frozenset(),
) -> None:
    """Copy ``source``'s weights into ``target``, but for those named in ``fresh``."""
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
