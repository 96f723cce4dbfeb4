"""A change of layout changes nothing that is read.

The layouts are those of ``benchmarks/reader_layouts.py``, which measures them on real reports.
"""

import importlib.util
import random
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from test_writer_reader import random_findings

from plainfilm.text import explain, read
from plainfilm.text.reader.layout import plain
from plainfilm.text.writer import STYLES, write

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "reader_layouts.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reader_layouts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = load_script()
BLANKED = [
    "Opacity at the left base, XXXX atelectasis. Sternotomy XXXX are intact.",
    "Right chest XXXX tip in the low SVC. XXXX opacity XXXX represents scarring or pneumonia.",
]
"""Texts whose blanks matter to what is read."""


@cache
def reports() -> list[str]:
    styles = list(STYLES.values())
    drawn = [
        write(random_findings(rng), rng, styles[seed % len(styles)]).text
        for seed in range(100)
        for rng in [random.Random(seed)]
    ]
    return [report for report in drawn if report] + BLANKED


@pytest.mark.parametrize("name", BENCHMARK.LAYOUTS)
def test_a_layout_changes_nothing(name: str) -> None:
    layout = BENCHMARK.LAYOUTS[name]
    moved = BENCHMARK.moved(reports(), layout)
    shown = "\n\n".join(layout(report) for report in moved)
    assert len(moved) <= 0.02 * len(reports()), f"{len(moved)} are read otherwise:\n{shown}"


@pytest.mark.parametrize("name", BENCHMARK.LAYOUTS)
def test_spans_point_into_the_report_as_given(name: str) -> None:
    report = BENCHMARK.LAYOUTS[name]("Heart size is normal. Small left effusion, XXXX pneumonia.")
    fired = [one for one in explain(report) if one.finding.observation == "Pleural Effusion"]
    assert [report[a:b].lower() for one in fired for a, b in one.finding.spans] == ["effusion"]


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ("a <b>small</b> nodule", "a small nodule"),
        ("A&nbsp;nodule &lt; 5&nbsp;mm", "A nodule < 5 mm"),
        ("**Findings** Clear.", "Findings:  Clear."),
        ("**No** effusion", "No effusion"),
        ("| Effusion | none | new |", " Effusion: none, new"),
        ("<tr><td>Effusion</td><td>none</td></tr>", "\n\nEffusion: none\n\n"),
        ("Dr. [**Name 1**], ___-year-old", "Dr. XXXX, XXXX-year-old"),
        ("R > L, < 5 mm & 2 * 3", "R > L, < 5 mm & 2 * 3"),
        ("con\u00adsolidation", "consolidation"),
    ],
)
def test_markup_goes(report: str, text: str) -> None:
    found = plain(report)
    assert found.text == text
    assert found.offsets is None or len(found.offsets) == len(text)


HEADED = (
    "Findings: Small left effusion.\nImpression: No pneumothorax.",
    "FINDINGS\nSmall left effusion.\nIMPRESSION\nNo pneumothorax.",
    "Findings\n\nSmall left effusion.\n\nImpression\n\nNo pneumothorax.",
    "findings: small left effusion. impression: no pneumothorax.",
    "FINDINGS - Small left effusion. IMPRESSION - No pneumothorax.",
    "FINDINGS Small left effusion. IMPRESSION No pneumothorax.",
    "# Findings\nSmall left effusion.\n# Impression\nNo pneumothorax.",
    "<h2>Findings</h2><p>Small left effusion.</p><h2>Impression</h2><p>No pneumothorax.</p>",
    "<b>Findings</b> Small left effusion.<br><b>Impression</b> No pneumothorax.",
    "RESULT: Small left effusion. CONCLUSION: No pneumothorax.",
    "CXR: Small left effusion. OPINION: No pneumothorax.",
    "ADDENDUM: No pneumothorax.\nFINDINGS: Small left effusion.",
    "INDICATION: cardiomegaly.\n\nSmall left effusion.\n\nIMPRESSION: No pneumothorax.",
    "FINAL REPORT\nSmall left effusion. No pneumothorax.",
    "HISTORY\nCardiomegaly\n\nFINDINGS\nSmall left effusion\n\nIMPRESSION\nNo pneumothorax",
    "Reason for exam - edema\nReport - Small left effusion. No pneumothorax.",
    "**Indication:** edema\n**Findings:** Small left effusion.\n**Impression:** No pneumothorax",
)


@pytest.mark.parametrize("report", HEADED)
def test_headings_in_any_dress(report: str) -> None:
    assert {(f.observation, f.status, f.side) for f in read(report)} == {
        ("Pleural Effusion", "present", "left"),
        ("Pneumothorax", "absent", None),
    }
