"""RadScribe: shapes, the published size, what reaches what, saving and generating."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, T5Config, T5ForConditionalGeneration

from plainfilm.core import InputError, Report
from plainfilm.models.family import whole_loss
from plainfilm.models.joint_bert.settings import JointBertStage
from plainfilm.models.radscribe import (
    RadScribeConfig,
    RadScribeForConditionalGeneration,
    RadScribeProcessor,
)
from plainfilm.models.radscribe.label_enhancement import place_loss
from plainfilm.text.subwords import train_tokenizer
from plainfilm.text.targets import report_to_target, target_to_report
from plainfilm.vision.preparation import FilmImageProcessor, letterbox, maps_on_film
from studies import studies

REPORTS = [
    Report(findings="The heart is enlarged. Small left effusion.", impression="Cardiomegaly."),
    Report(findings="The lungs are clear.", impression="No acute abnormality."),
    Report(findings="Large right pneumothorax.", impression="Pneumothorax."),
]
RESNET = {
    "model_type": "resnet", "num_channels": 1, "embedding_size": 8, "hidden_sizes": [8, 16],
    "depths": [1, 1], "layer_type": "basic",
}  # fmt: skip


def tiny(vocabulary: int, **changes: object) -> RadScribeForConditionalGeneration:
    torch.manual_seed(0)
    sizes = {
        "backbone": RESNET,
        "encoder": {
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 32, "vocab_size": vocabulary,
        },
        "decoder": {
            "d_model": 24, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2,
            "vocab_size": vocabulary,
        },
        "image_size": 32,
        "image_token_grid": 4,
    }  # fmt: skip
    return RadScribeForConditionalGeneration(RadScribeConfig(**(sizes | changes)))


@pytest.fixture(scope="module")
def processor() -> RadScribeProcessor:
    tokenizer = train_tokenizer([report_to_target(report) for report in REPORTS] * 3, 400)
    return RadScribeProcessor(FilmImageProcessor(size=32, num_channels=1), tokenizer, tokenizer)


@pytest.fixture(scope="module")
def batch(processor: RadScribeProcessor) -> dict[str, torch.Tensor]:
    films = list(np.random.default_rng(0).random((3, 40, 30), dtype=np.float32))
    return dict(processor(studies(films, ["Cough.", None, "Fall from a ladder."]), REPORTS))


@pytest.fixture
def model(processor: RadScribeProcessor) -> RadScribeForConditionalGeneration:
    return tiny(len(processor.tokenizer)).eval()


@pytest.fixture(scope="module")
def learned(
    processor: RadScribeProcessor, batch: dict[str, torch.Tensor]
) -> RadScribeForConditionalGeneration:
    """A model that has learned the three reports by heart."""
    model = tiny(len(processor.tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(250):
        model(**batch, observation_labels=torch.zeros(3, 14)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: batch[name] for name in ("pixel_values", "text_ids", "text_attention_mask")}


def test_the_published_size() -> None:
    """ViT-B/16: 86 M without its pooler; BERT-base: 110 M with its pooler; T5-base: 220 M."""
    with torch.device("meta"):
        model = RadScribeForConditionalGeneration(RadScribeConfig())

    def millions(module: torch.nn.Module) -> float:
        return sum(parameter.numel() for parameter in module.parameters()) / 1e6

    assert millions(model.encoder.backbone) == pytest.approx(86.4, abs=0.1)
    assert millions(model.encoder.joint) == pytest.approx(108.9, abs=0.1)
    assert millions(model.decoder) == pytest.approx(137.9, abs=0.1)  # T5-base less its encoder
    assert model.encoder.joint.config.vocab_size == 30522
    assert model.config.decoder_config.d_model == 768
    # [CLS], 16² image tokens, [SEP], at most 253 words and [SEP] fill BERT's 512 places.
    text = inspect.signature(RadScribeProcessor.__init__).parameters["max_text_tokens"].default
    assert 1 + model.config.image_token_grid**2 + 1 + text + 1 == 512


def test_the_decoder_is_t5_bases() -> None:
    """Parameter for parameter, ClinicalT5's published shape; with the encoder 222.9 M in all."""
    with torch.device("meta"):
        ours = RadScribeForConditionalGeneration(RadScribeConfig()).decoder
        sizes = {"d_model": 768, "d_ff": 3072, "d_kv": 64, "num_layers": 12, "num_heads": 12}
        whole = T5ForConditionalGeneration(T5Config(**sizes, vocab_size=32128))
    theirs = whole.decoder
    assert {name: p.shape for name, p in ours.named_parameters()} == {
        name: p.shape for name, p in theirs.named_parameters()
    }
    assert sum(parameter.numel() for parameter in whole.parameters()) == 222_903_552


