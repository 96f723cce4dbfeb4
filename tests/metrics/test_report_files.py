"""Reports from plain files, and ``plainfilm score`` on them."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import InputError
from plainfilm.metrics import align
from plainfilm.metrics.files import read_pairs, read_reports, read_run, read_systems, write_pairs
from plainfilm.metrics.outputs import MOST_COMMON, RANDOM, output_profile, template_answers


def _write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "one\ntwo\n", ["one", "two"]),
        ("a.txt", "\ufeffone\r\n\r\ntwo", ["one", "", "two"]),
        ("a.csv", 'id,text\n1,"no a,\nno b"\n2,\n', {"1": "no a,\nno b", "2": ""}),
        ("a.csv", "study_id,report\ns1,clear\n", {"s1": "clear"}),
        ("a.jsonl", '{"id": 7, "text": "a"}\n\n{"id": "b", "text": "x"}\n', {"7": "a", "b": "x"}),
        ("a.json", '{"a": "clear", "b": "x"}', {"a": "clear", "b": "x"}),
        ("a.json", '[{"id": "a", "text": "clear"}]', {"a": "clear"}),
        ("a.txt", "\n\n", ["", ""]),
        ("a.csv", "id,text\n1," + "long " * 40_000 + "\n", {"1": "long " * 40_000}),
    ],
)  # fmt: skip
def test_forms(tmp_path, name, content, expected):
    assert read_reports(_write(tmp_path, name, content), "predictions") == expected


def test_rexrank_holds_both_sides(tmp_path):
    studies = {
        "s1": {
            "section_findings": "Clear lungs.",
            "section_impression": "Normal.",
            "context": "cough",
            "model_prediction": "Findings: Clear. Impression: Normal.",
        },
        "s2": {"findings": None, "impression": "No change.", "model_prediction": "Stable."},
    }
    path = _write(tmp_path, "rexrank.json", json.dumps(studies))
    assert read_reports(path, "references") == {
        "s1": "Findings: Clear lungs. Impression: Normal.",
        "s2": "Impression: No change.",
    }
    assert read_reports(path, "predictions") == {
        "s1": "Findings: Clear. Impression: Normal.",
        "s2": "Stable.",
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xls", "x", r"expected a file of \.txt, \.csv, \.jsonl, \.json, got '\.xls'"),
        ("a.txt", "", "the file is empty"),
        ("a.txt", b"caf\xe9\n", r"not UTF-8 \(byte 3 is 0xe9\): save it as UTF-8"),
        ("a.txt", "no effusion\n".encode("utf-16"), "UTF-16 text, not UTF-8: save it as UTF-8"),
        ("a.json", "[" * 100_000, "nested too deeply: expected an object of id to text"),
        ("a.json", "[]", r"a\.json: holds no report: give at least one"),
        ("a.csv", "id,text\n", r"a\.csv: holds no report: give at least one"),
        ("a.csv", "id,text\n1,a\n1,b\n", "row 3 repeats the id '1': give each id once"),
        ("a.csv", "name,body\n1,a\n", "row 2 lacks an id: expected .*, found name, body"),
        ("a.csv", "id,body\n1,a\n", "row 2 lacks a text: expected one of pr.*, found id, body"),
        ("a.csv", 'id,text\n1,"a\n', "not CSV"),
        ("a.jsonl", '{"id": 1, "text": "a"}\n{"id"\n', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 must be an object, got list"),
        ("a.json", '{"a": "x", "a": "y"}', "holds 'a' twice: give each id once"),
        ("a.json", '"a"', "expected an object of id to text, or a list .* got str"),
        ("a.json", '{"a": 3}', "id 'a' lacks a text: expected .*, report, found id, text"),
    ],
)  # fmt: skip
def test_wrong_files_are_one_line(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_reports(_write(tmp_path, name, content), "predictions")
    assert "\n" not in str(caught.value)


def test_a_run_folder_holds_references_and_the_models_reports(tmp_path):
    lines = [
        {"study_id": "a", "reference": "x", "plainfilm-small": "y", "most common report": "z"},
        {"study_id": "b", "reference": "u", "plainfilm-small": "v", "most common report": "z"},
    ]
    _write(tmp_path, "predictions.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    assert read_run(tmp_path) == ({"a": "x", "b": "u"}, {"a": "y", "b": "v"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("predictions.jsonl", '{"study_id": "a", "reference": "x"}', "line 1 lacks a text"),
        ("other.jsonl", "", r"predictions\.jsonl: cannot be read"),
    ],
)
def test_wrong_run_folders_are_one_line(tmp_path, name, content, message):
    _write(tmp_path, name, content)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path)


def test_a_run_must_hold_references(tmp_path):
    with pytest.raises(
        InputError, match=r"a\.txt: a \.txt file holds one side only: give the pred"
    ):
        read_run(_write(tmp_path, "a.txt", "x\n"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: cannot be read: No such file"):
        read_reports(tmp_path / "none.txt", "references")


def test_the_command_prints_values_and_signatures(tmp_path):
    path = _write(tmp_path, "a.txt", "no effusion here at all\nclear lungs on this film\n")
    result = CliRunner().invoke(app, ["score", str(path), str(path), "--metrics", "bleu-4,rouge-l"])
    assert result.exit_code == 0, result.output
    assert "2 reports" in result.stdout
    assert "1.000 [1.000, 1.000]" in result.stdout
    assert "rouge-l|version:plainfilm-" in result.stdout
    profile = "predictions: duplicates 0%, the most common one 50%; 5.0 words against"
    assert profile in result.stdout


def test_the_command_prints_json(tmp_path):
    path = _write(tmp_path, "a.txt", "no effusion\nclear\n")
    result = CliRunner().invoke(
        app, ["score", str(path), str(path), "--metrics", "bleu-1", "--json"]
    )
    found = json.loads(result.stdout)
    score = found["scores"]["predictions"]["bleu-1"]
    assert score["value"] == pytest.approx(1)
    assert score["signature"]["count"] == 2
    assert found["outputs"]["predictions"]["duplicates"] == 0
    assert found["outputs"]["predictions"]["length_ratio"] == 1


def _run(folder, name, said):
    run = folder / name
    run.mkdir()
    references = ["no effusion or edema", "small left effusion", "clear lungs", "no acute process"]
    lines = [
        json.dumps({"study_id": str(i), "reference": reference, "model": text})
        for i, (reference, text) in enumerate(zip(references, said(references), strict=True))
    ]
    (run / "predictions.jsonl").write_text("\n".join(lines))
    return str(run)


def test_compare_and_welch(tmp_path):
    runs = [
        _run(tmp_path, "a1", lambda texts: ["effusion"] * 4),
        _run(tmp_path, "b1", lambda texts: texts),
        "--first-run", _run(tmp_path, "a2", lambda texts: ["edema"] * 4),
        "--second-run", _run(tmp_path, "b2", lambda texts: [*texts[:3], "acute process"]),
    ]  # fmt: skip
    result = CliRunner().invoke(app, ["compare", *runs, "--metrics", "rouge-l", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["rouge-l"]
    assert found["second"] == pytest.approx(1)
    assert found["difference"] > 0.5
    assert found["interval"][0] > 0
    assert found["p_value"] == pytest.approx(2 / 2**4, abs=0.02)
    assert found["welch_p_value"] == found["corrected_welch_p_value"] < 0.05
    assert found["signature"]["metric"] == "rouge-l"
    shown = CliRunner().invoke(app, ["compare", *runs, "--metrics", "rouge-l"])
    assert "Welch p corrected" in shown.stdout
    assert " ± 0." in shown.stdout


def test_compare_needs_the_same_references(tmp_path):
    first = _run(tmp_path, "a", lambda texts: texts)
    other = _write(tmp_path, "other.csv", "id,reference,text\n0,x,y\n")
    result = CliRunner().invoke(app, ["compare", first, str(other)])
    assert isinstance(result.exception, InputError)
    message = str(result.exception)
    assert "hold different references: 3 only in" in message
    assert "1 with another text (0): compare systems on the same studies" in message


def test_metrics_are_listed():
    result = CliRunner().invoke(app, ["metrics", "list"])
    assert "macro-f1-14" in result.stdout
    assert "label-f1.md" in result.stdout


def test_errors_are_counted_and_shown(tmp_path):
    truth = _write(
        tmp_path, "truth.csv", "id,text\na,Small left pleural effusion.\nb,Clear lungs.\n"
    )
    said = _write(
        tmp_path, "said.csv", "id,text\na,Small right pleural effusion.\nb,Clear lungs.\n"
    )
    shares = CliRunner().invoke(app, ["metrics", "errors", str(truth), str(said)])
    assert "fully accurate" in shares.stdout
    shown = CliRunner().invoke(
        app, ["metrics", "errors", str(truth), str(said), "--show", "wrong side or place"]
    )
    assert "Pleural Effusion: small right for small left" in shown.stdout
    assert "prediction: Small right pleural effusion." in shown.stdout
    assert "Clear" not in shown.stdout
    wrong = CliRunner().invoke(app, ["metrics", "errors", str(truth), str(said), "--show", "x"])
    assert "no row 'x' in the error table: choose from fully accurate; " in str(wrong.exception)


def test_the_probe_prints_a_row_for_each_edit(tmp_path):
    path = _write(tmp_path, "a.txt", "No effusion. Small left pneumothorax.\nMild edema. Clear.\n")
    result = CliRunner().invoke(app, ["metrics", "probe", str(path), "--metrics", "rouge-l"])
    assert result.exit_code == 0, result.output
    assert "negation removed" in result.stdout
    assert "sentences shuffled" in result.stdout


def test_the_output_profile():
    pairs = align(["a b c", "d e", "f", "g"], ["x y", "x  y\n", "", "z"])
    profile = output_profile(pairs)
    assert (profile.duplicates, profile.most_common, profile.empty) == (0.5, 0.5, 1)
    assert (profile.words, profile.reference_words) == (1.25, 1.75)
    assert (profile.looping, profile.repetition) == (0, 0)
    assert profile.length_ratio == 1.25 / 1.75
    assert output_profile(replace(pairs, block=3)) == profile
    assert str(profile).startswith("duplicates 50%, the most common one 50%, 1 empty; 1.2 words")


def test_templates_need_no_film():
    answers = template_answers(["a", "b", "b", "c"], 5)
    assert answers[MOST_COMMON] == ["b"] * 5
    assert set(answers[RANDOM]) <= {"a", "b", "c"}
    assert answers == template_answers(["a", "b", "b", "c"], 5)
    assert answers[RANDOM] != template_answers(["a", "b", "b", "c"], 5, seed=1)[RANDOM]


PAIRS = (
    {"a": 'Findings: Clear,\n"normal". Impression: Normal.', "b": "", "c": "Small effusion."},
    {"a": "Clear.", "b": "Normal.", "c": ""},
)


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl", "pairs.json"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_pairs(tmp_path / name, *PAIRS)
    assert read_pairs(tmp_path / name) == PAIRS


def test_rexranks_sections_are_written(tmp_path):
    write_pairs(tmp_path / "rexrank.json", *PAIRS)
    study = json.loads((tmp_path / "rexrank.json").read_text())["a"]
    assert study["section_findings"] == 'Clear,\n"normal".'
    assert study["section_impression"] == "Normal."
    assert study["model_prediction"] == "Clear."


def test_a_study_without_sections_has_an_empty_reference(tmp_path):
    path = _write(
        tmp_path,
        "a.json",
        '{"a": {"section_findings": null, "section_impression": "", "model_prediction": "x"}}',
    )
    assert read_pairs(path) == ({"a": ""}, {"a": "x"})


def test_only_the_known_forms_are_written(tmp_path):
    with pytest.raises(InputError, match=r"expected a file of \.csv or \.jsonl, got '\.xls'"):
        write_pairs(tmp_path / "a.xls", *PAIRS)
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        write_pairs(tmp_path / "none" / "a.csv", *PAIRS)


def test_a_run_holds_several_systems(tmp_path):
    line = {"study_id": "a", "reference": "x", "model": "y", "nearest": "z"}
    _write(tmp_path, "predictions.jsonl", json.dumps(line))
    both = ({"a": "x"}, {"model": {"a": "y"}, "nearest": {"a": "z"}})
    assert read_systems(tmp_path) == both
    assert read_systems(tmp_path / "predictions.jsonl") == both
    assert read_systems(tmp_path, row="nearest") == ({"a": "x"}, {"nearest": {"a": "z"}})
    with pytest.raises(InputError, match="no row 'other': choose from model, nearest"):
        read_systems(tmp_path, row="other")


def test_looping_drafts_are_counted():
    pairs = align(["Clear lungs."] * 4, ["; " * 40, "No edema. " * 9, "Clear.", "No edema."])
    profile = output_profile(pairs)
    assert (profile.looping, profile.repetition) == (2, 0.5)
    assert "1 empty, 2 looping; " in str(profile)
