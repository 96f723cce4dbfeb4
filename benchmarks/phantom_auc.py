"""Can findings be told from simulated films, and the obvious ones better than the subtle?

    python benchmarks/phantom_auc.py [--studies 3000] [--plot OUT.svg]

A small classifier (a ResNet of RadScribe's backbones with RadScribe's own label classifier) learns
what is *drawn* in simulated films, and is tested on another series. Each finding is then split by
its measured size into equal groups; the area under the ROC curve of a group is taken against all
studies without that finding. Printed as Markdown, drawn as an SVG.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from sklearn.metrics import roc_auc_score

from plainfilm.core import OBSERVATIONS, Observation, Status, write_atomically
from plainfilm.evaluation.plots import Curve, curve_chart
from plainfilm.models.radscribe.modeling_radscribe import LabelClassifier
from plainfilm.phantom import simulate
from plainfilm.vision.backbones import (
    backbone_channels,
    backbone_config,
    build_backbone,
    image_tokens,
)

SIZE, GRID = 160, 10
"""Side of the films in pixels, and of the raster of tokens."""
MEASURES: Mapping[Observation, tuple[str, str]] = MappingProxyType({
    Observation.CARDIOMEGALY: ("cardiothoracic_ratio", "ratio"),
    Observation.ENLARGED_CARDIOMEDIASTINUM: ("mediastinal_width_mm", "width, mm"),
    Observation.PLEURAL_EFFUSION: ("effusion_ml", "volume, ml"),
    Observation.PNEUMOTHORAX: ("pneumothorax_rim_mm", "rim, mm"),
    Observation.EDEMA: ("edema_water_ml", "water, ml"),
    Observation.CONSOLIDATION: ("consolidation_area_cm2", "area, cm²"),
    Observation.LUNG_OPACITY: ("opacity_area_cm2", "area, cm²"),
    Observation.LUNG_LESION: ("lesion_diameter_mm", "diameter, mm"),
    Observation.PLEURAL_OTHER: ("pleural_thickness_mm", "thickness, mm"),
})  # fmt: skip
"""What the severity of a finding is measured by; of two sides the larger counts."""
Floats = npt.NDArray[np.float64]


class Films(NamedTuple):
    """A series of simulated films with their truth."""

    pixels: torch.Tensor
    """uint8 ``(studies, 1, SIZE, SIZE)``."""
    drawn: torch.Tensor
    """``(studies, 14)``: 1 drawn, 0 not, NaN borderline."""
    sizes: dict[Observation, Floats]
    """Measured size ``(studies,)``, NaN where there is none."""


def one(index: int, seed: int) -> tuple[npt.NDArray[np.uint8], list[float], list[float]]:
    study = simulate(seed, index, SIZE)
    status = {finding.observation: finding.status for finding in study.truth}
    drawn = [
        {None: 0.0, Status.PRESENT: 1.0, Status.UNCERTAIN: np.nan}[status.get(observation)]
        for observation in OBSERVATIONS
    ]
    drawn[OBSERVATIONS.index(Observation.NO_FINDING)] = float(
        not set(status) - {Observation.SUPPORT_DEVICES, Observation.OTHER}
    )
    sizes = [
        max((v for name, v in study.measures.items() if name.endswith(measure)), default=np.nan)
        for measure, _ in MEASURES.values()
    ]
    return (study.study.images[0].pixels * 255).astype(np.uint8), drawn, sizes


def films(seed: int, count: int) -> Films:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        work = pool.map(partial(one, seed=seed), range(count), chunksize=20)
        pixels, drawn, sizes = zip(*track(work, "simulating", total=count), strict=True)
    columns = dict(zip(MEASURES, np.array(sizes).T, strict=True))
    return Films(torch.from_numpy(np.stack(pixels)[:, None]), torch.tensor(drawn), columns)


class Classifier(torch.nn.Module):
    """A small ResNet with RadScribe's label classifier, 0.9 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        config = backbone_config({
            "model_type": "resnet", "num_channels": 1, "embedding_size": 32,
            "hidden_sizes": [48, 96, 192], "depths": [1, 2, 2], "layer_type": "basic",
        })  # fmt: skip
        self.backbone = build_backbone(config)
        self.labels = LabelClassifier(backbone_channels(config), len(OBSERVATIONS))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        scaled = (pixels.float() / 255 - 0.5) / 0.25
        logits: torch.Tensor = self.labels(image_tokens(self.backbone, scaled, GRID)).logits
        return logits


