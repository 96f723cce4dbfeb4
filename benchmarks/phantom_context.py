"""What is scored on the phantom without eyes, and with perfect ones, pooled and by institution.

    python benchmarks/phantom_truths.py TRUTHS.jsonl
    python benchmarks/phantom_context.py TRUTHS.jsonl [--tests 600]

The last ``--tests`` studies are answered; the earlier ones of the institutions that are seen are
the training split of the blind rows, of the most common and of the nearest report (the training
film that looks most alike, cosine of the films at 32 × 32). *Perfect vision* writes the truth anew,
in the institution's style or in that of another institution of the file.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from phantom_truths import Truth, load, tell_all

from plainfilm.core import Report
from plainfilm.data import Row
from plainfilm.evaluation.baselines import (
    FEATURES,
    blind_answers,
    report_labels,
    vision_answers,
)
from plainfilm.metrics import score
from plainfilm.metrics.outputs import MOST_COMMON, template_answers
from plainfilm.phantom.reporting.institutions import HELD_OUT

TARGET = "findings+impression"
METRICS = ["finding-f1", "finding-f1-side", "rouge-l", "cider-d"]
NEAREST = "nearest training report"
FEWEST = 12
"""An institution with fewer tests has no row of its own."""


def row_of(truth: Truth, report: Report, *, prior: bool = False) -> Row:
    name = f"{truth.index}{'-prior' if prior else ''}"
    return Row(
        study_id=name,
        patient_id=str(truth.index),
        split="test",
        images=("x.png",),
        views=(str(truth.seen.view),),
        findings=report.findings,
        impression=report.impression,
        institution=truth.institution,
        indication=truth.indication or None,
        table=truth.table,
        statements=report.statements,
        truth=truth.seen.truth,
        measures=truth.seen.measures,
        prior_study_id=f"{truth.index}-prior" if truth.before else None,
    )


def nearest(training: Sequence[Truth], tests: Sequence[Truth]) -> list[int]:
    def vectors(truths: Sequence[Truth]) -> np.ndarray:
        films = np.stack([truth.film.ravel() for truth in truths]).astype(np.float64)
        films -= films.mean(axis=1, keepdims=True)
        return films / np.linalg.norm(films, axis=1, keepdims=True)

    return (vectors(tests) @ vectors(training).T).argmax(axis=1).tolist()


def answer(
    training: Sequence[tuple[Truth, Row]], tests: Sequence[tuple[Truth, Row]], priors: Mapping
) -> dict[str, dict[str, str]]:
    """Return the answers of all rows: name → study id → text."""
    known, asked = ([row for _, row in pairs] for pairs in (training, tests))
    texts = [f"{row.findings}\n{row.impression}" for row in known]
    common = template_answers(texts, len(asked))[MOST_COMMON]
    alike = nearest([truth for truth, _ in training], [truth for truth, _ in tests])
    return {
        MOST_COMMON: {row.study_id: text for row, text in zip(asked, common, strict=True)},
        NEAREST: {row.study_id: texts[i] for row, i in zip(asked, alike, strict=True)},
        **blind_answers(known, asked, TARGET, names=tuple(FEATURES)),
        **vision_answers(asked, priors, TARGET),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("truths", type=Path, help="made by phantom_truths.py")
    parser.add_argument("--tests", type=int, default=600)
    arguments = parser.parse_args()
    pairs, priors = [], {}
    for truth in load(arguments.truths):
        report, then = tell_all(truth)
        pairs.append((truth, row_of(truth, report)))
        if truth.before and then:
            prior = row_of(truth.before, then, prior=True)
            priors[prior.study_id] = prior
    tests = pairs[-arguments.tests :]
    training = [p for p in pairs[: -arguments.tests] if p[0].institution not in HELD_OUT]
    said = answer(training, tests, priors)
    references = {row.study_id: f"{row.findings}\n{row.impression}" for _, row in tests}
    truth = report_labels(list(references.values()))
    labels = {name: report_labels([texts[id] for id in references]) for name, texts in said.items()}
    print(f"{len(tests)} tests, {len(training)} training reports\n")
    print("| row | micro-F1 of 14 | " + " | ".join(METRICS) + " |")
    print("| --- | ---: " + "| ---: " * len(METRICS) + "|")
    for name, texts in said.items():
        found = score(references, texts, METRICS)
        cells = [micro_f1(truth, labels[name]), *(found[metric].value for metric in METRICS)]
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in cells) + " |", flush=True)
    places = np.array([str(row.institution) for _, row in tests])
    groups = {
        "seen institutions": ~np.isin(places, HELD_OUT),
        "held-out institutions": np.isin(places, HELD_OUT),
        **{place: places == place for place in sorted(set(places))},
    }
    print("\n| micro-F1 of 14 | tests | " + " | ".join(said) + " |")
    print("| --- | ---: " + "| ---: " * len(said) + "|")
    for place, chosen in groups.items():
        if chosen.sum() >= FEWEST:
            cells = [f"{micro_f1(truth[chosen], one[chosen]):.3f}" for one in labels.values()]
            print(f"| {place} | {chosen.sum()} | " + " | ".join(cells) + " |")


def micro_f1(truth: np.ndarray, said: np.ndarray) -> float:
    return float(2 * (truth & said).sum() / (truth.sum() + said.sum()))


if __name__ == "__main__":
    main()
