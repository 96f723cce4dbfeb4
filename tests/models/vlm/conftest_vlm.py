"""Tiny checkpoints of each kind, made from their configurations: weights that have learned nothing,
a tokenizer of bytes, and the kind's own processor and chat format."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from plainfilm.core import Image, View

os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")

KINDS = (
    "llava", "llava_onevision", "qwen2_5_vl", "qwen3_vl", "gemma3", "paligemma", "idefics3",
    "smolvlm",
)  # fmt: skip
SENTENCES = [
    "The heart is mildly enlarged.", "No pleural effusion.", "Left basal consolidation.",
    "The lungs are clear.", "Write the report of this chest X-ray. Indication: cough. Findings:",
]  # fmt: skip

# Chat formats of the published checkpoints, shortened to what a request and an answer use.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA = (
    "{% for m in messages %}{% if m.role != 'system' %}{{ m.role.upper() + ': ' }}{% endif %}"
    "{% for c in m.content if c.type == 'image' %}<image>\n{% endfor %}"
    "{% for c in m.content if c.type == 'text' %}{{ c.text + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% set first = '' %}{% if messages[0].role == 'system' %}"
    "{% set first = messages[0].content[0].text + '\n\n' %}{% set messages = messages[1:] %}"
    "{% endif %}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ first if loop.first else '' }}"
    "{% for c in m.content %}{% if c.type == 'image' %}<start_of_image>{% else %}"
    "{{ c.text | trim }}{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
IDEFICS = (
    "<|im_start|>{% for m in messages %}{{ m.role | capitalize }}"
    "{{ ':' if m.content[0].type == 'image' else ': ' }}{% for c in m.content %}"
    "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def tokenizer(extra: list[str], named: dict[str, str], eos: str = "</s>", bos: str | None = "<s>"):
    """Return a byte-level tokenizer with a checkpoint's own tokens."""
    bytes_ = Tokenizer(models.BPE())
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    special = list(dict.fromkeys(["<pad>", *([bos] if bos else []), eos, *extra]))
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bytes_.train_from_iterator(SENTENCES * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_, pad_token="<pad>", eos_token=eos, bos_token=bos,  # noqa: S106
        extra_special_tokens=named or None,
    )  # fmt: skip


def text_config(words, **more):
    ids = {"pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id}
    return {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": len(words) + 8,
        "max_position_embeddings": 1024, "bos_token_id": words.bos_token_id, **ids, **more,
    }  # fmt: skip


def tower(**more):
    return {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 28, "patch_size": 14, **more,
    }  # fmt: skip


def _llava():
    words = tokenizer(["<image>"], {"image_token": "<image>"})
    image = words.convert_tokens_to_ids("<image>")
    pictures = transformers.CLIPImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    processor = transformers.LlavaProcessor(
        pictures, words, patch_size=14, vision_feature_select_strategy="default",
        chat_template=LLAVA, num_additional_image_tokens=1,
    )  # fmt: skip
    config = transformers.LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **tower(projection_dim=32)},
        text_config={"model_type": "llama", **text_config(words)},
        image_token_id=image, image_token_index=image, image_seq_length=4,
        vision_feature_layer=-2, vision_feature_select_strategy="default",
    )  # fmt: skip
    return config, processor


def _llava_onevision():
    extra = ["<image>", "<video>", "<|im_start|>", "<|im_end|>"]
    words = tokenizer(
        extra, {"image_token": "<image>", "video_token": "<video>"}, eos="<|im_end|>", bos=None
    )
    ids = {name: words.convert_tokens_to_ids(f"<{name}>") for name in ("image", "video")}
    pictures = transformers.LlavaOnevisionImageProcessor(
        size={"height": 28, "width": 28}, image_grid_pinpoints=[[28, 28], [56, 56]]
    )
    processor = without_video(transformers.LlavaOnevisionProcessor)(
        pictures, words, num_image_tokens=4, vision_feature_select_strategy="full",
        chat_template=CHATML.replace("IMAGE", "<image>\n"),
    )  # fmt: skip
    config = transformers.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", **tower(vision_use_head=False)},
        text_config={"model_type": "qwen2", **text_config(words)},
        image_token_id=ids["image"], image_token_index=ids["image"],
        video_token_id=ids["video"], video_token_index=ids["video"],
        image_grid_pinpoints=[[28, 28], [56, 56]], vision_feature_layer=-1,
    )  # fmt: skip
    return config, processor


