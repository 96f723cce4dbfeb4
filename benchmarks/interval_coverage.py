"""Simulate how often the 95 % intervals hold the truth, by metric and number of reports.

    python benchmarks/interval_coverage.py reports.jsonl --samples 400

The reports (``benchmarks/iu_reports.py`` writes them) are taken as the whole population, each with
a prediction: its own text less a sentence in three of ten cases, otherwise another report drawn at
random. Samples of 50, 200 and 600 pairs are drawn from it with replacement, and the interval of
each metric is made as ``plainfilm score`` makes it. Held against it are the value over the
population, and the mean of the values over the samples: CIDEr-D takes its document frequencies
from the sample, so that only the latter is what it estimates.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from plainfilm.metrics import Bootstrap, Corpus, align
from plainfilm.metrics.error_table import ACCURATE, error_table
from plainfilm.metrics.files import read_reports
from plainfilm.metrics.registry import resolve
from plainfilm.metrics.scoring import measure
from plainfilm.metrics.statistics import Statistics, share_of

SIZES = (50, 200, 600)
METRICS = (
    "bleu-4", "rouge-l", "micro-f1-14", "macro-f1-14", "weighted-f1-14", "micro-f1-5",
    "macro-f1-5", "micro-recall-14", "macro-precision-14", "example-f1-14", "exact-match-14",
    "hallucination-rate-14", "finding-f1-side",
)  # fmt: skip


def predictions(texts: Sequence[str]) -> list[str]:
    chance = random.Random(0)  # noqa: S311
    found = []
    for text in texts:
        sentences = text.split(". ")
        if chance.random() < 0.3 and len(sentences) > 1:
            sentences.pop(chance.randrange(len(sentences)))
            found.append(". ".join(sentences))
        else:
            found.append(chance.choice(texts))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", type=Path)
    parser.add_argument("--samples", type=int, default=400)
    arguments = parser.parse_args()
    read = read_reports(arguments.reports, "references")
    texts = read if isinstance(read, list) else list(read.values())
    pairs = align(texts, predictions(texts))
    population = measure(pairs, resolve(METRICS))
    accurate = set(error_table(pairs).reports(ACCURATE))
    right = np.array([float(key in accurate) for key in pairs.ids])
    population["share: fully accurate"] = share_of(right)
    random_ = np.random.default_rng(0)
    rare = (random_.random(100_000) < 0.01).astype(np.float64)
    print(f"{len(texts)} reports, {arguments.samples} samples of each size\n")
    print("| metric | interval | reports | held: population | held: mean of samples | width |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        drawn = random_.integers(0, len(texts), (arguments.samples, size))
        samples = [
            {name: replace(one, rows=one.rows[index]) for name, one in population.items()}
            for index in drawn
        ]
        report(samples, {name: value(one) for name, one in population.items()}, size)
        report(cider(texts, pairs.predictions, drawn), {}, size)
        few = random_.integers(0, len(rare), (arguments.samples, size))
        report(
            [{"a share of 1 %": share_of(rare[index])} for index in few],
            {"a share of 1 %": float(rare.mean())},
            size,
        )


def cider(
    texts: Sequence[str], said: Sequence[str], drawn: Sequence[Sequence[int]]
) -> list[dict[str, Statistics]]:
    """Return CIDEr-D's statistics on each sample, its frequencies from the sample's references."""
    found = []
    for index in drawn:
        references = [texts[i] for i in index]
        pairs = align(references, [said[i] for i in index], corpus=Corpus(references))
        found.append(measure(pairs, resolve(["cider-d"])))
    return found


def value(statistics: Statistics) -> float:
    return float(statistics.value(statistics.totals))


def report(samples: Sequence[dict[str, Statistics]], truth: dict[str, float], size: int) -> None:
    bootstrap = Bootstrap()
    intervals = [bootstrap.intervals(sample) for sample in samples]
    for name, one in samples[0].items():
        mean = float(np.nanmean([value(sample[name]) for sample in samples]))
        bounds = np.array([found[name] for found in intervals])
        bounds = bounds[~np.isnan(bounds[:, 0])]

        def held(target: float | None, bounds: np.ndarray = bounds) -> str:
            if target is None:
                return "–"
            inside = (bounds[:, 0] <= target + 1e-12) & (target - 1e-12 <= bounds[:, 1])
            return f"{inside.mean():.1%}".replace("%", " %")

        kind = bootstrap.method(one).split("% ")[1].split(" ")[0]
        width = float((bounds[:, 1] - bounds[:, 0]).mean())
        print(
            f"| {name} | {kind} | {size} | {held(truth.get(name))} | {held(mean)} | {width:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
