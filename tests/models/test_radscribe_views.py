"""RadScribe with several films a study: order, masks, and what an absent view must not change."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import plainfilm
from plainfilm.core import Image, InputError, Provenance, Report, Study, View
from plainfilm.core.study import films_to_read
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.models.radscribe import (
    RadScribeConfig,
    RadScribeForConditionalGeneration,
    RadScribeProcessor,
)
from plainfilm.text.subwords import train_tokenizer
from plainfilm.training.recipe import load_recipe, parse_recipe
from plainfilm.training.run import train
from plainfilm.vision.preparation import FilmImageProcessor
from studies import study

RECIPES = Path(__file__).parents[2] / "recipes" / "radscribe"
FILMS = list(np.random.default_rng(0).random((3, 40, 30), dtype=np.float32))
REPORTS = [Report(findings="Clear lungs."), Report(findings="Small left effusion.")]


@pytest.fixture(scope="module")
def processor() -> RadScribeProcessor:
    tokenizer = train_tokenizer([report.findings for report in REPORTS], 300)
    films = FilmImageProcessor(size=32, num_channels=1)
    return RadScribeProcessor(films, tokenizer, tokenizer, max_views=3)


@pytest.fixture
def model(processor: RadScribeProcessor) -> RadScribeForConditionalGeneration:
    torch.manual_seed(0)
    words = len(processor.tokenizer)
    config = RadScribeConfig(
        backbone={
            "model_type": "resnet", "num_channels": 1, "embedding_size": 8,
            "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic",
        },
        encoder={
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 32, "vocab_size": words,
        },
        decoder={
            "d_model": 24, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2,
            "vocab_size": words,
        },
        image_size=32, image_token_grid=4, max_views=3,
    )  # fmt: skip
    return RadScribeForConditionalGeneration(config).eval()


@pytest.mark.parametrize(
    ("views", "count", "chosen"),
    [
        (["lateral", "AP", "PA"], 3, [1, 0, 2]),
        (["lateral", "PA", "oblique", "lateral"], 3, [1, 0, 3]),
        (["lateral", "unknown"], 2, [1, 0]),
        (["unknown", "PA"], 1, [1]),
        (["lateral", "oblique"], 2, []),
    ],
)
def test_a_frontal_film_comes_first_then_a_lateral_one(
    views: list[str], count: int, chosen: list[int]
) -> None:
    assert films_to_read([View(view) for view in views], count) == chosen


def test_an_absent_view_changes_nothing(
    model: RadScribeForConditionalGeneration, processor: RadScribeProcessor
) -> None:
    together = processor(
        [study(FILMS[0], indication="Cough."), study(*FILMS, indication="Cough.")], REPORTS
    )
    assert together["pixel_values"].shape == (2, 3, 1, 32, 32)
    assert together["view_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    alone = processor([study(FILMS[0], indication="Cough.")], REPORTS[:1])
    assert alone["pixel_values"].shape == (1, 1, 1, 32, 32)
    length = alone["labels"].shape[1]
    ours, theirs = model(**alone), model(**together)
    torch.testing.assert_close(ours.logits, theirs.logits[:1, :length], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(ours.label_logits, theirs.label_logits[:1])
    noisy = dict(together)
    noisy["pixel_values"] = together["pixel_values"].clone()
    noisy["pixel_values"][0, 1:] = 7.0
    assert torch.equal(model(**noisy).logits, theirs.logits)


def test_each_view_reaches_the_report_and_has_its_place(
    model: RadScribeForConditionalGeneration, processor: RadScribeProcessor
) -> None:
    def logits(*films: int) -> torch.Tensor:
        batch = processor([study(*(FILMS[film] for film in films))], REPORTS[:1])
        return model(**batch).logits

    assert not torch.allclose(logits(0, 1), logits(0))
    assert not torch.allclose(logits(0, 1), logits(0, 2))
    assert not torch.allclose(logits(0, 1), logits(1, 0))


def test_the_classifier_looks_at_views_that_are_there(
    model: RadScribeForConditionalGeneration, processor: RadScribeProcessor
) -> None:
    batch = processor([study(FILMS[0]), study(*FILMS[:2])])
    found = model.encoder.classify(batch["pixel_values"], batch["view_mask"])
    assert found.attention.shape == (2, 14, 32)
    torch.testing.assert_close(found.attention.sum(dim=2), torch.ones(2, 14))
    assert not found.attention[0, :, 16:].any()
    assert found.attention[1, :, 16:].all()


def test_batched_drafts_with_and_without_a_lateral_film(
    model: RadScribeForConditionalGeneration, processor: RadScribeProcessor
) -> None:
    read = [study(FILMS[0]), study(*FILMS[:2]), study(*FILMS)]
    together, _ = model.draft(**processor(read), max_new_tokens=12, min_new_tokens=12)
    for row, one in enumerate(read):
        alone, _ = model.draft(**processor([one]), max_new_tokens=12, min_new_tokens=12)
        assert torch.equal(alone[0], together[row])


def test_more_films_than_the_model_reads(processor: RadScribeProcessor) -> None:
    few = processor([study(*FILMS)])["pixel_values"]
    assert torch.equal(processor([study(*FILMS, FILMS[0])])["pixel_values"], few)
    lateral = Study(images=(Image(pixels=FILMS[0], view=View.LATERAL),))
    with pytest.raises(InputError, match=r"has no frontal film \(views: lateral\)"):
        processor([lateral])


def test_one_view_has_none_of_it() -> None:
    """Configurations and weights of models with one view are what they were."""
    with torch.device("meta"):
        names = RadScribeForConditionalGeneration(RadScribeConfig()).state_dict()
    assert not [name for name in names if "view" in name or "heads" in name or "pooler" in name]


def test_two_views_from_recipe_to_report(tmp_path: Path) -> None:
    dataset = prepare_phantom(
        40, tmp_path / "films", seed=4, size=48, views=("frontal", "lateral"), progress=False
    )
    values = yaml.safe_load((RECIPES / "tiny.yaml").read_text())
    values["data"] = {"dataset": str(dataset.path), "views": 2}
    values["model"]["tokenizers"]["max_report_tokens"] = 24
    values["stages"] = [values["stages"][1] | {"epochs": 1}]
    train(parse_recipe(values), tmp_path / "run", progress=False, say=lambda _: None)
    model = plainfilm.load_model(tmp_path / "run")
    assert model.model.config.max_views == model.processor.max_views == 2
    study = dataset.study(dataset.rows[0])
    assert len(study.images) == 2
    first, second = (
        model.report(study.model_copy(update={"images": images}))
        for images in (study.images, study.images[::-1])
    )
    assert first.text == second.text  # the order of the files does not matter
    assert {item.image for item in first.evidence} == {0}
    assert {item.image for item in second.evidence} == {1}
    film = study.images[1].model_copy(update={"provenance": Provenance.REAL})
    mixed = model.report(Study(images=(study.images[0], film)))
    assert "outside this model's domain" in mixed.warnings[0]


def test_medvill_reads_one_film() -> None:
    from plainfilm.core import RecipeError

    with pytest.raises(RecipeError, match=r"data\.views: medvill reads one film, got 2"):
        load_recipe(RECIPES / "medvill-tiny.yaml", ("data.views=2",))


def test_a_model_of_one_view_reads_one_film(processor: RadScribeProcessor) -> None:
    one = RadScribeProcessor(processor.image_processor, processor.tokenizer, processor.tokenizer)
    batch = one([study(*FILMS[:2])])
    assert batch["pixel_values"].shape == (1, 1, 32, 32)
    assert "view_mask" not in batch
