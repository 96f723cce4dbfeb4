"""The shipped table at a tiny size: interrupted, resumed, filled, read again, drawn."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from plainfilm.cli.table import write_table_plots
from plainfilm.core import RecipeError, TrainingError
from plainfilm.data import Dataset
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.evaluation.markdown import table_markdown
from plainfilm.metrics.files import read_run
from plainfilm.training import table as tables
from plainfilm.training.recipe import load_recipe
from plainfilm.training.supervised import DRAFT_METRICS
from plainfilm.training.table import REFERENCES, fill_table, run_folder
from plainfilm.training.table_plan import Plan, Question, make_plan, table_path

SHIPPED = table_path("radscribe")
SMALLER = {  # laid over the small recipes, key by key
    "backbone": {
        "resnet": {"embedding_size": 4, "hidden_sizes": [4, 8, 8], "depths": [1, 1, 1]},
        "densenet": {"init_features": 4, "growth_rate": 4, "block_config": [1, 1, 1]},
        "vit": {
            "image_size": 32, "patch_size": 16, "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16,
        },
    },
    "encoder": {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16},
    "decoder": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    return prepare_phantom(60, folder, seed=1, size=32, progress=False)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shipped table with its small recipes made tiny, in a folder of its own."""
    folder = tmp_path_factory.mktemp("table")
    values = yaml.safe_load(SHIPPED.read_text())
    values["metrics"] = ["bleu-4", "token-f1", "micro-f1-14", "macro-f1-14"]
    (folder / "table.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (folder / "small").mkdir()
    for row in values["rows"]:
        recipe = load_recipe(SHIPPED.parent / "small" / f"{row}.yaml").to_dict()
        config = recipe["model"]["config"]
        config |= {"image_size": 32, "image_token_grid": 2}
        config["backbone"] |= SMALLER["backbone"][config["backbone"]["model_type"]]
        for part in ("encoder", "decoder"):
            if part in config:
                config[part] |= SMALLER[part]
        recipe["model"]["tokenizers"] |= {"vocabulary_size": 300, "max_report_tokens": 24}
        recipe["model"]["num_beams"] = 1
        for stage in recipe["stages"]:
            stage.update(epochs=1, batch_size=16, check_every=2, precision="float32")
        (folder / "small" / f"{row}.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "table.yaml"


def plan_of(table: Path, dataset: Dataset, **options: Any) -> Plan:
    return make_plan(table, dataset.path, **({"seeds": 1} | options))


@pytest.fixture(scope="module")
def filled(
    table: Path, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], list[str]]:
    """Return the folder of a table that was interrupted twice, its results, and what was said."""
    out = tmp_path_factory.mktemp("out") / "table"
    plan = plan_of(table, dataset)

    def stop_at(message: str, count: int) -> Any:
        seen: list[str] = []

        def say(text: str) -> None:
            seen.append(text)
            if sum(message in each for each in seen) == count:
                raise KeyboardInterrupt

        return say

    with pytest.raises(KeyboardInterrupt):  # between the stages of the second row
        fill_table(plan, dataset, out, progress=False, say=stop_at("stage 2 of", 2))
    last = f"{len(plan.recipes)} of {len(plan.recipes)}"
    with pytest.raises(KeyboardInterrupt):  # before the last row
        fill_table(plan, dataset, out, progress=False, say=stop_at(last, 1))
    assert not (out / "table.json").exists()
    said: list[str] = []
    return out, fill_table(plan, dataset, out, progress=False, say=said.append), said


def test_an_interrupted_table_goes_on_where_it_stood(
    filled: tuple[Path, dict[str, Any], list[str]], table: Path, dataset: Dataset
) -> None:
    out, results, said = filled
    plan = plan_of(table, dataset)
    trained = sum("is trained already" in text for text in said)
    assert trained == len(plan.recipes) - 1
    again: list[str] = []
    assert fill_table(plan, dataset, out, progress=False, say=again.append) == results
    assert again == [f"{out} is filled already"]


def test_the_rows(filled: tuple[Path, dict[str, Any], list[str]], dataset: Dataset) -> None:
    out, results, _ = filled
    shipped = yaml.safe_load(SHIPPED.read_text())
    assert list(results["rows"]) == [*shipped["rows"], *REFERENCES]
    test = {row.study_id for row in dataset.split("test")}
    for row, entry in results["rows"].items():
        assert list(entry["metrics"]) == ["bleu-4", "token-f1", "micro-f1-14", "macro-f1-14"]
        signature = entry["metrics"]["micro-f1-14"]["signature"]
        assert "split:test" in signature
        assert f"count:{len(test)}" in signature
        if row in shipped["rows"]:
            assert entry["parameters"] > 1000
            assert set(read_run(run_folder(out, row, 0) / "test")[1]) == test
    nearest = results["rows"]["nearest"]["metrics"]["bleu-4"]
    assert nearest["interval"][0] <= nearest["mean"] <= nearest["interval"][1]
    assert nearest["deviation"] is None


def test_rows_of_one_backbone_start_from_the_same(
    filled: tuple[Path, dict[str, Any], list[str]],
) -> None:
    from safetensors.torch import load_file

    out, _, _ = filled
    classifier = run_folder(out, "vit-label", 0) / "stages" / "1-classifier" / "model"
    theirs = load_file(classifier / "model.safetensors")
    ours = load_file(run_folder(out, "vit", 0) / "start" / "model.safetensors")
    shared = [name for name in ours if name.startswith("encoder.backbone.")]
    assert shared
    assert all((ours[name] == theirs[name]).all() for name in shared)


def test_markdown_and_plots(
    filled: tuple[Path, dict[str, Any], list[str]], table: Path, dataset: Dataset
) -> None:
    out, results, _ = filled
    page = table_markdown(results, "plainfilm table radscribe films/")
    assert "```\nplainfilm table radscribe films/\n```" in page
    for row in results["rows"].values():
        assert f"| {row['name']} |" in page
    assert "## Does label enhancement help? (micro-f1-14)" in page
    assert "*simulated* studies" in page
    assert "One seed a row" in page
    drawn = write_table_plots(results, plan_of(table, dataset), out)
    assert [path.name for path in drawn] == ["observations.svg", "curves.svg", "drafts.svg"]
    curves = drawn[-1].read_text()
    assert all(f">{metric}<" in curves for metric in DRAFT_METRICS)
    assert curves.count('id="curve"') == len(DRAFT_METRICS) * sum(
        row in plan_of(table, dataset).recipes for row in results["rows"]
    )
    assert drawn[1].read_text().count('id="curve"') >= 2 * 2 * 4


def results_of(verdicts: list[str]) -> dict[str, Any]:
    pair = {
        "first": "a",
        "second": "b",
        "difference": 0.1,
        "interval": [0.05, 0.2],
        "p_value": 0.01,
    }
    metric = {
        "mean": 0.5, "deviation": 0.1, "values": [0.4, 0.6], "interval": [0.4, 0.6],
        "signature": "s",
    }  # fmt: skip
    row = {"name": "A", "parameters": 1_500_000, "metrics": {"micro-f1-14": metric}}
    return {
        "asked": {"title": "T", "size": "small", "seeds": [0, 1]},
        "studies": {"train": 8, "validate": 1, "test": 1},
        "simulated": False,
        "notes": ["meteor is left out"],
        "rows": {"a": row, "b": row},
        "answers": [
            {
                "question": "Does it help?",
                "metric": "micro-f1-14",
                "pairs": [pair | {"verdict": verdict} for verdict in verdicts],
            }
        ],
    }


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        (["better", "better"], "Yes: shown in 2 of 2 pairs."),
        (["better", "not shown"], "In part: shown in 1 of 2 pairs"),
        (["better", "worse"], "It depends"),
        (["worse", "not shown"], "No: worse in 1 of 2 pairs"),
        (["not shown"], "Not shown in any of 1 pair."),
    ],
)
def test_answers_in_words(verdicts: list[str], answer: str) -> None:
    page = table_markdown(results_of(verdicts), "c")
    assert answer in page
    assert "| A | 1.5 M | 0.500 ± 0.100 [0.400, 0.600] |" in page
    assert "*meteor is left out*" in page


