"""``plainfilm read TABLE -o OUT``: forms, resume, languages and mistakes."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import OBSERVATIONS, InputError
from plainfilm.text import batch, read
from plainfilm.text.batch import Reading, read_rows, read_table

REPORTS = [
    "No effusion. Small right pneumothorax.",
    'FINDINGS: Possible 1.5 x 2 cm nodule\nin the left upper lobe, "new".',
    "",
    "Kein Pneumothorax.",
]
RUNNER = CliRunner()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reports.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["study_id", "report", "age"])
        rows.writerows([f"s{n}", text, 50] for n, text in enumerate(REPORTS))
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_findings_of_each_row(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "findings.jsonl"
    result = RUNNER.invoke(app, ["read", str(table), "-o", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "4 reports" in result.stderr
    assert "1 (de 1)" in result.stderr
    found = lines(out)
    assert [one["id"] for one in found] == ["s0", "s1", "s2", "s3"]
    assert found[0]["findings"] == [one.to_dict() for one in read(REPORTS[0])]
    assert found[2]["findings"] == []
    assert found[3] == {"id": "s3", "language": "de", "read": False}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["findings.jsonl", "reports.csv"]


@pytest.mark.parametrize(
    ("uncertain", "lesion"), [("keep", "-1"), ("ones", "1"), ("zeros", "0"), ("ignore", "")]
)
def test_chexpert_csv(table: Path, tmp_path: Path, uncertain: str, lesion: str) -> None:
    out = tmp_path / "labels.csv"
    RUNNER.invoke(
        app, ["read", str(table), "--uncertain", uncertain, "-o", str(out)], catch_exceptions=False
    )
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "Reports", *map(str, OBSERVATIONS)]
    assert [row["Reports"] for row in rows[:3]] == REPORTS[:3]
    assert (rows[0]["Pleural Effusion"], rows[0]["Pneumothorax"]) == ("0", "1")
    assert rows[1]["Lung Lesion"] == lesion
    assert set(list(rows[3].values())[2:]) == {""}


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "tsv"])
def test_other_tables(table: Path, tmp_path: Path, ending: str) -> None:
    other = tmp_path / f"other.{ending}"
    if ending == "jsonl":
        other.write_text("".join(json.dumps({"n": 1, "text": t}) + "\n" for t in REPORTS))
    elif ending == "tsv":
        with other.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, dialect="excel-tab").writerows(
                [["text"], *([t or ""] for t in REPORTS)]
            )
    else:
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table({"text": REPORTS}), other)
    out = tmp_path / "out.jsonl"
    read_table(other, out, Reading("labels"))
    assert lines(out)[0]["labels"] == {"Pneumothorax": "present", "Pleural Effusion": "absent"}


def test_graph_and_measurements_and_sentences(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "graph.json"
    read_table(table, out, Reading("graph"))
    graph = json.loads(out.read_text(encoding="utf-8"))["s0"]
    words = graph["text"].split()
    for entity in graph["entities"].values():
        span = words[entity["start_ix"] : entity["end_ix"] + 1]
        assert " ".join(span) == entity["tokens"]
    told = {e["tokens"]: (e["label"], e["relations"]) for e in graph["entities"].values()}
    assert told["effusion"] == ("OBS-DA", [])
    assert told["Small"][0] == "OBS-DP"
    assert [kind for kind, _ in told["Small"][1]] == ["modify"]
    assert [kind for kind, _ in told["pneumothorax"][1]] == ["located_at"]
    read_table(table, out, Reading("measurements"))
    (size,) = lines(out)[1]["measurements"]
    assert (size["values"], size["unit"], size["observation"]) == ([1.5, 2.0], "cm", "Lung Lesion")
    assert REPORTS[1][slice(*size["span"])] == "1.5 x 2 cm"
    read_table(table, out, Reading("sentences"))
    assert [one["labels"] for one in lines(out)[0]["sentences"]] == [
        {"Pleural Effusion": "absent"},
        {"Pneumothorax": "present"},
    ]


def test_what_was_interrupted_goes_on(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    monkeypatch.setattr(batch, "_BLOCK", 1)
    read_table(table, whole, Reading())

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_table(table, out, Reading(), progress=stop)
    part = out.with_name("out.jsonl.part")
    with part.open("ab") as file:
        file.write(b'{"id": "s2", "lang')  # half a line
    assert not out.exists()
    summary = read_table(table, out, Reading())
    assert (summary.resumed, summary.reports) == (2, 4)
    assert out.read_bytes() == whole.read_bytes()


def test_another_question_does_not_go_on(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.with_name("out.jsonl.part").write_text('{"id": "s0"}\n')
    out.with_name("out.jsonl.part.json").write_text("{}")
    assert read_table(table, out, Reading("labels")).resumed == 0
    assert len(lines(out)) == len(REPORTS)


def test_each_report_in_its_language() -> None:
    texts = [
        "No hay derrame pleural ni neumotórax.",
        "There is no effusion.",
        "Keine Ergüsse und kein",
    ]
    found = read_rows(["a", "b", "c"], texts, Reading("labels", "auto"))
    assert [one["language"] for one in found] == ["es", "en", "de"]
    assert found[0]["labels"] == {"Pneumothorax": "absent", "Pleural Effusion": "absent",
                                  "No Finding": "present"}  # fmt: skip
    assert found[2]["read"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--column", "tekst"], "no column 'tekst'"),
        (["--id", "nr"], "no column 'nr'"),
        (["--form", "xml"], "--form xml: choose from findings"),
        (["--uncertain", "maybe"], "--uncertain maybe: choose from keep"),
        (["--language", "de"], "no rules for language 'de'"),
    ],
)
def test_mistakes_are_told(table: Path, tmp_path: Path, options: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RUNNER.invoke(
            app,
            ["read", str(table), "-o", str(tmp_path / "o.csv"), *options],
            catch_exceptions=False,
        )


def test_a_table_without_an_output_is_not_read(table: Path) -> None:
    with pytest.raises(InputError, match="say where to write"):
        RUNNER.invoke(app, ["read", str(table)], catch_exceptions=False)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "report,text\nx,y\n"])
def test_tables_without_reports(tmp_path: Path, content: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=r"empty|no column of reports|several columns"):
        read_table(table, tmp_path / "o.jsonl", Reading())


def test_a_number_is_no_report(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"report": "Clear."}\n{"report": 3}\n')
    with pytest.raises(InputError, match=r"row 2: 'report' is no text but 3"):
        read_table(table, tmp_path / "o.jsonl", Reading())
