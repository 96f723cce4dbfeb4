"""How much memory ASaRG takes at the published sizes: counted on torch's meta device, not measured.

    python benchmarks/asarg_memory.py

Weights, gradients and AdamW's two moments are counted parameter by parameter, at the precision that
a recipe keeps them in. Activations are what autograd saves for the backward pass of the language
model's layers, counted with hooks while one runs on tensors without content (a sequence has
576 + 256 tokens of the film, 60 of the request, 256 of the report); with gradient checkpointing
that is each layer's input, and one layer's own on top. Logits are of the report's tokens, in
bfloat16 and float32. Left out: CUDA's own (about 1 GiB), fragmentation, communication buffers.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from plainfilm.core.classes import CLASSES
from plainfilm.models.llava import FusedLlava, FusedLlavaConfig
from plainfilm.models.llava.fusion_values import fusion_values

GIB = 2**30
CARDS = (24, 48, 80)
PROMPT, ANSWER = 60, 256
FOUR_BITS = 0.5 * (1 + 0.127 / 4)
"""Bytes of a weight in nf4 with doubly quantised scales (Dettmers et al. 2023: .127 bits more)."""
TOWER = {
    "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
    "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
    "projection_dim": 768,
}  # fmt: skip
VICUNA = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
    "vocab_size": 32064, "max_position_embeddings": 4096,
}  # fmt: skip
SMOL = {
    "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "vocab_size": 49153, "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
SMALL_TOWER = {
    "model_type": "clip_vision_model", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 224, "patch_size": 16,
    "projection_dim": 512,
}  # fmt: skip
FEATURES = {"feature_size": 2048}
MAPS = FEATURES | {"map_classes": [one.name for one in CLASSES]}


@dataclass
class Recipe:
    """What trains, and at which precision it is kept."""

    name: str
    trains: tuple[str, ...] = ()
    """Parts that train whole; ``all`` for everything."""
    trained_bytes: int = 8
    """Of a trained weight, its gradient and AdamW's moments: 16 in float32, 8 in bfloat16."""
    rank: int = 0
    """Of LoRA's matrices on the language model's linear layers, kept in float32."""
    four_bits: bool = False
    shards: int = 1
    """ZeRO-2: over how many GPUs gradients and moments are spread."""
    frozen_tower: bool = False
    """Whether the tower's tokens are kept, so that it need not be there."""


RECIPES = (
    Recipe("everything, float32 (mixed precision)", ("all",), 16),
    Recipe("everything, float32, ZeRO-2 over 4", ("all",), 16, shards=4),
    Recipe("everything, bfloat16", ("all",), 8),
    Recipe(
        "everything but the tower, bfloat16, tokens kept",
        ("projector", "language", "fusion"),
        8,
        frozen_tower=True,
    ),
    Recipe(
        "projector and fusion (the paper's second stage)",
        ("projector", "fusion"),
        8,
        frozen_tower=True,
    ),
    Recipe("LoRA r 128, projector, fusion", ("projector", "fusion"), 8, rank=128),
    Recipe("QLoRA r 64, projector, fusion", ("projector", "fusion"), 8, rank=64, four_bits=True),
)
PARTS = {
    "vision": "model.vision_tower.", "projector": "model.multi_modal_projector.",
    "fusion": "model.fusion.", "language": ("model.language_model.", "lm_head."),
}  # fmt: skip


def build(tower: dict[str, Any], text: dict[str, Any], fusion: dict[str, Any] | None) -> FusedLlava:
    config = FusedLlavaConfig(
        vision_config=dict(tower), text_config=dict(text), image_token_index=4,
        fusion=None if fusion is None else fusion_values({"kind": "concatenation"} | fusion),
        tie_word_embeddings=text.get("tie_word_embeddings", False),
    )  # fmt: skip
    with torch.device("meta"):
        return FusedLlava(config)


