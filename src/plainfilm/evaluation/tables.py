"""Tables of numbers as Markdown, LaTeX, CSV, and on the terminal.

A cell is a text, or a :class:`Value`, which keeps its numbers for CSV, where an interval has
separate columns.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plainfilm.core import Score
from plainfilm.core.spreadsheet import to_cell

if TYPE_CHECKING:
    from rich.table import Table

_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "−": "$-$", "–": "--",
})  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A number with its interval, count of undefined parts, and letters."""

    value: float
    interval: tuple[float, float] | None = None
    undefined: int = 0
    """Number of parts left out of the average."""
    form: str = ".3f"
    letters: str = ""
    """Compact letters: systems that share one do not differ significantly."""

    @classmethod
    def of(cls, score: Score, form: str = ".3f") -> "Value":
        """Return a score as a cell."""
        return cls(score.value, score.interval, score.undefined, form)

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"undefined ({self.undefined} undefined)" if self.undefined > 1 else "undefined"
        text = format(self.value, self.form)
        if self.interval is not None and not math.isnan(self.interval[0]):
            text += f" [{', '.join(format(bound, self.form) for bound in self.interval)}]"
        text += f" {self.letters}" if self.letters else ""
        return f"{text} ({self.undefined} undefined)" if self.undefined else text


@dataclass(frozen=True)
class Sheet:
    """A table: heading, columns, rows, and notes."""

    columns: Sequence[str]
    rows: Sequence[Sequence["str | Value"]]
    title: str = ""
    caption: str = ""
    signatures: Sequence[str] = field(default=())
    """Signature of each row's numbers; empty if rows have no signatures of their own."""

    def __rich__(self) -> "Table":
        """Return a rich table for the terminal; names in the first column are not truncated."""
        from rich.table import Column, Table

        first, *others = self.columns
        drawn = Table(
            Column(first, no_wrap=True), *others,
            title=self.title or None, caption=self.caption or None,
        )  # fmt: skip
        for row in self.texts():
            drawn.add_row(*row)
        return drawn

    def shown(self, form: str) -> str:
        """Return the table as ``markdown``, ``latex`` or ``csv``."""
        return {"markdown": self.markdown, "latex": self.latex, "csv": self.csv}[form]()

    def texts(self) -> list[list[str]]:
        """Return the rows as text."""
        return [[str(cell) for cell in row] for row in self.rows]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"**{_of_markdown(self.title)}**", ""] if self.title else []
        lines += [_row(self.columns), "|".join(["", *["---"] * len(self.columns), ""])]
        lines += [_row(row) for row in self.texts()]
        if self.caption:
            lines += ["", _of_markdown(self.caption)]
        if self.signatures:
            lines += ["", *(f"- `{one}`" for one in dict.fromkeys(self.signatures))]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Return the table as LaTeX (package ``booktabs``)."""
        lines = [f"% {one}" for one in dict.fromkeys(self.signatures)]
        lines += [r"\begin{table}", r"\centering"]
        if self.title or self.caption:
            told = ". ".join(part.rstrip(".") for part in (self.title, self.caption) if part)
            lines.append(rf"\caption{{{told.translate(_LATEX)}.}}")
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}", r"\toprule"]
        lines.append(_latex_row(self.columns))
        lines.append(r"\midrule")
        lines += [_latex_row(row) for row in self.texts()]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Return the table as CSV with unrounded numbers; an interval has two columns."""
        file = io.StringIO(newline="")
        writer = csv.writer(file, lineterminator="\n")
        wide = [
            any(isinstance(row[at], Value) and row[at].interval is not None for row in self.rows)  # type: ignore[union-attr]
            for at in range(len(self.columns))
        ]
        lettered = [
            any(isinstance(row[at], Value) and row[at].letters for row in self.rows)  # type: ignore[union-attr]
            for at in range(len(self.columns))
        ]
        header: list[str] = []
        for name, intervals, letters in zip(self.columns, wide, lettered, strict=True):
            header += [name, *([f"{name}, low", f"{name}, high"] if intervals else [])]
            header += [f"{name}, letters"] if letters else []
        header += ["signature"] if self.signatures else []
        writer.writerow(map(to_cell, header))
        for number, row in enumerate(self.rows):
            cells: list[object] = []
            for cell, intervals, letters in zip(row, wide, lettered, strict=True):
                cells += _csv_cells(cell, intervals, letters)
            cells += [self.signatures[number]] if self.signatures else []
            writer.writerow(map(to_cell, cells))
        return file.getvalue()


def _csv_cells(cell: "str | Value", intervals: bool, letters: bool) -> list[object]:
    if not isinstance(cell, Value):
        return [cell, *[""] * (2 * intervals + letters)]
    bounds = cell.interval or (math.nan, math.nan)
    numbers = [cell.value, *(bounds if intervals else ())]
    defined: list[object] = ["" if math.isnan(number) else number for number in numbers]
    return defined + [cell.letters] * letters


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_of_markdown(cell) for cell in cells)} |"


def _of_markdown(text: str) -> str:
    """Return a text with Markdown's special characters escaped."""
    for mark in "\\|*_<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(" ".join(cell.split()).translate(_LATEX) for cell in cells) + r" \\"
