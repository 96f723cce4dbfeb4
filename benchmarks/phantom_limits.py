"""How well can what lies just above a limit be told from what lies just below it?

    python benchmarks/phantom_limits.py [--studies 700]

A ridge regression from the pixels of simulated films to the measure of a finding (heart,
mediastinum, edema) is fitted to two thirds of a series in which these are common, and asked about
the rest. For each distance from the limit at which the finding is stated, the area under the ROC
curve of the films that far above it against those as far below. A linear reader is a weak one; what
the table shows is how the task gets harder towards the limit. Printed as Markdown.
"""

import argparse
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import PIL.Image
from rich.progress import track
from sklearn.linear_model import RidgeCV
from sklearn.metrics import roc_auc_score

from plainfilm.core import View
from plainfilm.phantom import PREVALENCE, simulate
from plainfilm.phantom.reporting.truth import HEART_LIMIT, LEAST, WIDE_FROM_MM

SIZE, SIDE = 64, 32
SERIES = 424
COMMON = dict.fromkeys(PREVALENCE, 0.0) | {
    "normal": 0.2, "cardiomegaly": 0.5, "wide mediastinum": 0.4, "heart failure": 0.5,
}  # fmt: skip
Floats = npt.NDArray[np.float64]


class Task(NamedTuple):
    """A measure and the distances from its limit that are asked for, in its own unit."""

    name: str
    unit: str
    steps: tuple[float, ...]


TASKS = (
    Task("cardiothoracic ratio", "", (0.0, 0.02, 0.05, 0.30)),
    Task("width of the mediastinum", " mm", (0.0, 5.0, 12.0, 60.0)),
    Task("edema", " ml", (0.0, 40.0, 81.0, 1000.0)),
)


def one(index: int) -> tuple[Floats, list[float]]:
    """Return a film as a vector and how far each measure lies above its limit."""
    study = simulate(SERIES, index, SIZE, prevalence=COMMON, institution="teaching")
    image = study.study.images[0]
    small = PIL.Image.fromarray(image.pixels).resize((SIDE, SIDE), PIL.Image.Resampling.BOX)
    pixels = np.asarray(small, np.float64).ravel()
    view = float(image.view is View.AP)
    above = [
        study.measures["cardiothoracic_ratio"] - HEART_LIMIT[image.view],
        study.measures["mediastinal_width_mm"] - WIDE_FROM_MM,
        study.measures.get("edema_water_ml", 0.0) - LEAST["edema_water_ml"],
    ]
    return np.append((pixels - pixels.mean()) / pixels.std(), view), above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=700)
    options = parser.parse_args()
    found = [one(index) for index in track(range(options.studies), disable=None)]
    films, above = np.array([film for film, _ in found]), np.array([values for _, values in found])
    cut = 2 * len(films) // 3
    print(
        "| measure | distance from the limit | films above | below | AUC |\n|---|---|---|---|---|"
    )
    for number, task in enumerate(TASKS):
        values = above[:, number]
        reader = RidgeCV(np.geomspace(1, 1e4, 9)).fit(films[:cut], np.clip(values[:cut], -90, 400))
        guess, true = reader.predict(films[cut:]), values[cut:]
        for low, high in zip(task.steps, task.steps[1:], strict=False):
            near = (np.abs(true) >= low) & (np.abs(true) < high)
            over, under = int((true[near] > 0).sum()), int((true[near] <= 0).sum())
            auc = roc_auc_score(true[near] > 0, guess[near]) if over and under else np.nan
            print(
                f"| {task.name} | {low:g} to {high:g}{task.unit} | {over} | {under} | {auc:.2f} |"
            )


if __name__ == "__main__":
    main()
