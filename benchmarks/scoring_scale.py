"""How much time and memory ``plainfilm.metrics.score`` takes on a set of any size.

    python benchmarks/scoring_scale.py [--pairs 100000] [--metrics bleu-4,rouge-l,cider-d]
        [--reports reports.jsonl] [--workers 2] [--intervals]

Reports are drawn from a few hundred invented sentences, as in lexical_speed.py; with ``--reports``
from the sentences of real ones, so that nearly every report is another. Time is processor time of
this process and of those that read for it. Memory is this process's peak beyond what it held before
scoring, so without the texts themselves.
"""

import argparse
import os
import random
import resource
import time
from pathlib import Path

from lexical_speed import invent_reports

from plainfilm.metrics import DEFAULT_METRICS, score
from plainfilm.metrics.files import read_reports

KIB = 1024


def peak_mib() -> float:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def mixed_reports(path: Path, count: int, chance: random.Random) -> list[str]:
    """Return reports made of the sentences of real ones, as many sentences as these have."""
    read = read_reports(path, "references")
    real = [text.split(". ") for text in (read if isinstance(read, list) else read.values())]
    sentences = [sentence for report in real for sentence in report]
    return [". ".join(chance.choices(sentences, k=len(chance.choice(real)))) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--metrics", default=",".join(DEFAULT_METRICS))
    parser.add_argument("--reports", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--intervals", action="store_true")
    arguments = parser.parse_args()
    count, chance = arguments.pairs, random.Random(0)  # noqa: S311
    texts = (
        mixed_reports(arguments.reports, 2 * count, chance)
        if arguments.reports
        else invent_reports(2 * count, chance)
    )
    before, clock, processor = peak_mib(), time.perf_counter(), time.process_time()
    scores = score(
        texts[:count], texts[count:], arguments.metrics.split(","),
        intervals=arguments.intervals, workers=arguments.workers,
    )  # fmt: skip
    own, seconds = time.process_time() - processor, time.perf_counter() - clock
    print(
        f"{count} pairs: {own:.0f} s of processor time here, {seconds:.0f} s by the clock, "
        f"{peak_mib() - before:.0f} MiB beyond the {before:.0f} MiB before"
    )
    if arguments.workers > 1:
        from plainfilm.metrics.reading import _pool

        _pool(arguments.workers).shutdown()  # so that what the processes spent is counted
        spent = os.times()
        print(f"{spent.children_user + spent.children_system:.0f} s in {arguments.workers} others")
    for name, found in scores.items():
        print(f"{name}: {found.value:.6f} {found.interval or ''}")


if __name__ == "__main__":
    main()
