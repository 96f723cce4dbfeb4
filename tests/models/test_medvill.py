"""MedViLL: the published size, what reaches what, writing with and without its cache."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from plainfilm.core import InputError, Report
from plainfilm.models.medvill import (
    MedViLLConfig,
    MedViLLForConditionalGeneration,
    MedViLLProcessor,
)
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import IGNORED, report_to_target
from plainfilm.vision.preparation import FilmImageProcessor
from studies import studies

REPORTS = [
    Report(findings="The heart is enlarged. Small left effusion.", impression="Cardiomegaly."),
    Report(findings="The lungs are clear.", impression="No acute abnormality."),
    Report(findings="Large right pneumothorax.", impression="Pneumothorax."),
]
FILMS = list(np.random.default_rng(0).random((3, 40, 30), dtype=np.float32))


@pytest.fixture(scope="module")
def processor() -> MedViLLProcessor:
    tokenizer = train_tokenizer([report_to_target(report) for report in REPORTS] * 3, 400)
    return MedViLLProcessor(FilmImageProcessor(size=32, num_channels=1), tokenizer)


def tiny(processor: MedViLLProcessor) -> MedViLLForConditionalGeneration:
    torch.manual_seed(0)
    tokens = processor.tokenizer
    config = MedViLLConfig(
        backbone={
            "model_type": "resnet", "num_channels": 1, "embedding_size": 8,
            "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic",
        },
        encoder={
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 32, "vocab_size": len(tokens),
        },
        image_size=32, image_token_grid=4, pad_token_id=tokens.pad_token_id,
        cls_token_id=tokens.cls_token_id, sep_token_id=tokens.sep_token_id,
        mask_token_id=tokens.mask_token_id,
    )  # fmt: skip
    return MedViLLForConditionalGeneration(config).eval()


def draws(seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, index]) for index in range(3)]


@pytest.fixture(scope="module")
def learned(processor: MedViLLProcessor) -> MedViLLForConditionalGeneration:
    """A model that has learned the three reports by heart."""
    model = tiny(processor).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(400):
        batch = processor(studies(FILMS), REPORTS, draws(step), mask_share=0.4)
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step == 300:
            for group in optimizer.param_groups:
                group["lr"] = 1e-3
    return model.eval()


def test_the_published_size() -> None:
    """ResNet-50 23.5 M, BERT-base 109.5 M, its heads .6 M and a bias a word."""
    with torch.device("meta"):
        model = MedViLLForConditionalGeneration(MedViLLConfig())

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(model.image_backbone) == 23_508_032  # torchvision's ResNet-50 without its head
    assert count(model.joint) == 109_482_240
    assert model.image_encoder.projection.weight.shape == (768, 2048)
    transform = 768 * 768 + 768 + 2 * 768
    assert count(model.heads.predictions.transform) == transform
    assert model.heads.predictions.bias.shape == (30522,)


def test_the_stream_of_a_report(processor: MedViLLProcessor) -> None:
    batch = processor(studies(FILMS), REPORTS, draws())
    tokens = processor.tokenizer
    whole = batch["text_ids"].where(batch["labels"] == IGNORED, batch["labels"])
    assert (whole[:, 0] == tokens.cls_token_id).all()
    assert (whole[:, 1] == tokens.sep_token_id).all()
    assert processor.decode_reports(whole) == REPORTS
    lengths = batch["text_attention_mask"].sum(dim=1)
    assert all(whole[row, lengths[row] - 1] == tokens.sep_token_id for row in range(3))
    hidden = batch["labels"] != IGNORED
    assert (batch["text_ids"][hidden] == tokens.mask_token_id).all()
    assert not hidden[:, :2].any()


def test_reports_need_random_numbers(processor: MedViLLProcessor) -> None:
    with pytest.raises(InputError, match="need rngs"):
        processor(studies(FILMS), REPORTS)


def test_a_hidden_word_sees_the_film_and_what_stands_before_it(
    processor: MedViLLProcessor,
) -> None:
    model = tiny(processor)
    batch = dict(processor(studies(FILMS), REPORTS, draws()))
    before = model(**batch).logits
    later = batch["text_ids"].clone()
    later[:, 6] = 50
    changed = (model(**batch | {"text_ids": later}).logits != before).any(dim=2)[0]
    assert not changed[:4].any()
    assert changed[4:10].any()
    other = model(**batch | {"pixel_values": batch["pixel_values"].flip(0)}).logits
    assert (other != before)[0].any(dim=1).all()


def test_padding_changes_nothing(processor: MedViLLProcessor) -> None:
    model = tiny(processor)
    batch = dict(processor(studies(FILMS), REPORTS, draws()))
    length = int(batch["text_attention_mask"][1].sum())
    assert length < batch["text_ids"].shape[1]
    alone = {name: tensor[1:2] for name, tensor in batch.items()}
    for name in ("text_ids", "text_attention_mask", "labels"):
        alone[name] = alone[name][:, :length]
    torch.testing.assert_close(
        model(**alone).logits, model(**batch).logits[1:2, : length - 2], atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize("beams", [1, 3])
def test_the_cache_changes_nothing(
    processor: MedViLLProcessor, learned: MedViLLForConditionalGeneration, beams: int
) -> None:
    films = processor(studies(FILMS))["pixel_values"]
    for model in (learned, tiny(processor)):
        cached, _ = model.draft(films, max_new_tokens=40, num_beams=beams)
        plain, _ = model.draft(films, max_new_tokens=40, num_beams=beams, use_cache=False)
        assert torch.equal(cached, plain)


def test_each_step_of_the_cache_has_the_same_logits(processor: MedViLLProcessor) -> None:
    model = tiny(processor)
    options = {
        "max_new_tokens": 20, "min_new_tokens": 20,
        "output_logits": True, "return_dict_in_generate": True,
    }  # fmt: skip
    encoded = model.image_encoder(processor(studies(FILMS))["pixel_values"])
    with torch.no_grad():
        cached, plain = (
            model.generate(encoder_outputs=encoded, use_cache=use, **options).logits
            for use in (True, False)
        )
    torch.testing.assert_close(torch.stack(cached), torch.stack(plain), atol=1e-5, rtol=1e-5)


def test_writing_fills_in_one_mask_after_another(
    processor: MedViLLProcessor, learned: MedViLLForConditionalGeneration
) -> None:
    """What generate() writes is what the training forward predicts at a [MASK] put behind it."""
    films = processor(studies(FILMS))["pixel_values"]
    written, _ = learned.draft(films, max_new_tokens=12, min_new_tokens=12)
    tokens = processor.tokenizer
    for length in range(1, 13):
        text = torch.full((3, length + 2), tokens.mask_token_id)
        text[:, 0] = tokens.cls_token_id
        text[:, 1:-1] = written[:, :length]
        logits = learned(films, text, torch.ones_like(text)).logits[:, -1]
        logits[:, tokens.sep_token_id] = -torch.inf  # as min_new_tokens does
        assert torch.equal(logits.argmax(dim=1), written[:, length])


def test_batched_writing_equals_one_at_a_time(
    processor: MedViLLProcessor, learned: MedViLLForConditionalGeneration
) -> None:
    films = processor(studies(FILMS))["pixel_values"]
    together, _ = learned.draft(films, max_new_tokens=60)
    assert len({int((row == 0).sum()) for row in together}) > 1  # they end at different places
    for row in range(3):
        alone, _ = learned.draft(films[row : row + 1], max_new_tokens=60)
        assert processor.decode_reports(alone) == processor.decode_reports(together[row : row + 1])
        assert torch.equal(alone[0], together[row, : alone.shape[1]])


def test_it_can_learn_three_reports(
    processor: MedViLLProcessor, learned: MedViLLForConditionalGeneration
) -> None:
    tokens, nothing = learned.draft(processor(studies(FILMS))["pixel_values"], max_new_tokens=60)
    assert nothing is None
    assert processor.decode_reports(tokens) == REPORTS


def test_saving_and_loading(processor: MedViLLProcessor, tmp_path: Path) -> None:
    model = tiny(processor)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(again) is MedViLLForConditionalGeneration
    batch = processor(studies(FILMS), REPORTS, draws())
    assert torch.equal(again(**batch).logits, model(**batch).logits)
    prepared = MedViLLProcessor.from_pretrained(tmp_path)
    assert prepared.max_report_tokens == processor.max_report_tokens
    refreshed = prepared(studies(FILMS), REPORTS, draws())
    assert all(torch.equal(refreshed[name], batch[name]) for name in batch)


def test_how_likely_each_word_of_a_report_is(
    learned: MedViLLForConditionalGeneration, processor: MedViLLProcessor
) -> None:
    """As generation scores them, step by step; and a report learned by heart is all but certain."""
    films = processor(studies(FILMS[:1]))
    said = learned.generate(
        **films, max_new_tokens=8, num_beams=1, return_dict_in_generate=True, output_logits=True
    )
    tokens = said.sequences[:, -len(said.logits) :]
    steps = torch.stack(said.logits, dim=1)[0].log_softmax(dim=-1)
    expected = steps.gather(1, tokens[0][:, None])[:, 0]
    found = learned.log_probabilities(tokens, **films)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert found.exp().min() > 0.9
