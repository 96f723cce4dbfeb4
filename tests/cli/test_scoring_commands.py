"""``score``, ``compare``, ``metrics``: any name passes, nothing is cut, mistakes are told."""

import csv
import json

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import InputError, MetricError
from plainfilm.metrics import score

TRUTH = {
    "[/x]a": "Small left pleural effusion. No pneumothorax.",
    "b[bold]": "Clear lungs. No edema.",
    "c": "Mild edema. Cardiomegaly.",
    "d <i>": "No acute abnormality.",
}
SAID = {
    "[/x]a": "Small right pleural effusion.",
    "b[bold]": "Clear lungs. No edema.",
    "c": "No edema. Large pneumothorax.",
    "d <i>": "No acute abnormality.",
}
FEW = "bleu-4,micro-f1-14"


def run(*argv):
    return CliRunner().invoke(app, [str(part) for part in argv])


def printed(*argv):
    result = run(*argv)
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.fixture
def folder(tmp_path):
    """A run folder with brackets in its path, as evaluate writes it (but for the model)."""
    made = tmp_path / "run[1]"
    made.mkdir()
    rows = {"model [x]": SAID, "nearest training report": dict.fromkeys(TRUTH, "Clear lungs.")}
    write_run(made, rows)
    return made


def write_run(made, rows, **protocol):
    lines = [
        json.dumps({"study_id": key, "reference": text} | {row: rows[row][key] for row in rows})
        for key, text in TRUTH.items()
    ]
    (made / "predictions.jsonl").write_text("\n".join(lines))
    scores = {
        row: {
            name: one.to_dict()
            for name, one in score(TRUTH, said, FEW.split(","), split="test", **protocol).items()
        }
        for row, said in rows.items()
    }
    (made / "scores.json").write_text(json.dumps(scores))


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "truth[a].csv", tmp_path / "said[b].csv"]
    for path, texts in zip(paths, (TRUTH, SAID), strict=True):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("id", "text"), *texts.items()])
    return paths


def test_score_reads_a_run_folder_with_all_its_rows(folder):
    shown = printed("score", folder, "--metrics", FEW)
    assert "model [x]" in shown
    assert "nearest training report" in shown
    assert f"{score(TRUTH, SAID, ['bleu-4'])['bleu-4'].value:.3f} [" in shown
    assert "F1, nearest training report" in shown
    only = printed("score", folder, "--metrics", FEW, "--row", "nearest training report")
    assert "model [x]" not in only


def test_score_prints_classes_templates_and_both_policies(files):
    shown = printed("score", *files, "--metrics", FEW, "--training", files[0])
    for text in ("Pleural Effusion", "precision", "most common report", "random training report"):
        assert text in shown
    assert "duplicates 100%" in shown
    assert "uncertain-negative" in printed(
        "score", *files, "--metrics", "micro-f1-14", "--uncertain", "negative", "--no-intervals"
    )


def test_names_are_never_cut(files):
    names = "macro-precision-14,macro-recall-14,weighted-precision-14,finding-f1-severity"
    for argv in (
        ["score", *files, "--training", files[0]],
        ["metrics", "probe", files[0]],
    ):
        shown = printed(*argv, "--metrics", names)
        assert all(name in shown for name in names.split(","))
        assert "…" not in shown


@pytest.mark.parametrize("name", ["values.csv", "values.jsonl"])
def test_values_of_each_report(files, tmp_path, name):
    path = tmp_path / name
    printed("score", *files, "--metrics", "rouge-l,micro-f1-5", "--per-report", path)
    if name.endswith("csv"):
        rows = list(csv.DictReader(path.open(newline="")))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == list(TRUTH)
    expected = score(TRUTH, SAID, ["rouge-l"], per_report=True)["rouge-l"].reports
    assert [float(row["rouge-l"]) for row in rows] == pytest.approx(expected)
    assert rows[1]["micro-f1-5"] in ("", None)


@pytest.mark.parametrize("command", [["score"], ["metrics", "probe"]])
def test_models_are_named(files, command):
    result = run(*command, files[0], "--metrics", "sembscore", "--model", "chexbart=x")
    assert "no metric uses a model 'chexbart'" in str(result.exception)


def test_compare_a_model_with_its_own_template(folder):
    shown = printed(
        "compare", folder, folder, "--second-row", "nearest training report", "--metrics", FEW
    )
    assert "nearest training report of" in shown
    assert "micro-f1-14|version:" in shown
    assert "split:test" in shown


