"""Normal variants that look like disease, and their prevalence."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Variants:
    """One patient's normal variants; none by default. They are the same in all of the patient's
    films."""

    fat_pads_mm: tuple[float, float] = (0.0, 0.0)
    """Radius of the fat in the (right, left) angle between heart and diaphragm."""
    nipples_mm: float = 0.0
    """Diameter of visible nipples; 0 if they are not visible."""
    cartilage_mm: float = 0.0
    """Diameter of the bony knobs at the anterior ends of the first ribs."""
    azygos_lobe: bool = False


FAT_PADS, NIPPLES, CARTILAGE, AZYGOS_LOBE, PROMINENT = 0.25, 0.10, 0.15, 0.012, 0.12
"""Shares of patients: about 1 % for an azygos lobe in textbooks, the others set by eye. PROMINENT
is the share with wide vessels."""


def draw_variants(rng: np.random.Generator, habitus: float, age: int) -> Variants:
    """Draw a patient's variants: fat pads in heavy patients, ossified cartilage in old ones."""
    chances, sizes = rng.random(4), rng.random(4)
    pads = chances[0] < FAT_PADS * 2 * habitus
    knobs = chances[2] < CARTILAGE * np.clip((age - 35) / 25, 0, 2)
    return Variants(
        fat_pads_mm=(float(12 + 18 * sizes[0]) if pads and sizes[3] < 0.6 else 0.0,
                     float(14 + 24 * sizes[1]) if pads and sizes[3] > 0.25 else 0.0),
        nipples_mm=float(7 + 5 * sizes[2]) if chances[1] < NIPPLES else 0.0,
        cartilage_mm=float(10 + 8 * sizes[0]) if knobs else 0.0,
        azygos_lobe=bool(chances[3] < AZYGOS_LOBE),
    )  # fmt: skip
