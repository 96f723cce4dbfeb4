"""``--section`` picks the text that it names, in every form, or refuses."""

import json

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import InputError
from plainfilm.metrics.files import read_report_set

WHOLE = "Findings: Small left effusion. Impression: No change."
REXRANK = {"section_findings": "Small left effusion.", "section_impression": "No change."}


def _write(folder, name, content):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("section", "reference", "prediction"),
    [
        ("findings", "Small left effusion.", "Clear."),
        ("impression", "No change.", "Normal."),
        ("findings+impression", "Small left effusion.\nNo change.", "Clear.\nNormal."),
    ],
)
@pytest.mark.parametrize("form", ["rexrank", "csv", "jsonl", "txt", "columns", "run"])
def test_the_section_is_what_is_scored(tmp_path, form, section, reference, prediction):
    said = "FINDINGS:\nClear.\n\nIMPRESSION: Normal."
    second = None
    if form == "rexrank":
        entry = REXRANK | {"model_prediction": said}
        first = _write(tmp_path, "a.json", json.dumps({"s1": entry}))
        if "+" in section:
            reference = WHOLE
    elif form == "csv":
        first = _write(tmp_path, "a.csv", f'id,report,prediction\ns1,{WHOLE},"{said}"\n')
    elif form == "jsonl":
        entry = {"id": "s1", "reference": WHOLE, "prediction": said}
        first = _write(tmp_path, "a.jsonl", json.dumps(entry))
    elif form == "txt":
        first = _write(tmp_path, "a.txt", WHOLE + "\n")
        second = _write(tmp_path, "b.txt", "FINDINGS: Clear. IMPRESSION: Normal.\n")
    elif form == "columns":
        first = _write(
            tmp_path, "a.csv", "id,Findings,Impression\ns1,Small left effusion.,No change.\n"
        )
        second = _write(tmp_path, "b.csv", "id,findings,impression\ns1,Clear.,Normal.\n")
        if "+" in section:
            reference, prediction = WHOLE, "Findings: Clear. Impression: Normal."
    else:
        entry = {"study_id": "s1", "reference": WHOLE, "model": said}
        _write(tmp_path, "predictions.jsonl", json.dumps(entry))
        first = tmp_path
    found = read_report_set(first, second, section=section)
    values = found.references if form != "txt" else {"s1": found.references[0]}
    assert values == {"s1": reference}
    (texts,) = found.systems.values()
    assert (texts["s1"] if form != "txt" else texts[0]) == prediction


def test_a_reference_without_headings_is_refused(tmp_path):
    path = _write(tmp_path, "a.csv", "id,report,prediction\ns1,Clear lungs.,Clear.\n")
    with pytest.raises(InputError, match=r"row 2 \(id 's1'\) has no heading 'Findings'"):
        read_report_set(path, section="findings")


def test_a_reference_without_the_section_is_refused(tmp_path):
    path = _write(tmp_path, "a.csv", "id,report,prediction\ns1,Impression: Clear.,Clear.\n")
    with pytest.raises(InputError, match="lacks a reference under 'report'"):
        read_report_set(path, section="findings")


@pytest.mark.parametrize(
    ("section", "content", "message"),
    [
        ("findings", "id,impression\ns1,Clear.\n", "row 2 lacks the section findings"),
        ("findings+impression", "id,findings\ns1,Clear.\n", "lacks the section findings.impr"),
        ("findings", "id,findings,impression\ns1,,Clear.\n", "lacks a reference under 'findings'"),
    ],
)
def test_another_section_does_not_stand_in(tmp_path, section, content, message):
    path = _write(tmp_path, "a.csv", content)
    said = _write(tmp_path, "b.csv", "id,prediction\ns1,Clear.\n")
    with pytest.raises(InputError, match=message):
        read_report_set(path, said, section=section)


def test_headings_within_a_line(tmp_path):
    """ReXrank puts "Impression:" after findings that need not end in a stop."""
    text = "Findings: no effusion Impression: normal"
    path = _write(tmp_path, "a.csv", f"id,report,prediction\ns1,{text},{text}\n")
    for section, wanted in (("findings", "no effusion"), ("impression", "normal")):
        found = read_report_set(path, section=section)
        assert found.references == found.systems["predictions"] == {"s1": wanted}


def test_a_prediction_without_headings_is_the_section(tmp_path):
    path = _write(tmp_path, "a.csv", f"id,report,prediction\ns1,{WHOLE},Clear.\n")
    assert read_report_set(path, section="findings").systems == {"predictions": {"s1": "Clear."}}


def test_a_prediction_without_the_section_is_missing(tmp_path):
    path = _write(tmp_path, "a.csv", f"id,report,prediction\ns1,{WHOLE},Impression: Clear.\n")
    with pytest.raises(InputError, match="lacks a prediction"):
        read_report_set(path, section="findings")
    found = read_report_set(path, section="findings", missing="empty")
    assert found.systems == {"predictions": {"s1": ""}}


def test_an_unknown_section_is_refused(tmp_path):
    path = _write(tmp_path, "a.csv", f"id,report,prediction\ns1,{WHOLE},Clear.\n")
    result = CliRunner().invoke(app, ["score", str(path), "--section", "history"])
    assert "no section 'history': choose from findings, impression" in str(result.exception)


def test_the_signature_names_the_section_that_was_scored(tmp_path):
    path = _write(tmp_path, "a.json", json.dumps({"s1": REXRANK | {"model_prediction": "Clear."}}))
    values = {}
    for section in ("findings", "impression", None):
        options = ["--section", section] if section else []
        result = CliRunner().invoke(
            app, ["score", str(path), "--metrics", "rouge-l", "--json", *options]
        )
        score = json.loads(result.stdout)["scores"]["predictions"]["rouge-l"]
        assert score["signature"]["section"] == section
        values[section] = score["signature"]["references"]
    assert len(set(values.values())) == 3
