"""Train the shipped film gate, and measure how often it errs.

    plainfilm data phantom 253 PHANTOM --views frontal,lateral --seed 70 --size 256
    python benchmarks/film_gate.py make  WORK --phantom PHANTOM --real FOLDER
    python benchmarks/film_gate.py train WORK [--minutes 8]
    python benchmarks/film_gate.py score WORK --real FOLDER [--more FOLDER]

``make`` gathers what it learns from: real films (a folder with ``nih``, ``hannover``, ``lungs`` and
``cohen_pairs``, each with its table), simulated ones, and pictures that are no chest films
(``gate_drawings.py``, crops, shuffled and phase-scrambled films). Two of five real patients are
held out; ``score`` measures on them, and on photographs, pages, CT and MR slices and radiographs of
other parts that installed packages carry and that no training saw.
"""

import argparse
import csv
import json
import time
import zlib
from pathlib import Path

import gate_drawings as drawings
import numpy as np
import PIL.Image

from plainfilm.data.films import gate

BASE = 96
"""Side of the pictures that are kept, before they are moved and turned."""
HELD_OUT = 0.4
NEGATIVES = 500
"""Drawn pictures of each kind."""
WEIGHTS = gate._WEIGHTS


def held_out(patient):
    return zlib.crc32(patient.encode()) % 100 < 100 * HELD_OUT


