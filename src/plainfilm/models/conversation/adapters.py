"""Adapters beside frozen weights: LoRA and QLoRA, through PEFT and bitsandbytes.

A folder with an adapter holds ``adapter_model.safetensors``, ``adapter_config.json`` (PEFT's), the
base's ``config.json``, and ``base.json``: where the base lies, the hash of its weights, and whether
it is kept in four bits.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from plainfilm.core import MissingDependencyError, ModelError
from plainfilm.core.files import write_atomically
from plainfilm.core.model_folder import read_json, refuse_code
from plainfilm.models.conversation.settings import Adapter

BASE_FILE = "base.json"
"""In a folder with an adapter: the base that it belongs to."""
LINK = "base"
"""A folder or link of this name beside an adapter is its base, wherever that lay before."""
_BLOCK = 2**20


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter."""
    return (folder / BASE_FILE).is_file()


def has_adapter(model: Any) -> bool:
    """Return whether a model carries an adapter."""
    return hasattr(model, "peft_config")


def add(model: Any, settings: Adapter, parts: Mapping[str, str], base: Path) -> Any:
    """Return ``model`` with a fresh adapter that changes nothing yet.

    Args:
        model: the model, its weights frozen by this.
        settings: the adapter's.
        parts: the model's parts (:data:`plainfilm.models.conversation.family.PARTS`).
        base: where the model lies.

    Raises:
        ModelError: no layer fits the adapter's targets.
    """
    peft = _peft()
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_targets(model, settings, parts),
        modules_to_save=_whole(model, settings, parts) or None,
        bias="none",
    )
    found = peft.get_peft_model(model, config)
    if settings.kind == "qlora":
        model.enable_input_require_grads()  # else gradient checkpoints see nothing to learn
    found.plainfilm_base = {
        "path": str(base.resolve()),
        "sha256": weights_hash(base),
        "four_bits": settings.kind == "qlora",
    }
    return found


def save(folder: Path, model: Any, weights: Mapping[str, torch.Tensor] | None) -> None:
    """Write an adapter and the reference to its base into a folder."""
    model.save_pretrained(folder, state_dict=None if weights is None else dict(weights))
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's form of a model card, to be filled in
    model.base_model.model.config.save_pretrained(folder)
    model.base_model.model.generation_config.save_pretrained(folder)
    write_atomically(folder / BASE_FILE, json.dumps(model.plainfilm_base, indent=1))


def load(
    folder: Path,
    load_base: Callable[..., Any],
    trainable: bool = False,
    base: Path | None = None,
    merged: bool = False,
) -> Any:
    """Open an adapter and its base.

    Args:
        folder: with the adapter.
        load_base: opens the base, from its folder and whether it is kept in four bits
            (``quantised``).
        trainable: whether the adapter goes on training.
        base: where the base lies now; where it lay, or ``base`` beside the adapter, if left out.
        merged: whether to return one model, the adapter's matrices added to the weights; a base in
            four bits is taken out of them first, since adding inside them would round once more.

    Raises:
        ModelError: the base is not there, or its weights are others than those that the adapter was
            trained beside.
    """
    peft = _peft()
    from transformers import GenerationConfig

    told = read_json(folder / BASE_FILE)
    linked = folder / LINK
    place = base or (linked if linked.exists() else Path(told["path"]))
    if not (place / "config.json").is_file():
        raise ModelError(
            f"{folder} holds an adapter, and its base is not at {place}: link the base's folder as "
            f"{linked}"
        )
    if weights_hash(place) != told["sha256"]:
        raise ModelError(
            f"{place} is not the base of the adapter in {folder}: its weights are others; link the "
            f"right folder as {linked}"
        )
    refuse_code(place)
    model = load_base(place, quantised=told["four_bits"])
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    if merged:
        if told["four_bits"]:
            model = model.dequantize()
        return peft.PeftModel.from_pretrained(model, folder).merge_and_unload()
    found = peft.PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    if trainable and told["four_bits"]:
        model.enable_input_require_grads()
    found.plainfilm_base = told | {"path": str(place.resolve())}
    return found


def four_bits(dtype: torch.dtype) -> Any:
    """Return how a frozen base is kept in four bits (nf4, its scales quantised, too)."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of("bitsandbytes", "vlm") from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["lm_head", "model.vision_tower", "model.visual",
                               "model.vision_model", "model.multi_modal_projector",
                               "model.connector", "model.fusion", "model.label_head",
                               "model.classification_head"],
    )  # fmt: skip


def steady(model: Any) -> None:
    """Keep four-bit layers from repacking their weights on processors with AVX512-BF16.

    bitsandbytes repacks them in evaluation, after which results differ a little.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 of a folder's weights, file by file in the order of their names."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} has no weights in safetensors: save the model so first")
    return _hash(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@cache
def _hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the SHA-256 of files; the same ones are read once."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MissingDependencyError.of("peft", "vlm") from error
    return peft


def _linear_layers(model: Any) -> list[str]:
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    ]


def _targets(model: Any, settings: Adapter, parts: Mapping[str, str]) -> list[str]:
    """Return the whole names of the layers that get matrices."""
    layers = _linear_layers(model)
    kept = [re.compile(parts[part]) for part in settings.whole]
    layers = [name for name in layers if not any(one.match(f"{name}.") for one in kept)]
    asked = settings.targets
    if asked == "all":
        found = layers
    elif asked == "language":
        found = [name for name in layers if re.match(parts["language"], f"{name}.")]
    elif isinstance(asked, str):
        found = [name for name in layers if re.fullmatch(asked, name)]
    else:
        found = [name for name in layers if name.rsplit(".", 1)[-1] in asked]
    if not found:
        raise ModelError(
            f"no linear layer fits adapter.targets {asked!r}: this model has "
            f"{', '.join(sorted({name.rsplit('.', 1)[-1] for name in layers}))}"
        )
    return found


def _whole(model: Any, settings: Adapter, parts: Mapping[str, str]) -> list[str]:
    """Return the outermost modules of the parts that are trained as they are.

    A vector that belongs to no module (OneVision's ``image_newline``) stays frozen: PEFT copies
    modules.
    """
    part_of = {name: _part(name, parts) for name, _ in model.named_parameters()}
    found: list[str] = []
    for name, module in model.named_modules():
        inside = {part_of.get(f"{name}.{own}") for own, _ in module.named_parameters()}
        outer = any(name.startswith(f"{one}.") for one in found)
        mere_list = isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict)
        if not outer and not mere_list and len(inside) == 1 and inside & set(settings.whole):
            found.append(name)
    return found


def _part(name: str, parts: Mapping[str, str]) -> str | None:
    """Return the part that a parameter belongs to: the longest match decides."""
    found = {part: re.match(pattern, name) for part, pattern in parts.items()}
    lengths = {part: len(match[0]) for part, match in found.items() if match}
    return max(lengths, key=lengths.__getitem__, default=None)
