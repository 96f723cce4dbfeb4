"""Fit the weights that tell a lateral chest film from a frontal one (films/lateral.npy).

    python benchmarks/lateral_check.py PHANTOM FRONTAL_FOLDER... [--test CSV FOLDER] [-o FILE]

Frontal films are real ones (ChestX-ray14, Hannover) and the phantom's; lateral ones are the
phantom's (``plainfilm data phantom 60 PHANTOM --views frontal,lateral --seed 7``) and drawings
with random places, sizes, tilts and densities, as no free set of real laterals was at hand. What is
fitted is a linear discriminant (Fisher) over the ranks of a 16 × 16 picture, the same for a film
and its mirror image. ``--test`` gives real films by view (columns ``file`` and ``view``) that it is
held against.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy import ndimage

from plainfilm.data import read_image
from plainfilm.data.films.checks import grey_ranks
from plainfilm.data.films.lateral import LEAST, folded, lateral_score

SIDE, LAMBDA, DRAWINGS = 32, 1.0, 800
Y, X = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE


def ranks_of(picture):
    order = picture.ravel().argsort(kind="stable").argsort()
    ranks = order - order.mean()
    return (ranks / np.linalg.norm(ranks)).reshape(SIDE, SIDE)


def drawing(rng):
    """Return the ranks of a lateral film drawn from ovals and edges."""
    draw, side = rng.uniform, rng.choice([-1, 1])
    across, down, size = draw(-0.08, 0.08), draw(-0.08, 0.1), draw(0.75, 1.2)
    middle = 0.5 + across + draw(-0.35, 0.35) * (Y - 0.5)

    def oval(centre_x, centre_y, width, height):
        return ((X - centre_x) / width) ** 2 + ((Y - centre_y) / height) ** 2

    body = 1 / (1 + np.exp((np.abs(X - middle) - draw(0.3, 0.45) * size) / 0.03))
    lung = oval(middle, draw(0.38, 0.48) + down, draw(0.2, 0.3) * size, draw(0.24, 0.36) * size)
    lung = 1 / (1 + np.exp((lung - 1) / 0.25))
    base = draw(0.66, 0.85) + down + draw(-0.3, 0.3) * (X - middle)
    abdomen = 1 / (1 + np.exp((base - Y) / 0.04))
    heart = np.exp(-oval(middle + side * draw(0.06, 0.16) * size, base - 0.1, 0.13, 0.15))
    spine = np.exp(-(((X - middle + side * draw(0.1, 0.2) * size) / 0.06) ** 2))
    behind = np.exp(-oval(middle - side * draw(0.05, 0.15), base - 0.12, 0.12, 0.12))
    top = np.exp(-(((Y - down - 0.05) / 0.12) ** 2)) * (np.abs(X - middle) < 0.35)
    inside = heart * draw(0.2, 0.7) + spine * draw(0, 0.4) - behind * draw(0, 0.5)
    inside = inside + top * draw(0, 0.5)
    picture = body * (1 - draw(0.7, 1) * lung * (1 - abdomen)) + body * inside * lung * 0.8
    picture = ndimage.gaussian_filter(picture, 0.7) + rng.normal(0, 0.03, picture.shape)
    if draw() < 0.15:
        picture[:, : rng.integers(1, 5)] = draw(0, 0.2)
    return ranks_of(picture)


def moved(films, count, rng):
    """Return ``count`` of the films, turned and shifted at random."""
    found = []
    for _ in range(count):
        film = films[rng.integers(len(films))]
        film = ndimage.rotate(film, rng.uniform(-12, 12), reshape=False, mode="nearest")
        found.append(ranks_of(ndimage.shift(film, rng.uniform(-3, 3, 2), mode="nearest")))
    return np.array(found)


def read_all(paths):
    return np.array([grey_ranks(read_image(path).pixels) for path in sorted(paths)])


def fit(lateral, frontal):
    """Return weights over :func:`folded` ranks; each argument is a list of (share, films)."""
    lateral = [(share, np.array([folded(film) for film in films])) for share, films in lateral]
    frontal = [(share, np.array([folded(film) for film in films])) for share, films in frontal]
    means = [sum(share * films.mean(0) for share, films in group) for group in (lateral, frontal)]
    scatter = sum(
        share * (films - mean).T @ (films - mean) / len(films) / 2
        for group, mean in zip((lateral, frontal), means, strict=True)
        for share, films in group
    )
    scatter = scatter + LAMBDA * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    weights = np.linalg.solve(scatter, means[0] - means[1])
    scale = np.sqrt(weights @ scatter @ weights)
    return np.append(weights, -weights @ (means[0] + means[1]) / 2) / scale


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("phantom", type=Path)
    parser.add_argument("frontal", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, nargs=2)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    images = list((options.phantom / "images").iterdir())
    simulated_lateral = read_all(path for path in images if "lateral" in path.name)
    simulated_frontal = read_all(path for path in images if "lateral" not in path.name)
    real = read_all(path for folder in options.frontal for path in folder.glob("*.jpg"))
    drawings = np.array([drawing(rng) for _ in range(DRAWINGS)])
    weights = fit(
        [(0.5, drawings), (0.5, moved(simulated_lateral, 300, rng))],
        [(0.85, real), (0.15, moved(simulated_frontal, 200, rng))],
    )
    if options.output:
        np.save(options.output, weights.astype(np.float32))
    groups = {"phantom lateral": simulated_lateral, "phantom frontal": simulated_frontal,
              "real frontal, fitted on": real}  # fmt: skip
    if options.test:
        table, folder = options.test
        with table.open(newline="") as file:
            views = {row["file"]: row["view"] for row in csv.DictReader(file)}
        paths = {name: folder / name for name in views if (folder / name).is_file()}
        for said, chosen in (("lateral", ("L",)), ("frontal", ("PA", "AP", "AP Supine"))):
            groups[f"real {said}, unseen"] = read_all(
                path for name, path in paths.items() if views[name] in chosen
            )
    for name, films in groups.items():
        scores = np.array([lateral_score(film, weights) for film in films])
        print(f"{name}: {(scores > LEAST).sum()} of {len(films)} called lateral; "
              f"scores {scores.min():.2f} to {scores.max():.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