def test_a_folder_belongs_to_one_table(
    filled: tuple[Path, dict[str, Any], list[str]], table: Path, dataset: Dataset, tmp_path: Path
) -> None:
    out, _, _ = filled
    other = prepare_phantom(20, tmp_path / "other", seed=2, size=32, progress=False)
    with pytest.raises(TrainingError, match=r"another table \(they differ in data_fingerprint\)"):
        fill_table(plan_of(table, other), other, out)
    with pytest.raises(TrainingError, match="not empty and holds no table"):
        fill_table(plan_of(table, dataset), dataset, tmp_path)


def test_a_table_is_filled_by_one_process(
    table: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="leave out torchrun"):
        fill_table(plan_of(table, dataset), dataset, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_trained(dataset: Dataset) -> None:
    plan = make_plan(SHIPPED, dataset.path, rows=["vit"], changes=("vit-*:model.num_beams=1",))
    assert list(plan.recipes) == ["vit-label", "vit"]  # vit starts from vit-label's backbone
    assert plan.seeds == (0, 1, 2)
    assert plan.recipes["vit-label"].model.num_beams == 1
    assert plan.recipes["vit"].model.num_beams == 3
    paper = make_plan(SHIPPED, dataset.path, rows=["vit"], size="paper")
    assert list(paper.recipes) == ["vit"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "no size 'huge': choose from small, paper"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"rows": ["vgg"]}, "no row vgg: choose from"),
        ({"changes": ("vgg*:seed=1",)}, "fits no row"),
    ],
)
def test_wrong_wishes(options: dict[str, Any], message: str, dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match=message):
        make_plan(SHIPPED, dataset.path, **options)


def test_no_such_table() -> None:
    with pytest.raises(
        RecipeError, match="no table 'none': expected one of asarg, multitask, radscribe, unirg"
    ):
        table_path("none")
    assert table_path(str(SHIPPED.parent)) == SHIPPED


def test_a_difference_of_rounding_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed has no p-value, and sums in another order differ in the last digits."""
    for size, verdict in ((-2.5e-14, "not shown"), (-0.01, "worse")):
        found = SimpleNamespace(value=size, interval=(size * 1.1, size * 0.9), p_value=math.nan)
        monkeypatch.setattr(tables, "difference", lambda *_, found=found, **__: found)
        question = Question(question="?", metrics=("bleu-4",), pairs=(("a", "b"),))
        scored = {name: {"bleu-4": None} for name in ("a", "b")}
        answer = tables._answer(question, "bleu-4", scored)  # type: ignore[arg-type]
        assert answer["pairs"][0]["verdict"] == verdict
