"""What a change of layout does to what is read: nothing, if all is well.

    python benchmarks/reader_layouts.py                                   # simulated reports
    python benchmarks/reader_layouts.py --reports NLMCXR_reports.tgz --count 1500
    python benchmarks/reader_layouts.py --reports NLMCXR_reports.tgz --show "capitals, 80 columns"

Each report is rewritten in each layout (the words stay), and what ``read`` gives is compared: all
statements, with their attributes. A row is the share of reports that are read otherwise. Sentences
are found by a full stop between a small letter and a capital, without the reader's help.
"""

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from plainfilm.text import read

_BETWEEN = re.compile(r"(?<=[a-z)%])\.[ \n]+(?=[A-Z])")


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text`` without their full stops."""
    return [s.strip().rstrip(".") for s in _BETWEEN.split(text) if s.strip(" .\n")]


def wrapped(text: str, width: int, indent: str = "") -> str:
    """Return ``text`` with its lines filled up to ``width`` columns."""
    lines = text.split("\n")
    return "\n".join(textwrap.fill(line, width, initial_indent=indent) for line in lines)


def joined(before: str, between: str, after: str = "") -> Callable[[str], str]:
    """Return a layout that writes each sentence between two strings."""
    return lambda text: before + between.join(sentences(text)) + after


def blank(mark: str) -> Callable[[str], str]:
    return lambda text: text.replace("XXXX", mark)


def _numbered(text: str) -> str:
    return "\n".join(f"{n}. {s}." for n, s in enumerate(sentences(text), 1))


def _markdown(text: str) -> str:
    return "## Findings\n\n" + "\n".join(f"- {s}." for s in sentences(text)) + "\n"


def _bold(text: str) -> str:
    return "**Findings:** " + text.replace("\n", "\n\n")


def _mimic(text: str) -> str:
    body = wrapped(text.replace("\n", " "), 78).replace("\n", "\n ")
    before = f"{'FINAL REPORT':>29}\n INDICATION:  ___ year old man.\n \n"
    return f"{before} FINDINGS:  \n \n {body}\n"


LAYOUTS: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "80 columns": lambda text: wrapped(text, 80),
    "60 columns": lambda text: wrapped(text, 60),
    "40 columns": lambda text: wrapped(text, 40),
    "capitals, 80 columns": lambda text: wrapped(text.upper(), 80),
    "capitals, 60 columns": lambda text: wrapped(text.upper(), 60),
    "MIMIC-CXR's": _mimic,
    "HTML, <br> for a space": joined("", ".<br>", "."),
    "HTML, <br/> without stops": joined("", "<br/>"),
    "HTML, paragraphs": joined("<html><body><p>", ".</p><p>", ".</p></body></html>"),
    "HTML, a list": joined("<ul><li>", "</li>\n<li>", "</li></ul>"),
    "HTML, entities": lambda text: text.replace(" ", "&nbsp;").replace("<", "&lt;"),
    "Markdown, a list": _markdown,
    "Markdown, bold headings": _bold,
    "Markdown, a quotation": lambda text: "> " + text.replace("\n", "\n> "),
    "a list with dashes": joined("- ", ".\n- ", "."),
    "a list with bullets, no stops": joined("\u2022 ", "\n\u2022 "),
    "a list with numbers": _numbered,
    "a sentence a line": joined("", ".\n", "."),
    "a sentence a line, no stops": joined("", "\n"),
    "lost stops": joined("", " "),
    "lost spaces": joined("", ".", "."),
    "no last stop": lambda text: text.rstrip(". "),
    "double spaces": lambda text: text.replace(" ", "  "),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "escaped line breaks": joined("", ".\\n", "."),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "tabs": lambda text: text.replace(". ", ".\t"),
    "in quotes": lambda text: f'"{text}"',
    "in curly quotes": lambda text: f"\u201c{text}\u201d",
    "blank ___": blank("___"),
    "blank [REDACTED]": blank("[REDACTED]"),
    "blank <unk>": blank("<unk>"),
    "blank [** **]": blank("[**Name 12**]"),
    "blank @@@@": blank("@@@@"),
}


@cache
def statements(text: str, language: str = "en") -> set[tuple[str | None, ...]]:
    return {finding.statement for finding in read(text, language=language)}


def moved(reports: Iterable[str], layout: Callable[[str], str]) -> list[str]:
    """Return the reports that are read otherwise in ``layout``."""
    return [report for report in reports if statements(report) != statements(layout(report))]


def written(count: int) -> list[str]:
    """Return reports of simulated studies."""
    from plainfilm.phantom import simulate

    return [simulate(0, index, size=32).study.report.text for index in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=Path, help="Open-i's NLMCXR_reports.tgz")
    parser.add_argument("--count", type=int, default=600, help="reports, default 600")
    parser.add_argument("--show", metavar="LAYOUT", help="print what is read otherwise in it")
    given = parser.parse_args()
    if given.reports:
        from reader_iu import choose, read_archive

        reserved = given.reports.with_name("reserved.txt").read_text(encoding="utf-8").split()
        every = choose(list(read_archive(given.reports)), set(reserved), "development")
        reports = [one.text for one in every][: given.count]
    else:
        reports = written(given.count)
    if given.show:
        layout = LAYOUTS[given.show]
        for report in moved(reports, layout):
            one, other = statements(report), statements(layout(report))
            print(layout(report))
            print("    lost:", sorted(one - other, key=str))
            print("    read instead:", sorted(other - one, key=str), end="\n\n")
        return
    print(f"| layout | of {len(reports)} reports, read otherwise | share |\n|---|---:|---:|")
    for name, layout in LAYOUTS.items():
        count = len(moved(reports, layout))
        print(f"| {name} | {count} | {100 * count / len(reports):.1f} % |")


if __name__ == "__main__":
    main()
