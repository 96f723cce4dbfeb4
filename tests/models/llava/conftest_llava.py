"""Tiny LLaVAs and studies with features and maps."""

import numpy as np
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration

from plainfilm.core import Image, Report, Study, View
from plainfilm.core.study import Maps
from plainfilm.data.examples import Example
from plainfilm.models.llava import FusedLlavaConfig
from plainfilm.models.llava.fusion_values import fusion_values
from plainfilm.models.llava.settings import LlavaSettings

IMAGE = 4
TOWER = {
    "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
    "projection_dim": 32,
}  # fmt: skip
WORDS = {
    "model_type": "llama", "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 256,
}  # fmt: skip
BOTH = {"feature_size": 16, "map_classes": ["a", "b", "c"], "map_side": 8, "embeddings": 6}
SETTINGS = {"kind": "concatenation", "embeddings": 6,
            "features": {"name": "specialist", "size": 5},
            "maps": {"source": "truth", "classes": ["a", "b"]}}  # fmt: skip
REPORT = Report(findings="The heart is mildly enlarged. No effusion.", impression="Cardiomegaly.")


def base(folder):
    """Write LLaVA itself, as transformers does, into a folder."""
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=dict(TOWER), text_config=dict(WORDS), image_token_index=IMAGE,
        image_seq_length=4,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    return model


def fused_config(kind=None, **values):
    fusion = None if kind is None else fusion_values(BOTH | {"kind": kind} | values)
    return FusedLlavaConfig(
        vision_config=dict(TOWER), text_config=dict(WORDS), image_token_index=IMAGE,
        image_seq_length=4, fusion=fusion,
    )  # fmt: skip


def inputs(kind, rows=((7, 8, 9),), films=1, seed=0):
    """Return a batch of prompts with films, padded on the left."""
    draw = torch.Generator().manual_seed(seed)
    count = 4 + (6 if kind == "concatenation" else 0)
    prompts = [[1] + films * ([IMAGE] * count) + list(words) for words in rows]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    found = {
        "input_ids": ids, "attention_mask": mask,
        "pixel_values": torch.randn(films * len(rows), 3, 28, 28, generator=draw),
    }  # fmt: skip
    if kind is not None:
        found["specialist_features"] = torch.randn(films * len(rows), 16, generator=draw)
        found["segmentation_maps"] = torch.rand(films * len(rows), 3, 8, 8, generator=draw)
    return found


def film(seed, view=View.PA):
    return Image(pixels=np.random.default_rng(seed).random((40, 32), dtype=np.float32), view=view)


def study(number, films=1):
    rng = np.random.default_rng(number)
    images = [film(number), film(number + 100, View.LATERAL)][:films]
    maps = Maps(classes=("b", "a", "c"), values=rng.random((3, 16, 16)), source="truth")
    return Study(
        id=f"s{number}", images=tuple(images), indication="cough" if number % 2 else None,
        maps=(maps,), features={"specialist": rng.random(5)},
    )  # fmt: skip


class Reports:
    """As much of training examples as a tokenizer is learned from."""

    reports = [REPORT] * 8
    rows = ()

    def __len__(self):
        return len(self.reports)


RESNET = {
    "model_type": "plainfilm_resnet", "embedding_size": 8, "hidden_sizes": [8, 16],
    "depths": [1, 1], "layer_type": "basic", "image_size": 32,
}  # fmt: skip


def settings(fusion=SETTINGS, vision=RESNET, **more):
    return LlavaSettings(
        family="llava",
        vision=vision,
        vision_layer=-1,
        text={"model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
              "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
              "max_position_embeddings": 512},
        vocabulary_size=300, max_report_tokens=24, request="Write it.\nReason: {indication}",
        fusion=fusion, **more,
    )  # fmt: skip


def examples(studies):
    return [
        Example(one, REPORT, torch.full((14,), float(number % 2)), np.random.default_rng(0))
        for number, one in enumerate(studies)
    ]
