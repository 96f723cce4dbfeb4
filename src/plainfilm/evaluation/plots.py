"""Plots as SVG files: bars by row and system, metrics against report length, training curves.

Drawn by matplotlib. Text remains text, so that a plot can be searched, and the same numbers give
the same file. A plot has a legend of its systems and says what its whiskers are.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plainfilm.core import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = tuple[float, float]
Bar = tuple[float, Interval | None]
"""A value, and its interval if there is one."""

_COLOURS = (  # enough for all rows of a paper's table, including baselines
    "#1f5f8b", "#d9822b", "#8b9298", "#00694d", "#93267e", "#b7a21f",
    "#c8352b", "#6fb3d9", "#3d3d3d",
)  # fmt: skip
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plainfilm",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["Noto Sans", "DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#b9b4a7",
    "axes.axisbelow": True,
    "grid.color": "#dcd8cd",
    "text.parse_math": False,  # "$" in a system's name is a dollar sign sign sign sign
}
_QUIET, _INK, _GROUND = "#5d666d", "#1f2428", "#fdfcf9"
_WIDE = 9.0  # inches
_COLUMNS = 2  # panels side by side
_PANEL = 2.7  # inches, height of a panel
_BAR = 0.16  # inches, height of a bar
_LEVEL = 1.96  # normal quantile of a 95 % interval
_FEWEST = 5  # minimum number of reports in a group
_ASIDE = 0.008  # fraction of the axis between the whiskers of neighbouring systems


@dataclass(frozen=True)
class Lengths:
    """One system's reports: the length of each reference, and the report's values."""

    words: Sequence[float]
    values: Mapping[str, Sequence[float]]
    """Metric → a value for each report, NaN if undefined."""


@dataclass(frozen=True)
class Curve:
    """A line in a panel; curves with the same name share a colour."""

    name: str
    points: Sequence[tuple[float, float]]


def bar_chart(
    title: str, rows: Mapping[str, Mapping[str, Bar]], *, note: str = "", percent: bool = False
) -> str:
    """Return a chart of horizontal bars, an SVG document.

    Args:
        title: the heading.
        rows: row → system → value; the systems of the first row make the legend.
        note: a line under the heading.
        percent: whether values are shares, shown in per cent.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    systems = list(next(iter(rows.values())))
    tall = len(rows) * (len(systems) * _BAR + 0.12)
    with _style():
        figure = _figure(title, note, systems, tall + 0.3)
        axes = figure.subplots()
        for number, system in enumerate(systems):
            offsets = [
                row + (number - (len(systems) - 1) / 2) * 0.84 / len(systems)
                for row in range(len(rows))
            ]
            bars = [bars[system] for bars in rows.values()]
            _draw_bars(axes, offsets, bars, _colour(number), 0.8 / len(systems), percent)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(left=min(0.0, *_ends(rows)), right=1.12 * max([1e-3, *_ends(rows)]))
        axes.xaxis.set_major_formatter(lambda value, _: _shown(value, percent, short=True))
        axes.grid(axis="x")
        return _svg(figure)


def length_chart(title: str, systems: Mapping[str, Lengths], *, groups: int = 6) -> str:
    """Return a panel for each metric: its mean against the reference's length, an SVG document.

    Args:
        title: the heading.
        systems: name → its reports.
        groups: number of equal-sized groups into which reports are divided by length.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    metrics = list(next(iter(systems.values())).values)
    note = (
        "mean of the reports' own values, in groups of equal size by the reference's length; "
        "whiskers: 95 % interval of the mean"
    )
    with _style():
        figure, panels = _panels(title, note, list(systems), metrics)
        for metric, axes in zip(metrics, panels, strict=True):
            drawn = False
            for number, one in enumerate(systems.values()):
                if curve := _curve(one, metric, groups):
                    x, y, low, high = (np.array(values) for values in zip(*curve, strict=True))
                    aside = (number - (len(systems) - 1) / 2) * _ASIDE * max(one.words)
                    axes.errorbar(
                        x + aside, y, yerr=[y - low, high - y], color=_colour(number), marker="o",
                        markersize=3.5, capsize=2, linewidth=1.6, elinewidth=0.9,
                    )  # fmt: skip
                    drawn = True
            _finish(axes, metric, "words of the reference", drawn)
            if drawn:
                axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        return _svg(figure)


def curve_chart(
    title: str, panels: Mapping[str, Sequence[Curve]], *, along: str, note: str = ""
) -> str:
    """Return a panel of curves for each name in ``panels``, an SVG document.

    Args:
        title: the heading.
        panels: heading of the panel → its curves.
        along: label of the horizontal axis.
        note: a line under the heading.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    names = list(dict.fromkeys(curve.name for curves in panels.values() for curve in curves))
    with _style():
        figure, drawn = _panels(title, note, names, list(panels))
        for (heading, curves), axes in zip(panels.items(), drawn, strict=True):
            some = False
            for curve in curves:
                points = [(x, y) for x, y in curve.points if math.isfinite(y)]
                if points:
                    axes.plot(
                        *zip(*points, strict=True),
                        color=_colour(names.index(curve.name)),
                        linewidth=1.4,
                        marker="o" if len(points) == 1 else None,
                        markersize=3.5,
                        gid="curve",
                    )
                    some = True
            _finish(axes, heading, along, some)
            if some:
                axes.set_ylim(bottom=0)
        return _svg(figure)


