"""How far simulation reaches: lungs found on real films by a network that has seen phantoms only.

    python benchmarks/phantom_lungs.py FILMS [--studies 3000] [--out runs/phantom-lungs]

It needs MONAI (``pip install monai``), which plainfilm itself does not.

``FILMS`` holds ``images/ID.jpg``, ``masks/ID.png`` (drawn by people) and ``index.csv`` (columns id,
view). A small U-Net (MONAI's) is trained on simulated films; nothing of the real ones reaches it:
no film, no mask, no statistic, and it was not chosen by them. Its Dice on the real masks is printed
as Markdown, and a sheet of every fourteenth film is drawn for the eyes.

What people outline is the lung field: down to the dome, up to the spine, with the part that the
heart hides. The same is made of the phantom's classes.
"""

import argparse
import csv
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from PIL import Image
from rich.progress import track
from torch.nn import functional

from plainfilm.data import read_image
from plainfilm.phantom import simulate
from plainfilm.phantom.film.structures import structure_masks
from plainfilm.vision.preparation import letterbox, maps_on_film

SIDE = 160
"""Of the square that the network sees, in pixels."""
Grey = npt.NDArray[np.uint8]


def field(index: int, seed: int) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """Return a simulated film and its lung field, ``(SIDE, SIDE)`` each."""
    study = simulate(seed, index, SIDE)
    names = ("lung", "diaphragm", "cardiomediastinum", "heart", "spine")
    lung, diaphragm, central, heart, spine = structure_masks(study.case, SIDE, names).values()
    mask = lung & ~diaphragm & (~central | heart) & ~spine
    lowest = np.nonzero(diaphragm.any(axis=1))[0].max()
    mask[lowest:] = False  # what hangs behind the diaphragm is not outlined
    return (study.study.images[0].pixels * 255).astype(np.uint8), mask


