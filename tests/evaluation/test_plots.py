"""Plots are well-formed, say everything in words, and escape names."""

import math
import sys
import xml.etree.ElementTree as ET

import pytest

from plainfilm.core import MissingDependencyError
from plainfilm.evaluation.plots import Curve, Lengths, bar_chart, curve_chart, length_chart

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("plainfilm-small", "most common report", "a <b> & c $x$", "a fourth system, a long name")


def texts(picture: str) -> list[str]:
    return [
        "".join(element.itertext()).strip()
        for element in ET.fromstring(picture).iter(f"{SVG}text")  # noqa: S314
    ]


def test_bars() -> None:
    rows = {
        f"row {index}": dict.fromkeys(NAMES, (index / 10, (index / 20, index / 8)))
        for index in range(1, 9)
    }
    rows["row 0"] = dict.fromkeys(NAMES, (math.nan, None))
    picture = bar_chart("F1 <by> observation", rows, note="a note", percent=True)
    shown = texts(picture)
    assert {"F1 <by> observation", "a note", "row 8", "80.0 %", *NAMES} <= set(shown)
    assert shown.count("undefined") == 4
    assert shown.count("80.0 %") == 4
    for colour in ("#1f5f8b", "#d9822b", "#8b9298", "#00694d"):
        assert colour in picture


def test_bars_of_zero_alone() -> None:
    assert "0.0 %" in texts(bar_chart("t", {"row": {"a": (0.0, (0.0, 0.0))}}, percent=True))


def test_negative_values() -> None:
    assert "-0.200" in texts(bar_chart("t", {"row": {"a": (-0.2, (-0.4, 0.1))}}))


def test_the_same_numbers_make_the_same_file() -> None:
    rows = {"row": {"a": (0.5, (0.4, 0.6)), "b": (0.25, None)}}
    assert bar_chart("t", rows) == bar_chart("t", rows)


def test_a_panel_for_each_metric() -> None:
    words = [float(index) for index in range(40)]
    values = {"rouge-l": [index / 40 for index in range(40)], "nothing": [math.nan] * 40}
    picture = length_chart("length", {name: Lengths(words, values) for name in NAMES}, groups=4)
    shown = texts(picture)
    assert {"rouge-l", "nothing", "undefined", "words of the reference", *NAMES} <= set(shown)


def test_curves() -> None:
    panels = {
        "one": [Curve("training", [(0, 3.0), (1, 2.0)]), Curve("validation", [(1, math.nan)])],
        "two": [],
        "three": [Curve("training", [(1, 2.0)])],
    }
    shown = texts(curve_chart("Loss", panels, along="epochs", note="a line a seed"))
    assert {"Loss", "one", "two", "three", "undefined", "epochs", "training"} <= set(shown)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'plainfilm\[pages\]'"):
        bar_chart("t", {"row": {"a": (0.5, None)}})
