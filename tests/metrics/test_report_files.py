"""Reports from plain files, and ``plainfilm score`` on them."""

import json

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import InputError
from plainfilm.metrics.files import read_reports


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
        ("a.csv", "id,text\n1,a\n1,b\n", "row 3 repeats the id '1': give each id once"),
        ("a.csv", "name,body\n1,a\n", "row 2 lacks an id: expected .*, found name, body"),
        ("a.csv", "id,body\n1,a\n", "row 2 lacks a text of the pre.* expected .*, found id, body"),
        ("a.csv", 'id,text\n1,"a\n', "not CSV"),
        ("a.jsonl", '{"id": 1, "text": "a"}\n{"id"\n', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 must be an object, got list"),
        ("a.json", '{"a": "x", "a": "y"}', "holds 'a' twice: give each id once"),
        ("a.json", '"a"', "expected an object of id to text, or a list .* got str"),
        ("a.json", '{"a": 3}', "id 'a' lacks a text of the predictions"),
    ],
)  # fmt: skip
def test_wrong_files_are_one_line(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_reports(_write(tmp_path, name, content), "predictions")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: cannot be read: No such file"):
        read_reports(tmp_path / "none.txt", "references")


def test_the_command_prints_values_and_signatures(tmp_path):
    path = _write(tmp_path, "a.txt", "no effusion here at all\nclear lungs on this film\n")
    result = CliRunner().invoke(app, ["score", str(path), str(path), "--metrics", "bleu-4,rouge-l"])
    assert result.exit_code == 0, result.output
    assert "2 reports" in result.stdout
    assert "1.0000" in result.stdout
    assert "rouge-l|version:plainfilm-" in result.stdout


def test_the_command_prints_json(tmp_path):
    path = _write(tmp_path, "a.txt", "no effusion\nclear\n")
    result = CliRunner().invoke(
        app, ["score", str(path), str(path), "--metrics", "bleu-1", "--json"]
    )
    found = json.loads(result.stdout)
    assert found["bleu-1"]["value"] == pytest.approx(1)
    assert found["bleu-1"]["signature"]["count"] == 2
