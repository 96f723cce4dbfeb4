"""Train the shipped segmenter on simulated films and say how well it does.

    python benchmarks/phantom_segmenter.py make  WORK [--studies 3000]
    python benchmarks/phantom_segmenter.py train WORK [--minutes 40]
    python benchmarks/phantom_segmenter.py score WORK --real FOLDER [--save]

``make`` simulates a series of its own, without reports, each film at a place of its own drawing
(detector, framing, noise, processing); it goes on where it stopped, as ``train`` does. ``score``
gives Dice by class on simulated films that were not trained on, and on real films whose lungs
people outlined (``FOLDER`` holds ``images/`` and ``masks/`` of the same names), as Markdown;
``--save`` writes the weights into the package.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch

from plainfilm.data import read_image
from plainfilm.phantom.anatomy.solids import Grid, Mask
from plainfilm.phantom.disease.prevalence import chances_of
from plainfilm.phantom.film.acquisition import draw_acquisition
from plainfilm.phantom.film.case import draw_case
from plainfilm.phantom.film.develop import develop
from plainfilm.phantom.film.pathology import finding_masks
from plainfilm.phantom.film.projection import project
from plainfilm.phantom.film.structures import PARTS, structure_masks, superclass_masks
from plainfilm.phantom.reporting.truth import HEART_LIMIT
from plainfilm.vision.preparation import letterbox
from plainfilm.vision.segmenter import SHIPPED, Segmenter, SegmenterConfig, SegmenterModel

SERIES = 20_131_128
"""Seeds the films; no study of ``simulate`` is seeded so, with three numbers."""
SIZE, RASTER, SHARD, HELD = 128, 32, 100, 100
"""Sides of film and maps in pixels, films in a file, films that are scored and not trained on."""
BEDSIDE = 0.35
BATCH, RATE, DECAY = 8, 2e-3, 1e-4
CLASSES = SegmenterConfig().classes


def one(index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return film ``(SIZE, SIZE)`` and maps ``(classes, RASTER, RASTER)``, 0 to 255."""
    streams = np.random.SeedSequence([SERIES, index, 1]).spawn(4)
    who, how, where, noise = map(np.random.default_rng, streams)
    place = replace(draw_acquisition(where), bedside=BEDSIDE)
    case = draw_case(who, how, chances_of(None, BEDSIDE), place)
    exposure = case.exposure
    grid = Grid.square(SIZE, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    seen = project(case.patient, case.disease, exposure, grid)
    lungs = seen.masks["left lung"] | seen.masks["right lung"]
    film = develop(seen.attenuation, exposure, grid, noise, lungs)
    large = seen.measures["cardiothoracic_ratio"] > HEART_LIMIT[exposure.view]
    masks = structure_masks(case, SIZE, PARTS)
    masks |= finding_masks(case, seen.masks, enlarged_heart=large)
    every: dict[str, Mask] = {**masks, **superclass_masks(masks)}
    maps = np.zeros((len(CLASSES), SIZE, SIZE), np.float32)
    for number, name in enumerate(CLASSES):
        if name in every:
            maps[number] = every[name]
    cell = SIZE // RASTER
    cells = maps.reshape(len(CLASSES), RASTER, cell, RASTER, cell).mean(axis=(2, 4))
    return np.round(film * 255).astype(np.uint8), np.round(cells * 255).astype(np.uint8)


def make(work: Path, studies: int) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for shard in range(-(-studies // SHARD)):
        path = work / f"shard-{shard:03d}.npz"
        if path.exists():
            continue
        films, maps = zip(*(one(shard * SHARD + number) for number in range(SHARD)), strict=True)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, films=np.stack(films), maps=np.stack(maps))
        part.rename(path)
        print(f"{path.name} {time.process_time():.0f} s", flush=True)


def load(work: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all films ``(n, SIZE, SIZE)`` and maps that are made already, uint8."""
    films, maps = [], []
    for path in sorted(work.glob("shard-???.npz")):
        with np.load(path) as stored:
            films.append(torch.from_numpy(stored["films"]))
            maps.append(torch.from_numpy(stored["maps"]))
    return torch.cat(films), torch.cat(maps)


def varied(
    films: torch.Tensor, maps: torch.Tensor, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch moved, turned, scaled, with other grey levels, blur and noise; never
    mirrored. Films ``(n, 1, SIZE, SIZE)`` and maps in [0, 1]."""
    n = len(films)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=draw)

    angle, scale, aspect = uniform(-0.1, 0.1), uniform(0.72, 1.15), uniform(0.94, 1.06)
    theta = torch.stack([
        torch.stack([scale * aspect * angle.cos(), -scale * angle.sin(), uniform(-0.1, 0.1)], 1),
        torch.stack([scale * angle.sin(), scale * angle.cos(), uniform(-0.12, 0.12)], 1),
    ], 1)  # fmt: skip

    def move(values: torch.Tensor) -> torch.Tensor:
        places = torch.nn.functional.affine_grid(theta, list(values.shape), align_corners=False)
        return torch.nn.functional.grid_sample(values, places, align_corners=False)

    films, maps = move(films), move(maps)
    column = (n, 1, 1, 1)
    films = films.clamp(1e-3, 1) ** uniform(-0.5, 0.5).exp().reshape(column)
    films = films * uniform(0.7, 1.15).reshape(column) + uniform(-0.08, 0.12).reshape(column)
    if torch.rand(1, generator=draw) < 0.3:
        films = torch.nn.functional.avg_pool2d(films, 3, 1, 1)
    noise = torch.randn(films.shape, generator=draw)
    return (films + uniform(0, 0.04).reshape(column) * noise).clamp(0, 1), maps


def loss_of(logits: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy plus one minus the soft Dice of each class, over the batch."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, maps)
    share = logits.sigmoid()
    both = (share * maps).sum(dim=(0, 2, 3))
    dice = (2 * both + 8) / (share.sum(dim=(0, 2, 3)) + maps.sum(dim=(0, 2, 3)) + 8)
    return 4 * entropy + 0.5 * (1 - dice).mean()


def train(work: Path, minutes: float) -> None:
    """Train for ``minutes``, counting those of earlier calls; the rate falls as a cosine."""
    torch.manual_seed(0)
    model = SegmenterModel(SegmenterConfig()).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    state, spent, steps = work / "state.pt", 0.0, 0
    if state.exists():
        stored = torch.load(state, weights_only=True)
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        spent, steps = stored["spent"], stored["steps"]
    films, maps = load(work)
    draw = torch.Generator().manual_seed(steps + 1)
    begun, saved = time.monotonic() - 60 * spent, time.monotonic()
    model.train()
    running = 0.0
    while (spent := (time.monotonic() - begun) / 60) < minutes:
        rate = RATE * min(1, (steps + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * spent / minutes))
        optimizer.param_groups[0]["lr"] = max(rate, 1e-5)
        chosen = HELD + torch.randint(len(films) - HELD, (BATCH,), generator=draw)
        batch = varied(films[chosen, None] / 255, maps[chosen] / 255, draw)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch[0].to(memory_format=torch.channels_last)).logits
        loss = loss_of(logits.float(), batch[1])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
        running = 0.98 * running + 0.02 * loss.item()
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            save_state(state, model, optimizer, spent, steps)
            print(f"step {steps}, {spent:.1f} min, {len(films)} films, loss {running:.4f}, "
                  f"processor {time.process_time():.0f} s", flush=True)  # fmt: skip
            if len(list(work.glob("shard-???.npz"))) * SHARD > len(films):
                films, maps = load(work)
    save_state(state, model, optimizer, spent, steps)
    model.eval().half().save_pretrained(work / "model")


def save_state(
    path: Path, model: SegmenterModel, optimizer: torch.optim.Optimizer, spent: float, steps: int
) -> None:
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "spent": spent,
                "steps": steps}, part)  # fmt: skip
    part.rename(path)
    torch.save(model.state_dict(), path.with_name("weights.pt"))


