"""Recipes: the shipped ones are right, and a wrong one lists all its mistakes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from plainfilm.core import ModelError, RecipeError
from plainfilm.training.recipe import Recipe, load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = RECIPES / "radscribe" / "tiny.yaml"


SHIPPED = sorted(
    path
    for path in (RECIPES / "radscribe").rglob("*.yaml")
    if path.parent.name != "base" and path.name != "table.yaml"
)


def build_config(recipe: Recipe) -> Any:
    return recipe.family.configuration(recipe.model, recipe.stages, recipe.data.views)


@pytest.mark.parametrize(
    "path", SHIPPED, ids=lambda path: str(path.relative_to(RECIPES).with_suffix(""))
)
def test_every_shipped_recipe_builds_its_model(path: Path) -> None:
    recipe = load_recipe(path)
    with torch.device("meta"):
        model = recipe.family.model_class(build_config(recipe))
    assert sum(parameter.numel() for parameter in model.parameters()) > 10_000


@pytest.mark.parametrize("backbone", ["chexnet", "resnet101", "vit"])
@pytest.mark.parametrize("label", [False, True])
def test_the_seed_papers_recipes_say_what_the_paper_says(backbone: str, label: bool) -> None:
    """Tables II and III, section IV-B."""
    name = f"{backbone}-label" if label else backbone
    recipe = load_recipe(RECIPES / "radscribe" / f"{name}.yaml")
    config = build_config(recipe)
    assert recipe.name == f"radscribe-{name}"
    assert config.image_size == 512
    assert config.label_enhanced is label
    *classifier, first, second = recipe.stages
    assert [stage.learning_rate for stage in classifier] == [{"classifier": 1e-3}] * label
    assert first.learning_rate == {"decoder": 2e-5} | ({"label_attention": 2e-5} if label else {})
    assert (first.epochs, first.warmup, first.minimum_rate) == (3, 0.0, 1.0)
    assert second.learning_rate == {"encoder": 5e-5, "decoder": 1e-4}
    assert second.learning_rate["encoder"] * second.minimum_rate == pytest.approx(1e-5)
    assert second.learning_rate["decoder"] * second.minimum_rate == pytest.approx(2e-5)
    assert (second.epochs, second.warmup) == (20, 0.1)
    assert {stage.batch_size * stage.accumulation for stage in recipe.stages} == {16}
    assert {stage.precision for stage in recipe.stages} == {"float16"}


def test_a_family_has_its_own_parts_and_objectives() -> None:
    path = RECIPES / "radscribe" / "medvill-tiny.yaml"
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, ("stages=[{name: a, objective: labels, learning_rate: {decoder: .1}}]",))
    assert "medvill has no 'labels'; expected one of report" in str(caught.value)
    assert "learning_rate.decoder: unknown part" in str(caught.value)


def test_a_recipe_is_laid_over_its_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TINY.read_text())
    (tmp_path / "middle.yaml").write_text("base: base.yaml\nmodel: {config: {image_size: 96}}\n")
    path = tmp_path / "row.yaml"
    path.write_text("base: middle.yaml\nname: row\nmodel: {num_beams: 2}\n")
    recipe, tiny = load_recipe(path, ("seed=3",)), load_recipe(TINY)
    assert (recipe.name, recipe.seed, recipe.model.num_beams) == ("row", 3, 2)
    assert recipe.model.config == tiny.model.config | {"image_size": 96}
    assert recipe.stages == tiny.stages
    (tmp_path / "base.yaml").write_text("base: row.yaml\n")
    with pytest.raises(RecipeError, match="is its own base"):
        load_recipe(path)
    path.write_text("base: none.yaml\n")
    with pytest.raises(RecipeError, match=r"no recipe at .*none\.yaml"):
        load_recipe(path)
    path.write_text("base: [a]\n")
    with pytest.raises(RecipeError, match="base must be the name of a file"):
        load_recipe(path)


def test_all_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    values = yaml.safe_load(TINY.read_text())
    values["name"] = "No Good Name"
    values["model"]["config"]["imge_size"] = 64
    values["stages"][1]["epochs"] = 0
    values["stages"][0]["learning_rate"] = {"decodr": 1e-3}
    values["sed"] = 1
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("No Good Name", "imge_size", "stages.1.epochs", "decodr", "sed:"):
        assert part in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n- b\n", "must hold a mapping"),
        ("a: [1,\n", "is not YAML"),
        ("name: x\n", "Field required"),
        ("stages: []\n", "Field required"),
    ],
)
def test_no_recipe_at_all(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe at"):
        load_recipe(tmp_path / "none.yaml")


def test_changes_are_laid_over() -> None:
    recipe = load_recipe(TINY, ("seed=7", "data.phantom.studies=40", "description=other"))
    assert (recipe.seed, recipe.description) == (7, "other")
    assert recipe.data.phantom is not None
    assert recipe.data.phantom.studies == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed", "must read key=value"),
        ("name.x=1", "name is not a mapping"),
        ("data.dataset=somewhere", "exactly one of dataset"),
        ("seed=[1", "is not YAML"),
        ("model.image_std=[0.2, 0.2, 0.2]", "image_std has three values, but channels is 1"),
    ],
)
def test_wrong_changes(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(TINY, (change,))


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    from transformers import BertModel

    from plainfilm.models.joint_bert.initial import load_part

    with pytest.raises(ModelError, match="no joint encoder at"):
        load_part(BertModel, tmp_path / "none", "joint encoder")
    with pytest.raises(ModelError, match="cannot load the joint encoder from"):
        load_part(BertModel, tmp_path, "joint encoder")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            "{model_type: vgg}",
            "unknown backbone 'vgg': .* densenet, mamba, .*dinov2, .*vit, or another",
        ),
        ("{model_type: densenet, depth: 3}", "unknown setting of the densenet backbone: depth"),
        ("vit", "model.config.backbone: expected a mapping"),
    ],
)
def test_a_wrong_backbone_lists_the_choices(backbone: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(TINY, (f"model.config.backbone={backbone}",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("model.config.encoder_attention=S2S",), r"attention: 'S2S'; expected one of full"),
        (("model.config.encoder.num_hidden_layer=2",), r"encoder\.num_hidden_layer: unknown"),
        (("model.config.decoder.num_layer=2",), r"decoder\.num_layer: unknown"),
        (("model.config.encoder=[1]",), r"model.config.encoder: expected a mapping"),
        (("model.config.encoder.num_attention_heads=3",), "3 heads do not divide a hidden_size"),
        (("model.config.image_token_grid=24",), "24 x 24 image tokens are more than the encoder's"),
        (("model.config.label_attention_layers=-1",), "layers: .* at least 0, got -1"),
        (("model.config.image_size=0",), "image_size: expected a whole number of at least 1"),
        (("model.config.image_size=hello",), "image_size: expected a whole number .* got 'hello'"),
        (("model.config.backbone.depths=[1]",), r"depths \[1\] and hidden_sizes .* each stage"),
        (("model.config.backbone.hidden_act=swish9",), "resnet backbone does not work .*swish9"),
        (("model.config.encoder.hidden_act=swish9",), "encoder.hidden_act: unknown 'swish9'"),
        (("model.config.decoder.feed_forward_proj=swish9",), "unknown 'swish9'; expected one of"),
        (("model.config.encoder.max_position_embeddings=9",), "more than the encoder's 9 positi"),
        (("model.config.encoder.max_position_embeddings=32",), "max_text_tokens: 32 tokens and"),
        (("model.family=medvill", "model.tokenizers.max_report_tokens=600"), "600 tokens and an"),
        (("model.config.encoder.hidden_size=-4",), "hidden_size: .* at least 1, got -4"),
        (("model.config.image_token_grid=20",), "resnet backbone gives 4 × 4 tokens"),
        (("model.config.backbone={model_type: vit, image_size: 32}",), "the film has 64: leave it"),
        (("model.channels=3", "model.config.backbone.num_channels=1"), "the film has 3: leave it"),
        (("model.config.label_enhanced=false",), "no 'report.labels' with label_enhanced: false"),
        (("model.config.label_enhanced=false",), r"learning_rate\.label_attention: unknown part"),
        (("model.initial.encoder=bert",), r"initial\.encoder needs tokenizers\.text"),
        (("model.initial.decoder=t5",), r"initial\.decoder needs tokenizers\.report"),
        (("model.family=medvill", "model.initial.decoder=t5"), "medvill has no decoder"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_runs(
    changes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(TINY, changes)


def test_the_films_size_and_channels_reach_every_backbone() -> None:
    path = RECIPES / "radscribe" / "medvill.yaml"
    recipe = load_recipe(path, ("model.channels=1", "model.image_mean=0.5", "model.image_std=0.25"))
    assert build_config(recipe).backbone_config.num_channels == 1
    mamba = load_recipe(path, ("model.config.backbone={model_type: mamba}",))
    assert build_config(mamba).backbone_config.image_size == 512
