"""A table of rows that fine-tune and reinforce one start, on seen and unseen institutions."""

import json
from pathlib import Path

import pytest
import yaml

from plainfilm.core import TrainingError
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.evaluation.markdown import table_markdown
from plainfilm.training.best_of import BEST, CONSENSUS
from plainfilm.training.recipe import load_recipe
from plainfilm.training.table import Scored, fill_table, run_folder
from plainfilm.training.table_plan import make_plan, table_path

TOWER = {"model_type": "plainfilm_resnet", "embedding_size": 4, "hidden_sizes": [4, 8],
         "depths": [1, 1], "layer_type": "basic", "image_size": 32}  # fmt: skip
TEXT = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2,
        "max_position_embeddings": 256}  # fmt: skip
ROWS = ["start", "sft-3", "step-1", "step-2"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return some rows of the shipped table, made tiny."""
    shipped, folder = table_path("unirg"), tmp_path_factory.mktemp("unirg")
    values = yaml.safe_load(shipped.read_text())
    values |= {"rows": {row: values["rows"][row] for row in ROWS}, "metrics": ["finding-f1"]}
    values["questions"] = [{"question": "What does step 2 add?", "metrics": ["finding-f1"],
                            "pairs": [["step-1", "step-2"]]}]  # fmt: skip
    values["best_of"] |= {"number": 2}
    small = values["sizes"]["small"]
    small["starts"] = {row: start for row, start in small["starts"].items() if row in ROWS}
    (folder / "small").mkdir()
    for row in ROWS:
        recipe = load_recipe(shipped.parent / "small" / f"{row}.yaml").to_dict()
        recipe["model"] |= {"image_size": 32, "max_report_tokens": 12}
        if row == "start":
            recipe["model"] |= {"vision": TOWER, "text": TEXT, "token_grid": None,
                                "vocabulary_size": 300}  # fmt: skip
        for stage in recipe["stages"]:
            stage |= {"epochs": 1, "batch_size": 4, "check_every": 4, "check_drafts": 2}
            if stage["reinforcement"]:
                stage["batch_size"] = 2
                stage["reinforcement"] |= {"steps": 2, "num_generations": 2}
        (folder / "small" / f"{row}.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "table.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder / "table.yaml"


def test_rows_on_institutions_that_nothing_was_learned_from(table: Path, tmp_path: Path) -> None:
    dataset = prepare_phantom(12, tmp_path / "films", seed=6, size=32, progress=False)
    unseen = prepare_phantom(
        3, tmp_path / "unseen", size=32, institution="held-out", progress=False
    )
    out = next(row.institution for row in dataset.split("test"))
    changes = [f"data.leave_out=[{out}]"]
    plan = make_plan(table, dataset.path, seeds=1, changes=changes)
    said: list[str] = []
    results = fill_table(
        plan, dataset, tmp_path / "out", elsewhere={"unseen": Scored(unseen, "all")},
        progress=False, say=said.append,
    )  # fmt: skip
    rows = list(results["rows"])
    assert rows[:6] == ["start", "sft-3", "sft-3-best", "sft-3-consensus", "step-1", "step-2"]
    parts = {part["name"]: part for part in results["parts"]}
    assert list(parts) == ["institutions learned from", "left out", "unseen"]
    assert parts["unseen"]["studies"] == 3
    left = sum(row.institution == out for row in dataset.split("test"))
    assert parts["left out"]["studies"] == left
    assert results["groups"]["studies"][out] == left
    assert set(parts["unseen"]["rows"]) == set(rows)
    assert 0 <= results["rows"]["step-1"]["variety"]["distinct"] <= 1
    assert results["rows"]["step-1"]["minutes"] > 0
    page = table_markdown(results, "command")
    assert "# On 3 studies: unseen" in page
    assert "## finding-f1 by institution (studies)" in page
    assert any("time of the steps: rollout" in text for text in said)

    run = run_folder(tmp_path / "out", "step-2", 0)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    assert "/step-1/seed-0/stages/1-rewards/model" in recipe["model"]["checkpoint"]
    checks = json.loads((run / "stages" / "1-rewards" / "gaming.json").read_text())
    assert [check["step"] for check in checks] == [0, 2]
    lines = (tmp_path / "out/runs/sft-3/seed-0/best-of/unseen/predictions.jsonl").read_text()
    assert set(json.loads(lines.splitlines()[0])) == {"study_id", "reference", BEST, CONSENSUS}

    # A row that another table has trained is taken over.
    (tmp_path / "other").mkdir()
    (tmp_path / "out" / "runs").rename(tmp_path / "other" / "runs")
    only = make_plan(table, dataset.path, seeds=1, rows=["start"], changes=changes)
    said.clear()
    fill_table(only, dataset, tmp_path / "other", progress=False, say=said.append)
    assert any("is trained already" in text for text in said)


def test_an_institution_that_is_not_there_cannot_be_left_out(table: Path, tmp_path: Path) -> None:
    dataset = prepare_phantom(12, tmp_path / "films", seed=6, size=32, progress=False)
    plan = make_plan(table, dataset.path, seeds=1, rows=["start"],
                     changes=["data.leave_out=[nowhere]"])  # fmt: skip
    with pytest.raises(TrainingError, match="leave_out: no study of nowhere"):
        fill_table(plan, dataset, tmp_path / "out", progress=False, say=lambda _: None)
