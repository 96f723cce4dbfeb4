"""Draw the contact sheets of docs/phantom.md.

python benchmarks/phantom_sheets.py docs/pictures
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from plainfilm.core import Change
from plainfilm.phantom import PREVALENCE, simulate
from plainfilm.phantom.disease.disease import Collapse, Disease, Opacity, Pneumothorax
from plainfilm.phantom.disease.prevalence import RISKS
from plainfilm.phantom.film.nuisance import CLEAN
from plainfilm.phantom.film.structures import PARTS, structure_masks
from plainfilm.phantom.simulate import PhantomStudy, render

TILE, SIGN_TILE = 200, 280
PAIRS = {
    "heart failure": 3, "cardiomegaly": 1, "wide mediastinum": 5,
    "effusion": 7, "pneumothorax": 4, "consolidation": 8,
    "opacity": 4, "lesion": 8, "atelectasis": 1,
    "fracture": 5, "pleural thickening": 3, "devices": 0,
}  # fmt: skip
"""Disease to the study of series 9 that shows it."""
LAYERS = (
    "posterior .* rib (left|right)", "anterior .* rib (left|right)", "vertebrae|sternum",
    "clavicle |scapula |breast ", "lung (upper|middle) lobe", "lung lower lobe",
    "l. obs. (left|right) .*(zone|base)", "(upper|lower) mediastinum|aortic arch",
    "heart (atrium|ventricle)", "trachea|(left|right) pulmonary|stomach|.*hemidiaphragm",
)  # fmt: skip
"""Which structures a picture shows together, as patterns."""
COLOURS = np.array(
    [(255, 80, 80), (80, 255, 80), (90, 120, 255), (255, 255, 60), (255, 80, 255), (80, 255, 255)]
)


CLOUD = Opacity(-1, "upper lobe", True, "no", 0.9, 44.0, 5, True)
SIGNS = {
    "air bronchogram": Disease(opacities=(CLOUD,)),
    "tension pneumothorax": Disease(pneumothorax=Pneumothorax(1, 65.0, tension_mm=26.0)),
    "supine pneumothorax, deep sulcus": Disease(pneumothorax=Pneumothorax(-1, 26.0, supine=True)),
    "right upper lobe collapse": Disease(collapse=Collapse(-1, "upper lobe", 14.0)),
    "left lower lobe collapse": Disease(collapse=Collapse(1, "lower lobe", 14.0)),
    "emphysema": Disease(emphysema=0.9),
    "hiatal hernia": Disease(hernia_mm=70.0),
    "scoliosis": Disease(cobb_deg=-28.0),
    "calcified aortic arch": Disease(calcified_arch=(-90.0, 30.0)),
    "healed rib fracture": Disease(healed_fracture=(1, 6, 0.35)),
}
"""What is drawn into one patient, on the right of the sheet's pairs."""


def picture(phantom: PhantomStudy) -> Image.Image:
    return Image.fromarray((phantom.study.images[0].pixels * 255).astype(np.uint8)).convert("RGB")


