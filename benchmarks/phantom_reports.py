"""Do simulated reports agree with themselves, and how broad is their language beside real ones?

    python benchmarks/phantom_truths.py TRUTHS.jsonl --studies 4000
    python benchmarks/phantom_reports.py TRUTHS.jsonl [--reports NLMCXR_reports.tgz] [--show 10]

Each study's report is written from its truth, as its institution does, then held against itself
(``CONTRADICTIONS`` below; ``tests/phantom/reporting/test_agreement.py`` holds them at 0 on a
sample) and read back. ``--reports`` (Open-i's archive; studies named in ``reserved.txt`` beside it
are left out) measures the language of as many real reports in the same way. No report of theirs is
shown.
"""

import argparse
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from phantom_truths import Truth, load, tell_all
from reader_iu import read_archive
from rich.progress import track
from sklearn.feature_extraction.text import CountVectorizer

from plainfilm.phantom.reporting.agreement import disagreements, misread

_WORD = re.compile(r"[a-z][a-z'-]*")
NEAR = 0.8
"""Jaccard similarity of two reports' words from which they are near-duplicates."""


def breadth(reports: Sequence[str]) -> dict[str, str]:
    """Return how broad the language of some reports is."""
    words = Counter(word for text in reports for word in _WORD.findall(text.lower())
                    if "xxxx" not in word)  # fmt: skip
    same = Counter(" ".join(text.lower().split()) for text in reports)
    sentences = Counter(
        sentence.lower() for text in reports for sentence in re.split(r"(?<=[.])\s+", text)
    )
    lengths = np.percentile([len(text.split()) for text in reports], [5, 25, 50, 75, 95])
    n = len(reports)
    return {
        "reports": f"{n:,}",
        "different words": f"{len(words):,}",
        "… that stand three times or oftener": f"{sum(v >= 3 for v in words.values()):,}",
        "different sentences": f"{len(sentences):,}",
        "most common report": f"{max(same.values()) / n:.1%}",
        "reports that another one repeats": f"{sum(v for v in same.values() if v > 1) / n:.1%}",
        f"near-duplicates (Jaccard ≥ {NEAR})": f"{near_duplicates(reports):.1%}",
        "words a report at 5, 25, 50, 75, 95 %": " ".join(f"{v:.0f}" for v in lengths),
        "words a report, mean": f"{statistics.fmean(len(t.split()) for t in reports):.1f}",
    }


def near_duplicates(reports: Sequence[str]) -> float:
    """Return the share of reports whose words are nearly those of another."""
    vectorizer = CountVectorizer(binary=True, token_pattern=r"[a-z]+")  # noqa: S106
    words = vectorizer.fit_transform([text.lower() for text in reports]).astype(np.float32)
    both = (words @ words.T).toarray()
    size = both.diagonal().copy()
    alike = both / (size[:, None] + size[None] - both)
    np.fill_diagonal(alike, 0)
    return float((alike.max(axis=1) >= NEAR).mean())


def check(work: tuple[Truth, int]) -> tuple[str, str, list[tuple[str, str]]]:
    """Return one report of a study, its institution, and what is wrong with it."""
    truth, again = work
    report, _ = tell_all(truth, again)
    return report.text, truth.institution, [*disagreements(report), *misread(report)]


def real(path: Path) -> list[str]:
    reserved = set((path.parent / "reserved.txt").read_text().split())
    return [one.text for one in read_archive(path, coded=False) if one.id not in reserved]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("truths", type=Path, help="made by phantom_truths.py")
    parser.add_argument("--reports", type=Path, help="Open-i's archive")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--draws", type=int, default=1, help="so many reports of each study")
    parser.add_argument("--show", type=int, default=0, help="so many reports of each kind")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    texts = []
    truths = list(load(arguments.truths))
    work = [(truth, n) for n in range(arguments.draws) for truth in truths]
    with ProcessPoolExecutor(arguments.processes) as pool:
        checked = pool.map(check, work, chunksize=20)
        for text, place, problems in track(checked, "reading", total=len(work)):
            texts.append(text)
            counts.update({kind for kind, _ in problems})
            for kind, what in problems:
                shown[kind] += 1
                if shown[kind] <= arguments.show:
                    print(f"{kind}: {what}\n   [{place}] {text!r}")
    print(f"| of {len(texts):,} reports | |\n| --- | --- |")
    for kind, number in sorted(counts.items()):
        print(f"| {kind} | {number} |")
    columns = {}
    if arguments.reports:
        columns["real"] = real(arguments.reports)
    columns["simulated"] = texts[: len(truths)]  # one report a study
    size = min(map(len, columns.values()))
    columns = {name: reports[:size] for name, reports in columns.items()}
    found = {name: breadth(reports) for name, reports in columns.items()}
    print("| | " + " | ".join(found) + " |\n| --- |" + " --- |" * len(found))
    for name in found["simulated"]:
        print(f"| {name} | " + " | ".join(one[name] for one in found.values()) + " |")


if __name__ == "__main__":
    main()
