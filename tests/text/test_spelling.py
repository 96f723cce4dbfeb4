"""Misspelled terms are read; right words that look like them are left alone."""

import pytest

from plainfilm.core import Observation, Status
from plainfilm.text import labels
from plainfilm.text.reader.spelling import compile_spelling

MEND = compile_spelling(
    {"pneumothorax": 1, "atelectasis": 2, "effusions": 3, "hyperlucent": 4, "hypolucent": 5},
    ["pneumothorax", "atelectasis", "thoracotomy"],
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pneumothrax", "pneumothorax"),  # lost
        ("pneumotthorax", "pneumothorax"),  # added
        ("atelectesis", "atelectasis"),  # changed
        ("atelcetasis", "atelectasis"),  # swapped
        ("pneumothorax", "pneumothorax"),
        ("oneumothorax", "oneumothorax"),  # the first letter must be right
        ("pneumothoras", "pneumothoras"),  # and the last
        ("pneumthrax", "pneumthrax"),  # two slips
        ("thoracotomy", "thoracotomy"),
        ("fusions", "fusions"),
    ],
)
def test_one_slip_is_mended(written: str, meant: str) -> None:
    assert MEND.meant(written) == (meant,)


def test_a_word_between_two_meanings_stays() -> None:
    assert compile_spelling({"trachead": 1, "trachexd": 2}, []).meant("tracheyd") == ("tracheyd",)
    assert compile_spelling({"trachead": 1, "trachexd": 1}, []).meant("tracheyd") == ("trachead",)


def test_overlong_words_are_left_alone() -> None:
    assert MEND.meant("pneumothorax" * 1000) == ("pneumothorax" * 1000,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("isn't", ("is", "not")),
        ("nopneumothorax", ("no", "pneumothorax")),
        ("atelectasisor", ("atelectasisor",)),
        ("pneumothoraxatelectasis", ("pneumothorax", "atelectasis")),
        ("atelactesis", ("atelectasis",)),
        ("pneumothorax's", ("pneumothorax",)),
    ],
)
def test_a_word_is_made_whole(written: str, meant: tuple[str, ...]) -> None:
    spelling = compile_spelling(
        {"pneumothorax": 1, "atelectasis": 2},
        ["no", "pneumothorax", "atelectasis"],
        short={"isn't": "is not"},
        joined=["no"],
    )
    assert spelling.meant(written) == meant


def test_the_parts_of_a_word_know_where_they_stood() -> None:
    spelling = compile_spelling({"pneumothorax": 1}, [], short={"poss": "possible"}, joined=["no"])
    found = spelling.whole(["poss", ".", "nopneumothorax"], [(0, 4), (4, 5), (6, 20)])
    assert found.words == ["possible", "no", "pneumothorax", "."]
    assert found.spans == [(0, 4), (6, 8), (8, 20), (20, 20)]


@pytest.mark.parametrize("written", ["pneumothroax", "pnuemothorax", "pneumothrax"])
def test_reports_with_slips_are_read(written: str) -> None:
    assert labels(f"Small right {written}.")[Observation.PNEUMOTHORAX] is Status.PRESENT
    assert labels(f"No {written}.")[Observation.PNEUMOTHORAX] is Status.ABSENT
