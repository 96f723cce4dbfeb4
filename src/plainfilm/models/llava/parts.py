"""LLaVA put together from a tower and a language model, each from nothing or from a folder."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPImageProcessor,
    PreTrainedConfig,
)

from plainfilm.core import InputError, ModelError, errors_as
from plainfilm.core.model_folder import OFFLINE, loading, read_json
from plainfilm.data.examples import Examples
from plainfilm.models.family import Family, family_of
from plainfilm.models.llava.configuration_plainfilm_llava import FusedLlavaConfig
from plainfilm.models.llava.modeling_llava import FusedLlava, leading_tokens
from plainfilm.models.llava.processing_llava import FusedLlavaProcessor
from plainfilm.models.llava.settings import LlavaSettings
from plainfilm.text.clinical_table import table_text
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import report_to_target
from plainfilm.vision.backbones import backbone_features

SHIPPED = Path(__file__).parents[1] / "weights"
IMAGE = "<image>"
CHAT = (
    "{% for m in messages %}{% if m.role != 'system' %}{{ m.role.upper() + ': ' }}{% endif %}"
    "{% for c in m.content if c.type == 'image' %}<image>\n{% endfor %}"
    "{% for c in m.content if c.type == 'text' %}{{ c.text + ' ' }}{% endfor %}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""LLaVA-1.5's form of a conversation (Vicuna's)."""


