"""Rows of a table that start from rows which themselves start from others."""

import pytest

from plainfilm.core import RecipeError
from plainfilm.training.recipe import load_recipe
from plainfilm.training.table_plan import make_plan, table_path


def test_a_row_brings_all_that_it_starts_from(tmp_path):
    plan = make_plan(table_path("asarg"), tmp_path, rows=["features-maps", "mixing"], seeds=1)
    assert list(plan.recipes) == ["start", "baseline", "mixing", "features-maps"]
    assert plan.starts == {"baseline": "start", "mixing": "start", "features-maps": "baseline"}


def test_all_rows_of_asarg_are_recipes(tmp_path):
    plan = make_plan(table_path("asarg"), tmp_path, seeds=1)
    assert len(plan.recipes) == len(plan.table.rows)
    assert {recipe.model.family for recipe in plan.recipes.values()} == {"llava"}


def test_the_papers_size_has_its_own_rows(tmp_path):
    plan = make_plan(table_path("asarg"), tmp_path, size="paper", seeds=1)
    assert set(plan.table.rows) - set(plan.recipes) == {"start", "predicted", "findings"}
    assert "baseline" not in plan.starts
    assert plan.starts["features-maps"] == "baseline"
    assert all(recipe.model.dtype == "bfloat16" for recipe in plan.recipes.values())
    assert {question.one_sided for question in plan.table.questions} == {True}
    folder = table_path("asarg").parent
    for path in (*folder.glob("paper/*lora.yaml"), *folder.glob("smollm2/*.yaml")):
        load_recipe(path)


def test_a_circle_is_refused(tmp_path):
    shipped = table_path("asarg")
    text = shipped.read_text().replace("      baseline: start", "      baseline: features")
    folder = tmp_path / "asarg"
    folder.mkdir()
    (folder / "table.yaml").write_text(
        text.replace("      baseline: start", "      baseline: features")
    )
    with pytest.raises(RecipeError, match="starts from itself"):
        make_plan(folder / "table.yaml", tmp_path, rows=["features"], seeds=1)