def real_films(root):
    """Yield (file, patient, view) of every real film; a film that two sets hold is one patient."""
    with (root / "nih/index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield root / "nih" / row["file"], "nih-" + row["patient"], "frontal"
    with (root / "hannover/metadata.csv").open(newline="") as file:
        patients = {row["image_id"]: row["patient_id"] for row in csv.DictReader(file)}
    for path in sorted((root / "hannover").glob("*.jpg")):
        yield path, "hannover-" + patients.get(path.stem, path.stem), "frontal"
    with (root / "lungs/index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            (path,) = (root / "lungs/images").glob(row["id"] + ".*")
            patient = patients.get(row["id"])
            said = "lateral" if row["view"] == "L" else "frontal"
            yield path, f"hannover-{patient}" if patient else "lungs-" + row["id"], said
    with (root / "cohen_pairs/index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            said = {"L": "lateral", "PA": "frontal", "AP": "frontal", "AP Supine": "frontal"}
            if row["view"] in said:
                path = root / "cohen_pairs/images" / row["file"]
                yield path, "cohen-" + row["patient"], said[row["view"]]


def grey(path):
    """Return a film's pixels as it is stored, in [0, 1]."""
    return np.asarray(PIL.Image.open(path).convert("L"), np.float32) / 255


def small(pixels):
    return np.rint(gate.stripped(pixels, BASE) * 255).astype(np.uint8)


def spoiled(film, rng):
    """Return a film of which too little, or nothing in its place, is left."""
    height, width = film.shape
    kind = rng.integers(4)
    if kind == 0:  # a piece of it
        side = rng.uniform(0.15, 0.45)
        top, left = rng.uniform(0, 1 - side, 2)
        return film[int(top * height) : int((top + side) * height),
                    int(left * width) : int((left + side) * width)]  # fmt: skip
    if kind == 1:  # its pieces in another order
        count = int(rng.integers(2, 6))
        square = gate.boxed(film, 24 * count)
        pieces = [square[24 * r : 24 * r + 24, 24 * c : 24 * c + 24]
                  for r in range(count) for c in range(count)]  # fmt: skip
        order = rng.permutation(count * count)
        while count == 2 and (order == np.arange(4)).sum() > 1:
            order = rng.permutation(4)
        rows = [np.concatenate([pieces[order[r * count + c]] for c in range(count)], 1)
                for r in range(count)]  # fmt: skip
        return np.concatenate(rows)
    if kind == 2:  # its spectrum, other phases
        square = gate.boxed(film, BASE)
        waves = np.fft.rfft2(square)
        waves = np.abs(waves) * np.exp(2j * np.pi * rng.random(waves.shape))
        return drawings.scaled(np.fft.irfft2(waves, square.shape)).astype(np.float32)
    half = film[:, : width // 2] if rng.random() < 0.5 else film[: height // 2]
    return half if rng.random() < 0.5 else film[height // 2 :]


def make(work, phantom, real):
    rng = np.random.default_rng(0)
    pools = {"frontal": [], "lateral": [], "simulated frontal": [], "simulated lateral": [],
             "drawn frontal": [], "drawn lateral": [], "neither": []}  # fmt: skip
    started = time.process_time()
    for path, patient, view in real_films(real):
        if not held_out(patient) and path.stem not in INVERTED:
            pools[view].append(small(grey(path)))
    for path in sorted((phantom / "images").glob("*.png")):
        view = "lateral" if "lateral" in path.name else "frontal"
        pools["simulated " + view].append(small(grey(path)))
    for draw, view in (
        (drawings.chest_from_front, "frontal"),
        (drawings.chest_from_side, "lateral"),
    ):
        for _ in range(400):
            pools["drawn " + view].append(small(drawings.scaled(draw(rng)).astype(np.float32)))
    for draw in drawings.DRAWN:
        for _ in range(NEGATIVES):
            picture = drawings.scaled(np.asarray(draw(rng), float)).astype(np.float32)
            pools["neither"].append(small(picture))
    films = [film / np.float32(255) for film in pools["frontal"] + pools["simulated frontal"]
             + pools["lateral"]]  # fmt: skip
    for _ in range(4 * NEGATIVES):
        pools["neither"].append(small(spoiled(films[rng.integers(len(films))], rng)))
    work.mkdir(parents=True, exist_ok=True)
    np.savez(work / "pools.npz", **{name: np.array(pool) for name, pool in pools.items()})
    for name, pool in pools.items():
        print(f"{name}: {len(pool)}")
    print(f"{time.process_time() - started:.0f} s of processor time")


INVERTED = {"00017625_000", "00017999_000"}
"""Films of ChestX-ray14 that are stored inverted."""
SHARES = {"frontal": 0.3, "lateral": 0.08, "simulated frontal": 0.05, "simulated lateral": 0.06,
          "drawn frontal": 0.03, "drawn lateral": 0.03, "neither": 0.45}  # fmt: skip


def batch_of(pools, rng, size):
    """Return pictures ``(size, SIDE, SIDE)`` of ranks and labels: kind, turns, inverted, mirrored.

    A label of -1 is unknown.
    """
    import torch
    from torch.nn import functional

    names = rng.choice(list(SHARES), size, p=list(SHARES.values()))
    pictures = np.stack([pools[name][rng.integers(len(pools[name]))] for name in names])
    x = torch.from_numpy(pictures).float()[:, None] / 255
    chest = torch.tensor(["neither" not in name for name in names])
    frontal = torch.tensor(["frontal" in name for name in names])
    kind = torch.where(chest, torch.where(frontal, 0, 1), 2)

    def draw(low, high):
        return torch.from_numpy(rng.uniform(low, high, size).astype(np.float32))

    # Levels: a curve, a window that cuts off, a slope of light across, noise, blur.
    x = x ** draw(0.6, 1.7)[:, None, None, None]
    low, high = draw(-0.1, 0.15)[:, None, None, None], draw(0.8, 1.15)[:, None, None, None]
    x = ((x - low) / (high - low)).clamp(0, 1)
    steps = torch.linspace(-1, 1, BASE)
    slope = draw(-0.12, 0.12)[:, None, None] * steps[:, None]
    slope = slope + draw(-0.12, 0.12)[:, None, None] * steps
    x = (x + slope[:, None] + torch.randn_like(x) * draw(0, 0.05)[:, None, None, None]).clamp(0, 1)
    # Marks: letters and labels are bright or dark boxes.
    for index in np.flatnonzero(rng.random(size) < 0.5):
        for _ in range(rng.integers(1, 4)):
            height, width = rng.integers(2, 9), rng.integers(2, 20)
            top, left = rng.integers(0, BASE - height), rng.integers(0, BASE - width)
            if rng.random() < 0.7:
                top = top % 14 if rng.random() < 0.5 else BASE - height - top % 14
            x[index, 0, top : top + height, left : left + width] = float(rng.random() < 0.7)
    # Place, size, tilt; beyond the edge lies black, white or the edge itself.
    angle, size_x, size_y = draw(-0.22, 0.22), draw(0.78, 1.15), draw(0.78, 1.15)
    loose = torch.where(chest, 1.0, 1.5)
    theta = torch.stack([
        torch.stack([size_x * angle.cos(), -size_y * angle.sin(), draw(-0.14, 0.14) * loose], 1),
        torch.stack([size_x * angle.sin(), size_y * angle.cos(), draw(-0.14, 0.14) * loose], 1),
    ], 1)  # fmt: skip
    grid = functional.affine_grid(theta, [size, 1, gate.SIDE, gate.SIDE], align_corners=False)
    outside = float(rng.random() < 0.3)
    mode = "border" if rng.random() < 0.4 else "zeros"
    x = functional.grid_sample(x - outside, grid, padding_mode=mode, align_corners=False) + outside
    # A collimated or scanned frame.
    for index in np.flatnonzero(rng.random(size) < 0.15):
        a, b, c, d = rng.integers(0, 7, 4)
        frame = torch.full_like(x[index, 0], float(rng.random() < 0.4))
        frame[a : gate.SIDE - b, c : gate.SIDE - d] = x[
            index, 0, a : gate.SIDE - b, c : gate.SIDE - d
        ]
        x[index, 0] = frame
    mirrored = torch.from_numpy(rng.random(size) < 0.3)
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    turns = torch.from_numpy(np.where(rng.random(size) < 0.35, rng.integers(1, 4, size), 0))
    # A label of n: the picture stands upright after n quarter turns counterclockwise.
    x = torch.stack([torch.rot90(one, -int(n), (1, 2)) for one, n in zip(x, turns, strict=True)])
    inverted = torch.from_numpy(rng.random(size) < 0.25)
    x = torch.where(inverted[:, None, None, None], 1 - x, x)
    levels = (x.clamp(0, 1) * 255).round().long().flatten(1)
    counts = torch.zeros(size, 256).scatter_add_(1, levels, torch.ones(levels.shape))
    middles = (counts.cumsum(1) - counts / 2) / levels.shape[1]
    x = (2 * middles.gather(1, levels) - 1).view(size, gate.SIDE, gate.SIDE)
    unknown = torch.full((size,), -1)
    polarity = torch.where(chest, inverted.long(), unknown)
    return (x, kind, torch.where(chest, turns, unknown), polarity,
            torch.where(frontal & chest, mirrored.long(), unknown))  # fmt: skip


STRIDES = (2, 2, 1, 2, 1, 2)
CHANNELS = (16, 32, 48, 64, 64, 64)
HIDDEN = 48


def network():
    from torch import nn

    layers, before = [], 1
    for number, (stride, channels) in enumerate(zip(STRIDES, CHANNELS, strict=True)):
        size = 3 if number else 5
        layers += [nn.Conv2d(before, channels, size, stride, size // 2, bias=False),
                   nn.BatchNorm2d(channels), nn.ReLU()]  # fmt: skip
        before = channels
    cells = (gate.SIDE // 2 ** STRIDES.count(2)) ** 2
    return nn.Sequential(
        nn.Sequential(*layers), nn.Flatten(), nn.Dropout(0.2),
        nn.Sequential(nn.Linear(cells * before, HIDDEN), nn.ReLU()), nn.Dropout(0.1),
        nn.Linear(HIDDEN, 9),
    )  # fmt: skip


def loss_of(outputs, labels):
    from torch.nn import functional

    kind, turns, inverted, mirrored = labels
    total = functional.cross_entropy(outputs[:, :3], kind)
    total = total + 0.3 * functional.cross_entropy(outputs[:, 3:7], turns, ignore_index=-1)
    for column, target, weight in ((7, inverted, 0.3), (8, mirrored, 0.15)):
        known = target >= 0
        total = total + weight * functional.binary_cross_entropy_with_logits(
            outputs[known, column], target[known].float()
        )
    return total


def train(work, minutes):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    stored = np.load(work / "pools.npz")
    pools = {name: stored[name] for name in stored.files}
    model, size = network(), 128
    budget, step, shown = 60 * minutes, 0, 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    started = time.process_time()
    while (used := time.process_time() - started) < budget:
        share = used / budget
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 40)
            group["lr"] = 2e-3 * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * share)))
        x, *labels = batch_of(pools, rng, size)
        loss = loss_of(model(x[:, None]), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        shown = 0.97 * shown + 0.03 * float(loss.detach()) if step else float(loss.detach())
        step += 1
        if step % 50 == 0:
            print(f"step {step}, {used:.0f} s, loss {shown:.3f}", flush=True)
    torch.save(model.state_dict(), work / "model.pt")
    save(model.eval(), pools, step, time.process_time() - started)


def save(model, pools, steps, seconds):
    """Write the network with its batch norms folded in, and what its training films look like."""
    import torch
    from safetensors.numpy import save_file

    found = {}
    layers = list(model[0])
    for number in range(len(STRIDES)):
        conv, norm = layers[3 * number], layers[3 * number + 1]
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        found[f"conv{number}.weight"] = conv.weight * scale[:, None, None, None]
        found[f"conv{number}.bias"] = norm.bias - norm.running_mean * scale
        found[f"conv{number}.stride"] = torch.tensor([float(STRIDES[number])])
    found |= {"hidden.weight": model[3][0].weight, "hidden.bias": model[3][0].bias,
              "output.weight": model[5].weight, "output.bias": model[5].bias}  # fmt: skip
    rng = np.random.default_rng(2)
    features = []
    with torch.no_grad():
        for _ in range(25):
            x, kind, turns, inverted, _ = batch_of(pools, rng, 256)
            upright = (kind < 2) & (turns == 0) & (inverted == 0)
            features.append(model[:4](x[upright][:, None]))
    features = torch.cat(features).double().numpy()
    covariance = np.cov(features.T)
    covariance += 0.05 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    precision, mean = np.linalg.inv(covariance), features.mean(0)
    away = features - mean
    limit = np.quantile(np.einsum("ni,ij,nj->n", away, precision, away), 0.995) * 1.5
    arrays = {name: value.detach().numpy().astype(np.float16) for name, value in found.items()}
    arrays |= {"mean": mean.astype(np.float32), "precision": (precision / limit).astype(np.float32)}
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, WEIGHTS)
    WEIGHTS.chmod(0o644)
    import plainfilm

    card = {"name": "plainfilm-gate", "description": "Tells chest films from other pictures, their "
            "view, which way up they are, and their polarity", "domain": "real",
            "real_films": len(pools["frontal"]) + len(pools["lateral"]),
            "steps": steps, "seconds": round(seconds),
            "plainfilm": plainfilm.__version__}  # fmt: skip
    (WEIGHTS.parent / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(f"wrote {WEIGHTS} ({WEIGHTS.stat().st_size / 1000:.0f} kB)")


def photographs(rng):
    """Yield (group, name, pixels) of pictures that packages carry; no training saw them."""
    import importlib.util

    def place(package, *parts):
        found = importlib.util.find_spec(package)
        return Path(found.origin).parent.joinpath(*parts) if found and found.origin else None

    wanted = (("skimage", "data"), ("sklearn.datasets", "images"),
              ("matplotlib", "mpl-data", "sample_data"))  # fmt: skip
    for package, *parts in wanted:
        folder = place(package, *parts)
        if folder is None:
            print(f"{package} is not installed: its pictures are left out")
            continue
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".png", ".jpg", ".gif"):
                pixels = grey(path)
                group = "pages" if path.stem in ("page", "text") else "photographs and drawings"
                yield group, path.name, pixels
                for _ in range(6):
                    height, width = pixels.shape
                    share = rng.uniform(0.3, 0.9)
                    top, left = rng.uniform(0, 1 - share, 2)
                    piece = pixels[int(top * height) : int((top + share) * height),
                                   int(left * width) : int((left + share) * width)]  # fmt: skip
                    if min(piece.shape) >= 32 and piece.std() > 0.02:
                        yield "pieces of them", path.name, piece


def other_dicom(more):
    """Yield (group, name, pixels) of pydicom's files: CT, MR, ultrasound, radiographs of hands …"""
    import warnings

    import pydicom
    from pydicom.data import get_testdata_files

    warnings.simplefilter("ignore")
    groups = {"CT": "CT and MR slices", "MR": "CT and MR slices"}
    paths = get_testdata_files("*.dcm") + [str(path) for path in more]
    for path in sorted(path for path in set(paths) if "J2K" not in path and "_RLE" not in path):
        try:
            dataset = pydicom.dcmread(path)
            pixels = dataset.pixel_array.astype(np.float64)
        except Exception:  # noqa: S112 - no picture, or damaged on purpose
            continue
        while pixels.ndim > 2:
            pixels = pixels[..., 0] if pixels.shape[-1] in (3, 4) else pixels[len(pixels) // 2]
        if min(pixels.shape) < 32:
            continue
        low, high = np.quantile(pixels, (0.005, 0.995))
        pixels = np.clip((pixels - low) / (high - low + 1e-9), 0, 1).astype(np.float32)
        if str(dataset.get("PhotometricInterpretation")) == "MONOCHROME1":
            pixels = 1 - pixels
        name = Path(path).name
        modality = str(dataset.get("Modality", ""))
        group = groups.get(modality, f"other DICOM ({modality})")
        yield ("RG1" if name.startswith("RG1") else group,
               name, pixels)  # fmt: skip


def score(work, real, more):
    rng = np.random.default_rng(9)
    groups = {}

    def put(group, name, verdict):
        groups.setdefault(group, []).append((name, verdict))

    known = []
    for path, patient, _ in real_films(real):
        if not held_out(patient):
            known.append(gate.prepared(grey(path), 32).ravel())
    known = np.array(known)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    copies, number = 0, 0
    for path, patient, view in real_films(real):
        if not held_out(patient):
            continue
        pixels = grey(path)
        one = gate.prepared(pixels, 32).ravel()
        if (known @ (one / np.linalg.norm(one))).max() > 0.985:  # the same film in another set
            copies += 1
            continue
        upright = 1 - pixels if path.stem in INVERTED else pixels
        put(f"real {view}", path.name, gate.judge(upright))
        number += 1
        if view == "frontal" and number % 4:
            continue
        for turns in (1, 2, 3):
            put(f"{view} turned", turns, gate.judge(np.rot90(upright, -turns)))
        put(f"{view} inverted", path.name, gate.judge(1 - upright))
        if view == "frontal":
            put("mirrored", path.name, gate.judge(upright[:, ::-1]))
    print(f"{copies} held-out films that a training set holds too are left out")
    print("| pictures | number | pass the gate | called lateral |\n|---|---|---|---|")
    show(groups, ("real frontal", "real lateral"))
    for group, name, pixels in (*photographs(rng), *other_dicom(more)):
        put(f"neither: {group}", name, gate.judge(pixels))
    show(groups, [name for name in groups if name.startswith("neither")])
    fresh = np.random.default_rng(77)
    for draw in drawings.DRAWN:
        for _ in range(20):
            picture = drawings.scaled(np.asarray(draw(fresh), float)).astype(np.float32)
            put("neither: drawn anew", draw.__name__, gate.judge(picture))
    show(groups, ["neither: drawn anew"])
    for view in ("frontal", "lateral"):
        turned = groups[f"{view} turned"]
        right = sum(v.turns[turns] > gate.CERTAIN for turns, v in turned)
        upright = [v for _, v in groups[f"real {view}"]]
        false = sum(max(v.turns[1:]) > gate.CERTAIN for v in upright)
        print(f"{view}: turned {right} of {len(turned)} seen, {false} of {len(upright)} falsely")
        inverted = [v for _, v in groups[f"{view} inverted"]]
        right = sum(v.inverted > gate.CERTAIN for v in inverted)
        false = sum(v.inverted > gate.CERTAIN for v in upright)
        print(
            f"{view}: inverted {right} of {len(inverted)} seen, {false} of {len(upright)} falsely"
        )
    mirrored = [v.mirrored for _, v in groups["mirrored"]]
    straight = [v.mirrored for _, v in groups["real frontal"]]
    print(f"mirrored: {sum(m > gate.MIRRORED for m in mirrored)} of {len(mirrored)} seen, "
          f"{sum(m > gate.MIRRORED for m in straight)} of {len(straight)} falsely")  # fmt: skip
    told = {name: [(str(one), v.frontal, v.lateral, v.distance) for one, v in found]
            for name, found in groups.items()}  # fmt: skip
    (work / "verdicts.json").write_text(json.dumps(told))


def show(groups, names):
    for group in names:
        found = groups[group]
        passed = [name for name, verdict in found if verdict.passes]
        lateral = sum(v.passes and v.lateral > v.frontal for _, v in found)
        wrong = passed if group.startswith("neither") else sorted(
            {name for name, _ in found} - set(passed))  # fmt: skip
        share = len(passed) / len(found)
        print(f"| {group} | {len(found)} | {len(passed)} ({share:.2%}) | {lateral} |"
              f" <!-- {', '.join(wrong[:12])} -->", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("make", "train", "score"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--phantom", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--more", type=Path, nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=8)
    options = parser.parse_args()
    if options.command == "make":
        make(options.work, options.phantom, options.real)
    elif options.command == "train":
        train(options.work, options.minutes)
    else:
        score(options.work, options.real, options.more)


if __name__ == "__main__":
    main()
