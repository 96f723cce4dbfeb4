"""The multitask table's recipes, small and of the paper's size, and the rows that it asks for."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from plainfilm.core import RecipeError
from plainfilm.data.dataset import Row
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.prepare import prepare
from plainfilm.evaluation.markdown import table_markdown
from plainfilm.training.table import fill_table
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
    return Table.model_validate(yaml.safe_load(table_path("multitask").read_text("utf-8")))


def test_an_unknown_condition_or_row_is_refused(tmp_path):
    text = table_path("multitask").read_text("utf-8")
    (tmp_path / "table.yaml").write_text(text.replace("[agreement]", "[upside-down]"))
    with pytest.raises(RecipeError, match="unknown upside-down: choose from other-context"):
        make_plan(tmp_path / "table.yaml", Path())
    (tmp_path / "table.yaml").write_text(text.replace("lambda-1-agreement", "lambda-1-no-table"))
    with pytest.raises(RecipeError, match="no row lambda-1-no-table"):
        make_plan(tmp_path / "table.yaml", Path())


SPLITS = ("train",) * 8 + ("validate",) * 2 + ("test",) * 3
TINY = (
    "*:model.max_report_tokens=12",
    "start:model.vision={model_type: plainfilm_resnet, embedding_size: 8, hidden_sizes: [8, 16], "
    "depths: [1, 1], layer_type: basic, image_size: 32}",
    "start:model.token_grid=null",
    "start:model.text={model_type: llama, hidden_size: 16, intermediate_size: 16, "
    "num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2}",
    "start:model.vocabulary_size=300",
)


def _study(study_id, number):
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
    name = f"images/{study_id}.png"
    row = Row(
        study_id=study_id, patient_id=study_id, split=SPLITS[number], images=(name,), views=("PA",),
        findings="The lungs are clear." if number % 2 else "Left effusion.", indication="Cough.",
        impression="Normal." if number % 2 else "Effusion.",
        table={"bnp_pg_per_ml": 50.0 if number % 2 else 900.0, "spo2_percent": None},
    )  # fmt: skip
    return row, {name: png_bytes(pixels, simulated=False)}


def test_a_tiny_table_is_filled_and_told(tmp_path):
    dataset = prepare(
        tmp_path / "set", {f"s{n}": n for n in range(len(SPLITS))}, _study,
        source={"kind": "test"}, description="made for a test", licence="none", progress=False,
    )  # fmt: skip
    plan = make_plan(
        table_path("multitask"), dataset.path, rows=["lambda-1", "lambda-1-table"], seeds=1,
        changes=(*TINY, "lambda*:stages=" + json.dumps(_stages())),
    )  # fmt: skip
    results = fill_table(plan, dataset, tmp_path / "out", progress=False, say=lambda _: None)
    rows = results["rows"]
    assert {"lambda-1-agreement", "lambda-1-table-moved-value"} <= set(rows)
    assert rows["lambda-1"]["classifier"]["label-consistency"][0] is not None
    assert "gradient_cosine_observations_report" in rows["lambda-1"]["logged"]
    page = table_markdown(results, "plainfilm table multitask")
    for told in (
        "## What the classifier knows, and the text says",
        "## What changes what is written: Multitask, λ = 1, table",
        "| bnp_pg_per_ml | high | 1 |",
        "## The losses' gradients and learned weights, mean over training",
        "Does choosing the beam that agrees with the head help?",
    ):
        assert told in page


def _stages():
    """Return the stages of a row, short enough for a test that its steps are logged."""
    common = {
        "keep_frozen": True, "batch_size": 4, "check_every": 2, "check_drafts": 0, "warmup": 0.0,
        "epochs": 2,
    }  # fmt: skip
    rates = {"projector": 1e-3, "language": 1e-3, "classification_head": 1e-2}
    return [
        common | {"name": "report", "objectives": ["report", "observations"],
                  "learning_rate": rates, "compare_gradients": 1},
        common | {"name": "head", "objectives": ["observations"],
                  "learning_rate": {"classification_head": 1e-2}},
    ]  # fmt: skip
