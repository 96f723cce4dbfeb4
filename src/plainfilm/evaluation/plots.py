"""Plots as SVG files: bars by row and system, metrics against report length, training curves.

Nothing is needed to draw them: the marks are few, and an SVG stays sharp on a slide. A plot is
light on a screen of any theme, names its systems in words, and says what its whiskers are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

Interval = tuple[float, float]
Bar = tuple[float, Interval | None]
"""A value, and its interval where there is one."""

_COLOURS = (  # as many as a table of a paper has rows, its templates included
    "#1f5f8b", "#d9822b", "#8b9298", "#00694d", "#93267e", "#b7a21f",
    "#c8352b", "#6fb3d9", "#3d3d3d",
)  # fmt: skip
_INK, _QUIET, _LINE, _GROUND = "#1f2428", "#5d666d", "#dcd8cd", "#fdfcf9"
_SIZE = 13  # of the font, in pixels
_WIDTH = 860
_CELL = 14  # height of a bar with its gap
_LEVEL = 1.96  # normal quantile of a 95 % interval
_FEWEST = 5  # reports in a group


@dataclass(frozen=True)
class Lengths:
    """The reports of one system: how long each reference is, and the report's own values."""

    words: Sequence[float]
    values: Mapping[str, Sequence[float]]
    """Metric → a value for each report, NaN where undefined."""


def bar_chart(
    title: str, rows: Mapping[str, Mapping[str, Bar]], *, note: str = "", percent: bool = False
) -> str:
    """Return a chart of horizontal bars, an SVG document.

    Args:
        title: the heading.
        rows: row → system → value; the systems of the first row name the colours.
        note: a line under the heading.
        percent: whether values are shares, shown as per cent.
    """
    systems = list(next(iter(rows.values())))
    left = 30 + max(_text_width(row) for row in rows)
    right = _WIDTH - 80
    legend = list(_legend(systems, 76 if note else 58))
    top = legend[-1][0] + 30
    tall = len(systems) * _CELL
    bottom = top + len(rows) * (tall + 10)
    ends = [end for bars in rows.values() for value, interval in bars.values()
            for end in (value, *(interval or ())) if end == end]  # fmt: skip
    ticks = _ticks(max([*ends, 1e-3]))
    scale = (right - left) / ticks[-1]
    marks = [text for _, text in legend]
    for tick in ticks:
        x = left + tick * scale
        marks.append(_stroke(x, top - 6, x, bottom, _LINE))
        marks.append(_text(x, bottom + 18, _shown(tick, percent, short=True), anchor="middle",
                           colour=_QUIET))  # fmt: skip
    for index, (row, bars) in enumerate(rows.items()):
        y = top + index * (tall + 10)
        marks.append(_text(left - 10, y + tall / 2 + 4, row, anchor="end"))
        for place, (value, interval) in enumerate(bars.values()):
            marks += _bar(left, y + place * _CELL, value, interval, scale, place, percent)
    return _document(title, note, _WIDTH, bottom + 34, marks)


def length_chart(title: str, systems: Mapping[str, Lengths], *, groups: int = 6) -> str:
    """Return a panel for each metric: its mean against the reference's length, an SVG document.

    Args:
        title: the heading.
        systems: name → its reports.
        groups: into how many groups of equal size the reports are put by length.
    """
    metrics = list(next(iter(systems.values())).values)
    note = (
        "mean of the reports' own values, in groups of equal size by the reference's length; "
        "whiskers: 95 % interval of the mean"
    )
    legend = list(_legend(list(systems), 76))
    marks = [text for _, text in legend]
    top, columns = legend[-1][0] + 24, 2
    wide, high = _WIDTH // columns, 230
    for index, metric in enumerate(metrics):
        x, y = index % columns * wide, top + index // columns * high
        marks += _panel(metric, systems, groups, (x, y, wide, high))
    lines = math.ceil(len(metrics) / columns)
    return _document(title, note, _WIDTH, top + lines * high + 6, marks)


