"""How much time and memory ``plainfilm.metrics.score`` takes on a set of any size.

    python benchmarks/scoring_scale.py [--pairs 100000] [--metrics bleu-4,rouge-l,cider-d]

Reports are drawn from a few hundred invented sentences, as in lexical_speed.py. Memory is the
process's peak beyond what it held before scoring, so without the texts themselves.
"""

import argparse
import random
import resource
import time

from lexical_speed import invent_reports

from plainfilm.metrics import score

KIB = 1024


def peak_mib() -> float:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--metrics", default="bleu-4,rouge-l,cider-d")
    arguments = parser.parse_args()
    count = arguments.pairs
    texts = invent_reports(2 * count, random.Random(0))  # noqa: S311
    before, clock, processor = peak_mib(), time.perf_counter(), time.process_time()
    scores = score(texts[:count], texts[count:], arguments.metrics.split(","))
    seconds = time.process_time() - processor, time.perf_counter() - clock
    print(
        f"{count} pairs: {seconds[0]:.0f} s of processor time, {seconds[1]:.0f} s by the clock, "
        f"{peak_mib() - before:.0f} MiB beyond the {before:.0f} MiB before"
    )
    for name, found in scores.items():
        print(f"{name}: {found.value:.6f}")


if __name__ == "__main__":
    main()
