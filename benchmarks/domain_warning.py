"""How many real and simulated films a model takes for its own, by their looks alone.

    python benchmarks/domain_warning.py MODEL FOLDER... [--fit]

Every film of the folders, read as ``plainfilm report`` reads them, should be flagged by a model
that was trained on simulated films; films of an unseen simulated series should not. ``--fit`` first
describes simulated films again and writes ``domain.safetensors`` into the model's folder.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from plainfilm.data import read_image
from plainfilm.phantom import simulate
from plainfilm.pipeline import DOMAIN_FILE, SHIPPED
from plainfilm.vision.familiarity import Domain

FILMS = (".jpg", ".jpeg", ".png", ".dcm")


def film(index: int, seed: int, size: int) -> np.ndarray:
    return np.asarray(simulate(seed, index, size).study.images[0].pixels)


def simulated(seed: int, count: int, size: int) -> list[np.ndarray]:
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(film, seed=seed, size=size), range(count), chunksize=20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--studies", type=int, default=400)
    options = parser.parse_args()
    path = next(p for p in (Path(options.model), SHIPPED / options.model) if p.is_dir())
    path = path / DOMAIN_FILE
    if options.fit:
        domain = Domain.fit(simulated(1, 3000, 256), simulated(2, 500, 256))
        assert domain is not None
        domain.save(path)
    domain = Domain.load(path)
    print("| films | number | flagged |\n|---|---|---|")
    for folder in options.folders:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in FILMS)
        flagged = [not domain.holds(read_image(p).pixels) for p in paths]
        print(f"| {folder.name} | {len(flagged)} | {np.mean(flagged):.1%} |")
    for size in (192, 256, 512):
        flagged = [not domain.holds(one) for one in simulated(9_000_000, options.studies, size)]
        print(f"| simulated, {size} px | {len(flagged)} | {np.mean(flagged):.1%} |")


if __name__ == "__main__":
    main()
