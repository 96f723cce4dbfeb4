"""CSV cells: no text is a formula, and every text comes back."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.core.spreadsheet import from_cell, to_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+x", "- No effusion.", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1",
        "=cmd|' /C calc'!A0", "\uff1d1",
    ],
)  # fmt: skip
def test_no_text_is_a_formula(text):
    assert to_cell(text).startswith("'")
    assert from_cell(to_cell(text)) == text


@pytest.mark.parametrize("value", ["No effusion.", "", "'quoted'", "-0.5", "+1e-9", 0.5, -3, None])
def test_everything_else_stays_as_it_is(value):
    assert to_cell(value) == value


@given(st.text(alphabet="=+-@'\t\r\nab1. ", max_size=8))
def test_every_text_comes_back(text):
    assert from_cell(to_cell(text)) == text


def test_written_and_read_by_the_metrics_room(tmp_path):
    from plainfilm.metrics.formats import write_rows

    rows = [{"id": "=1+1", "reference": "- No effusion.", "value": -0.5}]
    write_rows(tmp_path / "a.csv", rows)
    cells = next(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert cells == {"id": "'=1+1", "reference": "'- No effusion.", "value": "-0.5"}
