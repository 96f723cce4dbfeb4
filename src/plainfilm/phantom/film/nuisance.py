"""What lies on a film and is neither in its report nor in its findings, and how often.

ECG electrodes and their cables, buttons, a necklace, a fold of skin, lines and cut-off of the
anti-scatter grid, too low a dose. Most films have none of it; shares and sizes are set by eye.
Where the objects lie in space: :mod:`plainfilm.phantom.film.skin`; what grid and dose do:
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
"""Share of walking patients with a row of buttons."""
NECKLACE = {True: 0.04, False: 0.01}
"""Share of walking women and men with a necklace."""
GRID_LINES = {True: 0.07, False: 0.02}
"""Share of films, at the bedside and elsewhere, whose grid leaves lines, if pixels are fine."""
CUT_OFF = {True: 0.10, False: 0.02}
"""Share of films, at the bedside and elsewhere, whose grid is not centred."""
FOLDED = {True: 0.10, False: 0.01}
"""Share of films, at the bedside and elsewhere, with a fold of skin beside the lung's edge."""
UNDEREXPOSED = 0.15
"""Share of bedside films."""
ELECTRODES = ((-0.60, 0.10), (0.60, 0.10), (0.70, 0.86), (-0.70, 0.86), (0.24, 0.50))
"""Right arm, left arm, left leg, right leg, chest: x by half the chest's width, y by its height."""


class Lead(NamedTuple):
    """An electrode on the front skin and how its cable leaves it."""

    x: float
    """By half of the chest's inner width, above 0 on the patient's left."""
    y: float
    """By the chest's height, from the apex of the lung."""
    way: float
    """Direction in which the cable leaves, radians from the patient's left towards the feet."""


class Buttons(NamedTuple):
    """A row of buttons or snaps down the front."""

    number: int
    metal: bool
    x_mm: float


class GridLines(NamedTuple):
    """Lines that the anti-scatter grid leaves after the detector's own sampling."""

    period_mm: float
    angle_rad: float
    """Of the direction across the lines, from the film's x."""
    strength: float
    """Part of the signal by which they swing to either side."""


@dataclass(frozen=True)
class Nuisance:
    """What disturbs a film; nothing by default."""

    leads: tuple[Lead, ...] = ()
    hub: tuple[float, float] = (0.0, 0.0)
    """Where their cables meet, off the film: x and y as a lead's."""
    buttons: Buttons | None = None
    necklace: float | None = None
    """How far down its pendant hangs, by the chest's height."""
    lines: GridLines | None = None
    cut_off: float = 0.0
    """Part of the signal lost at one edge by a decentred grid: the picture's right if above 0."""
    fold: tuple[int, float, float] | None = None
    """A fold of skin: its side, where its edge lies by the chest's half-width, and how dense."""
    dose: float = 1.0
    """Part of the usual dose that reached the detector."""


CLEAN = Nuisance()


def draw_nuisance(rng: np.random.Generator, bedside: bool, female: bool) -> Nuisance:
    """Draw what disturbs a film. Each kind has a stream of its own, so none shifts another."""
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
    """Return electrodes near their places, and where off the film their cables meet."""
    count = 5 if rng.random() < FIVE_LEADS else 3
    leads = []
    for x, y in ELECTRODES[:count]:
        dx, dy = rng.normal(0, (0.07, 0.05))
        leads.append(Lead(float(x + dx), float(y + dy), float(rng.uniform(0, 2 * math.pi))))
    side = float(rng.choice([-1, 1]))
    hub = (0.35 * side, 1.45) if rng.random() < 0.7 else (0.75 * side, -0.45)
    return tuple(leads), hub
