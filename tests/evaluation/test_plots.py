"""Plots are well-formed, keep inside their frame, and escape names."""

import math
import xml.etree.ElementTree as ET

import pytest

from plainfilm.evaluation.plots import Lengths, _ticks, bar_chart, length_chart

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("plainfilm-small", "most common report", "a <b> & c", "a fourth system with a long name")


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314


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
    root = ET.fromstring(picture)  # noqa: S314
    width = float(root.get("width", 0))
    bars = [element for element in root.iter(f"{SVG}rect") if element.get("x")]
    assert all(float(bar.get("x", 0)) + float(bar.get("width", 0)) < width for bar in bars)
    assert len({bar.get("fill") for bar in bars}) == 4


def test_bars_of_zero_alone() -> None:
    assert "0.0 %" in texts(bar_chart("t", {"row": {"a": (0.0, (0.0, 0.0))}}, percent=True))


def test_a_panel_for_each_metric() -> None:
    words = [float(index) for index in range(40)]
    values = {"rouge-l": [index / 40 for index in range(40)], "nothing": [math.nan] * 40}
    picture = length_chart("length", {name: Lengths(words, values) for name in NAMES}, groups=4)
    shown = texts(picture)
    assert {"rouge-l", "nothing", "undefined", "words of the reference"} <= set(shown)
    lines = [e.get("points", "") for e in ET.fromstring(picture).iter(f"{SVG}polyline")]  # noqa: S314
    assert len(lines) == 4
    assert all(len(points.split()) == 4 for points in lines)
    heights = [float(point.split(",")[1]) for point in lines[0].split()]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("highest", [0.001, 0.37, 1.0, 1.01, 7.3, 10.0, 250.0])
def test_ticks_are_few_and_reach_the_top(highest: float) -> None:
    ticks = _ticks(highest)
    assert ticks[0] == 0
    assert ticks[-2] < highest * (1 + 1e-9)
    assert ticks[-1] >= highest * (1 - 1e-9)
    assert 4 <= len(ticks) <= 6
