"""Loading published image backbone weights from a local path.

Three naming schemes of weights are supported, and recognised by the names themselves:

- transformers': a folder with ``config.json`` and ``model.safetensors`` (or its shards and their
  index), as on the hub (google/vit-base-patch16-224-in21k, microsoft/resnet-101,
  microsoft/rad-dino, openai/clip-vit-base-patch16, google/siglip-base-patch16-224) or as written
  by a backbone's own ``save_pretrained``. From an image-text model (CLIP, SigLIP), the image tower
  is taken.
- torchvision's (densenet121, resnet101, vit_b_16): a ``.safetensors`` file.
- CheXNet's as published (``module.densenet121.features.…norm.1.weight``): likewise.

Only safetensors are opened: a pickle can run code, so the user converts a ``.pth`` once
(docs/backbones.md). Another film size or number of channels is adapted:

- Position embeddings are resized (bicubic), as transformers does at run time.
- Weights for three channels are summed for a one-channel film, which equals repeating the film.
  Weights for one channel are divided equally among three.

Classification heads and poolers are dropped; any other missing or unexpected weight is an error.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from plainfilm.core import ModelError
from plainfilm.vision.backbones import (
    backbone_class,
    backbone_features,
    build_backbone,
    leave_out,
)

Weights = dict[str, torch.Tensor]

_RENAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "densenet": (
        (r"^(module\.)?(densenet121\.)?features\.", "features."),
        (r"(denselayer\d+)\.(norm|relu|conv)\.?([12])\.", r"\1.layers.\2\3."),
    ),
    "resnet": (
        (r"^(module\.)?(?=(conv1|bn1|layer\d|fc)\.)", ""),
        (r"^conv1\.", "embedder.embedder.convolution."),
        (r"^bn1\.", "embedder.embedder.normalization."),
        (r"^layer1\.", "encoder.stages.0.layers."),
        (r"^layer2\.", "encoder.stages.1.layers."),
        (r"^layer3\.", "encoder.stages.2.layers."),
        (r"^layer4\.", "encoder.stages.3.layers."),
        (r"\.conv1\.", ".layer.0.convolution."),
        (r"\.conv2\.", ".layer.1.convolution."),
        (r"\.conv3\.", ".layer.2.convolution."),
        (r"\.bn1\.", ".layer.0.normalization."),
        (r"\.bn2\.", ".layer.1.normalization."),
        (r"\.bn3\.", ".layer.2.normalization."),
        (r"\.downsample\.0\.", ".shortcut.convolution."),
        (r"\.downsample\.1\.", ".shortcut.normalization."),
    ),
    "vit": (
        (r"^(module\.)?(?=(class_token$|conv_proj\.|encoder\.|heads\.))", ""),
        (r"^class_token$", "embeddings.cls_token"),
        (r"^conv_proj\.", "embeddings.patch_embeddings.projection."),
        (r"^encoder\.pos_embedding$", "embeddings.position_embeddings"),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"encoder.layer.\1."),
        (r"\.ln_1\.", ".layernorm_before."),
        (r"\.ln_2\.", ".layernorm_after."),
        (r"\.self_attention\.out_proj\.", ".attention.output.dense."),
        (r"\.mlp\.(linear_1|0)\.", ".intermediate.dense."),
        (r"\.mlp\.(linear_2|3)\.", ".output.dense."),
        (r"^encoder\.ln\.", "layernorm."),
    ),
}
"""Regular expressions that turn torchvision's and CheXNet's names into those of transformers'
checkpoints, and of our DenseNet."""

_HEADS = re.compile(
    r"^(module\.)?(\w+\.)?(classifier|fc|head|heads|pooler|visual_projection)\."
    r"|(^|\.)(num_batches_tracked|mask_token|position_ids|relative_position_index)$"
)
"""Weights that a backbone does not need: heads and poolers; batch counters, for a momentum that no
network here uses; the mask token, a pre-training placeholder for hidden patches; and indices, which
are computed anew."""

_UNSEEN = {
    "resnet": (
        "layer_type", "hidden_act", "downsample_in_first_stage", "downsample_in_bottleneck",
    ),
    "densenet": (),
    "vit": ("num_attention_heads", "hidden_act", "layer_norm_eps"),
    "dinov2": ("num_attention_heads", "hidden_act", "layer_norm_eps", "use_swiglu_ffn"),
    "mamba": ("hidden_act", "layer_norm_epsilon", "residual_in_fp32"),
}  # fmt: skip
"""Settings that change the features but not the shapes of weights, by network. For networks not
listed, all settings are compared except those of ``_FREE``."""

_FREE = re.compile(
    r"drop|init|label|mask|^(image_size|num_channels|out_features|out_indices|stage_names|dtype"
    r"|vision_use_head|use_head|projection_dim|encoder_stride|model_type|pooler_.*"
    r"|upsample_ratio|use_absolute_embeddings|apply_layernorm|reshape_hidden_states)$"
)
"""Settings that may differ: regularisation and initialisation, adapted shapes, dropped layers."""

_TORCHVISION_VIT = {"hidden_act": "gelu", "layer_norm_eps": 1e-6}


def load_backbone(path: Path, config: PreTrainedConfig) -> PreTrainedModel:
    """Return the backbone of ``config`` with the weights at ``path``.

    Args:
        path: a transformers folder, or a ``.safetensors`` file with any of the supported names.
        config: of the desired backbone; its film size and channels may differ from the weights'.

    Raises:
        ModelError: there are no safetensors at ``path``, or they belong to another network; missing
            and unexpected weights and differing shapes are named.
    """
    weights, settings = _read(path)
    kind = config.model_type
    if "conv_proj.weight" in weights or "module.conv_proj.weight" in weights:
        settings = {"model_type": "vit"} | _TORCHVISION_VIT
    with torch.device("meta"):
        empty = build_backbone(config)
    weights, settings = _image_tower(weights, settings, empty)
    _check_settings(path, config, settings)
    weights = {name: value for name, value in weights.items() if not _HEADS.search(name)}
    weights = _split_attention(weights)
    for pattern, replacement in _RENAMES.get(kind, ()):
        weights = {re.sub(pattern, replacement, name): value for name, value in weights.items()}
    weights = _fit_channels(weights, empty, getattr(config, "num_channels", 3))
    return _fill(path, config, _fit_positions(weights, empty))


def _image_tower(
    weights: Weights, settings: dict[str, Any], empty: PreTrainedModel
) -> tuple[Weights, dict[str, Any]]:
    """Return only the image tower's weights and settings if the model also reads text."""
    tower = settings.get("vision_config")
    if isinstance(tower, dict) and settings.get("model_type") in CONFIG_MAPPING:
        part = CONFIG_MAPPING[settings["model_type"]].sub_configs.get("vision_config")
        settings = {"model_type": getattr(part, "model_type", None)} | tower
    prefix = "vision_model."
    inside = {name: value for name, value in weights.items() if name.startswith(prefix)}
    if not inside or any(name.startswith(prefix) for name in empty.state_dict()):
        return inside or weights, settings
    return {name.removeprefix(prefix): value for name, value in inside.items()}, settings