def test_compare_refuses_different_protocols_and_names_them(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_run(other, {"model": SAID}, section="findings")
    result = run("compare", folder, other, "--metrics", FEW)
    assert isinstance(result.exception, MetricError)
    assert "by different protocols (section: None ≠ findings)" in str(result.exception)
    anew = [path / "predictions.jsonl" for path in (folder, other)]
    assert "+0.0000" in printed("compare", *anew, "--metrics", FEW)


def test_compare_names_the_studies_that_differ(files, tmp_path):
    both = tmp_path / "both.jsonl"
    printed("metrics", "convert", files[0], both, "--predictions", files[1])
    lines = [json.loads(line) for line in both.read_text().splitlines()]
    lines[0]["id"] = "z"
    lines[1]["reference"] = "Other."
    (tmp_path / "other.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = run("compare", both, tmp_path / "other.jsonl")
    assert isinstance(result.exception, InputError)
    message = str(result.exception)
    assert "1 only in" in message
    assert "([/x]a)" in message
    assert "(z)" in message
    assert "1 with another text (b[bold])" in message


def test_an_undefined_metric_does_not_lose_the_others(files, tmp_path):
    both = tmp_path / "both.jsonl"
    printed("metrics", "convert", files[0], both, "--predictions", files[1])
    runs = ["compare", both, both, "--first-run", both, "--second-run", both]
    found = json.loads(printed(*runs, "--metrics", "bleu-1,micro-recall-5", "--json"))
    assert found["bleu-1"]["p_value"] == 1
    assert found["bleu-1"]["welch_p_value"] is None
    shown = printed(*runs, "--metrics", "bleu-1")
    assert "undefined" in shown
    assert "+undefined" not in shown


def test_errors_with_brackets_are_shown(files):
    shown = printed("metrics", "errors", *files, "--show", "wrong side or place")
    assert "[/x]a" in shown
    found = json.loads(printed("metrics", "errors", *files, "--json", "--show", "fully accurate"))
    assert list(found["predictions"]["reports"]) == ["b[bold]", "d <i>"]
    assert found["predictions"]["shares"]["fully accurate"]["value"] == 0.5


def test_errors_as_a_page(folder, tmp_path):
    page = tmp_path / "errors.html"
    printed("metrics", "errors", folder, "--html", page)
    text = page.read_text(encoding="utf-8")
    assert "d &lt;i&gt;" in text
    assert "d <i>" not in text
    result = run("metrics", "errors", folder, "--html", tmp_path / "none" / "errors.html")
    assert "cannot be written" in str(result.exception)


def test_the_probe_as_json_has_signatures(files):
    found = json.loads(
        printed("metrics", "probe", files[0], "--metrics", "rouge-l,micro-f1-14", "--json")
    )
    edit = found["side swapped"]
    assert edit["applied"] == 1
    assert edit["after"]["rouge-l"] < edit["before"]["rouge-l"]
    assert edit["signatures"]["micro-f1-14"]["labels"] == "chexpert-14,uncertain-positive"
    assert "seed 0" in printed("metrics", "probe", files[0], "--metrics", "rouge-l")


def test_plots_need_a_folder_of_evaluate(folder):
    result = run("metrics", "plot", folder)
    assert "errors.json: cannot be read" in str(result.exception)


@pytest.fixture
def sites(tmp_path):
    """A file with both sides and columns beside them, and a table of the studies."""
    both = tmp_path / "both.csv"
    with both.open("w", newline="") as file:
        rows = [
            (key, text, SAID[key], "north" if n % 2 else "south", n)
            for n, (key, text) in enumerate(TRUTH.items())
        ]
        csv.writer(file).writerows([("id", "reference", "prediction", "Site", "age"), *rows])
    table = tmp_path / "studies.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("study_id", "sex"), *((key, "F" if key == "c" else "") for key in TRUTH)]
        )
    return both, table


def test_scores_by_any_column(sites):
    both, table = sites
    shown = printed("score", both, "--metrics", FEW, "--by", "Site")
    assert "by Site: predictions" in shown
    found = json.loads(printed("score", both, "--metrics", "rouge-l", "--by", "Site", "--json"))
    groups = found["groups"]["predictions"]
    assert set(groups) == {"north", "south"}
    keys = list(TRUTH)[1::2]
    alone = score({k: TRUTH[k] for k in keys}, {k: SAID[k] for k in keys}, ["rouge-l"])["rouge-l"]
    assert groups["north"]["rouge-l"]["value"] == pytest.approx(alone.value)
    by_sex = json.loads(
        printed("score", both, "--metrics", "bleu-1", "--by", "sex", "--table", table, "--json")
    )
    counts = {
        name: one["bleu-1"]["signature"]["count"]
        for name, one in by_sex["groups"]["predictions"].items()
    }
    assert counts == {"F": 1, "unknown": 3}


def test_a_column_that_is_not_there(sites, files):
    both, table = sites
    result = run("score", both, "--by", "view")
    assert "no column 'view' to break scores down by: choose from Site, age" in str(
        result.exception
    )
    result = run("score", both, "--by", "view", "--table", table)
    assert "no column 'view': choose from study_id, sex" in str(result.exception)
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    result = run("score", both, "--by", "sex", "--table", table)
    assert "lacks 1 of 4 studies: d <i>" in str(result.exception)
    assert "it holds nothing but reports" in str(run("score", *files, "--by", "x").exception)


def test_compare_by_column(sites):
    both, _ = sites
    found = json.loads(printed("compare", both, both, "--metrics", FEW, "--by", "Site", "--json"))
    assert set(found["groups"]) == {"north", "south"}
    assert found["groups"]["north"]["bleu-4"]["difference"] == 0
    assert "by Site" in printed("compare", both, both, "--metrics", FEW, "--by", "Site")


def test_the_column_of_groups_is_no_system(tmp_path):
    both = tmp_path / "both.csv"
    both.write_text("id,Site,reference,ours\n1,north,Clear.,Clear.\n2,south,Edema.,Clear.\n")
    found = json.loads(
        printed("compare", both, both, "--metrics", "rouge-l", "--by", "Site", "--json")
    )
    assert found["rouge-l"]["first"] == pytest.approx(0.5)
    assert found["groups"]["north"]["rouge-l"]["first"] == pytest.approx(1)


def test_compare_says_what_it_compares(folder, sites):
    shown = printed("compare", folder, folder, "--metrics", FEW)
    assert "of its 2 systems, 'model [x]' is meant" in shown
    both, _ = sites
    assert "predictions: 'prediction' of both.csv" in printed(
        "compare", both, both, "--metrics", FEW
    )


def test_compare_several(folder, tmp_path):
    shown = printed("compare", folder, "--metrics", FEW)
    assert "2 systems" in shown
    assert "model [x]" in shown
    assert "every pair" in shown
    runs = []
    for name, text in (("a", "No effusion."), ("b", "Clear lungs."), ("c", "Edema.")):
        made = tmp_path / name
        made.mkdir()
        write_run(made, {"model": dict.fromkeys(TRUTH, text)})
        runs.append(made)
    found = json.loads(printed("compare", *runs, "--metrics", "rouge-l", "--json"))["rouge-l"]
    assert set(found["letters"]) == {"a", "b", "c"}
    assert len(found["pairs"]) == 3
    result = run("compare", *runs, "--by", "x")
    assert "are for two systems, got 3" in str(result.exception)


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_every_table_in_other_forms(form, files, folder):
    mark = {"markdown": "| --- |", "latex": "\\toprule", "csv": ","}[form]
    for argv in (
        ["score", *files, "--metrics", FEW],
        ["compare", folder, folder, "--metrics", FEW],
        ["compare", folder, "--metrics", FEW],
        ["metrics", "errors", *files],
        ["metrics", "list"],
        ["metrics", "probe", files[0], "--metrics", "rouge-l"],
    ):
        shown = printed(*argv, "--format", form)
        assert mark.replace(" ", "") in shown.replace(" ", ""), argv
        if form == "csv" and argv[0] == "score":
            rows = list(csv.DictReader(shown.split("\n\n")[0].splitlines()))
            expected = score(TRUTH, SAID, ["bleu-4"])["bleu-4"].value
            assert float(rows[0]["predictions"]) == pytest.approx(expected)
            assert rows[0]["signature"].startswith("bleu-4|version:")


def test_positives_stand_beside_f1_by_observation(files):
    shown = printed("score", *files, "--metrics", "micro-f1-14")
    assert "positives" in shown


def test_a_run_keeps_its_section_and_split(tmp_path):
    made = tmp_path / "run"
    made.mkdir()
    write_run(made, {"model": SAID}, section="findings")
    shown = printed("score", made, "--metrics", FEW)
    assert "section:findings" in shown
    assert "split:test" in shown
    assert "section:findings" in printed("metrics", "errors", made)
