"""The reader on real reports against their human coding: Open-i's Indiana University collection.

    python benchmarks/reader_iu.py --reports NLMCXR_reports.tgz [--json OUT]
    python benchmarks/reader_iu.py --reports NLMCXR_reports.tgz --disagreements Edema

The text is findings, newline, impression, with white space collapsed. ``coding`` is how many
studies the coders gave the observation (``iu_coding.py``), ``reader`` how many the reader calls
present or uncertain (``--policy uncertain-negative``: present). The coders wrote down no denials,
so absences are not scored. Studies named in the file of reserved ids (``--reserved``, by default
``reserved.txt`` beside the archive) are left out unless ``--split reserved`` scores them, and then
their disagreements are not shown.
"""

import argparse
import json
import tarfile
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import defusedxml.ElementTree
import iu_coding
from rich.console import Console
from rich.progress import track

from plainfilm.core import (
    OBSERVATIONS,
    Observation,
    Status,
    UncertaintyPolicy,
    binarize,
    write_atomically,
)
from plainfilm.text import labels, read

NOT_CODED = "no indexing"


class Coded(NamedTuple):
    """A report and what its coders found in it."""

    id: str
    text: str
    codes: tuple[str, ...]

    @property
    def observations(self) -> frozenset[Observation]:
        return iu_coding.observations(self.codes)


def read_sections(path: Path) -> Iterator[tuple[str, dict[str, str], tuple[str, ...]]]:
    """Yield every study of the archive: its id, its sections by heading, its codes."""
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is None or not member.name.endswith(".xml"):
                continue
            root = defusedxml.ElementTree.parse(stream).getroot()
            sections = {
                element.get("Label"): " ".join((element.text or "").split())
                for element in root.iter("AbstractText")
            }
            codes = tuple(element.text.strip() for element in root.iter("major") if element.text)
            yield root.find("uId").get("id"), sections, codes


def read_archive(path: Path, *, coded: bool = True) -> Iterator[Coded]:
    """Yield every study of the archive that has a report and, if ``coded``, a coding."""
    for id, sections, codes in read_sections(path):
        parts = (sections.get("FINDINGS", ""), sections.get("IMPRESSION", ""))
        if any(parts) and (not coded or (codes and codes[0].lower() != NOT_CODED)):
            yield Coded(id, "\n".join(p for p in parts if p), codes)


def choose(reports: Sequence[Coded], reserved: set[str], split: str) -> list[Coded]:
    return [report for report in reports if (report.id in reserved) == (split == "reserved")]


def positives(text: str, policy: UncertaintyPolicy) -> frozenset[Observation]:
    return frozenset(compress(OBSERVATIONS, binarize(labels(text), policy)))


def ratios(true: int, coding: int, reader: int) -> dict[str, float]:
    precision = true / reader if reader else float("nan")
    recall = true / coding if coding else float("nan")
    f1 = 2 * true / (coding + reader) if coding + reader else float("nan")
    return {"precision": precision, "recall": recall, "f1": f1}


def score(coded: Sequence[frozenset[Observation]], read_: Sequence[frozenset[Observation]]) -> dict:
    """Return counts, precision, recall and F1 per observation, and their micro and macro mean."""
    rows = {}
    for observation in OBSERVATIONS:
        counts = {
            "coding": sum(observation in one for one in coded),
            "reader": sum(observation in one for one in read_),
            "both": sum(observation in a & b for a, b in zip(coded, read_, strict=True)),
        }
        ratio = ratios(counts["both"], counts["coding"], counts["reader"])
        rows[str(observation)] = {**counts, **ratio}
    sums = {name: sum(row[name] for row in rows.values()) for name in ("coding", "reader", "both")}
    micro = {**sums, **ratios(sums["both"], sums["coding"], sums["reader"])}
    macro = {
        name: sum(row[name] for row in rows.values()) / len(rows)
        for name in ("precision", "recall", "f1")
    }
    return {"observations": rows, "micro": micro, "macro": macro}


def score_attribute(reports: Sequence[Coded], name: str) -> dict:
    """Return counts, precision, recall and F1 of (observation, word) pairs.

    Only observations that both name, and for which both name a ``side`` or ``severity``, count:
    neither is asked for what it left out.
    """
    counts = {"coding": 0, "reader": 0, "both": 0}
    for report in reports:
        coded = iu_coding.attributes(report.codes, name)
        said = iu_coding.merged(
            (finding.observation, str(getattr(finding, name)))
            for finding in read(report.text)
            if finding.status is not Status.ABSENT and getattr(finding, name)
        )
        shared = {observation for observation, _ in coded} & {o for o, _ in said}
        coded = {pair for pair in coded if pair[0] in shared}
        said = {pair for pair in said if pair[0] in shared}
        counts["coding"] += len(coded)
        counts["reader"] += len(said)
        counts["both"] += len(coded & said)
    return {**counts, **ratios(counts["both"], counts["coding"], counts["reader"])}


def table(scores: dict) -> str:
    """Return the scores as a Markdown table."""
    lines = [
        "| observation | coding | reader | both | precision | recall | F1 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    rows = {**scores["observations"], "micro mean": scores["micro"], "macro mean": scores["macro"]}
    rows |= scores["attributes"]
    for name, row in rows.items():
        counts = " | ".join(str(row.get(key, "")) for key in ("coding", "reader", "both"))
        values = " | ".join(f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
        lines.append(f"| {name} | {counts} | {values} |")
    return "\n".join(lines)


def show_disagreements(reports: Sequence[Coded], observation: Observation) -> None:
    for report in reports:
        found = labels(report.text).get(observation)
        by_reader = found in (Status.PRESENT, Status.UNCERTAIN)
        if by_reader == (observation in report.observations):
            continue
        who = "reader only" if by_reader else "coding only"
        print(f"{report.id}  {who}  reader: {found or 'unmentioned'}")
        print(f"  codes: {'; '.join(report.codes)}")
        said = {f.sentence for f in read(report.text) if f.observation == observation}
        body = sorted(filter(None, said)) if by_reader and said else [report.text]
        print("\n".join(f"  {sentence}" for sentence in body), end="\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=Path, required=True, help="NLMCXR_reports.tgz")
    parser.add_argument("--reserved", type=Path, help="file of reserved study ids")
    parser.add_argument("--split", choices=("development", "reserved"), default="development")
    parser.add_argument("--disagreements", type=Observation, metavar="OBSERVATION")
    parser.add_argument(
        "--policy",
        type=UncertaintyPolicy,
        choices=tuple(UncertaintyPolicy),
        default=UncertaintyPolicy.POSITIVE,
        help="what an uncertain observation counts as",
    )
    parser.add_argument("--json", type=Path, metavar="OUT")
    given = parser.parse_args()
    if given.disagreements and given.split == "reserved":
        parser.error("the reserved studies are scored, not looked at: leave out --disagreements")
    reserved = given.reserved or given.reports.with_name("reserved.txt")
    every = list(read_archive(given.reports))
    reports = choose(every, set(reserved.read_text(encoding="utf-8").split()), given.split)
    if given.disagreements:
        show_disagreements(reports, given.disagreements)
        return
    progress = track(reports, "reading", console=Console(stderr=True))
    scores = score(
        [r.observations for r in reports], [positives(r.text, given.policy) for r in progress]
    )
    scores["attributes"] = {name: score_attribute(reports, name) for name in iu_coding.WORDS}
    print(f"{len(reports)} {given.split} reports, {given.policy}\n\n{table(scores)}")
    if given.json:
        result = {"split": given.split, "policy": given.policy, "reports": len(reports), **scores}
        write_atomically(given.json, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
