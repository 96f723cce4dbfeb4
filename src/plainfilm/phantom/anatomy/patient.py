"""The patient: age, sex and build, drawn from distributions.

Sizes are in mm, for adults. Published values are given with their source; a number without one is
set by eye, so that the films look right beside real ones.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from plainfilm.phantom.anatomy.variants import PROMINENT, Variants, draw_variants


@dataclass(frozen=True)
class Patient:
    """One person's healthy thorax."""

    age: int
    sex: str
    """``F`` or ``M``."""
    habitus: float
    """Thickness of fat and muscle: 0 for a slim, 1 for a heavy person."""
    width_mm: float
    """Half of the rib cage's greatest inner width."""
    height_mm: float
    """Distance from the lung apex to the costophrenic angle."""
    depth_mm: float
    """Half of the rib cage's inner depth."""
    dome_mm: tuple[float, float]
    """Height of the (right, left) diaphragm dome above its costophrenic angle."""
    lift_mm: tuple[float, float]
    """Height of the (right, left) costophrenic angle above the left one."""
    cardiothoracic_ratio: float
    """Cardiothoracic ratio of the healthy heart, before magnification by the beam."""
    mediastinum_mm: float
    """Half-width of the upper mediastinum."""
    knob_mm: float
    """Radius of the aortic knob."""
    vessels: float
    """Calibre of the pulmonary vessels, 1 on average."""
    bone: float
    """Mineral content, which decreases with age."""
    anatomy_seed: int
    """Random seed of small variations: vessel tree, rib angles, bowel gas."""
    shift_mm: float = 0.0
    """Displacement of heart and mediastinum towards the patient's left."""
    cobb_deg: float = 0.0
    """Cobb angle of the spine's bend, positive if convex to the patient's left."""

    scapula_mm: float = 8.0
    """Distance of the scapulae outside the rib cage; with the arms down they cover lung."""
    variants: Variants = field(default_factory=Variants)

    @property
    def lung_height_mm(self) -> float:
        """Distance from the right lung's apex to the top of its diaphragm."""
        return self.height_mm - self.lift_mm[0] - self.dome_mm[0]

    @property
    def wall_mm(self) -> float:
        """Thickness of the lateral chest wall."""
        return 20 + 34 * self.habitus


FEMALE = 0.48
"""Share of women."""
AGE, AGE_SPREAD = 56, 18
"""Mean and standard deviation of age in years, clipped to 18 to 94; set by eye."""


LARGEST_RATIO = 0.497
"""Largest ratio of a healthy heart before magnification, where the range of large hearts begins."""


def clamp(value: float, low: float, high: float) -> float:
    """Return ``value`` clipped to [``low``, ``high``]; numpy's clip is slow on single numbers."""
    return float(min(max(value, low), high))


def _healthy(value: float, low: float, high: float) -> float:
    """Return ``value``, reflected at the ends of the healthy range; clipping would pile up values
    there."""
    value = 2 * high - value if value > high else 2 * low - value if value < low else value
    return clamp(value, low, high)


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw a healthy person at random. Published values, and the means used here:

    - transverse chest diameter of men 27.8 to 29.6 cm, of women 25.1 to 27.1 cm by age (Obikili and
      Okoye, West Afr J Med 2006, 25:186; 303 adults): 28.4 and 26.0;
    - healthy cardiothoracic ratio .42 to .50 in textbooks; .466 (Sudan, 113 adults, with the aortic
      knob below): .45 here, s.d. .025, growing slightly with age;
    - height of the right dome 51 mm, s.d. 11 (Alghamdi et al., Int J Biomed 2021, 11:206;
      45 adults): 62 here, since a paraboloid of 51 looks flat beside real films;
    - right hemidiaphragm above the left by 9 to 22 mm (Mishra et al., EJBPS, 72 adults), by 12 to
      15 (526 adults, West Afr J Med 2007): 12 here, s.d. 4;
    - apex to dome 21.5 (women) to 22.9 cm (men) on the right (same 526 adults): shorter here,
      about 18 cm, since patients inspire less deeply;
    - aortic knob 19.5 mm + .2 mm a year, 28 mm on average (the same 113 adults of Sudan; 30 mm in
      Magera et al., Uganda 2020): a diameter of 26 mm at 40 years, .18 mm a year here;
    - width of the mediastinum 63 mm (Gleeson et al., Emerg Med J 2001, 18:183): 56 at the vessels,
      wider where the arch stands out.
    """
    female = bool(rng.random() < FEMALE)
    age = int(clamp(rng.normal(AGE, AGE_SPREAD), 18, 94))
    habitus = clamp(rng.beta(2.2, 2.8), 0.05, 0.95)
    inspiration = float(rng.normal(0, 1))
    width = (130.0 if female else 142.0) + rng.normal(0, 6) + 5 * (habitus - 0.4)
    height = (238.0 if female else 256.0) + 10 * inspiration + rng.normal(0, 7) - 12 * habitus
    dome = 62 + rng.normal(0, 5) - 4 * inspiration
    more = rng.spawn(1)[0]
    prominent = 1.22 if more.random() < PROMINENT else 1.0
    ratio = 0.432 + 0.0004 * (age - 50) + 0.03 * habitus - 0.006 * inspiration
    return Patient(
        age=age,
        sex="F" if female else "M",
        habitus=habitus,
        width_mm=float(width),
        height_mm=clamp(height, 200, 290),
        depth_mm=clamp(rng.normal(92 if female else 99, 6), 78, 118),
        dome_mm=(clamp(dome + rng.normal(0, 3), 44, 82),
                 clamp(dome + rng.normal(0, 3), 44, 82)),
        lift_mm=(float(rng.normal(12, 4)), 0.0),
        cardiothoracic_ratio=_healthy(ratio + rng.normal(0, 0.026), 0.37, LARGEST_RATIO),
        mediastinum_mm=_healthy(rng.normal(26, 2.4) + 4 * habitus, 21, 35),
        knob_mm=_healthy(13 + 0.09 * (age - 40) + rng.normal(0, 2), 9, 21),
        vessels=prominent * clamp(rng.normal(1, 0.08), 0.8, 1.2),
        bone=clamp(1.1 - 0.005 * (age - 40) + rng.normal(0, 0.08), 0.7, 1.3),
        anatomy_seed=int(rng.integers(2**31)),
        variants=draw_variants(more, habitus, age),
    )  # fmt: skip


BEDSIDE_BREATH, BREATH_SPREAD, ARMS_DOWN_MM = -0.8, 0.5, -14.0
"""Shift of the depth of inspiration in bedside patients and its variation from film to film (both
in standard deviations between people), and the scapulae's position in bedside films; set by eye."""


def breathe(patient: Patient, amount: float) -> Patient:
    """Return a patient who has inspired more deeply by ``amount`` standard deviations between
    people. The lungs become taller, the domes flatter and the heart narrower."""
    dome = [clamp(value - 4 * amount, 40, 92) for value in patient.dome_mm]
    ratio = patient.cardiothoracic_ratio - 0.006 * amount
    return replace(
        patient,
        height_mm=clamp(patient.height_mm + 10 * amount, 188, 295),
        dome_mm=(dome[0], dome[1]),
        cardiothoracic_ratio=clamp(ratio, 0.36, LARGEST_RATIO),
    )
