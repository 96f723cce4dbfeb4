"""Tables as Markdown, LaTeX and CSV: every text is what it was, numbers are whole in CSV."""

import csv
import io
import math

import pytest
from rich.console import Console

from plainfilm.evaluation.tables import Sheet, Value

HOSTILE = "a|b_c & 50% {x} $y$ <i> \\ ~ ^ # [z] *q* `r`\n=1+1"
SHEET = Sheet(
    ["metric", "model", HOSTILE],
    [
        ["bleu-4", Value(0.1234567, (0.1, 0.15)), Value(math.nan, undefined=1)],
        [HOSTILE, Value(0.5, None, 3), Value(0.25, (math.nan, math.nan), letters="ab")],
    ],
    "600 reports",
    "95 % interval",
    ["bleu-4|version:1", "other|version:1"],
)


def test_words():
    assert str(Value(0.1234567, (0.1, 0.15))) == "0.123 [0.100, 0.150]"
    assert str(Value(0.5, None, 3)) == "0.500 (3 undefined)"
    assert str(Value(math.nan, None, 1)) == "undefined"
    assert str(Value(math.nan, None, 4)) == "undefined (4 undefined)"
    assert str(Value(0.25, form=".1%", letters="ab")) == "25.0% ab"


def test_markdown():
    text = SHEET.markdown()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    for row in rows:
        assert row.replace("\\\\", "").replace("\\|", "").count("|") == 4
    assert "0.123 \\[0.100, 0.150\\]" in rows[2]
    assert "**600 reports**" in text
    assert "- `bleu-4|version:1`" in text


def test_latex():
    text = SHEET.latex()
    assert "% bleu-4|version:1" in text
    assert r"\begin{tabular}{lrr}" in text
    assert r"50\% \{x\} \$y\$" in text
    assert r"\textless{}i\textgreater{} \textbackslash{}" in text
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [line.replace(r"\&", "").count("&") for line in lines] == [2, 2, 2]
    assert r"\caption{600 reports. 95 \% interval.}" in text


def test_csv():
    rows = list(csv.reader(io.StringIO(SHEET.csv())))
    assert rows[0][:4] == ["metric", "model", "model, low", "model, high"]
    assert rows[0][-1] == "signature"
    assert [len(row) for row in rows] == [len(rows[0])] * 3
    assert float(rows[1][1]) == 0.1234567
    assert rows[1][4] == ""
    assert rows[2][0] == HOSTILE
    assert "ab" in rows[2]


def test_a_formula_is_no_formula():
    text = Sheet(["=A1", "b"], [["=cmd()", Value(1.0)]]).csv()
    assert text.startswith("'=A1,b\n'=cmd(),1.0")


def test_a_terminal():
    out = io.StringIO()
    Console(file=out, width=200, markup=False).print(SHEET)
    assert "0.123 [0.100, 0.150]" in out.getvalue()
    assert "95 % interval" in out.getvalue()


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_forms(form):
    assert SHEET.shown(form) == getattr(SHEET, form)()