def test_the_stream_is_cls_image_sep_text_sep(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    encoded = model.encoder(**inputs(batch))
    assert encoded.last_hidden_state.shape == (3, 16 + batch["text_ids"].shape[1], 32)
    assert encoded.attention_mask.sum(dim=1).tolist() == [
        16 + count for count in batch["text_attention_mask"].sum(dim=1).tolist()
    ]


def test_padding_changes_nothing(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    alone = {name: tensor[1:2] for name, tensor in inputs(batch).items()}
    alone["text_ids"], alone["text_attention_mask"] = (
        alone["text_ids"][:, :2], alone["text_attention_mask"][:, :2]
    )  # fmt: skip
    together = model(**inputs(batch), labels=batch["labels"]).logits[1:2]
    torch.testing.assert_close(model(**alone, labels=batch["labels"][1:2]).logits, together)


def test_true_labels_do_not_reach_the_report(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    """The classifier's targets may change its loss, never what the decoder sees."""
    outputs = [
        model(**batch, observation_labels=torch.full((3, 14), value)) for value in (0.0, 1.0)
    ]
    assert torch.equal(outputs[0].logits, outputs[1].logits)
    assert torch.equal(outputs[0].report_loss, outputs[1].report_loss)
    assert not torch.equal(outputs[0].label_loss, outputs[1].label_loss)


def test_no_path_leads_from_true_labels_to_the_report(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    """The graph of the report's logits does not hold them; that of the classifier's loss does."""
    true = torch.zeros(3, 14, requires_grad=True)
    outputs = model.train()(**batch, observation_labels=true)
    for written in (outputs.logits.sum(), outputs.report_loss):
        assert torch.autograd.grad(written, true, retain_graph=True, allow_unused=True) == (None,)
    (slope,) = torch.autograd.grad(outputs.label_loss, true)
    assert slope.any()


def test_a_draft_takes_no_true_labels(
    model: RadScribeForConditionalGeneration,
    processor: RadScribeProcessor,
    batch: dict[str, torch.Tensor],
) -> None:
    true = torch.ones(3, 14)
    with pytest.raises(InputError, match="takes no observation labels"):
        model.draft(**inputs(batch), observation_labels=true)
    films = [np.zeros((8, 8), dtype=np.float32)] * 3
    with pytest.raises(TypeError, match="observation_labels"):
        processor(studies(films), observation_labels=true)
    assert "observation_labels" not in processor(studies(films), REPORTS)
    encoded = model.encoder(**inputs(batch))
    options = {"encoder_outputs": encoded, "max_new_tokens": 12}
    told = model.generate(**options, observation_labels=true)  # around draft(): the same words
    assert torch.equal(told, model.generate(**options))


def test_predicted_labels_do_reach_the_report(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    before = model(**batch).logits
    with torch.no_grad():
        model.encoder.classifier.value.bias += 5
    assert not torch.allclose(before, model(**batch).logits)


def test_unknown_labels_are_left_out_of_the_loss(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    known = torch.zeros(3, 14)
    partly = known.clone()
    partly[:, 3:] = torch.nan
    loss = model(**batch, observation_labels=partly).label_loss
    logits = model(**batch, observation_labels=known).label_logits[:, :3]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, known[:, :3])
    torch.testing.assert_close(loss, expected)


def test_without_label_enhancement_there_is_no_classifier(
    processor: RadScribeProcessor, batch: dict[str, torch.Tensor]
) -> None:
    model = tiny(len(processor.tokenizer), label_enhanced=False).eval()
    assert not [name for name, _ in model.named_parameters() if "label" in name]
    tokens, labels = model.draft(**inputs(batch), max_new_tokens=4)
    assert labels is None
    assert tokens.shape[0] == 3


def test_attention_of_the_classifier_sums_to_one(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    labels = model.encoder.classify(batch["pixel_values"])
    assert labels.attention.shape == (3, 14, 16)
    torch.testing.assert_close(labels.attention.sum(dim=2), torch.ones(3, 14))


def test_batched_generation_equals_one_at_a_time(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    together, _ = model.draft(**inputs(batch), max_new_tokens=12, min_new_tokens=12)
    for row in range(3):
        one = {name: tensor[row : row + 1] for name, tensor in inputs(batch).items()}
        alone, _ = model.draft(**one, max_new_tokens=12, min_new_tokens=12)
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_of_any_length_beside_each_other_write_the_same(
    learned: RadScribeForConditionalGeneration, processor: RadScribeProcessor, beams: int
) -> None:
    """Token for token: padding of indications and of finished reports changes nothing."""
    films = list(np.random.default_rng(0).random((3, 40, 30), dtype=np.float32)) * 2
    told = ["Cough.", None, "Fall from a ladder.", *("Cough and fever. " * n for n in (1, 4, 8))]
    options = {"max_new_tokens": 60, "num_beams": beams}
    end = learned.generation_config.eos_token_id

    def written(row: torch.Tensor) -> list[int]:
        tokens = row.tolist()[1:]
        return tokens[: tokens.index(end)] if end in tokens else tokens

    together, _ = learned.draft(**processor(studies(films, told)), **options)
    lengths = set()
    for row, (film, text) in enumerate(zip(films, told, strict=True)):
        alone, _ = learned.draft(**processor(studies([film], [text])), **options)
        assert written(alone[0]) == written(together[row])
        lengths.add(len(written(alone[0])))
    assert len(lengths) > 1  # they do end at different places


def test_the_cache_changes_nothing(
    model: RadScribeForConditionalGeneration, batch: dict[str, torch.Tensor]
) -> None:
    with_cache, _ = model.draft(**inputs(batch), max_new_tokens=12)
    without, _ = model.draft(**inputs(batch), max_new_tokens=12, use_cache=False)
    assert torch.equal(with_cache, without)


def test_it_can_learn_three_reports(
    learned: RadScribeForConditionalGeneration,
    processor: RadScribeProcessor,
    batch: dict[str, torch.Tensor],
) -> None:
    tokens, _ = learned.draft(**inputs(batch), max_new_tokens=60)
    assert processor.decode_reports(tokens) == REPORTS


def test_saving_and_loading(
    model: RadScribeForConditionalGeneration,
    processor: RadScribeProcessor,
    batch: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(again) is RadScribeForConditionalGeneration
    assert torch.equal(again(**batch).logits, model(**batch).logits)
    prepared = RadScribeProcessor.from_pretrained(tmp_path)
    assert prepared.max_text_tokens == processor.max_text_tokens
    films = list(np.random.default_rng(0).random((3, 40, 30), dtype=np.float32))
    refreshed = prepared(studies(films, ["Cough.", None, "Fall from a ladder."]), REPORTS)
    assert all(torch.equal(refreshed[name], batch[name]) for name in batch)


def test_targets_and_reports_are_each_others_inverse() -> None:
    for report in [*REPORTS, Report(findings="Only findings."), Report(impression="Only this.")]:
        assert target_to_report(report_to_target(report)) == report
    assert target_to_report("No heading at all.") == Report(findings="No heading at all.")


def test_a_long_report_is_cut_not_refused(processor: RadScribeProcessor) -> None:
    short = RadScribeProcessor(
        processor.image_processor, processor.tokenizer, processor.tokenizer, max_report_tokens=8
    )
    film = np.zeros((8, 8), dtype=np.float32)
    assert short(studies([film]), reports=[REPORTS[0]])["labels"].shape == (1, 8)


def test_a_mean_for_each_channel(tmp_path: Path) -> None:
    """ImageNet's, for a film repeated in three channels; saved with the processor."""
    processor = FilmImageProcessor(
        size=4, image_mean=(0.485, 0.456, 0.406), image_std=(0.229, 0.224, 0.225)
    )
    processor.save_pretrained(tmp_path)
    for each in (processor, FilmImageProcessor.from_pretrained(tmp_path)):
        values = each(np.full((4, 4), 0.5, dtype=np.float32))["pixel_values"]
        assert values.shape == (1, 3, 4, 4)
        expected = torch.tensor([0.015 / 0.229, 0.044 / 0.224, 0.094 / 0.225])
        torch.testing.assert_close(values[0, :, 2, 2], expected)


def test_letterbox_keeps_aspect_and_sides() -> None:
    film = np.zeros((20, 10), dtype=np.float32)
    film[:, 5:] = 1
    square = letterbox(film, 40)
    assert square.shape == (40, 40)
    assert square[:, :10].max() == 0
    assert square[:, 30:].max() == 0
    assert square[20, 27] == 1
    assert square[20, 12] == 0


@pytest.mark.parametrize("shape", [(64, 64), (64, 40), (50, 64), (64, 3)])
def test_maps_of_the_square_come_back_to_the_film(shape: tuple[int, int]) -> None:
    """A film that rises from left to right and from top to bottom, letterboxed, and back."""
    rows, columns = (np.arange(length, dtype=np.float32) + 0.5 for length in shape)
    for film in (rows[:, None] + 0 * columns, 0 * rows[:, None] + columns):
        square = torch.from_numpy(letterbox(film, 64))[None]
        found = maps_on_film(square, shape)[0]
        assert found.shape == shape
        # The edge blends with the padding; an odd number of padding pixels shifts by half a pixel.
        inner = found[1:-1, 1:-1] - torch.from_numpy(film)[1:-1, 1:-1]
        assert inner.abs().max() < 0.51
        coarse = maps_on_film(torch.nn.functional.adaptive_avg_pool2d(square, 8), shape)[0]
        assert coarse.shape == tuple(max(1, round(length / 8)) for length in shape)


def test_the_place_loss_falls_where_the_right_token_speaks():
    places = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    places[0, 1, 2, 3] = True
    right, wrong = torch.full((1, 2, 16), -3.0), torch.full((1, 2, 16), -3.0)
    right[0, 1, 11], wrong[0, 1, 4] = 3.0, 3.0
    assert place_loss(right, places).total < 0.2 < 3 < place_loss(wrong, places).total
    assert place_loss(right, places).items == 1
    assert place_loss(right, torch.zeros_like(places)).total == 0  # nothing is shown


def test_places_reach_the_loss_and_the_backbone_and_nothing_that_is_said(model, batch):
    places = torch.zeros(3, 14, 4, 4, dtype=torch.bool)
    places[1, 3, 0, 0] = True
    films = {"pixel_values": batch["pixel_values"], "observation_labels": torch.zeros(3, 14)}
    plain = model(**films)
    placed = model(**films, observation_places=places, place_weight=0.5)
    assert torch.equal(plain.label_logits, placed.label_logits)
    assert placed.losses["places"].weight == 0.5
    torch.testing.assert_close(placed.loss, whole_loss(placed.losses))
    assert placed.loss > plain.loss
    (place_loss_alone := placed.losses["places"].total).backward()
    assert place_loss_alone > 0
    weights = [p for n, p in model.named_parameters() if n.startswith("encoder.backbone.")]
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)


def test_places_are_refused_where_the_classifier_learns_nothing():
    with pytest.raises(ValueError, match="place_weight teaches the classifier"):
        JointBertStage(objective="report", place_weight=1)