def dice_of(share: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return twice the overlap, and the sum of both areas, of maps cut at one half."""
    found, there = share > 0.5, truth > 0.5
    return 2.0 * float((found & there).sum()), float(found.sum() + there.sum())


def score(work: Path, real: Path | None, save: bool) -> None:
    if not (work / "model").exists():  # not through yet: as far as it has come
        model = SegmenterModel(SegmenterConfig())
        model.load_state_dict(torch.load(work / "weights.pt", weights_only=True))
        model.eval().half().save_pretrained(work / "so-far")
    folder = work / "model" if (work / "model").exists() else work / "so-far"
    segmenter = Segmenter(folder)
    films, maps = (part[:HELD].numpy().astype(np.float32) / 255 for part in load(work))
    shares = np.stack([segmenter.maps(film, None) for film in films])
    scores: dict[str, float] = {}
    print("| class | films that have it | Dice | AUC of its mean | error of 16 × 16 cells |")
    print("|---|---|---|---|---|")
    from sklearn.metrics import roc_auc_score

    for number, name in enumerate(CLASSES):
        there = maps[:, number].max(axis=(1, 2)) > 0.5
        if not there.any():
            continue
        over, areas = dice_of(shares[there, number], maps[there, number])
        scores[name] = over / max(areas, 1)
        highest = np.sort(shares[:, number].reshape(len(films), -1), axis=1)[:, -6:].mean(axis=1)
        auc = "" if there.all() else f"{roc_auc_score(there, highest):.3f}"
        cells = [values[:, number].reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4))
                 for values in (shares, maps)]  # fmt: skip
        error = np.abs(cells[0] - cells[1]).mean()
        print(f"| {name} | {there.sum()} | {scores[name]:.3f} | {auc} | {100 * error:.1f} % |")
    if real is not None:
        lungs = CLASSES.index("less obstructed lungs")
        found = []
        for path in sorted((real / "masks").glob("*.png")):
            film = next((real / "images").glob(f"{path.stem}.*"), None)
            if film is None:
                continue
            mask = np.asarray(PIL.Image.open(path).convert("L"), np.float32)
            truth = letterbox((mask > 0).astype(np.float32), SIZE)
            share = segmenter.maps(read_image(film).pixels, None)[lungs]
            share = np.asarray(PIL.Image.fromarray(share).resize((SIZE, SIZE)))
            over, areas = dice_of(share, truth)
            found.append(over / max(areas, 1))
        low, middle, high = np.percentile(found, (10, 50, 90))
        print(f"\nless obstructed lungs on {len(found)} real films: Dice {np.mean(found):.3f} "
              f"(median {middle:.3f}, 10 to 90 %: {low:.3f} to {high:.3f})")  # fmt: skip
        scores["real lungs"] = float(np.mean(found))
    (work / "scores.json").write_text(json.dumps(scores, indent=1))
    if save:
        SegmenterModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(SHIPPED)
        print(f"saved in {SHIPPED}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "train", "score"])
    parser.add_argument("work", type=Path)
    parser.add_argument("--studies", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "make":
        make(options.work, options.studies)
    elif options.what == "train":
        train(options.work, options.minutes)
    else:
        score(options.work, options.real, options.save)


if __name__ == "__main__":
    main()
