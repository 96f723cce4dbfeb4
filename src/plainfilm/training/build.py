"""From a recipe to a model and its processor, fresh or from local checkpoints."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertModel,
    PreTrainedTokenizerBase,
    T5ForConditionalGeneration,
)

from plainfilm.core import ModelError
from plainfilm.models.radscribe import (
    RadScribeConfig,
    RadScribeForConditionalGeneration,
    RadScribeProcessor,
)
from plainfilm.models.radscribe.processing_radscribe import report_to_target, train_tokenizer
from plainfilm.training.examples import Examples
from plainfilm.training.recipe import Recipe
from plainfilm.vision.preparation import FilmImageProcessor


def build_config(
    recipe: Recipe, *, report_vocabulary: int | None = None, text_vocabulary: int | None = None
) -> RadScribeConfig:
    """Return the configuration that ``recipe`` describes.

    Args:
        recipe: the recipe.
        report_vocabulary: size of the decoder's vocabulary; the recipe's or T5's where left out.
        text_vocabulary: size of the joint encoder's; the recipe's or BERT's where left out.
    """
    values = dict(recipe.model.config)
    values["backbone"] = {"num_channels": recipe.model.channels} | (
        values.get("backbone") or {"model_type": "vit"}
    )
    if report_vocabulary is not None:
        values["decoder"] = (values.get("decoder") or {}) | {"vocab_size": report_vocabulary}
    if text_vocabulary is not None:
        values["encoder"] = (values.get("encoder") or {}) | {"vocab_size": text_vocabulary}
    return RadScribeConfig(**values)


def build_processor(recipe: Recipe, training: Examples) -> RadScribeProcessor:
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
    return RadScribeProcessor(
        FilmImageProcessor(
            size=recipe.model.config.get("image_size", 512), num_channels=recipe.model.channels
        ),
        report_tokenizer,
        text_tokenizer,
        max_text_tokens=settings.max_text_tokens,
        max_report_tokens=settings.max_report_tokens,
    )


def build_model(recipe: Recipe, processor: RadScribeProcessor) -> RadScribeForConditionalGeneration:
    """Return the untrained model of ``recipe``, its weights drawn from the recipe's seed.

    Raises:
        ModelError: a checkpoint it starts from cannot be loaded, or has another shape.
    """
    torch.manual_seed(recipe.seed)
    config = build_config(
        recipe,
        report_vocabulary=len(processor.tokenizer),
        text_vocabulary=len(processor.text_tokenizer),
    )
    model = RadScribeForConditionalGeneration(config)
    initial = recipe.model.initial
    if initial.backbone is not None:
        _copy(
            _load(AutoModel, initial.backbone, "backbone"), model.encoder.backbone, initial.backbone
        )
    if initial.encoder is not None:
        bert = _load(BertModel, initial.encoder, "joint encoder", add_pooling_layer=False)
        _copy(bert, model.encoder.joint, initial.encoder)
    if initial.decoder is not None:
        t5 = _load(T5ForConditionalGeneration, initial.decoder, "decoder")
        _copy(t5.decoder, model.decoder, initial.decoder)
    tokens = processor.tokenizer
    model.generation_config.update(
        pad_token_id=tokens.pad_token_id,
        eos_token_id=tokens.eos_token_id,
        decoder_start_token_id=tokens.pad_token_id,
        max_new_tokens=processor.max_report_tokens,
        num_beams=recipe.model.num_beams,
        no_repeat_ngram_size=recipe.model.no_repeat_ngram_size,
    )
    return model


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


def _copy(source: torch.nn.Module, target: torch.nn.Module, path: Path) -> None:
    theirs, ours = source.state_dict(), target.state_dict()
    fitting = {
        name: value for name, value in theirs.items()
        if name in ours and ours[name].shape == value.shape
    }  # fmt: skip
    missing = sorted(set(ours) - set(fitting))
    if missing:
        raise ModelError(
            f"the checkpoint {path} lacks {len(missing)} of {len(ours)} weights, or has them in "
            f"another shape ({', '.join(missing[:3])}…): make model.config in the recipe fit it"
        )
    target.load_state_dict(fitting)
