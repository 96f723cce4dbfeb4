"""Who is on the film: age, sex, build, and how the film was taken, drawn from distributions.

Sizes in mm, of adults. A number with a published value has it and its source beside it; a number
without one is set by eye, so that the films look right beside real ones.
"""

import math
from dataclasses import dataclass

import numpy as np

from plainfilm.core import View
from plainfilm.phantom.nuisance import CLEAN, Nuisance, draw_nuisance
from plainfilm.phantom.prevalence import FEMALE
from plainfilm.phantom.solids import Camera


@dataclass(frozen=True)
class Patient:
    """One person's thorax, healthy."""

    age: int
    sex: str
    """``F`` or ``M``."""
    habitus: float
    """Thickness of fat and muscle: 0 for a slim, 1 for a heavy person."""
    width_mm: float
    """Half of the greatest inner width of the rib cage."""
    height_mm: float
    """From the lung apex to the costophrenic angle."""
    depth_mm: float
    """Half of the rib cage's inner depth."""
    dome_mm: tuple[float, float]
    """Height of the (right, left) diaphragm dome above its costophrenic angle."""
    lift_mm: tuple[float, float]
    """How much higher than the left the (right, left) costophrenic angle lies."""
    cardiothoracic_ratio: float
    """Of the healthy heart, before the beam magnifies it."""
    mediastinum_mm: float
    """Half-width of the upper mediastinum."""
    knob_mm: float
    """Radius of the aortic knob."""
    vessels: float
    """Calibre of the pulmonary vessels, 1 on average."""
    bone: float
    """Mineral content, falls with age."""
    anatomy_seed: int
    """Seeds small variation: vessel tree, rib angles, bowel gas."""
    shift_mm: float = 0.0
    """How far heart and mediastinum lie towards the patient's left of their place."""
    cobb_deg: float = 0.0
    """Cobb angle of the spine's bend, above 0 where it is convex to the patient's left."""

    @property
    def wall_mm(self) -> float:
        """Thickness of the lateral chest wall."""
        return 20 + 34 * self.habitus


@dataclass(frozen=True)
class Exposure:
    """How the film was taken and developed."""

    view: View
    field_mm: float
    left_mm: float
    top_mm: float
    rotation_rad: float
    noise: float
    """Quantum noise: about the standard deviation of the log signal behind the mediastinum."""
    blur_mm: float
    contrast: float
    brightness: float
    detail: float
    """Strength of the edge enhancement."""
    shutters: tuple[float, float, float, float]
    """Collimated part of the field at left, right, top and bottom."""
    marker: tuple[str, float, float] | None
    """The lead letter, and its place as a fraction of the field."""
    nuisance: Nuisance = CLEAN
    """What lies on the film besides and is in no report."""

    def camera(self, patient: Patient) -> Camera:
        """Return the geometry: 1.8 m PA against the front, or about 1.1 m AP against the back.

        On a lateral film the left side is against the detector, 1.8 m from the source.
        """
        lateral = self.view is View.LATERAL
        return Camera(
            anterior_detector=self.view is not View.AP,
            source_mm=1100 if self.view is View.AP else 1800,
            gap_mm=(patient.width_mm if lateral else patient.depth_mm) + 45,
            rotation_rad=self.rotation_rad - (math.pi / 2 if lateral else 0),
            centre_y=0.5 * patient.height_mm,
        )


