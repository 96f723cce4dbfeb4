"""``plainfilm read``: its four outputs and its mistakes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import InputError

REPORT = "No effusion. Small right pneumothorax."
RUNNER = CliRunner()


def run(*options: str) -> str:
    result = RUNNER.invoke(app, ["read", "-", *options], input=REPORT, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_findings_one_a_line() -> None:
    assert run().splitlines() == [
        "absent    Pleural Effusion",
        "present   Pneumothorax, right, small",
    ]


def test_labels() -> None:
    assert run("--labels").splitlines() == [
        "present   Pneumothorax",
        "absent    Pleural Effusion",
    ]
    assert json.loads(run("--labels", "--json"))["Pneumothorax"] == "present"


def test_the_vocabulary_with_its_codes() -> None:
    assert "Support Devices             PICC                            SCT:398176008" in run(
        "--vocabulary"
    )
    terms = json.loads(run("--vocabulary", "--json"))
    assert {"observation", "detail", "code"} == set(terms[0])


def test_without_a_report_it_says_what_to_give() -> None:
    with pytest.raises(InputError, match="give a text file, or - for standard input"):
        RUNNER.invoke(app, ["read"], catch_exceptions=False)


def test_explain_shows_the_words_the_rule_and_the_cue() -> None:
    output = run("--explain")
    assert "'effusion' by rule pleura/Pleural Effusion/1; turned by 'No'" in output


def test_json_holds_the_findings() -> None:
    findings = json.loads(run("--json"))
    assert [finding["observation"] for finding in findings] == ["Pleural Effusion", "Pneumothorax"]
    assert findings[1]["spans"] == [[25, 37]]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        RUNNER.invoke(app, ["read", str(tmp_path / "none.txt")], catch_exceptions=False)
    binary = tmp_path / "film.dcm"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        RUNNER.invoke(app, ["read", str(binary)], catch_exceptions=False)
