"""Small trees of published layouts, with films and words of their own."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import PIL.Image


def picture(number: int, side: int = 96) -> np.ndarray:
    """Return a drawn chest, uint8; each number another."""
    y, x = np.mgrid[:side, :side] / side

    def oval(cx, cy, rx, ry):
        return 1 / (1 + np.exp((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 - 1) * 8))

    lungs = np.maximum(oval(0.3, 0.45, 0.14, 0.32), oval(0.7, 0.45, 0.14, 0.32))
    film = oval(0.5, 0.62, 0.47, 0.6) * (0.6 - 0.4 * lungs) + 0.3 * oval(0.57, 0.6, 0.14, 0.16)
    film += 0.02 * np.random.default_rng(number).random((side, side))
    return (np.clip(film, 0, 1) * 255).astype(np.uint8)


def save(path: Path, number: int, side: int = 96) -> Path:
    """Write a film as PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(picture(number, side)).save(path)
    return path


def save_csv(path: Path, columns: str, rows) -> Path:
    """Write a CSV file of columns that are separated by commas; packed as .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns.split(","))
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