def random_sheet() -> Image.Image:
    sheet = Image.new("RGB", (5 * TILE, 3 * TILE))
    for index in range(15):
        tile = picture(simulate(2026, index, TILE))
        sheet.paste(tile, ((index % 5) * TILE, (index // 5) * TILE))
    return sheet


def finding_sheet() -> Image.Image:
    """The same patient without and with each disease, its mask outlined."""
    sheet = Image.new("RGB", (6 * TILE, 4 * (TILE + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (disease, index) in enumerate(PAIRS.items()):
        only = dict.fromkeys(set(PREVALENCE) - {"normal"}, 0.0) | {disease: 1.0}
        case = simulate(9, index, TILE, prevalence=only).case
        well, sick = (
            render(one, TILE, np.random.default_rng(1), np.random.default_rng(2), "sheet")
            for one in (replace(case, disease=Disease()), case)
        )
        tile = np.array(picture(sick))
        own = [mask for name, mask in sick.masks.items() if name not in well.masks]
        shapes = own or [sick.masks["heart" if disease == "cardiomegaly" else "mediastinum"]]
        if disease != "devices":
            for mask in shapes:
                tile[mask ^ ndimage.binary_erosion(mask)] = (255, 170, 0)
        x, y = 2 * (place % 3) * TILE, (place // 3) * (TILE + 14)
        draw.text((x + 3, y + 1), disease, fill="black")
        sheet.paste(picture(well), (x, y + 14))
        sheet.paste(Image.fromarray(tile), (x + TILE, y + 14))
    return sheet


def sign_sheet() -> Image.Image:
    """One patient without and with each sign and finer finding, unmarked."""
    sheet = Image.new("RGB", (4 * SIGN_TILE, 5 * (SIGN_TILE + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    case = simulate(9, 3, 64, prevalence={"normal": 1.0, **dict.fromkeys(RISKS, 0.0)}).case
    for place, (sign, disease) in enumerate(SIGNS.items()):
        x, y = 2 * (place % 2) * SIGN_TILE, (place // 2) * (SIGN_TILE + 14)
        draw.text((x + 3, y + 1), sign, fill="black")
        without = Disease()
        if disease.opacities:  # the same consolidation with its bronchi filled
            without = replace(disease, opacities=(replace(CLOUD, bronchogram=False),))
        for column, one in enumerate((without, disease)):
            rngs = np.random.default_rng(1), np.random.default_rng(2)
            tile = picture(render(replace(case, disease=one), SIGN_TILE, *rngs, "sheet"))
            sheet.paste(tile, (x + column * SIGN_TILE, y + 14))
    return sheet


def severity_sheet() -> Image.Image:
    """Effusion, pneumothorax and heart size of one patient, from subtle to obvious."""
    base = simulate(2026, 50, TILE).case
    steps = [Disease(fluid_top={1: top}) for top in (0.80, 0.66, 0.5, 0.3)]
    steps += [Disease(pneumothorax=Pneumothorax(-1, rim)) for rim in (10.0, 20.0, 35.0, 60.0)]
    steps += [Disease(ratio=ratio) for ratio in (0.45, 0.53, 0.59, 0.68)]
    sheet = Image.new("RGB", (4 * TILE, 3 * TILE))
    for place, disease in enumerate(steps):
        rngs = np.random.default_rng(1), np.random.default_rng(2)
        tile = picture(render(replace(base, disease=disease), TILE, *rngs, "sheet"))
        sheet.paste(tile, ((place % 4) * TILE, (place // 4) * TILE))
    return sheet


def follow_up_sheet() -> Image.Image:
    """Six patients, the earlier film and the later one, with the truth's changes."""
    shown = Change.NEW, Change.WORSE, Change.IMPROVED, Change.RESOLVED
    sheet = Image.new("RGB", (6 * TILE, 2 * (TILE + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    index = place = 0
    while place < 6:
        phantom = simulate(41, index, TILE, prevalence={"normal": 0.0}, prior=True)
        index += 1
        assert phantom.prior is not None
        told = [
            f"{finding.change} {finding.side or ''} {finding.detail or finding.observation}"
            for finding in phantom.truth
            if finding.change in shown and finding.observation != "Support Devices"
        ]
        if not told or len(told) > 2:
            continue
        x, y = 2 * (place % 3) * TILE, (place // 3) * (TILE + 14)
        draw.text((x + 3, y + 1), ", ".join(" ".join(one.split()) for one in told), fill="black")
        sheet.paste(picture(phantom.prior), (x, y + 14))
        sheet.paste(picture(phantom), (x + TILE, y + 14))
        place += 1
    return sheet


def nuisance_sheet() -> Image.Image:
    """The first ten studies of a series with something on the film that no report tells."""
    sheet = Image.new("RGB", (5 * SIGN_TILE, 2 * SIGN_TILE))
    index = place = 0
    while place < 10:
        if simulate(77, index, 32).case.exposure.nuisance != CLEAN:
            tile = picture(simulate(77, index, SIGN_TILE))
            sheet.paste(tile, ((place % 5) * SIGN_TILE, (place // 5) * SIGN_TILE))
            place += 1
        index += 1
    return sheet


def structure_sheet() -> Image.Image:
    """Structures of one patient, each in a colour."""
    phantom = simulate(7, 2, TILE)
    masks = structure_masks(phantom.case, TILE, PARTS)
    sheet = Image.new("RGB", (5 * TILE, 2 * TILE))
    for place, pattern in enumerate(LAYERS):
        tile = np.array(picture(phantom)).astype(float)
        names = [name for name in PARTS if re.match(pattern, name)]
        for number, name in enumerate(names):
            tile[masks[name]] = 0.6 * tile[masks[name]] + 0.4 * COLOURS[number % len(COLOURS)]
        coloured = Image.fromarray(tile.astype(np.uint8))
        sheet.paste(coloured, ((place % 5) * TILE, (place // 5) * TILE))
    return sheet


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    out.mkdir(parents=True, exist_ok=True)
    for name, sheet in (
        ("phantom_random", random_sheet()),
        ("phantom_findings", finding_sheet()),
        ("phantom_signs", sign_sheet()),
        ("phantom_severity", severity_sheet()),
        ("phantom_structures", structure_sheet()),
        ("phantom_follow_up", follow_up_sheet()),
        ("phantom_nuisance", nuisance_sheet()),
    ):
        sheet.save(out / f"{name}.jpg", quality=72, optimize=True)
        print(out / f"{name}.jpg", (out / f"{name}.jpg").stat().st_size // 1024, "KB")


if __name__ == "__main__":
    main()
