"""What a training loader costs that reads kept maps, beside one that reads 212 full masks a study.

    plainfilm data phantom 16 films --size 512 --structures
    plainfilm maps films --source truth
    python benchmarks/asarg_loader.py films

The ASaRG paper's training was bound by its loader: 212 masks of 512 × 512 a study. Here each
study's maps are read as they are kept (pooled to 16 × 16, packed), and from the forms that CXAS
writes, pooled after loading; every way ends in the same array for the model. Seconds are of the
processor, one thread, files in the page cache.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image

from plainfilm.core.classes import CLASSES
from plainfilm.data import Dataset
from plainfilm.data.derived import Derived, to_square
from plainfilm.data.map_files import read_mask_file
from plainfilm.data.masks import pool_masks

NAMES = tuple(one.name for one in CLASSES)
SIDE = 512


def main(folder: Path) -> None:
    dataset = Dataset(folder)
    rows = list(dataset.rows)[:16]
    kept = Derived(folder, "maps/truth", dataset.fingerprint)
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        for row in rows:
            masks = dataset.structures(row)
            nothing = np.zeros(next(iter(masks.values())).shape, bool)
            whole = [_resized(to_square(masks.get(name, nothing))) for name in NAMES]
            np.savez_compressed(files / f"{row.study_id}.npz", np.stack(whole))
            (files / row.study_id).mkdir()
            for name, mask in zip(NAMES, whole, strict=True):
                PIL.Image.fromarray(mask).convert("1").save(files / row.study_id / f"{name}.png")
        ways = {
            "kept, pooled and packed": lambda id: kept.maps(id)[1].values[: len(NAMES)],
            "npz of 212 masks": lambda id: _pooled(files / f"{id}.npz"),
            "folder of 212 png": lambda id: _pooled(files / id),
        }
        sizes = {
            "kept, pooled and packed": (folder / "maps/truth.arrow").stat().st_size
            / len(dataset.rows),
            "npz of 212 masks": _bytes(files.glob("*.npz")) / len(rows),
            "folder of 212 png": _bytes(files.glob("*/*.png")) / len(rows),
        }
        print("| maps | bytes a study | seconds a study | beside the first |")
        print("|---|---|---|---|")
        first = None
        for name, load in ways.items():
            load(rows[0].study_id)
            started = time.process_time()
            for row in rows:
                load(row.study_id)
            took = (time.process_time() - started) / len(rows)
            first = first or took
            print(f"| {name} | {sizes[name]:,.0f} | {took:.5f} | {took / first:.0f} × |")


def _pooled(path: Path) -> np.ndarray:
    return pool_masks(read_mask_file(path, NAMES), NAMES, 16).astype(np.float32) / 255


def _resized(mask: np.ndarray) -> np.ndarray:
    picture = PIL.Image.fromarray(mask).resize((SIDE, SIDE), PIL.Image.Resampling.NEAREST)
    return np.asarray(picture)


def _bytes(paths) -> int:
    return sum(path.stat().st_size for path in paths)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