def _draw_bars(
    axes: "Axes", offsets: Sequence[float], bars: Sequence[Bar], colour: str, height: float,
    percent: bool,
) -> None:  # fmt: skip
    """Draw the bars of one system, each with its whiskers and its value as text."""
    for y, (value, interval) in zip(offsets, bars, strict=True):
        if math.isnan(value):
            axes.annotate("undefined", (0, y), (4, 0), textcoords="offset points", va="center",
                          fontsize=7.5, color=_QUIET)  # fmt: skip
            continue
        axes.barh(y, value, height=height, color=colour)
        end = value
        if interval is not None and not math.isnan(interval[0]):
            low, high = interval
            axes.errorbar(
                [(low + high) / 2], [y], xerr=[[(high - low) / 2], [(high - low) / 2]],
                fmt="none", ecolor=_INK, elinewidth=0.8, capsize=1.8,
            )  # fmt: skip
            end = max(value, high)
        axes.annotate(_shown(value, percent), (end, y), (4, 0), textcoords="offset points",
                      va="center", fontsize=7.5, color=_QUIET)  # fmt: skip


def _ends(rows: Mapping[str, Mapping[str, Bar]]) -> list[float]:
    """Return all defined values and interval bounds."""
    return [
        end
        for bars in rows.values()
        for value, interval in bars.values()
        for end in (value, *(interval or ()))
        if not math.isnan(end)
    ]


def _curve(reports: Lengths, metric: str, groups: int) -> list[tuple[float, ...]]:
    """Return (mean length, mean value, interval bounds) of each group with a defined value."""
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


def _style() -> Any:
    """Return the style context of plots, which overrides the user's own matplotlib settings."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("matplotlib", "pages") from error
    settings: Any = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    settings.update(_STYLE)
    return mpl.rc_context(settings)


def _figure(title: str, note: str, systems: Sequence[str], tall: float) -> "Figure":
    """Return a figure with heading, note and legend, and ``tall`` inches for the plot itself."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    lines = math.ceil(sum(len(name) + 6 for name in systems) / 120)
    head = 0.42 + 0.24 * bool(note) + 0.26 * lines
    figure = Figure(figsize=(_WIDE, tall + head), facecolor=_GROUND, layout="constrained")
    top = 1 - 0.12 / (tall + head)
    step = 1 / (tall + head)
    figure.text(0.012, top, title, fontsize=13, fontweight="bold", va="top", color=_INK)
    if note:
        figure.text(0.012, top - 0.3 * step, note, fontsize=8.5, va="top", color=_QUIET)
    figure.legend(
        handles=[Patch(color=_colour(number), label=name) for number, name in enumerate(systems)],
        loc="upper left",
        bbox_to_anchor=(0.0, top - (0.3 + 0.24 * bool(note)) * step),
        ncols=max(1, math.ceil(len(systems) / lines)),
        frameon=False,
        fontsize=9,
        handlelength=1,
        handleheight=1,
    )
    figure.get_layout_engine().set(rect=(0, 0, 0.99, 1 - head * step), w_pad=0.12, h_pad=0.1)  # type: ignore[call-arg, union-attr]
    return figure


def _panels(
    title: str, note: str, systems: Sequence[str], names: Sequence[str]
) -> tuple["Figure", list["Axes"]]:
    """Return a figure, and axes of one panel for each name."""
    lines = math.ceil(len(names) / _COLUMNS)
    figure = _figure(title, note, systems, lines * _PANEL)
    grid = figure.subplots(lines, _COLUMNS, squeeze=False).ravel().tolist()
    for spare in grid[len(names) :]:
        spare.remove()
    return figure, grid[: len(names)]


def _finish(axes: "Axes", heading: str, along: str, drawn: bool) -> None:
    axes.set_title(heading, loc="left", fontsize=10, fontweight="bold", color=_INK)
    axes.set_xlabel(along, fontsize=8.5, color=_QUIET)
    axes.tick_params(labelsize=8.5)
    axes.grid(axis="y")
    if drawn:
        axes.set_xlim(left=0)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.03, 0.5, "undefined", transform=axes.transAxes, color=_QUIET)


def _svg(figure: "Figure") -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _shown(value: float, percent: bool, *, short: bool = False) -> str:
    if percent:
        return f"{100 * value:.3g} %" if short else f"{value:.1%}".replace("%", " %")
    return f"{value:.3g}" if short else f"{value:.3f}"


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]
