"""Nothing is scored that is not there: which column is which side, and what is missing."""

import json

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import InputError
from plainfilm.metrics.files import read_pairs, read_report_set, read_reports

TWO = {"s1": "Small left pleural effusion.", "s2": "Clear lungs."}


def _write(folder, name, content):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def _run(*argv):
    return CliRunner().invoke(app, [str(part) for part in argv])


def _entries(key, values, reference="report"):
    return [
        {"id": name, reference: text, **({key: values[name]} if name in values else {})}
        for name, text in TWO.items()
    ]


def _forms(folder, key, values, reference="report"):
    """The same entries as JSON by id, JSON list and JSON lines."""
    entries = _entries(key, values, reference)
    yield _write(folder, "by_id.json", json.dumps({one["id"]: one for one in entries}))
    yield _write(folder, "list.json", json.dumps(entries))
    yield _write(folder, "lines.jsonl", "\n".join(map(json.dumps, entries)))


@pytest.mark.parametrize("key", ["prediction", "model_prediction"])
@pytest.mark.parametrize("reference", ["report", "text", "reference", "findings"])
@pytest.mark.parametrize("values", [{"s1": None, "s2": "Edema."}, {"s2": "Edema."}, {"s1": None},
                                    {"s1": "Edema."}])  # fmt: skip
def test_an_entry_without_its_prediction_is_refused_by_name(tmp_path, key, reference, values):
    gone = [name for name in TWO if values.get(name) is None]
    for path in _forms(tmp_path, key, values, reference):
        with pytest.raises(InputError, match=rf"lacks? a prediction under '{key}'") as caught:
            read_pairs(path)
        assert all(name in str(caught.value) for name in gone)
        assert "--missing empty" in str(caught.value)


def test_a_first_entry_without_its_prediction_does_not_decide(tmp_path):
    path = _write(tmp_path, "a.json", json.dumps({
        "s1": {"report": "a"}, "s2": {"report": "b", "model_prediction": "c"},
    }))  # fmt: skip
    with pytest.raises(InputError, match="id 's1' lacks a prediction under 'model_prediction'"):
        read_pairs(path)


def test_missing_ones_are_empty_and_counted_where_asked(tmp_path):
    for path in _forms(tmp_path, "prediction", {"s1": None, "s2": "Edema."}):
        found = read_report_set(path, missing="empty")
        assert found.systems == {"predictions": {"s1": "", "s2": "Edema."}}
        assert found.notes[-1] == "1 of 2 predictions are missing, and scored as empty: s1"
        result = _run("score", path, "--metrics", "rouge-l", "--missing", "empty", "--json")
        assert json.loads(result.stdout)["scores"]["predictions"]["rouge-l"]["value"] == 0
        assert "1 of 2 predictions are missing" in _run("score", path, "--missing", "empty").stdout


def test_an_id_without_a_prediction_in_the_other_file(tmp_path):
    truth = _write(tmp_path, "truth.csv", "id,text\ns1,a\ns2,b\n")
    said = _write(tmp_path, "said.csv", "id,text\ns2,b\n")
    assert "1 references without a prediction (s1)" in str(_run("score", truth, said).exception)
    found = read_report_set(truth, said, missing="empty")
    assert found.systems == {"predictions": {"s2": "b", "s1": ""}}
    assert "1 of 2 predictions are missing" in found.notes[-1]


@pytest.mark.parametrize("command", [["score"], ["metrics", "errors"], ["metrics", "convert"]])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,text\ns1,Clear.\n"),
        ("a.csv", "id,report\ns1,Clear.\n"),
        ("a.csv", "id,findings,impression\ns1,Clear.,Normal.\n"),
        ("a.csv", "id,text,report\ns1,Clear.,Normal.\n"),
        ("a.jsonl", '{"id": "s1", "report": "Clear."}'),
        ("a.json", '{"s1": "Clear."}'),
        ("a.json", '{"s1": {"section_findings": "Clear.", "section_impression": "Normal."}}'),
        ("a.json", '{"s1": {"report": "Clear.", "context": "cough"}}'),
        ("a.jsonl", '{"id": "s1", "reference": "Clear."}'),
    ],
)
def test_one_file_never_plays_both_sides(tmp_path, command, name, content):
    path = _write(tmp_path, name, content)
    out = [tmp_path / "out.jsonl"] if command[-1] == "convert" else []
    result = _run(*command, path, *out)
    assert isinstance(result.exception, InputError)
    assert "one side only" in str(result.exception) or "lacks a text" in str(result.exception)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "id,text\ns1,Clear.\n"), ("a.txt", "Clear.\n"), ("a.json", '{"s1": "Clear."}')],
)
def test_a_file_given_twice_is_said(tmp_path, name, content):
    path = _write(tmp_path, name, content)
    again = tmp_path / "again" / name
    again.parent.mkdir()
    again.symlink_to(path)
    for second in (path, again):
        (*_, note) = read_report_set(path, second).notes
        assert note == f"{name} is given for both sides: its texts are scored against themselves"
        assert note in _run("score", path, second, "--metrics", "bleu-1").stdout


def test_a_file_given_twice_may_hold_both_sides(tmp_path):
    path = _write(tmp_path, "a.csv", "id,text,prediction\ns1,Clear.,Edema.\n")
    assert read_pairs(path, path) == ({"s1": "Clear."}, {"s1": "Edema."})


def test_empty_texts_are_counted(tmp_path):
    path = _write(tmp_path, "a.csv", "id,reference,prediction\ns1,,Clear.\ns2,Clear.,\n")
    notes = read_report_set(path).notes
    assert "1 of 2 references are empty: s1" in notes
    assert "1 of 2 predictions are empty: s2" in notes


def test_which_column_is_which_side_is_said(tmp_path):
    path = _write(tmp_path, "a.jsonl", '{"id": "s1", "report": "a", "model_prediction": "b"}')
    shown = _run("score", path, "--metrics", "bleu-1").stdout
    assert "references: 'report' of a.jsonl; predictions: 'model_prediction' of a.jsonl" in shown


def test_any_column_can_be_the_predictions(tmp_path):
    path = _write(tmp_path, "a.csv", "id,report,ours,theirs\ns1,a,b,c\n")
    assert read_pairs(path, row="theirs") == ({"s1": "a"}, {"s1": "c"})
    for row in ("report", "id", "none"):
        with pytest.raises(InputError, match=f"no row '{row}': choose from ours, theirs"):
            read_pairs(path, row=row)


def test_systems_of_one_file_are_all_complete(tmp_path):
    lines = [{"id": "a", "reference": "x", "ours": "y", "theirs": "z"},
             {"id": "b", "reference": "x", "ours": "y", "theirs": None}]  # fmt: skip
    path = _write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match=r"line 2 \(id 'b'\) lacks a prediction under 'theirs'"):
        read_report_set(path)
    assert list(read_report_set(path, row="ours").systems) == ["ours"]


def test_references_are_never_missing(tmp_path):
    path = _write(tmp_path, "a.csv", "id,report\ns1,a\n")
    truth = _write(tmp_path, "a.jsonl", '{"id": "s1", "report": null}')
    for missing in ("refuse", "empty"):
        with pytest.raises(InputError, match=r"line 1 \(id 's1'\) lacks a reference under 'rep"):
            read_report_set(truth, path, missing=missing)


def test_predictions_may_stand_in_sections_of_their_own_file(tmp_path):
    path = _write(tmp_path, "said.csv", "id,findings,impression\ns1,Clear.,\n")
    assert read_reports(path, "predictions") == {"s1": "Findings: Clear."}
