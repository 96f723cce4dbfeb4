"""Tables in any form: read as they were written, or refused with the row and the reason."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.core import InputError
from plainfilm.metrics.files import read_pairs, read_report_set, read_reports, write_pairs

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from(list(',;"\t\r\n |=:')), max_size=40)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12).filter(
    str.strip
)
TABLE = st.dictionaries(IDS, st.tuples(TEXT, TEXT), min_size=1, max_size=5)


def _write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _read(folder, name, content, side="references"):
    return read_reports(_write(folder, name, content), side)


@settings(max_examples=60, deadline=None)
@given(table=TABLE, form=st.sampled_from(["csv", "jsonl", "json"]))
def test_any_table_is_read_as_it_was_written(tmp_path_factory, table, form):
    path = tmp_path_factory.mktemp("files") / f"table.{form}"
    sides = tuple({key: both[side] for key, both in table.items()} for side in (0, 1))
    write_pairs(path, *sides)
    assert read_pairs(path) == sides


@settings(max_examples=60, deadline=None)
@given(
    table=TABLE,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    declared=st.booleans(),
    mark=st.sampled_from(["", "\ufeff"]),
    capital=st.sampled_from([str, str.upper, str.title]),
    ending=st.sampled_from(["\n", "\r\n"]),
    blank=st.sampled_from([None, [], ["", ""], [" ", ""]]),
)
def test_any_spreadsheet_is_read(
    tmp_path_factory, table, separator, declared, mark, capital, ending, blank
):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerow([capital("study_id"), f" {capital('text')}"])
    writer.writerows((key, both[0]) for key, both in table.items())
    content = out.getvalue()
    if blank is not None:
        content += separator.join(blank) + ending
    if declared:
        content = f"sep={separator}{ending}{content}"
    path = _write(tmp_path_factory.mktemp("files"), "table.csv", mark + content)
    assert read_reports(path, "references") == {key: both[0] for key, both in table.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,text\n1,No pneumothorax, effusion or edema.\n",
         r"row 2 has 3 cells, and the header has 2 \(id, text\): put .* a comma into double"),
        ("id,text\n1,a\n2,b,\n", "row 3 has 3 cells"),
        ("id;text\n1;No effusion; clear.\n", "row 2 has 3 cells.* a semicolon into double quotes"),
        ("id\ttext\n1\ta\tb\n", "a tab into double quotes"),
        ("id,text,split\n1,a\n", r"row 2 has 2 cells, and the header has 3 \(id, text, split\)"),
        ("sep=;\nid;text\n1\n", "row 2 has 1 cell"),
        ("id,text\n\n\n1,a,b\n", "row 4 has 3 cells"),
        ("id,text,text\n1,a,b\n", r"row 1 names 'text' 2 times \(id, text, text\)"),
        ("id,text, Text\n1,a,b\n", "row 1 names 'text' 2 times"),
        ("ID,id,text\n1,2,b\n", "row 1 names 'id' 2 times"),
        ("id,text\n,\n1,a\n", "row 2 lacks an id"),
        ("id,text\n1,a\n,b\n", "row 3 lacks an id"),
        ("id,text,reader,reader\n1,a,x,y\n", "names 'reader' 2 times"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        _read(tmp_path, "a.csv", content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id;text\n1;No effusion, clear.\n", {"1": "No effusion, clear."}),
        ("id\ttext\n1\tNo effusion, clear.\n", {"1": "No effusion, clear."}),
        ("sep=|\r\nid|text\r\n1|a,b\r\n", {"1": "a,b"}),
        ('"sep=;"\nid;text\n1;a\n', {"1": "a"}),
        (",id,text\n0,s1,a\n1,s2,b\n", {"s1": "a", "s2": "b"}),  # a data frame's index
        ("Study ID,Report \ns1,a\n", {"s1": "a"}),
        ("id,text,\ns1,a,\n", {"s1": "a"}),
        ("id,text\n1,a\n,\n,\n\n", {"1": "a"}),
        ("id,text\n1,a\n2,\n", {"1": "a", "2": ""}),
        ("\n\nid,text\n1,a\n", {"1": "a"}),
        ("id,findings,impression\n1,a,b\n", {"1": "Findings: a Impression: b"}),
        ("UID,IMPRESSION\n1,Normal.\n", {"1": "Normal."}),
        ("id,text\n1,\x00a\n", {"1": "\x00a"}),
    ],
)  # fmt: skip
def test_tables_as_programs_write_them(tmp_path, content, expected):
    assert _read(tmp_path, "a.csv", content) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"s1": {"ID": "other", "Text": "a"}}'),
        ("a.json", '[{"Study_ID": "s1", "TEXT": "a"}]'),
        ("a.jsonl", '\ufeff{"Id": "s1", " text ": "a"}\r\n'),
    ],
)
def test_keys_in_capitals(tmp_path, name, content):
    assert _read(tmp_path, name, content) == {"s1": "a"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"id": 1, "ID": 2, "text": "a"}', "line 1 names 'id' 2 times"),
        ("a.jsonl", '{"id": [1], "text": "a"}', "line 1 lacks an id"),
        ("a.jsonl", '{"id": true, "text": "a"}', "line 1 lacks an id"),
        ("a.jsonl", '{"id": 1, "text": ["a"]}', r"'text' holds list \['a'\]"),
        ("a.json", "{}", "holds no report"),
    ],
)
def test_wrong_json_is_named(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        _read(tmp_path, name, content)


def test_half_a_character_is_replaced(tmp_path):
    path = _write(tmp_path, "a.json", json.dumps({"\ud800": {"text": "a\udfffb"}}))
    assert read_reports(path, "references") == {"\ufffd": "a\ufffdb"}


def test_other_columns_are_kept(tmp_path):
    path = _write(tmp_path, "a.csv", "id,reference,prediction,Site\n1,a,b,north\n2,c,d,south\n")
    found = read_report_set(path)
    assert found.columns == {"Site": ["north", "south"]}
    assert found.systems == {"predictions": {"1": "b", "2": "d"}}