def put_together(
    settings: LlavaSettings,
    fusion: dict[str, Any] | None,
    labels: int,
    training: Examples | None,
    seed: int,
    classification: dict[str, Any] | None = None,
) -> tuple[FusedLlava, FusedLlavaProcessor]:
    """Return a LLaVA of a tower and a language model, and its processor.

    Args:
        settings: with ``vision`` and ``text``.
        fusion: the configuration's values, None for LLaVA itself.
        labels: how many the classifier on the tower's tokens tells; 0 without one.
        training: the studies from whose reports a tokenizer is learned, where the language model
            brings none.
        seed: what fresh weights are drawn from.
        classification: of a head on the language model's states; None without one.

    Raises:
        InputError: a configuration is wrong, or there are no reports to learn words from.
        ModelError: a folder holds no such part.
    """
    assert settings.vision is not None  # noqa: S101 - the settings hold this
    assert settings.text is not None  # noqa: S101
    tower = _tower(settings.vision)
    vision = tower.config
    if isinstance(settings.text, Path):
        with loading(settings.text, "the language model"):
            tokenizer = AutoTokenizer.from_pretrained(settings.text, **OFFLINE)
            text = AutoConfig.from_pretrained(settings.text, **OFFLINE)
        grown = len(tokenizer)
    else:
        if training is None or not len(training):
            raise InputError("the language model's words are learned from reports: none were given")
        texts = [report_to_target(report) for report in training.reports]
        texts.append(settings.request)
        if settings.vocabulary_tables or "{table}" in settings.request:
            texts += [table_text(row.table, settings.table) for row in training.rows]
        tokenizer = train_tokenizer(texts, settings.vocabulary_size)
        grown = 0
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    if not isinstance(settings.text, Path):
        text = _text_config(settings.text, tokenizer)
    clip = vision.model_type == "clip_vision_model"
    leading = leading_tokens(vision)
    side, grid = vision.image_size // vision.patch_size, settings.token_grid
    if grid is not None and (grid > side or vision.image_size % grid):
        raise InputError(
            f"model.token_grid {grid}: give a number that divides the film's {vision.image_size} "
            f"pixels, at most the tower's own {side}"
        )
    config = FusedLlavaConfig(
        vision_config=_plain(vision),
        text_config=_plain(text) | {"vocab_size": max(len(tokenizer), text.vocab_size)},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(grid or side) ** 2,
        vision_feature_layer=settings.vision_layer,
        vision_feature_select_strategy="default" if leading else "full",
        token_grid=grid,
        fusion=fusion,
        label_count=labels,
        classification=classification,
    )
    torch.manual_seed(seed)
    model = FusedLlava(config)
    if tower.weights is not None and isinstance(settings.vision, Path):
        unread = backbone_features(vision).unused if tower.trained_here else frozenset()
        _copy(tower.weights, model.model.vision_tower, settings.vision, unread)
    if isinstance(settings.text, Path):
        with loading(settings.text, "the language model"):
            own = AutoModelForCausalLM.from_pretrained(
                settings.text, use_safetensors=True, **OFFLINE
            )
            if grown < len(tokenizer):
                own.resize_token_embeddings(config.text_config.vocab_size)
            _copy(own.model.state_dict(), model.model.language_model, settings.text)
            model.lm_head.load_state_dict(own.lm_head.state_dict())
    size = vision.image_size
    pictures = CLIPImageProcessor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        **({} if clip else tower.scale),
    )
    processor = FusedLlavaProcessor(
        pictures,
        tokenizer,
        patch_size=vision.patch_size if grid is None else vision.image_size // grid,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        chat_template=CHAT,
        # With token_grid the patches alone are left; the class token is subtracted all the same.
        num_additional_image_tokens=leading if grid is None else min(leading, 1),
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model, processor


class _Tower(NamedTuple):
    """A tower to be: its configuration, and its weights where it has some."""

    config: PreTrainedConfig
    weights: Mapping[str, torch.Tensor] | None = None
    scale: Mapping[str, list[float]] = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    """What is subtracted from pixels in [0, 1], and what divides the rest."""
    trained_here: bool = False
    """Whether it is the image backbone of one of plainfilm's models, which has no pooler."""


def _tower(given: Path | dict[str, Any]) -> _Tower:
    """Return a tower, whose configuration has the three sizes that LLaVA asks of it."""
    if not isinstance(given, Path):
        return _Tower(_checked(_config(given, "model.vision")))
    folders = (given, given / "model", SHIPPED / given.name)
    folder = next((one for one in folders if (one / "config.json").is_file()), given)
    with loading(folder, "the tower"):
        family = family_of(read_json(folder / "config.json").get("model_type"))
        if family is not None:
            return _backbone_of(folder, family)
        config = AutoConfig.from_pretrained(folder, **OFFLINE)
        config = _checked(getattr(config, "vision_config", config))
        tower = AutoModel.from_pretrained(folder, use_safetensors=True, **OFFLINE)
        found = tower.vision_model if hasattr(tower, "vision_model") else tower
        return _Tower(config, found.state_dict())


def _backbone_of(folder: Path, family: Family[Any, Any]) -> _Tower:
    """Return the image backbone of a model that plainfilm trained, as a tower.

    Films are colour pictures to LLaVA; weights for one channel are spread over three, a third each.
    """
    model, processor = family.load(folder)
    inner = getattr(model, "model", None)
    network = getattr(model, "image_backbone", None) or getattr(inner, "vision_tower", None)
    pictures = getattr(processor, "image_processor", None)
    pictures = pictures or getattr(getattr(processor, "inner", None), "image_processor", None)
    if network is None or pictures is None:
        raise ModelError(f"{folder} holds a {family.name} model, whose tower cannot be taken out")
    config, weights = network.config, dict(network.state_dict())
    kind, left_out = config.model_type, _FITTED
    if kind == "resnet":
        kind, left_out = "plainfilm_resnet", _FITTED | {"hidden_size", "patch_size"}
    values = {name: value for name, value in config.to_dict().items() if name not in left_out}
    size = pictures.size if isinstance(pictures.size, int) else pictures.crop_size["height"]
    sizes = {"image_size": size, "num_channels": 3}
    config = _checked(AutoConfig.for_model(kind, **values, **sizes))
    first = next(n for n, one in network.named_modules() if isinstance(one, torch.nn.Conv2d))
    if weights[f"{first}.weight"].shape[1] == 1:
        weights[f"{first}.weight"] = weights[f"{first}.weight"].expand(-1, 3, -1, -1) / 3
    scale = {
        name: list(value) if isinstance(value, list | tuple) else [value] * 3
        for name in ("image_mean", "image_std")
        for value in (getattr(pictures, name),)
    }
    return _Tower(config, weights, scale, trained_here=True)


_FITTED = {"model_type", "architectures", "transformers_version", "image_size", "num_channels"}


def _checked(config: PreTrainedConfig) -> PreTrainedConfig:
    for name in ("hidden_size", "image_size", "patch_size"):
        if not isinstance(getattr(config, name, None), int):
            raise InputError(
                f"model.vision: a {config.model_type} cannot be a tower: it has no {name}"
            )
    return config


def _text_config(given: dict[str, Any], tokenizer: Any) -> PreTrainedConfig:
    return _config(
        {
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        }
        | given,
        "model.text",
    )


def _config(given: dict[str, Any], key: str) -> PreTrainedConfig:
    rest = dict(given)
    model_type = rest.pop("model_type", None)
    with errors_as(InputError, f"{key} is no configuration", "mend it"):
        if not isinstance(model_type, str):
            raise ValueError("model_type is missing")
        return AutoConfig.for_model(model_type, **rest)


def _plain(config: PreTrainedConfig) -> dict[str, Any]:
    """Return a configuration as a mapping, whose type stays known."""
    values: dict[str, Any] = config.to_dict()
    return values | {"model_type": config.model_type}


def _copy(
    source: Mapping[str, torch.Tensor],
    target: Any,
    folder: Path,
    unread: Collection[str] = (),
) -> None:
    """Copy weights into a part; those named in ``unread`` may be missing."""
    own = target.state_dict()
    fresh = {name: own[name] for name in own if name in unread and name not in source}
    try:
        target.load_state_dict({**source, **fresh})
    except RuntimeError as error:
        raise ModelError(
            f"{folder} does not fit the model: {str(error).splitlines()[0]}"
        ) from error