@dataclass(frozen=True)
class Curve:
    """A line of a panel; curves of one name share a colour."""

    name: str
    points: Sequence[tuple[float, float]]


def curve_chart(
    title: str, panels: Mapping[str, Sequence[Curve]], *, along: str, note: str = ""
) -> str:
    """Return a panel of curves for each name in ``panels``, an SVG document.

    Args:
        title: the heading.
        panels: heading of the panel → its curves.
        along: what the horizontal axis shows.
        note: a line under the heading.
    """
    names = list(dict.fromkeys(curve.name for curves in panels.values() for curve in curves))
    legend = list(_legend(names, 76 if note else 58))
    marks = [text for _, text in legend]
    top, columns, high = legend[-1][0] + 24, 2, 230
    wide = _WIDTH // columns
    for index, (panel, curves) in enumerate(panels.items()):
        box = (index % columns * wide, top + index // columns * high, wide, high)
        marks += _curves(panel, curves, names, box, along)
    return _document(title, note, _WIDTH, top + math.ceil(len(panels) / columns) * high + 6, marks)


def _curves(
    heading: str, curves: Sequence[Curve], names: Sequence[str],
    place: tuple[float, float, int, int], along: str,
) -> Iterator[str]:  # fmt: skip
    points = [(x, y) for curve in curves for x, y in curve.points if math.isfinite(y)]
    axes = _Axes(
        place, max([x for x, _ in points], default=0), max([y for _, y in points], default=0)
    )
    yield from axes.marks(heading, along)
    for curve in curves:
        placed = [axes.at(x, y) for x, y in curve.points if math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        colour = _colour(names.index(curve.name))
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


class _Axes:
    """Two axes from 0 (or ``floor``) in the box (x, y, width, height)."""

    def __init__(
        self, place: tuple[float, float, int, int], longest: float, highest: float,
        floor: float = 0.0,
    ) -> None:  # fmt: skip
        x0, y0, wide, tall = place
        self.heading_y = y0 + 16
        self.left, self.right, self.top, self.bottom = (
            x0 + 62,
            x0 + wide - 22,
            y0 + 28,
            y0 + tall - 44,
        )
        self.longest, self.floor = max(longest, 1e-3), floor
        self.ticks = _ticks(max(highest, 1e-3))
        self.scale = (self.bottom - self.top) / (self.ticks[-1] - floor)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies on the page."""
        across = self.left + x / self.longest * (self.right - self.left)
        return across, self.bottom - (y - self.floor) * self.scale

    def marks(self, heading: str, along: str) -> Iterator[str]:
        """Yield the heading, the grid and the labels."""
        yield _text(self.left, self.heading_y, heading, weight="600")
        for tick in self.ticks:
            _, y = self.at(0, tick)
            yield _stroke(self.left, y, self.right, y, _LINE)
            yield _text(self.left - 8, y + 4, _shown(tick, False, short=True), size=11,
                        anchor="end", colour=_QUIET)  # fmt: skip
        for tick in _ticks(self.longest):
            if tick <= self.longest:
                x, _ = self.at(tick, 0)
                yield _text(x, self.bottom + 17, f"{tick:g}", size=11, anchor="middle",
                            colour=_QUIET)  # fmt: skip
        yield _text((self.left + self.right) / 2, self.bottom + 34, along, size=11,
                    anchor="middle", colour=_QUIET)  # fmt: skip


def _bar(
    left: float, y: float, value: float, interval: Interval | None, scale: float, colour: int,
    percent: bool,
) -> Iterator[str]:  # fmt: skip
    if value != value:
        yield _text(left + 5, y + 10, "undefined", size=10, colour=_QUIET)
        return
    yield (
        f'<rect x="{left:.1f}" y="{y + 1:.1f}" width="{value * scale:.1f}" '
        f'height="{_CELL - 3}" fill="{_colour(colour)}"/>'
    )
    end = value
    if interval and interval[0] == interval[0]:
        low, high = (left + bound * scale for bound in interval)
        middle, end = y + (_CELL - 1) / 2, max(value, interval[1])
        yield _stroke(low, middle, high, middle, _INK)
        for bound in (low, high):
            yield _stroke(bound, middle - 3, bound, middle + 3, _INK)
    yield _text(left + end * scale + 6, y + 11, _shown(value, percent), size=11, colour=_QUIET)


def _panel(
    metric: str, systems: Mapping[str, Lengths], groups: int, place: tuple[float, float, int, int]
) -> Iterator[str]:
    """Yield one metric's axes and lines, in the box (x, y, width, height)."""
    curves = {name: _curve(one, metric, groups) for name, one in systems.items()}
    points = [point for curve in curves.values() for point in curve]  # x, y, low, high
    if not points:
        x0, y0, _, tall = place
        yield _text(x0 + 62, y0 + 16, metric, weight="600")
        yield _text(x0 + 62, y0 + tall / 2 - 8, "undefined", colour=_QUIET)
        return
    axes = _Axes(
        place,
        longest=max(x for x, *_ in points) * 1.06,
        highest=max(high for *_, high in points),
        floor=min(0.0, *(low for *_, low, _ in points)),
    )
    yield from axes.marks(metric, "words of the reference")
    for index, curve in enumerate(curves.values()):
        shift = 4 * (index - (len(curves) - 1) / 2)  # so that whiskers stand side by side
        placed = [
            (axes.at(x, 0)[0] + shift, *(axes.at(x, y)[1] for y in values)) for x, *values in curve
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in placed)
        colour = _colour(index)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y, low, high in placed:
            yield _stroke(x, low, x, high, colour)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _curve(reports: Lengths, metric: str, groups: int) -> list[tuple[float, ...]]:
    """Return (mean length, mean value, its interval's ends) of each group with a defined value."""
    words = np.array(reports.words, dtype=np.float64)
    values = np.array(reports.values[metric], dtype=np.float64)
    order = np.argsort(words, kind="stable")
    found: list[tuple[float, ...]] = []
    for group in np.array_split(order, max(1, min(groups, len(order) // _FEWEST))):
        defined = group[~np.isnan(values[group])]
        if len(defined):
            chosen, mean = values[defined], float(values[defined].mean())
            error = _LEVEL * chosen.std() / math.sqrt(max(len(chosen) - 1, 1))
            low, high = max(mean - error, chosen.min()), min(mean + error, chosen.max())
            found.append((float(words[defined].mean()), mean, float(low), float(high)))
    return found


def _ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to at least ``highest``, four to six of them."""
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power * 5 >= highest)
    return [step * index for index in range(math.ceil(highest / step - 1e-9) + 1)]


def _shown(value: float, percent: bool, *, short: bool = False) -> str:
    if percent:
        return f"{100 * value:.3g} %" if short else f"{value:.1%}".replace("%", " %")
    return f"{value:.3g}" if short else f"{value:.3f}"


def _legend(systems: Sequence[str], y: float) -> Iterator[tuple[float, str]]:
    """Yield each system's colour and name, with its line's y; lines are filled, then broken."""
    x = 24.0
    for index, name in enumerate(systems):
        wide = _text_width(name) + 40
        if x > 24 and x + wide > _WIDTH:
            x, y = 24.0, y + 20
        box = f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" fill="{_colour(index)}"/>'
        yield y, box + _text(x + 18, y, name)
        x += wide


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _text_width(text: str) -> float:
    """Return about how wide a text is, in pixels."""
    return 0.56 * _SIZE * len(text)


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" fill="none"/>'


def _text(
    x: float, y: float, text: str, *, size: int = _SIZE, anchor: str = "start",
    colour: str = _INK, weight: str = "400",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}" font-weight="{weight}">{escape(text)}</text>'
    )


def _document(title: str, note: str, width: int, height: float, marks: Sequence[str]) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
        f'viewBox="0 0 {width} {height:.0f}" role="img" '
        "font-family=\"system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif\">",
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" fill="{_GROUND}"/>',
        _text(24, 32, title, size=17, weight="600"),
        *([_text(24, 52, note, size=12, colour=_QUIET)] if note else []),
        *marks,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