def _read(path: Path) -> tuple[Weights, dict[str, Any]]:
    """Return the weights at ``path`` and the settings beside them (empty for a single file)."""
    files, settings = [path], {}
    if path.is_dir():
        files = [path / "model.safetensors"]
        try:
            settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
            index = path / "model.safetensors.index.json"
            if index.is_file():
                parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
                files = [path / Path(name).name for name in sorted(set(parts))]
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(
                f"no backbone in {path}: expected a folder with config.json and model.safetensors"
            ) from error
    weights: Weights = {}
    for file in files:
        if not file.is_file():
            found = sorted(p.name for p in path.glob("*")) if path.is_dir() else []
            raise ModelError(
                f"no backbone at {file}: expected safetensors weights"
                + (f", found {', '.join(found[:6])}" if found else "")
                + "; docs/backbones.md has the lines that convert a .pth or .bin"
            )
        try:
            weights |= load_file(file)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{file} is no safetensors file, and nothing else is opened, since a pickle (.pth, "
                ".pt, .tar, .bin) can run code: convert it with the lines in docs/backbones.md"
            ) from error
    return weights, settings


def _check_settings(path: Path, config: PreTrainedConfig, settings: dict[str, Any]) -> None:
    kind = config.model_type
    theirs = settings.get("model_type", kind)
    if theirs != kind:
        raise ModelError(
            f"{path} holds a {theirs} network, but model.config.backbone asks for {kind}: make "
            "model_type fit"
        )
    if kind in _UNSEEN:
        given = {name: settings[name] for name in _UNSEEN[kind] if name in settings}
    else:
        common = set(PreTrainedConfig().to_dict())
        given = {
            name: value
            for name, value in type(config).from_dict(settings).to_dict().items()
            if settings and name not in common and not _FREE.search(name)
        }
    wrong = [
        f"{name}: {value}"
        for name, value in given.items()
        if _plain(value) != _plain(getattr(config, name, None))
    ]
    if wrong:
        raise ModelError(
            f"{path} was made with other settings than model.config.backbone has; set "
            f"{', '.join(wrong)} there"
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _split_attention(weights: Weights) -> Weights:
    """Return ``weights`` with torchvision's joint query, key and value matrix split."""
    apart: Weights = {}
    for name, value in weights.items():
        base, joint, part = name.partition(".self_attention.in_proj_")
        if not joint:
            apart[name] = value
            continue
        for role, share in zip(("query", "key", "value"), value.chunk(3), strict=True):
            apart[f"{base}.attention.attention.{role}.{part}"] = share.contiguous()
    return apart


def _fit_channels(weights: Weights, empty: PreTrainedModel, channels: int) -> Weights:
    """Return ``weights`` with the first convolution adapted to ``channels`` input channels."""
    first = next(
        (name for name, one in empty.named_modules() if isinstance(one, nn.Conv2d)), "none"
    )
    name = next((name for name in weights if name.endswith(f"{first}.weight")), None)
    if name is None or weights[name].shape[1] == channels:
        return weights
    theirs = weights[name]
    total = theirs.sum(dim=1, keepdim=True)  # the effect on a film repeated in every channel
    return weights | {name: (total / channels).expand(-1, channels, -1, -1).contiguous()}


def _fit_positions(weights: Weights, empty: PreTrainedModel) -> Weights:
    """Return ``weights`` with the position embeddings resized to the network's patch grid."""
    fitted = dict(weights)
    for own, value in empty.state_dict().items():
        if not re.search(r"position_embeddings?(\.weight)?$", own):
            continue
        name = next((name for name in weights if name.endswith(own)), None)
        if name is not None and weights[name].shape != value.shape:
            fitted[name] = _resized(weights[name], value.shape[-2])
    return fitted


def _resized(theirs: torch.Tensor, tokens: int) -> torch.Tensor:
    """Return position embeddings ``(…, tokens, channels)`` for another square grid of patches.

    Leading tokens (a class token) are kept. Embeddings that are not a square grid with the same
    number of leading tokens are returned unchanged.
    """
    count = theirs.shape[-2]
    square, side = math.isqrt(count), math.isqrt(tokens)
    extra = count - square**2
    if tokens - side**2 != extra:
        return theirs
    table = theirs.reshape(count, -1)
    front, patches = table[:extra], table[extra:]
    raster = patches.T.reshape(1, -1, square, square).float()
    raster = nn.functional.interpolate(
        raster, size=(side, side), mode="bicubic", align_corners=False
    )
    patches = raster.flatten(2)[0].T.to(theirs.dtype)
    return torch.cat([front, patches]).reshape(*theirs.shape[:-2], tokens, -1).contiguous()


def _fill(path: Path, config: PreTrainedConfig, weights: Weights) -> PreTrainedModel:
    """Return the network with ``weights`` loaded, all of which must match."""
    kind, extra = backbone_class(config)
    unused = backbone_features(config).unused
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # mismatches are reported below, in one line
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            local_files_only=True,
            dtype=torch.float32,
            **extra,
        )
    finally:
        logging.set_verbosity(verbosity)
    missing = [
        name for name in report["missing_keys"] if not _HEADS.search(name) and name not in unused
    ]
    faults = {
        "lacks": missing,
        "has too many": report["unexpected_keys"],
        "has in another shape": [name for name, *_ in report["mismatched_keys"]],
    }
    total = len(model.state_dict())
    said = [
        f"{words} {len(names)} of {total} weights ({', '.join(sorted(names)[:3])}…)"
        for words, names in faults.items()
        if names
    ]
    if said:
        raise ModelError(
            f"{path} does not fit the {config.model_type} of model.config.backbone: it "
            f"{'; it '.join(said)}"
        )
    leave_out(model, unused)
    return cast(PreTrainedModel, model)
