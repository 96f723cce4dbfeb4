"""Mistakes in a recipe that only the family can detect: in its settings, sizes, parts, objectives.

They are reported when the recipe is read, before anything is simulated, loaded or trained.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from transformers import BertConfig, PreTrainedConfig, T5Config

from plainfilm.core import InputError
from plainfilm.models.joint_bert.settings import Tokenizers
from plainfilm.vision.backbones import backbone_config, check_grid


def problems(family: Any, values: Mapping[str, Any]) -> list[str]:
    """Return mistakes in a recipe's ``values`` that only the family can detect.

    Args:
        family: a :class:`plainfilm.models.joint_bert.base.JointBertFamily`.
        values: the values of the recipe.
    """
    model = values.get("model")
    if not isinstance(model, dict):
        return []  # reported by the schema
    found = []
    settings = set(inspect.signature(family.config_class.__init__).parameters)
    settings -= {"self", "kwargs", "observations", "max_views", "pretraining"}
    config = model.get("config") or {}
    if isinstance(config, dict):
        found += [
            f"model.config.{key}: unknown; expected one of {', '.join(sorted(settings))}"
            for key in config
            if key not in settings
        ]
        found += _backbone_problems(config.get("backbone"))
        found += _size_problems(config, family.config_class(), model.get("channels", 3))
        found += _text_problems(family, values, config)
        known = {key: config[key] for key in config if key in settings}
        found += _building_problems(family, known, model.get("channels", 3), whole=not found)
    parts = family.model_class.parts
    objectives = family.model_class.objectives
    plain = isinstance(config, dict) and config.get("label_enhanced") is False
    if plain:  # no classifier, and no cross-attention for its labels
        objectives = tuple(name for name in objectives if "labels" not in name)
        parts = {
            name: parts[name] for name in parts if "label" not in name and name != "classifier"
        }
    for index, stage in enumerate(values.get("stages") or []):
        if isinstance(stage, dict) and stage.get("objective") not in (*objectives, None):
            found.append(
                f"stages.{index}.objective: {family.name} has no {stage['objective']!r}"
                f"{' with label_enhanced: false' if plain else ''}; expected one of "
                f"{', '.join(objectives)}"
            )
        rates = stage.get("learning_rate") if isinstance(stage, dict) else None
        found += [
            f"stages.{index}.learning_rate.{part}: unknown part; expected one of {', '.join(parts)}"
            for part in (rates if isinstance(rates, dict) else {})
            if part not in parts
        ]
    return found


def _backbone_problems(backbone: Any) -> list[str]:
    if backbone is None:
        return []  # the family's default
    if not isinstance(backbone, dict):
        return ["model.config.backbone: expected a mapping with model_type"]
    try:
        backbone_config(backbone)
    except InputError as error:
        return [f"model.config.backbone: {error}"]
    return []


def _building_problems(
    family: Any, config: dict[str, Any], channels: Any, *, whole: bool
) -> list[str]:
    """Return why the model can't be built, without building it.

    Args:
        family: the family.
        config: the recipe's ``model.config``.
        channels: channels of the films.
        whole: whether to check the backbone's token grid as well.
    """
    if any(not isinstance(config.get(part) or {}, dict) for part in ("encoder", "decoder")):
        return []  # reported before
    usual = family.config_class()
    size = config.get("image_size", usual.image_size)
    backbone = config.get("backbone") or usual.backbone
    film = {"image_size": size, "num_channels": channels}
    try:
        values = config | {"backbone": backbone | film if whole else usual.backbone}
        built = family.config_class(**values)
        if whole:
            check_grid(built.backbone_config, built.image_size, built.image_token_grid)
    except InputError as error:
        return [f"model.config: {error}"]
    return []


def _text_problems(family: Any, values: Mapping[str, Any], config: dict[str, Any]) -> list[str]:
    """Return a problem if the longest text exceeds the joint encoder's positions."""
    encoder, named = config.get("encoder"), values["model"].get("tokenizers")
    positions = encoder.get("max_position_embeddings", 512) if isinstance(encoder, dict) else 512
    key = family.read_text
    longest = named.get(key) if isinstance(named, dict) else None
    if longest is None:
        longest = Tokenizers.model_fields[key].default
    if not isinstance(positions, int) or not isinstance(longest, int) or longest < positions:
        return []
    return [
        f"model.tokenizers.{key}: {longest} tokens and an end are more than the encoder's "
        f"{positions} positions"
    ]


def _size_problems(config: dict[str, Any], usual: PreTrainedConfig, channels: Any) -> list[str]:
    """Return all mistakes that the model's parts would otherwise raise one by one.

    Args:
        config: the recipe's ``model.config``.
        usual: the family's default configuration, for missing values.
        channels: channels of the films.
    """
    problems: list[str] = []
    for part, kind in (("encoder", BertConfig), ("decoder", T5Config)):
        values = config.get(part) or {}
        if not isinstance(values, dict):
            return [*problems, f"model.config.{part}: expected a mapping, got {values!r}"]
        known = {*kind().to_dict(), *kind.attribute_map, "tie_word_embeddings"}
        problems += [f"model.config.{part}.{name}: unknown" for name in values if name not in known]
    backbone = config.get("backbone")
    film = {"image_size": config.get("image_size", usual.image_size), "num_channels": channels}
    for name, value in film.items():
        if isinstance(backbone, dict) and backbone.get(name, value) != value:
            problems.append(
                f"model.config.backbone.{name}: {backbone[name]}, but the film has {value}: "
                "leave it out"
            )
    return problems