def static_bytes(model: FusedLlava, recipe: Recipe) -> tuple[float, float]:
    """Return the bytes of weights, and of gradients and moments."""
    linear = {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "language_model" in name
    }
    weights = states = 0.0
    for name, value in model.named_parameters():
        part = next(one for one, start in PARTS.items() if name.startswith(start))
        if part == "vision" and recipe.frozen_tower:
            continue
        if "all" in recipe.trains or part in recipe.trains:
            own = recipe.trained_bytes // 4
            weights += value.numel() * own
            states += value.numel() * (recipe.trained_bytes - own) / recipe.shards
        else:
            weights += value.numel() * (FOUR_BITS if recipe.four_bits and name in linear else 2)
    for module in linear.values():
        matrices = recipe.rank * (module.in_features + module.out_features)
        weights += 4 * matrices
        states += 12 * matrices / recipe.shards
    return weights, states


def layer_bytes(text: dict[str, Any], tokens: int) -> float:
    """Return the bytes that autograd saves of one sequence in a layer, in bfloat16."""
    rest = dict(text)
    config = AutoConfig.for_model(rest.pop("model_type"), **rest | {"num_hidden_layers": 1})
    with torch.device("meta"):
        inner = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).model.train()
        words = torch.empty(1, tokens, config.hidden_size, dtype=torch.bfloat16).requires_grad_()
        turns = inner.rotary_emb(words, torch.empty(1, tokens, dtype=torch.long))
    weights = {one.untyped_storage()._cdata for one in inner.parameters()}
    seen: dict[int, torch.UntypedStorage] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage._cdata not in weights:
            seen[storage._cdata] = storage  # held, so that no place comes twice
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        inner.layers[0](words, position_embeddings=turns, use_cache=False)
    return float(sum(one.nbytes() for one in seen.values()))


def main() -> None:
    for title, tower, text in (
        ("LLaVA-1.5-7B (Vicuna-7B, CLIP ViT-L/14-336)", TOWER, VICUNA),
        ("SmolLM2-135M, CLIP ViT-B/16", SMALL_TOWER, SMOL),
    ):
        films = (tower["image_size"] // tower["patch_size"]) ** 2
        plain = sum(one.numel() for one in build(tower, text, None).parameters())
        print(f"\n{title}: {plain / 1e9:.3f} billion parameters\n")
        for name, fusion in (("feature", FEATURES), ("feature and 212 maps", MAPS)):
            more = sum(one.numel() for one in build(tower, text, fusion).parameters()) - plain
            print(f"{name}: {more:,} more, {100 * more / plain:+.3f} %")
        model = build(tower, text, MAPS)
        tokens = films + 256 + PROMPT + ANSWER
        layers = text["num_hidden_layers"]
        one_layer = layer_bytes(text, tokens)
        logits = ANSWER * text["vocab_size"] * (2 + 4 + 4)
        held = layers * tokens * text["hidden_size"] * 2
        activations = {
            "plain": layers * one_layer + logits, "checkpointing": held + one_layer + logits,
        }  # fmt: skip
        print(f"\nactivations of one sequence of {tokens} tokens: "
              f"{activations['plain'] / GIB:.2f} GiB, with gradient checkpointing "
              f"{activations['checkpointing'] / GIB:.2f} GiB\n")  # fmt: skip
        print("| recipe | weights | gradients, moments | batch of 1 | batch of 16, checkpointing | "
              + " | ".join(f"{card} GB" for card in CARDS) + " |")  # fmt: skip
        print("|---|---|---|---|---|" + "---|" * len(CARDS))
        for recipe in RECIPES:
            weights, states = static_bytes(model, recipe)
            one = weights + states + activations["plain"]
            many = weights + states + 16 * activations["checkpointing"]
            least = weights + states + activations["checkpointing"]
            fits = []
            for card in CARDS:
                # A card's GB are 10^9; one GiB is CUDA's own.
                room = card * 1e9 - GIB
                batch = int((room - weights - states) // activations["checkpointing"])
                fits.append(f"batch {min(batch, 999)}" if least <= room else "no")
            print(f"| {recipe.name} | {weights / GIB:.1f} | {states / GIB:.1f} | {one / GIB:.1f} | "
                  f"{many / GIB:.1f} | " + " | ".join(fits) + " |")  # fmt: skip


if __name__ == "__main__":
    main()
