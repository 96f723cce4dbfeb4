"""Pre-training of the joint encoder as a stage: what it hides, what it pairs, that it resumes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import BertConfig, BertForPreTraining, BertModel

import plainfilm
from plainfilm.core import InputError, ModelError
from plainfilm.data import Dataset
from plainfilm.data.examples import Examples, Films
from plainfilm.models.joint_bert.collate import PretrainingCollate
from plainfilm.models.joint_bert.pairs import PairedExamples
from plainfilm.text.targets import IGNORED, report_to_target
from plainfilm.training import supervised
from plainfilm.training.recipe import Recipe, parse_recipe
from plainfilm.training.run import train

RECIPES = Path(__file__).parents[3] / "recipes" / "radscribe"
STAGE = {
    "name": "pretraining", "objective": "pretraining", "attention": "bar", "image_positions": 11,
    "learning_rate": {"joint": 1e-3}, "epochs": 1, "batch_size": 4, "accumulation": 2,
    "check_every": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(sixty: Dataset) -> Dataset:
    return sixty


def recipe(dataset: Dataset, name: str = "tiny", **changes: object) -> Recipe:
    values = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    values["data"] = {"dataset": str(dataset.path)}
    values["stages"] = [STAGE | changes, values["stages"][0] | {"epochs": 1}]
    values["model"]["tokenizers"]["max_report_tokens"] = 24
    return parse_recipe(values)


def examples(dataset: Dataset) -> Examples:
    rows = dataset.split("train")
    return PairedExamples(Examples(dataset, rows, "findings+impression", Films(dataset, 64)))


def build_processor(recipe: Recipe, training: Examples | None) -> Any:
    return recipe.family.build_processor(recipe.model, recipe.data.views, training)


def build_model(recipe: Recipe, processor: Any) -> Any:
    return recipe.family.build_model(
        recipe.model, recipe.stages, recipe.data.views, processor, recipe.seed
    )


def test_half_are_paired_with_another_study_whose_labels_differ(dataset: Dataset) -> None:
    paired = examples(dataset)
    own = 0
    for epoch in range(10):
        paired.set_epoch(epoch)
        for index in range(len(paired)):
            example = paired[index]
            told = paired.reports.index(example.report)
            if example.matched:
                own += 1
                assert example.report == paired.reports[index]
            else:
                assert not torch.equal(paired.labels[told], paired.labels[index])
    assert own / (10 * len(paired)) == pytest.approx(0.5, abs=0.08)


def test_without_different_labels_every_report_is_its_own(dataset: Dataset) -> None:
    paired = examples(dataset)
    paired.labels = torch.ones_like(paired.labels)
    assert all(paired[index].matched for index in range(len(paired)))


def test_a_batch(dataset: Dataset) -> None:
    paired = examples(dataset)
    processor = build_processor(recipe(dataset), paired)
    batch = PretrainingCollate(processor, 0.15, 16, 11)([paired[index] for index in range(4)])
    tokens = processor.text_tokenizer
    whole = batch["text_ids"].where(batch["text_labels"] == IGNORED, batch["text_labels"])
    for index in range(4):
        text = tokens.decode(whole[index], skip_special_tokens=True)
        assert text.strip() == report_to_target(paired[index].report)
    assert not (batch["text_labels"][:, :2] != IGNORED).any()
    positions = batch["image_positions"]
    assert positions.shape == (4, 11)
    assert (positions.diff(dim=1) > 0).all()  # sorted, none twice
    assert len({tuple(row) for row in positions.tolist()}) == 4
    every = PretrainingCollate(processor, 0.15, 16, None)([paired[0]])
    assert "image_positions" not in every


def test_a_tokenizer_without_a_mask_is_refused(dataset: Dataset) -> None:
    processor = build_processor(recipe(dataset), examples(dataset))
    processor.text_tokenizer.mask_token = None
    with pytest.raises(InputError, match="must have a MASK token"):
        PretrainingCollate(processor, 0.15, 16, None)


@pytest.mark.parametrize("name", ["tiny", "medvill-tiny"])
def test_a_stage_of_it_and_an_interrupted_one(
    name: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(dataset, name)
    train(wanted, tmp_path / "whole", progress=False, say=lambda _: None)
    before, after = (
        load_file(tmp_path / "whole" / folder / "model.safetensors")
        for folder in ("start", "stages/1-pretraining/model")
    )
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    parts = wanted.family.model_class.parts
    assert all(key.startswith(parts["joint"]) for key in changed)
    for part in ("heads.predictions.bias", "heads.seq_relationship.weight", "pooler.dense.weight"):
        assert any(key.endswith(part) for key in changed), part

    def stop(*arguments: object, **keywords: object) -> None:
        mark(*arguments, **keywords)
        raise KeyboardInterrupt

    mark = supervised.CompleteMark.on_save
    with monkeypatch.context() as patch:
        patch.setattr(supervised.CompleteMark, "on_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(wanted, tmp_path / "stopped", progress=False, say=lambda _: None)
    train(wanted, tmp_path / "stopped", progress=False, say=lambda _: None)
    ours, theirs = (
        load_file(tmp_path / one / "model" / "model.safetensors") for one in ("stopped", "whole")
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    report = plainfilm.load_model(tmp_path / "whole").report(dataset.study(dataset.rows[0]))
    assert report.model == wanted.name


@pytest.mark.parametrize("name", ["tiny", "medvill-tiny"])
@pytest.mark.parametrize("attention", ["full", "s2s", "bar"])
def test_the_losses_are_those_of_hidden_words_and_of_matching(
    name: str, attention: str, dataset: Dataset
) -> None:
    paired = examples(dataset)
    wanted = recipe(dataset, name)
    processor = build_processor(wanted, paired)
    model = build_model(wanted, processor).eval()
    batch = PretrainingCollate(processor, 0.15, 16, 11)([paired[index] for index in range(6)])
    output = model(**batch, attention=attention)
    torch.testing.assert_close(output.loss, output.token_loss + output.matching_loss)
    hidden = batch["text_labels"][:, 2:] != IGNORED
    chosen = output.logits.log_softmax(dim=2)[hidden]
    true = batch["text_labels"][:, 2:][hidden]
    torch.testing.assert_close(
        output.token_loss, -chosen[torch.arange(len(true)), true].mean(), atol=1e-5, rtol=1e-5
    )
    assert output.matching_logits.shape == (6, 2)
    assert set(batch["matched"].tolist()) == {0, 1}


def bert(folder: Path, kind: type, **sizes: int) -> torch.nn.Module:
    torch.manual_seed(3)
    wanted = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**(wanted | {"intermediate_size": 64} | sizes))
    model = kind(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", ["tiny", "medvill-tiny"])
@pytest.mark.parametrize("kind", [BertForPreTraining, BertModel])
def test_weights_of_a_bert_checkpoint(
    name: str, kind: type, dataset: Dataset, tmp_path: Path
) -> None:
    wanted = recipe(dataset, name)
    processor = build_processor(wanted, examples(dataset))
    source = bert(tmp_path, kind, vocab_size=len(processor.tokenizer))
    body = getattr(source, "bert", source).state_dict()
    initial = wanted.model.initial.model_copy(update={"encoder": tmp_path})
    given = wanted.model_copy(
        update={"model": wanted.model.model_copy(update={"initial": initial})}
    )
    model, fresh = build_model(given, processor), build_model(wanted, processor)
    ours = model.joint_encoder.state_dict()
    assert all(torch.equal(ours[key], body[key]) for key in body)
    heads, theirs = model.pretraining_heads.state_dict(), fresh.pretraining_heads.state_dict()
    if kind is BertForPreTraining:
        theirs = source.cls.state_dict()
    assert all(torch.equal(heads[key], theirs[key]) for key in heads)


def test_a_checkpoint_that_is_no_bert_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    wanted = recipe(dataset)
    processor = build_processor(wanted, examples(dataset))
    source = bert(tmp_path, BertModel, vocab_size=len(processor.tokenizer))
    from safetensors.torch import save_file

    state = {k: v for k, v in source.state_dict().items() if "word_embeddings" not in k}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    initial = wanted.model.initial.model_copy(update={"encoder": tmp_path})
    given = wanted.model_copy(
        update={"model": wanted.model.model_copy(update={"initial": initial})}
    )
    with pytest.raises(ModelError, match=r"holds no BERT: it lacks bert\.embeddings"):
        build_model(given, processor)


def test_draws_do_not_depend_on_the_batch(dataset: Dataset) -> None:
    paired = examples(dataset)
    processor = build_processor(recipe(dataset), paired)
    collate = PretrainingCollate(processor, 0.15, 16, 11)
    whole = collate([paired[index] for index in range(6)])
    parts = [collate([paired[index] for index in part]) for part in ([0, 1], [2, 3, 4, 5])]
    assert np.array_equal(
        whole["image_positions"], torch.cat([part["image_positions"] for part in parts])
    )
    assert torch.equal(whole["matched"], torch.cat([part["matched"] for part in parts]))
