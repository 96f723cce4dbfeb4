"""Nuisances: objects and artefacts on a film that are in neither report nor findings.

ECG electrodes and their cables, buttons, a necklace, a skin fold, lines and cut-off of the
anti-scatter grid, too low a dose. Most films have none; shares and sizes are set by eye. The
objects' positions are in :mod:`plainfilm.phantom.film.skin`, the effects of grid and dose in
:mod:`plainfilm.phantom.film.develop`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MONITORED = {True: 0.45, False: 0.02}
"""Share of films with ECG electrodes, at the bedside and elsewhere."""
FIVE_LEADS = 0.5
"""Share of those with five leads; the others have three."""
BUTTONED = 0.03
"""Share of ambulatory patients with a row of buttons."""
NECKLACE = {True: 0.04, False: 0.01}
"""Share of ambulatory women and men with a necklace."""
GRID_LINES = {True: 0.07, False: 0.02}
"""Share of films, at the bedside and elsewhere, with grid lines, if the pixels are fine enough."""
CUT_OFF = {True: 0.10, False: 0.02}
"""Share of films, at the bedside and elsewhere, with an off-centre grid."""
FOLDED = {True: 0.10, False: 0.01}
"""Share of films, at the bedside and elsewhere, with a skin fold beside the lung's edge."""
UNDEREXPOSED = 0.15
"""Share of underexposed bedside films."""
ELECTRODES = ((-0.60, 0.10), (0.60, 0.10), (0.70, 0.86), (-0.70, 0.86), (0.24, 0.50))
"""Right arm, left arm, left leg, right leg, chest: x in half-widths, y in heights of the chest."""


class Lead(NamedTuple):
    """An electrode on the front skin, with the direction of its cable."""

    x: float
    """In units of half the chest's inner width, positive on the patient's left."""
    y: float
    """In units of the chest's height, from the lung's apex."""
    way: float
    """Direction of the cable, in radians from the patient's left towards the feet."""


class Buttons(NamedTuple):
    """A row of buttons or snaps down the front."""

    number: int
    metal: bool
    x_mm: float


class GridLines(NamedTuple):
    """Lines of the anti-scatter grid that remain after the detector's sampling."""

    period_mm: float
    angle_rad: float
    """Direction perpendicular to the lines, from the film's x."""
    strength: float
    """Amplitude of the lines, as a fraction of the signal."""


@dataclass(frozen=True)
class Nuisance:
    """A film's nuisances; none by default."""

    leads: tuple[Lead, ...] = ()
    hub: tuple[float, float] = (0.0, 0.0)
    """Point off the film where the leads' cables meet: x and y like those of a lead."""
    buttons: Buttons | None = None
    necklace: float | None = None
    """Height of a necklace's pendant, in units of the chest's height; None without one."""
    lines: GridLines | None = None
    cut_off: float = 0.0
    """Fraction of signal lost at one edge by an off-centre grid: at the picture's right if > 0."""
    fold: tuple[int, float, float] | None = None
    """A skin fold: side, position of its edge in half-widths of the chest, and attenuation."""
    dose: float = 1.0
    """Fraction of the usual dose that reached the detector."""


CLEAN = Nuisance()


def draw_nuisance(rng: np.random.Generator, bedside: bool, female: bool) -> Nuisance:
    """Draw a film's nuisances. Each kind has its own random stream, independent of the others."""
    ecg, clothes, grid, dose, skin = rng.spawn(5)
    leads, hub = _draw_leads(ecg) if ecg.random() < MONITORED[bedside] else ((), (0.0, 0.0))
    buttoned, necklace = clothes.random(2)
    row = Buttons(
        int(clothes.integers(4, 8)), bool(clothes.random() < 0.3), float(clothes.normal(4, 4))
    )
    pendant = float(clothes.uniform(0.06, 0.3))
    lined, cut = grid.random(2)
    lines = GridLines(
        period_mm=float(np.exp(grid.uniform(math.log(1.0), math.log(8.0)))),
        angle_rad=float(grid.choice([0, math.pi / 2]) + np.deg2rad(grid.normal(0, 2))),
        strength=float(grid.uniform(0.006, 0.02)),
    )
    side, loss = grid.choice([-1, 1]), grid.uniform(0.25, 0.6)
    low, amount = dose.random(), dose.uniform(0.2, 0.5)
    folded = skin.random() < FOLDED[bedside]
    fold = (
        int(skin.choice([-1, 1])),
        float(skin.uniform(0.62, 0.84)),
        float(skin.uniform(0.05, 0.14)),
    )
    return Nuisance(
        fold=fold if folded else None,
        leads=leads,
        hub=hub,
        buttons=row if not bedside and buttoned < BUTTONED else None,
        necklace=pendant if not bedside and necklace < NECKLACE[female] else None,
        lines=lines if lined < GRID_LINES[bedside] else None,
        cut_off=float(side * loss) if cut < CUT_OFF[bedside] else 0.0,
        dose=float(amount) if bedside and low < UNDEREXPOSED else 1.0,
    )


def _draw_leads(rng: np.random.Generator) -> tuple[tuple[Lead, ...], tuple[float, float]]:
    """Return electrodes near their usual positions, and the point where their cables meet."""
    count = 5 if rng.random() < FIVE_LEADS else 3
    leads = []
    for x, y in ELECTRODES[:count]:
        dx, dy = rng.normal(0, (0.07, 0.05))
        leads.append(Lead(float(x + dx), float(y + dy), float(rng.uniform(0, 2 * math.pi))))
    side = float(rng.choice([-1, 1]))
    hub = (0.35 * side, 1.45) if rng.random() < 0.7 else (0.75 * side, -0.45)
    return tuple(leads), hub
