"""Real films over simulated ones with the same finding, to look at; nothing of it is committed.

    python benchmarks/phantom_beside.py FILMS OUT.png

``FILMS`` is a folder in ChestX-ray14's layout: JPEG films and ``index.csv`` (columns file, labels,
view). What the comparison shows is said in docs/phantom.md.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from plainfilm.data import read_image
from plainfilm.phantom import PREVALENCE, simulate
from plainfilm.vision.preparation import letterbox

TILE = 256
KINDS = {
    "No Finding": "normal", "Cardiomegaly": "cardiomegaly", "Effusion": "effusion",
    "Pneumothorax": "pneumothorax", "Edema": "heart failure", "Consolidation": "consolidation",
    "Nodule": "lesion", "Atelectasis": "atelectasis",
}  # fmt: skip
"""ChestX-ray14's label → the phantom's disease."""


def real(folder: Path, label: str, count: int) -> list[np.ndarray]:
    """Return the first films that have this label alone, from the front."""
    rows = csv.DictReader((folder / "index.csv").open(encoding="utf-8"))
    names = [row["file"] for row in rows if row["labels"] == label][:count]
    return [letterbox(np.asarray(read_image(folder / name).pixels), TILE) for name in names]


def simulated(disease: str, count: int, place: int) -> list[np.ndarray]:
    only = dict.fromkeys(set(PREVALENCE) - {"normal"}, 0.0)
    only |= {"normal": 1.0} if disease == "normal" else {disease: 1.0}
    return [
        np.asarray(simulate(11 + place, index, TILE, prevalence=only).study.images[0].pixels)
        for index in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=3)
    options = parser.parse_args()
    sheet = Image.new("L", (2 * options.count * TILE, len(KINDS) * (TILE + 14)), 255)
    draw = ImageDraw.Draw(sheet)
    for place, (label, disease) in enumerate(KINDS.items()):
        y = place * (TILE + 14)
        draw.text((3, y + 1), f"{label}: real on the left, simulated on the right", fill=0)
        tiles = [
            *real(options.films, label, options.count),
            *simulated(disease, options.count, place),
        ]
        for column, tile in enumerate(tiles):
            grey = Image.fromarray((tile * 255).astype(np.uint8))
            sheet.paste(grey, (column * TILE, y + 14))
    sheet.save(options.out)


if __name__ == "__main__":
    main()