AGE, AGE_SPREAD = 56, 18
"""Mean and standard deviation of age in years, cut at 18 and 94; set by eye."""


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw a healthy person. What is published, and what is drawn (means):

    - transverse chest diameter of men 27.8 to 29.6 cm, of women 25.1 to 27.1 cm by age (Obikili and
      Okoye, West Afr J Med 2006, 25:186; 303 adults): 28.4 and 26.0;
    - healthy cardiothoracic ratio .42 to .50 in textbooks; .466 (Sudan, 113 adults, with the aortic
      knob below): .45 here, s.d. .025, growing slightly with age;
    - height of the right dome 51 mm, s.d. 11 (Alghamdi et al., Int J Biomed 2021, 11:206;
      45 adults): 62 here, since a paraboloid of 51 looks flat beside real films;
    - right above left hemidiaphragm by 9 to 22 mm (Mishra et al., EJBPS, 72 adults), by 12 to 15
      (526 adults, West Afr J Med 2007): 12 here, s.d. 4;
    - apex to dome 21.5 (women) to 22.9 cm (men) on the right (same 526 adults): shorter here,
      about 18 cm, since films of patients are less well inspired;
    - aortic knob 19.5 mm + .2 mm a year, 28 mm on average (the same 113 adults of Sudan; 30 mm in
      Magera et al., Uganda 2020): a diameter of 26 mm at 40 years, .18 mm a year here;
    - width of the mediastinum 63 mm (Gleeson et al., Emerg Med J 2001, 18:183): 56 at the vessels,
      wider where the arch stands out.
    """
    female = bool(rng.random() < FEMALE)
    age = int(np.clip(rng.normal(AGE, AGE_SPREAD), 18, 94))
    habitus = float(np.clip(rng.beta(2.2, 2.8), 0.05, 0.95))
    inspiration = float(rng.normal(0, 1))
    width = (130.0 if female else 142.0) + rng.normal(0, 6) + 5 * (habitus - 0.4)
    height = (238.0 if female else 256.0) + 10 * inspiration + rng.normal(0, 7) - 12 * habitus
    dome = 62 + rng.normal(0, 5) - 4 * inspiration
    ratio = 0.432 + 0.0004 * (age - 50) + 0.03 * habitus - 0.006 * inspiration
    return Patient(
        age=age,
        sex="F" if female else "M",
        habitus=habitus,
        width_mm=float(width),
        height_mm=float(np.clip(height, 200, 290)),
        depth_mm=float(np.clip(rng.normal(92 if female else 99, 6), 78, 118)),
        dome_mm=(float(np.clip(dome + rng.normal(0, 3), 44, 82)),
                 float(np.clip(dome + rng.normal(0, 3), 44, 82))),
        lift_mm=(float(rng.normal(12, 4)), 0.0),
        cardiothoracic_ratio=float(np.clip(ratio + rng.normal(0, 0.022), 0.37, 0.475)),
        mediastinum_mm=float(np.clip(rng.normal(26, 2) + 4 * habitus, 22, 33)),
        knob_mm=float(np.clip(13 + 0.09 * (age - 40) + rng.normal(0, 2), 10, 21)),
        vessels=float(np.clip(rng.normal(1, 0.08), 0.8, 1.2)),
        bone=float(np.clip(1.1 - 0.005 * (age - 40) + rng.normal(0, 0.08), 0.7, 1.3)),
        anatomy_seed=int(rng.integers(2**31)),
    )  # fmt: skip


def draw_exposure(rng: np.random.Generator, patient: Patient, bedside: bool) -> Exposure:
    """Draw how the film was taken; ``bedside`` films are AP, more often crooked and noisy."""
    view = View.AP if bedside else View.PA
    field = (2 * patient.width_mm + 2 * patient.wall_mm) * rng.normal(1.12, 0.05)
    field = float(np.clip(field, 1.18 * (patient.height_mm + 30), 1.6 * patient.height_mm))
    spread = 9 if bedside else 4
    spare = field - patient.height_mm
    return Exposure(
        view=view,
        field_mm=field,
        left_mm=float(-field / 2 + rng.normal(0, spread)),
        top_mm=float(-spare * np.clip(rng.normal(0.42, 0.09), 0.22, 0.62)),
        rotation_rad=float(np.deg2rad(rng.normal(0, 3.0 if bedside else 1.5))),
        noise=float(rng.uniform(0.012, 0.030) if bedside else rng.uniform(0.006, 0.018)),
        blur_mm=float(rng.uniform(0.8, 1.4) if bedside else rng.uniform(0.5, 0.9)),
        contrast=float(rng.uniform(0.85, 1.15)),
        brightness=float(rng.normal(0, 0.035)),
        detail=float(rng.uniform(0.3, 1.2)),
        shutters=tuple(float(s) for s in np.maximum(rng.normal(-0.01, 0.02, 4), 0)),  # type: ignore[arg-type]
        marker=_draw_marker(rng),
        nuisance=draw_nuisance(rng.spawn(1)[0], bedside, patient.sex == "F"),
    )


def _draw_marker(rng: np.random.Generator) -> tuple[str, float, float] | None:
    if rng.random() < 0.25:
        return None
    letter = "L" if rng.random() < 0.7 else "R"
    x = rng.uniform(0.90, 0.96) if letter == "L" else rng.uniform(0.04, 0.10)
    return letter, float(x), float(rng.uniform(0.04, 0.14))
