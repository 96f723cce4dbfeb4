"""How many simulated studies a second, by film size and by processes; cost by pixels and solids.

    python benchmarks/phantom_speed.py [--studies 60] [--processes 2]
    python benchmarks/phantom_speed.py --maps [--studies 8] [--against OTHER/src]

``--maps`` gives the processor time of a whole study for a model at 256²: film, report, PNG, the
masks of all classes packed, and maps of 16 × 16 cells; ``--against`` that of another version of the
package too, in turns.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from plainfilm.phantom import simulate
from plainfilm.phantom.anatomy.solids import STRAIGHT, Grid, Tubes


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


def segments_ms(count: int, repeats: int = 5) -> float:
    """Processor time of ``count`` tube segments, sized as those of vessels are, at 256²."""
    rng = np.random.default_rng(1)
    start = rng.uniform(-100, 100, (count, 3))
    way = rng.normal(0, 1, (count, 3))
    end = start + 12 * way / np.linalg.norm(way, axis=1, keepdims=True)
    tubes, grid = Tubes(STRAIGHT), Grid.square(256, 360, -180, -180)
    tubes.add_segments(start, end, rng.uniform(0.5, 5, count), 1.0)
    tubes.path(grid)
    begun = time.process_time()
    for _ in range(repeats):
        tubes.path(grid)
    return 1000 * (time.process_time() - begun) / repeats


def print_line(of: str, counts: list[int], costs: list[float]) -> None:
    """Print the costs as Markdown, with the least-squares line through them and its R²."""
    x, y = np.array(counts, float), np.array(costs)
    slope, constant = np.polyfit(x, y, 1)
    rest = y - (slope * x + constant)
    fit = 1 - (rest @ rest) / np.square(y - y.mean()).sum()
    print(f"\n| {of} | ms of processor |\n|---|---|")
    for count, cost in zip(counts, costs, strict=True):
        print(f"| {count} | {cost:.1f} |")
    print(f"\n{constant:.1f} ms + {1000 * slope:.3f} ms for each 1000 {of}; R² {fit:.4f}")


WHOLE_STUDY = """
import sys, time
import numpy as np
from plainfilm.core.classes import SUPERCLASSES
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.masks import pack_masks, pool_masks
from plainfilm.phantom import simulate
from plainfilm.phantom.film.structures import PARTS, structure_masks, superclass_masks

def whole(index):
    study = simulate(2026, index, 256, institution="teaching")
    png_bytes((study.study.images[0].pixels * 255).astype(np.uint8), simulated=True)
    if hasattr(study, "classes"):
        masks = study.classes(128)
    else:
        masks = structure_masks(study.case, 256, PARTS) | study.finding_masks()
    pack_masks(masks)
    return pool_masks(superclass_masks(masks), SUPERCLASSES)

whole(0)
start = time.process_time()
for index in range(1, 1 + int(sys.argv[1])):
    whole(index)
print((time.process_time() - start) / int(sys.argv[1]))
"""


def whole_study_ms(studies: int, source: str | None = None) -> float:
    """Processor time of a study with its maps, by the package in ``source`` or by this one."""
    environment = os.environ | ({} if source is None else {"PYTHONPATH": source})
    ran = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", WHOLE_STUDY, str(studies)], env=environment, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return 1000 * float(ran.stdout)


def print_whole_studies(studies: int, against: str | None) -> None:
    print("| version | ms of processor a study with maps | a second on one core |\n|---|---|---|")
    sources = {"this": None} | ({against: against} if against else {})
    found = {
        name: [whole_study_ms(studies, path) for _ in range(2)] for name, path in sources.items()
    }
    for name, costs in found.items():
        print(f"| {name} | {min(costs):.0f} | {1000 / min(costs):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--against")
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.maps:
        print_whole_studies(min(options.studies, 8), options.against)
        return
    print(f"{'size':>6} {'ms of processor':>16} {'1 process':>10} {options.processes:>4} processes")
    for size in (128, 256, 512):
        busy = processor_ms(size, options.studies)
        alone = rate(size, options.studies, 1)
        together = rate(size, options.studies, options.processes)
        print(f"{size:>6} {busy:>16.1f} {alone:>8.1f}/s {together:>12.1f}/s")
    sides = [128, 192, 256, 384, 512]
    few = max(options.studies // 4, 3)
    print_line("pixels", [s * s for s in sides], [processor_ms(s, few) for s in sides])
    numbers = [250, 500, 1000, 2000, 4000]
    print_line("tube segments", numbers, [segments_ms(n) for n in numbers])


if __name__ == "__main__":
    main()