def train(films: Films, epochs: int) -> Classifier:
    network = Classifier()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    batches = len(films.pixels) // 32
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(films.pixels))[: 32 * batches]
        for chosen in track(order.split(32), f"epoch {epoch}"):
            targets = films.drawn[chosen]
            known = ~targets.isnan()
            logits = network(films.pixels[chosen])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits[known], targets[known]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() / batches
        print(f"epoch {epoch}: loss {total:.4f}", flush=True)
    return network.eval()


@torch.no_grad()
def scores(network: Classifier, films: Films) -> Floats:
    parts = [network(part).double().numpy() for part in films.pixels.split(64)]
    return np.concatenate(parts)


def area(positive: Floats, negative: Floats, rng: np.random.Generator) -> tuple[float, ...]:
    """Return the AUC and its 95 % bootstrap interval."""

    def auc(yes: Floats, no: Floats) -> float:
        truth = np.r_[np.ones(len(yes)), np.zeros(len(no))]
        return float(roc_auc_score(truth, np.r_[yes, no]))

    drawn = [auc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative)))
             for _ in range(300)]  # fmt: skip
    low, high = np.percentile(drawn, (2.5, 97.5))
    return auc(positive, negative), float(low), float(high)


def report(
    values: Floats, films: Films, groups: int, line: Callable[[str], None]
) -> dict[str, list[Curve]]:
    """Write both tables, and return each finding's curve with its interval's ends."""
    panels = {}
    rng = np.random.default_rng(0)
    line("| finding | studies | AUC |\n|---|---|---|")
    for place, observation in enumerate(OBSERVATIONS):
        drawn = films.drawn[:, place].numpy()
        positive, negative = values[drawn == 1, place], values[drawn == 0, place]
        if len(positive) >= 10:
            auc, low, high = area(positive, negative, rng)
            line(f"| {observation} | {len(positive)} | {auc:.3f} ({low:.3f} to {high:.3f}) |")
    line("\n| finding | measure | from | to | studies | AUC |\n|---|---|---|---|---|---|")
    for observation, (_, unit) in MEASURES.items():
        place = OBSERVATIONS.index(observation)
        drawn, size = films.drawn[:, place].numpy(), films.sizes[observation]
        there = np.flatnonzero((drawn == 1) & ~np.isnan(size))
        negative = values[drawn == 0, place]
        points = []
        for group in np.array_split(there[np.argsort(size[there])], groups):
            auc, low, high = area(values[group, place], negative, rng)
            line(
                f"| {observation} | {unit} | {size[group].min():.4g} | {size[group].max():.4g} | "
                f"{len(group)} | {auc:.3f} ({low:.3f} to {high:.3f}) |"
            )
            points.append((float(np.median(size[group])), auc, low, high))
        panels[f"{observation} ({unit})"] = [
            Curve(name, [(point[0], point[column]) for point in points])
            for column, name in ((1, "AUC"), (2, "2.5 %"), (3, "97.5 %"))
        ]
    return panels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--seed", type=int, default=5_000_000)
    options = parser.parse_args()
    torch.manual_seed(0)
    training, test = films(options.seed, options.studies), films(options.seed + 1, options.test)
    network = train(training, options.epochs)
    panels = report(scores(network, test), test, options.groups, print)
    if options.plot:
        note = (
            f"{options.test} simulated films; median size and AUC of {options.groups} equal groups"
        )
        page = curve_chart("AUC against severity", panels, along="measured size", note=note)
        write_atomically(options.plot, page)


if __name__ == "__main__":
    main()
