"""Any pair of texts gets a number or NaN with a count from every metric that works offline."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.metrics import METRICS, score

APART = ("meteor", "sembscore", "bertscore", "radgraph-f1", "ratescore", "green", "radcliq")
OFFLINE = [name for name in METRICS if not name.startswith(APART)]
WORDS = (
    "no", "small", "left", "effusion", "pneumothorax", "lungs", "are", "clear", "5", "mm", "nodule",
    "heart", "normal", ".", ",", "tube", "tip", "in", "the", "stable", "possible", "\u200b", "—",
)  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=60),  # lone surrogates too
    st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
)


@settings(max_examples=120, deadline=None)
@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_any_text_is_scored(pairs):
    references, predictions = map(list, zip(*pairs, strict=True))
    found = score(references, predictions, OFFLINE, intervals=True, per_report=True)
    for name, one in found.items():
        low, high = sorted([METRICS[name].worst, METRICS[name].best])
        if math.isnan(one.value):
            assert one.undefined >= 1
        else:
            assert low - 1e-9 <= one.value <= high + 1e-9, name
        assert len(one.reports) == len(pairs)
        for value in one.reports:
            assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9, name


@pytest.mark.parametrize("text", ["\ud800", "a \udfff effusion", "\U0001f600" * 50, "\x00", "\x85"])
def test_odd_characters(text):
    for pair in ((text, "No effusion."), ("No effusion.", text), (text, text)):
        assert len(score([pair[0]], [pair[1]], OFFLINE)) == len(OFFLINE)
