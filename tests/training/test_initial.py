"""Starting from checkpoints: a T5 decoder of either kind, more rows than words, hidden settings."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForPreTraining, T5Config, T5ForConditionalGeneration

from plainfilm.core import ModelError
from plainfilm.models.radscribe import RadScribeProcessor
from plainfilm.text.subwords import train_tokenizer
from plainfilm.training.recipe import Recipe, load_recipe
from plainfilm.vision.preparation import FilmImageProcessor

TINY = Path(__file__).parents[2] / "recipes" / "radscribe" / "tiny.yaml"
SHAPE = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2}
EXTRA_ROWS = 28  # as T5-base's 32,128 for 32,100 words


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = ["The heart is normal. No effusion.", "Small left pneumothorax."] * 3
    train_tokenizer(texts, 400).save_pretrained(folder)
    return folder


def build_model(recipe: Recipe, processor: Any) -> Any:
    return recipe.family.build_model(recipe.model, recipe.stages, 1, processor, recipe.seed)


def processor_of(recipe: Recipe) -> RadScribeProcessor:
    found = recipe.family.build_processor(recipe.model, 1, None)
    assert isinstance(found, RadScribeProcessor)
    assert isinstance(found.image_processor, FilmImageProcessor)
    return found


def started(*changes: str) -> Any:
    """Return the model of the tiny recipe with ``changes``."""
    recipe = load_recipe(TINY, changes)
    return build_model(recipe, processor_of(recipe))


def t5(folder: Path, rows: int, *, tied: bool, **settings: Any) -> dict[str, torch.Tensor]:
    """Write a T5 in the published form: T5 1.1 has an output of its own, T5 has not."""
    model = T5ForConditionalGeneration(T5Config(vocab_size=rows, **SHAPE, **settings))
    weights = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        if not name.endswith("embed_tokens.weight"):
            weights[name] = torch.randn_like(value)
    weights["decoder.embed_tokens.weight"] = weights["shared.weight"].clone()
    folder.mkdir()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = T5Config(vocab_size=rows, **SHAPE, **settings).to_dict()
    config |= {"tie_word_embeddings": tied, "model_type": "t5"}
    config.pop("scale_decoder_outputs", None)
    (folder / "config.json").write_text(json.dumps(config))
    return weights


@pytest.mark.parametrize("tied", [True, False], ids=["t5", "t5-1.1"])
def test_a_decoder_starts_from_a_published_t5(tied: bool, words: Path, tmp_path: Path) -> None:
    gated = {} if tied else {"feed_forward_proj": "gated-gelu"}
    plain = load_recipe(TINY, (f"model.tokenizers.report={words}",))
    rows = len(processor_of(plain).tokenizer) + EXTRA_ROWS
    weights = t5(tmp_path / "t5", rows, tied=tied, **gated)
    changes = [f"model.tokenizers.report={words}", f"model.initial.decoder={tmp_path / 't5'}"]
    if not tied:
        with pytest.raises(ModelError, match="set tie_word_embeddings: false there"):
            started(*changes)
        changes.append("model.config.decoder.tie_word_embeddings=false")
        with pytest.raises(ModelError, match="set feed_forward_proj: gated-gelu there"):
            started(*changes)
        changes.append("model.config.decoder.feed_forward_proj=gated-gelu")
    model = started(*changes)
    assert model.decoder.embed_tokens.weight.shape[0] == model.lm_head.weight.shape[0] == rows
    ours = model.decoder.state_dict()
    for name, value in ours.items():
        source = "shared.weight" if name == "embed_tokens.weight" else f"decoder.{name}"
        assert torch.equal(value, weights[source]), name
    head = weights["shared.weight" if tied else "lm_head.weight"]
    assert torch.equal(model.lm_head.weight, head)
    model.save_pretrained(tmp_path / "saved")
    again = type(model).from_pretrained(tmp_path / "saved")
    assert torch.equal(again.lm_head.weight, head)


def test_a_t5_without_its_output_or_with_too_few_words(words: Path, tmp_path: Path) -> None:
    def start(folder: Path) -> None:
        started(
            f"model.tokenizers.report={words}", f"model.initial.decoder={folder}",
            "model.config.decoder.tie_word_embeddings=false",
        )  # fmt: skip

    t5(tmp_path / "few", 20, tied=False)
    with pytest.raises(ModelError, match="embeddings for 20 words, but its tokenizer has"):
        start(tmp_path / "few")
    t5(tmp_path / "headless", 700, tied=False)
    file = tmp_path / "headless" / "model.safetensors"
    weights = load_file(file)
    del weights["lm_head.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"headless lacks lm_head\.weight"):
        start(tmp_path / "headless")
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelError, match="cannot load the decoder from"):
        start(tmp_path / "headless")


def test_a_bert_of_other_settings_is_refused(words: Path, tmp_path: Path) -> None:
    changes = (f"model.tokenizers.text={words}", f"model.tokenizers.report={words}",
               f"model.initial.encoder={tmp_path / 'bert'}")  # fmt: skip
    recipe = load_recipe(TINY, changes)
    config = BertConfig(
        vocab_size=len(processor_of(recipe).tokenizer) + EXTRA_ROWS, hidden_size=32,
        num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, hidden_act="relu",
    )  # fmt: skip
    source = BertForPreTraining(config)
    source.save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match="set num_attention_heads: 4, hidden_act: relu there"):
        started(*changes)
    own = ("model.config.encoder.num_attention_heads=4", "model.config.encoder.hidden_act=relu")
    model = started(*changes, *own)
    theirs = source.bert.embeddings.word_embeddings.weight
    assert torch.equal(model.joint_encoder.embeddings.word_embeddings.weight, theirs)


def test_a_broken_backbone_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    recipe = load_recipe(TINY, (f"model.initial.backbone={tmp_path}",))
    tokenizer = train_tokenizer(["No effusion."] * 3, 300)
    processor = RadScribeProcessor(
        FilmImageProcessor(size=64, num_channels=1), tokenizer, tokenizer
    )
    with pytest.raises(ModelError, match="no checkpoint in"):
        build_model(recipe, processor)
