"""From a recipe to a model and its processor, fresh or from local checkpoints."""

from typing import Any, cast

import torch
from transformers import (
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from plainfilm.data.examples import Examples
from plainfilm.models import load_family
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import report_to_target
from plainfilm.training.initial import (
    load_part,
    start_backbone,
    start_decoder,
    start_encoder,
    vocabulary_size,
)
from plainfilm.training.recipe import Recipe
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
    family, initial = load_family(recipe.model.family), recipe.model.initial
    values["backbone"] = (values.get("backbone") or family.config().backbone) | {
        "num_channels": recipe.model.channels,
        "image_size": values.get("image_size", family.config().image_size),
    }
    if recipe.model.family == "radscribe":
        values["max_views"] = recipe.data.views
        values["pretraining"] = any(stage.objective == "pretraining" for stage in recipe.stages)
    if recipe.model.family == "radscribe" and report_tokenizer is not None:
        vocabulary = {"vocab_size": vocabulary_size(report_tokenizer, initial.decoder)}
        values["decoder"] = (values.get("decoder") or {}) | vocabulary
    if text_tokenizer is not None:
        vocabulary = {"vocab_size": vocabulary_size(text_tokenizer, initial.encoder)}
        values["encoder"] = (values.get("encoder") or {}) | vocabulary
    if recipe.model.family == "medvill" and text_tokenizer is not None:
        for name in ("pad_token_id", "cls_token_id", "sep_token_id", "mask_token_id"):
            values[name] = getattr(text_tokenizer, name)
    return cast(PreTrainedConfig, family.config(**values))


def build_processor(recipe: Recipe, training: Examples) -> ProcessorMixin:
    """Return the processor; a vocabulary with no folder of its own is learned from ``training``."""
    settings = recipe.model.tokenizers
    if settings.report is None:
        texts = [report_to_target(report) for report in training.reports]
        texts += [row.indication for row in training.rows if row.indication]
        report_tokenizer = train_tokenizer(texts, settings.vocabulary_size)
    else:
        report_tokenizer = load_part(AutoTokenizer, settings.report, "tokenizer")
    text_tokenizer: PreTrainedTokenizerBase = report_tokenizer
    if settings.text is not None:
        text_tokenizer = load_part(AutoTokenizer, settings.text, "tokenizer")
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
        start_backbone(model, initial.backbone)
    if initial.encoder is not None:
        start_encoder(model, initial.encoder)
    if initial.decoder is not None:
        start_decoder(model, initial.decoder)
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