def films(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``count`` simulated films and their fields, uint8 ``(count, 1, SIDE, SIDE)``."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        work = pool.map(partial(field, seed=seed), range(count), chunksize=20)
        pairs = list(track(work, "simulating", total=count))
    grey, masks = (np.stack(part)[:, None] for part in zip(*pairs, strict=True))
    return torch.from_numpy(grey), torch.from_numpy(masks.astype(np.uint8))


def vary(films: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return films with the variety that the simulator lacks: framing, tone, blur, noise, shade.

    They are scaled, turned and shifted, never mirrored.
    """
    count = len(films)
    angle = torch.randn(count) * 0.09
    scale = torch.empty(count, 2).uniform_(0.72, 1.18)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = torch.stack([
        torch.stack([cos * scale[:, 0], -sin * scale[:, 1], torch.randn(count) * 0.12], 1),
        torch.stack([sin * scale[:, 0], cos * scale[:, 1], torch.randn(count) * 0.12], 1),
    ], 1)  # fmt: skip
    grid = functional.affine_grid(rows, list(films.shape), align_corners=False)
    films = functional.grid_sample(films, grid, padding_mode="zeros", align_corners=False)
    masks = functional.grid_sample(masks, grid, mode="nearest", align_corners=False)
    gamma = torch.exp(torch.randn(count, 1, 1, 1) * 0.35)
    films = films.clamp(1e-4, 1) ** gamma
    low = torch.randn(count, 1, 5, 5) * torch.rand(count, 1, 1, 1) * 0.15
    films = films + functional.interpolate(low, films.shape[-2:], mode="bicubic")
    films = films * torch.empty(count, 1, 1, 1).uniform_(0.6, 1.1)
    films = films + torch.empty(count, 1, 1, 1).uniform_(-0.1, 0.25)
    if torch.rand(()) < 0.5:
        films = functional.avg_pool2d(films, 3, stride=1, padding=1)
    films = films + torch.randn_like(films) * torch.rand(count, 1, 1, 1) * 0.06
    bars = torch.rand(count) < 0.4  # a film that is no square is padded with black
    width = torch.randint(4, SIDE // 5, (count,))
    for which in torch.nonzero(bars)[:, 0].tolist():
        pad = slice(None, width[which]), slice(-int(width[which]), None)
        for part in pad:
            if which % 2:
                films[which, :, part], masks[which, :, part] = 0, 0
            else:
                films[which, :, :, part], masks[which, :, :, part] = 0, 0
    return films.clamp(0, 1), masks


def train(films: torch.Tensor, masks: torch.Tensor, epochs: int) -> torch.nn.Module:
    """Return a U-Net trained on simulated films."""
    network = UNet(2, 1, 1, channels=(16, 32, 64, 96, 128), strides=(2, 2, 2, 2), num_res_units=1)
    loss = DiceCELoss(sigmoid=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-4)
    batches = len(films) // 32
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        total = 0.0
        for chosen in track(torch.randperm(len(films))[: 32 * batches].split(32), f"epoch {epoch}"):
            film, mask = vary(films[chosen].float() / 255, masks[chosen].float())
            error = loss(network(2 * film - 1), mask)
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            schedule.step()
            total += error.item() / batches
        print(f"epoch {epoch}: loss {total:.4f}", flush=True)
    return network.eval()


@torch.no_grad()
def find(network: torch.nn.Module, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the lung field of a film of any shape, in its own pixels."""
    square = torch.from_numpy(letterbox(pixels, SIDE))[None, None]
    chance = torch.sigmoid(network(2 * square - 1))
    return on_film(chance[0], pixels.shape)


def on_film(chance: torch.Tensor, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return where ``chance`` ``(1, SIDE, SIDE)`` on the square is above one half on the film."""
    there = functional.interpolate(maps_on_film(chance, shape)[None], shape, mode="bilinear")
    return (there[0, 0] > 0.5).numpy()


def dice(found: npt.NDArray[np.bool_], drawn: npt.NDArray[np.bool_]) -> float:
    return float(2 * (found & drawn).sum() / max(found.sum() + drawn.sum(), 1))


def sheet(shown: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]],
          path: Path) -> None:  # fmt: skip
    """Draw films with what was found (blue) over what people drew (red)."""
    tile = 220
    picture = Image.new("RGB", (tile * 5, tile * -(-len(shown) // 5)))
    for place, (pixels, found, drawn) in enumerate(shown):
        colour = np.repeat(pixels[..., None], 3, axis=2)
        colour[..., 0] += 0.25 * drawn
        colour[..., 2] += 0.35 * found
        small = Image.fromarray((colour.clip(0, 1) * 255).astype(np.uint8))
        small.thumbnail((tile, tile))
        picture.paste(small, (place % 5 * tile, place // 5 * tile))
    picture.save(path)


def line(name: str, values: list[float]) -> str:
    v = np.array(values)
    low, middle, high = np.percentile(v, (10, 50, 90))
    return (
        f"| {name} | {len(v)} | {v.mean():.3f} | {middle:.3f} | {low:.3f} to {high:.3f} | "
        f"{(v < 0.8).sum()} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", type=Path)
    parser.add_argument("--studies", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=4_000_000)
    parser.add_argument("--out", type=Path, default=Path("runs/phantom-lungs"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    grey, masks = films(options.seed, options.studies)
    held, held_masks = films(options.seed + 1, 200)
    network = train(grey, masks, options.epochs)
    mean = masks.float().mean(0)

    own = [
        dice(find(network, film[0].float().numpy() / 255), mask[0].numpy() > 0)
        for film, mask in zip(held, held_masks, strict=True)
    ]
    by_view: dict[str, list[float]] = {}
    baseline, shown = [], []
    index = list(csv.DictReader((options.films / "index.csv").open(encoding="utf-8")))
    for number, row in enumerate(index):
        pixels = np.asarray(read_image(options.films / "images" / f"{row['id']}.jpg").pixels)
        drawn = np.array(Image.open(options.films / "masks" / f"{row['id']}.png").convert("L")) > 0
        found = find(network, pixels)
        by_view.setdefault(row["view"], []).append(dice(found, drawn))
        baseline.append(dice(on_film(mean, pixels.shape), drawn))
        if number % 14 == 0:
            shown.append((pixels, found, drawn))
    sheet(shown, options.out / "sheet.png")
    parameters = sum(p.numel() for p in network.parameters())
    print(f"\n{parameters:,} parameters, {options.studies} simulated films, {SIDE} x {SIDE}\n")
    print("| films | number | mean Dice | median | 10 % to 90 % | below .8 |")
    print("|---|---|---|---|---|---|")
    print(line("all real", [value for values in by_view.values() for value in values]))
    for view, values in sorted(by_view.items()):
        print(line(f"real, {view}", values))
    print(line("real, by the mean phantom's field", baseline))
    print(line("simulated, held out", own))


if __name__ == "__main__":
    main()
