"""The multitask table's recipes, small and of the paper's size, and the rows that it asks for."""

from pathlib import Path

import pytest

from plainfilm.core import RecipeError
from plainfilm.training.table_plan import Table, make_plan, table_path


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {size: make_plan(table_path("multitask"), folder, size=size)
            for size in ("small", "paper")}  # fmt: skip


def test_rows_of_the_small_size_share_a_start_and_differ_as_they_say(plans):
    recipes = plans["small"].recipes
    assert set(recipes) == set(plans["small"].table.rows)
    rows = {name: one for name, one in recipes.items() if name != "start"}
    assert set(plans["small"].starts.values()) == {"start"}
    weights = {name: one.stages[0].observation_weight for name, one in rows.items()
               if "observations" in one.stages[0].objectives}  # fmt: skip
    assert weights == {"lambda-01": 0.1, "lambda-1": 1.0, "lambda-10": 10.0, "learned": "learned",
                       "lambda-1-table": 1.0}  # fmt: skip
    same = {"name", "objectives", "learning_rate", "observation_weight", "compare_gradients"}
    left = [one.stages[0].model_dump(exclude=same) for one in rows.values()]
    assert all(one == left[0] for one in left)
    assert all(one.stages[0].keep_frozen and one.stages[1] == rows["single"].stages[1]
               for one in rows.values())  # fmt: skip
    told = {name for name, one in rows.items() if "{table}" in one.model.request}
    assert told == {"single-table", "lambda-1-table"}
    forms = {one.model.table.to_json() for one in recipes.values()}
    assert len(forms) == 1
    assert recipes["start"].model.vocabulary_tables


def test_the_papers_size_is_qlora_on_all_linear_layers(plans):
    recipes = plans["paper"].recipes
    assert set(recipes) == set(plans["paper"].table.rows) - {"start"}
    for recipe in recipes.values():
        adapter = recipe.model.adapter
        assert (adapter.kind, adapter.rank, adapter.alpha) == ("qlora", 64, 16)
        assert adapter.whole == ("classification_head",)
        assert (recipe.stages[0].learning_rate["adapter"], recipe.stages[0].clip_norm) == (
            2e-4,
            0.3,
        )


def test_conditions_belong_to_rows_by_pattern():
    table = plans_table()
    assert table.conditions_of("single-table")[0] == "no-table"
    assert table.conditions_of("lambda-1") == ["agreement"]
    assert table.conditions_of("single") == []


def plans_table():
    import yaml

    return Table.model_validate(yaml.safe_load(table_path("multitask").read_text("utf-8")))


def test_an_unknown_condition_or_row_is_refused(tmp_path):
    text = table_path("multitask").read_text("utf-8")
    (tmp_path / "table.yaml").write_text(text.replace("[agreement]", "[upside-down]"))
    with pytest.raises(RecipeError, match="unknown upside-down: choose from other-context"):
        make_plan(tmp_path / "table.yaml", Path())
    (tmp_path / "table.yaml").write_text(text.replace("lambda-1-agreement", "lambda-1-no-table"))
    with pytest.raises(RecipeError, match="no row lambda-1-no-table"):
        make_plan(tmp_path / "table.yaml", Path())
