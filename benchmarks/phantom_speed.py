"""How many simulated studies a second, by film size and by processes.

python benchmarks/phantom_speed.py [--studies 60] [--processes 2]
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from plainfilm.phantom import simulate


def one(index: int, size: int) -> int:
    return len(simulate(2026, index, size).masks)


def rate(size: int, studies: int, processes: int) -> float:
    work = partial(one, size=size)
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(work, range(2 * processes)))  # imports and phrasebook
        start = time.perf_counter()
        list(pool.map(work, range(studies), chunksize=4))
        return studies / (time.perf_counter() - start)


def processor_ms(size: int, studies: int) -> float:
    """Processor time of one study, which a busy machine distorts least."""
    one(0, size)
    start = time.process_time()
    for index in range(studies):
        one(index, size)
    return 1000 * (time.process_time() - start) / studies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print(f"{'size':>6} {'ms of processor':>16} {'1 process':>10} {options.processes:>4} processes")
    for size in (128, 256, 512):
        busy = processor_ms(size, options.studies)
        alone = rate(size, options.studies, 1)
        together = rate(size, options.studies, options.processes)
        print(f"{size:>6} {busy:>16.1f} {alone:>8.1f}/s {together:>12.1f}/s")


if __name__ == "__main__":
    main()
