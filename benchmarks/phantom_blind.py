"""What indication and clinical table tell of a simulated film that nobody looks at.

    python benchmarks/phantom_truths.py TRUTHS.jsonl
    python benchmarks/phantom_blind.py TRUTHS.jsonl [--patients 10000]

Three tables: how much likelier a finding is under a complaint than otherwise, among patients drawn
without films; what a value says of its disease, beside the published figures; and, for the studies
of the file, the AUC of each observation in their reports by the indication alone and by the table
alone (three quarters of the studies train, a quarter tests), with the micro-F1 of the two blind
rows of ``plainfilm evaluate``.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from phantom_truths import SEED, load, tell_all
from sklearn.metrics import roc_auc_score

from plainfilm.core import OBSERVATIONS
from plainfilm.data import Row
from plainfilm.evaluation.baselines import blind_answers, blind_chances, report_labels
from plainfilm.phantom.disease.prevalence import chances_of
from plainfilm.phantom.film.case import Case, draw_case
from plainfilm.phantom.reporting.background import draw_constitution, find_background
from plainfilm.phantom.reporting.complaints import draw_complaint
from plainfilm.phantom.reporting.table import VALUES, draw_table

TARGET = "findings+impression"
PUBLISHED = (
    ("bnp_pg_per_ml", "heart failure", 100, ".90 / .76", ".91"),
    ("crp_mg_per_l", "lung infection", 20, ".80 / .62", ".80"),
    ("crp_mg_per_l", "lung infection", 100, ".58 / .90", ".80"),
    ("white_cells_10e9_per_l", "lung infection", 10.5, ".55 / .83", ""),
    ("troponin_ng_per_l", "coronary syndrome", 14, ".95 / .80", ""),
)
"""Value, its disease, a limit, sensitivity and specificity, AUC; ``table.py`` cites the sources."""


def drawn(case: Case) -> set[str]:
    disease = case.disease
    there = {
        "fracture": disease.fracture, "edema": disease.edema > 0.2, "effusion": disease.fluid_top,
        "pneumothorax": disease.pneumothorax, "consolidation or opacity": disease.opacities,
        "lesion": disease.lesions, "atelectasis": disease.bands or disease.collapse,
        "devices": disease.devices, "emphysema": disease.emphysema,
    }  # fmt: skip
    return {name for name, present in there.items() if present}


def patients(number: int) -> list[tuple[set[str], frozenset[str], str, Mapping[str, object]]]:
    """Return findings, conditions, complaint and table of patients without films."""
    chances = chances_of()
    found = []
    for index in range(number):
        streams = np.random.SeedSequence([SEED, 7, index]).spawn(5)
        who, how, why, own, day = map(np.random.default_rng, streams)
        case = draw_case(who, how, chances)
        constitution = draw_constitution(own, tuple(VALUES))
        known = find_background(case, constitution)
        complaint = draw_complaint(why, known)
        table = draw_table(day, case.patient, known, constitution, complaint)
        found.append((drawn(case), known.conditions, complaint, table))
    return found


def by_complaint(people: Sequence) -> None:
    base = Counter(name for findings, *_ in people for name in findings)
    groups = defaultdict(list)
    for findings, _, complaint, _ in people:
        groups[complaint].append(findings)
    print(
        "| complaint | share | likeliest finding, P | three strongest ratios |\n"
        + "| --- " * 4
        + "|"
    )
    for complaint, those in sorted(groups.items(), key=lambda item: -len(item[1])):
        counts = Counter(name for findings in those for name in findings)
        name, most = counts.most_common(1)[0]
        ratios = {k: n / len(those) / (base[k] / len(people)) for k, n in counts.items() if n >= 5}
        strong = sorted(ratios, key=lambda k: -ratios[k])[:3]
        print(
            f"| {complaint} | {len(those) / len(people):.1%} | {name} {most / len(those):.2f} | "
            + ", ".join(f"{k} {ratios[k]:.1f}" for k in strong)
            + " |"
        )


def by_value(people: Sequence) -> None:
    print("\n| value | disease | above | sensitivity / specificity | published | AUC | published |")
    print("| --- " * 7 + "|")
    for value, disease, limit, published, area in PUBLISHED:
        pairs = [(t[value], disease in known) for _, known, _, t in people if t[value] is not None]
        numbers, ill = np.array([n for n, _ in pairs]), np.array([i for _, i in pairs])
        high = numbers > limit
        print(
            f"| {value} | {disease} | {limit} | {high[ill].mean():.2f} / {(~high)[~ill].mean():.2f}"
            f" | {published} | {roc_auc_score(ill, numbers):.2f} | {area} |"
        )


def by_observation(rows: Sequence[Row]) -> None:
    tests, training = rows[::4], [row for i, row in enumerate(rows) if i % 4]
    chances = blind_chances(training, tests, TARGET)
    answers = blind_answers(training, tests, TARGET)
    texts = [f"{row.findings}\n{row.impression}" for row in tests]
    truth = report_labels(texts)
    print(f"\n| observation | of {len(tests):,} | " + " | ".join(chances) + " |")
    print("| --- " * (2 + len(chances)) + "|")
    for i, observation in enumerate(OBSERVATIONS):
        there = truth[:, i]
        if there.any() and not there.all():
            areas = [f"{roc_auc_score(there, one[:, i]):.2f}" for one in chances.values()]
            print(f"| {observation} | {there.sum()} | " + " | ".join(areas) + " |")
    scores = []
    for said in answers.values():
        guessed = report_labels([said[row.study_id] for row in tests])
        scores.append(f"{2 * (guessed & truth).sum() / (guessed.sum() + truth.sum()):.3f}")
    print("| micro-F1 of the row | | " + " | ".join(scores) + " |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("truths", type=Path, help="made by phantom_truths.py")
    parser.add_argument("--patients", type=int, default=10_000)
    arguments = parser.parse_args()
    people = patients(arguments.patients)
    by_complaint(people)
    by_value(people)
    rows = []
    for truth in load(arguments.truths):
        report, _ = tell_all(truth)
        rows.append(
            Row(
                study_id=str(truth.index),
                patient_id=str(truth.index),
                split="train",
                images=("x.png",),
                views=("PA",),
                findings=report.findings,
                impression=report.impression,
                indication=truth.indication or None,
                table=truth.table,
            )
        )
    by_observation(rows)


if __name__ == "__main__":
    main()