def _qwen(kind):
    extra = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
             "<|video_pad|>"]  # fmt: skip
    words = tokenizer(
        extra, {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        eos="<|im_end|>", bos=None,
    )  # fmt: skip
    ids = {
        f"{name}_token_id": words.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (("image", "image_pad"), ("video", "video_pad"),
                            ("vision_start", "vision_start"), ("vision_end", "vision_end"))
    }  # fmt: skip
    patch = 14 if kind == "qwen2_5_vl" else 16
    pictures = transformers.Qwen2VLImageProcessor(
        patch_size=patch, min_pixels=(2 * patch) ** 2, max_pixels=(4 * patch) ** 2
    )
    template = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    made = {
        "qwen2_5_vl": transformers.Qwen2_5_VLProcessor, "qwen3_vl": transformers.Qwen3VLProcessor,
    }[kind]  # fmt: skip
    processor = without_video(made)(pictures, words, chat_template=template)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    if kind == "qwen2_5_vl":
        config = transformers.Qwen2_5_VLConfig(
            vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
                           "out_hidden_size": 32, "fullatt_block_indexes": [1],
                           "window_size": 56},
            text_config=text_config(words, rope_parameters=rope), **ids,
        )  # fmt: skip
    else:
        rope["mrope_interleaved"] = True
        config = transformers.Qwen3VLConfig(
            vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
                               "out_hidden_size": 32, "num_position_embeddings": 16,
                               "deepstack_visual_indexes": [0]},
            text_config=text_config(words, rope_parameters=rope, head_dim=8), **ids,
        )  # fmt: skip
    return config, processor


def _gemma3():
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>",
             "image_token": "<image_soft_token>"}  # fmt: skip
    words = tokenizer([*named.values(), "<start_of_turn>", "<end_of_turn>"], named, eos="<eos>",
                      bos="<bos>")  # fmt: skip
    pictures = transformers.Gemma3ImageProcessor(size={"height": 28, "width": 28})
    processor = transformers.Gemma3Processor(
        pictures, words, chat_template=GEMMA, image_seq_length=4
    )
    config = transformers.Gemma3Config(
        vision_config={"model_type": "siglip_vision_model", **tower(vision_use_head=False)},
        text_config=text_config(words, head_dim=8, sliding_window=64),
        mm_tokens_per_image=4, image_token_index=words.image_token_id,
        image_token_id=words.image_token_id,
        boi_token_index=words.boi_token_id, eoi_token_index=words.eoi_token_id,
    )  # fmt: skip
    return config, processor


def _paligemma():
    words = tokenizer(["<image>"], {"image_token": "<image>"}, eos="<eos>", bos="<bos>")
    pictures = transformers.SiglipImageProcessor(size={"height": 28, "width": 28})
    pictures.image_seq_length = 4
    processor = transformers.PaliGemmaProcessor(pictures, words)
    words = processor.tokenizer
    config = transformers.PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model",
                       **tower(projection_dim=32, vision_use_head=False)},
        text_config={"model_type": "gemma", **text_config(words, head_dim=8)},
        image_token_index=words.image_token_id, image_token_id=words.image_token_id,
        projection_dim=32, hidden_size=32,
    )  # fmt: skip
    return config, processor


def _idefics(kind):
    extra = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
             "<|im_start|>",
             *(f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7))]  # fmt: skip
    words = tokenizer(extra, {}, eos="<end_of_utterance>", bos=None)
    name = {"idefics3": "Idefics3", "smolvlm": "SmolVLM"}[kind]
    pictures = getattr(transformers, f"{name}ImageProcessor")(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}
    )
    made = without_video(getattr(transformers, f"{name}Processor"))
    parts = [pictures, words] if kind == "idefics3" else [pictures, words, None]
    processor = made(*parts, image_seq_len=1, chat_template=IDEFICS)
    config = getattr(transformers, f"{name}Config")(
        vision_config=tower(), scale_factor=2,
        text_config={"model_type": "llama", **text_config(words)},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=words.pad_token_id,
    )  # fmt: skip
    return config, processor


def without_video(kind):
    from plainfilm.models.conversation.processor import without_video as leave_out

    return leave_out(kind)


MAKERS = {
    "llava": _llava, "llava_onevision": _llava_onevision, "gemma3": _gemma3,
    "paligemma": _paligemma, "qwen2_5_vl": lambda: _qwen("qwen2_5_vl"),
    "qwen3_vl": lambda: _qwen("qwen3_vl"), "idefics3": lambda: _idefics("idefics3"),
    "smolvlm": lambda: _idefics("smolvlm"),
}  # fmt: skip


def make(kind: str, folder: Path) -> Path:
    """Write a tiny checkpoint of a kind into a folder."""
    if kind == "smolvlm":
        pytest.importorskip("num2words")
    torch.manual_seed(0)
    config, processor = MAKERS[kind]()
    model = AutoModelForImageTextToText.from_config(config)
    model.generation_config.update(
        eos_token_id=processor.tokenizer.eos_token_id, pad_token_id=processor.tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def film(seed: int, shape=(40, 32), view=View.PA) -> Image:
    return Image(pixels=np.random.default_rng(seed).random(shape, dtype=np.float32), view=view)
