"""What stands around a report, by language: why and how the film was taken, what it compares to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from plainfilm.core import InputError, View
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.exposure import Exposure


@dataclass(frozen=True)
class Phrases:
    """The phrases of one language."""

    complaints: Mapping[str, tuple[str, ...]]
    """Why films are taken, by what is behind it; as many of each in every language."""
    upright: str
    portable: str
    lateral: tuple[str, str]
    """Upright and lying, with a lateral film."""
    day_before: str
    before: str
    """With a number and a unit."""
    units: tuple[str, str, str, str]
    """Days, weeks, months, years."""


PHRASES: Mapping[str, Phrases] = MappingProxyType({
    "en": Phrases(
        complaints=MappingProxyType({
            "heart": ("Shortness of breath.", "Dyspnea on exertion, leg swelling.", "Orthopnea."),
            "infection": ("Fever and cough.", "Productive cough.", "Fever of unknown source."),
            "air": ("Sudden chest pain.", "Acute dyspnea and chest pain."),
            "injury": ("Fall.", "Chest trauma.", "Motor vehicle collision."),
            "tumour": ("Weight loss.", "Smoker with a cough.", "Hemoptysis."),
            "devices": ("Line and tube placement.", "Intensive care, daily film."),
            "none": ("Cough.", "Chest pain.", "Preoperative film.", "Shortness of breath.",
                     "Check-up."),
        }),
        upright="Upright PA view of the chest.",
        portable="Portable AP view of the chest.",
        lateral=("Upright PA and lateral views of the chest.",
                 "AP and lateral views of the chest."),
        day_before="Chest film of the day before.",
        before="Chest film of {} {} before.",
        units=("days", "weeks", "months", "years"),
    ),
    "es": Phrases(
        complaints=MappingProxyType({
            "heart": ("Disnea.", "Disnea de esfuerzo, edema en las piernas.", "Ortopnea."),
            "infection": ("Fiebre y tos.", "Tos productiva.", "Fiebre sin foco."),
            "air": ("Dolor torácico súbito.", "Disnea aguda y dolor torácico."),
            "injury": ("Caída.", "Traumatismo torácico.", "Accidente de tráfico."),
            "tumour": ("Pérdida de peso.", "Fumador con tos.", "Hemoptisis."),
            "devices": ("Colocación de vías y tubos.", "Cuidados intensivos, control diario."),
            "none": ("Tos.", "Dolor torácico.", "Preoperatorio.", "Disnea.", "Revisión."),
        }),
        upright="Radiografía PA de tórax en bipedestación.",
        portable="Radiografía AP portátil de tórax.",
        lateral=("Radiografías PA y lateral de tórax en bipedestación.",
                 "Radiografías AP y lateral de tórax."),
        day_before="Radiografía de tórax del día anterior.",
        before="Radiografía de tórax de hace {} {}.",
        units=("días", "semanas", "meses", "años"),
    ),
})  # fmt: skip
"""What can be said in each language that the phantom reports in."""

UNSPECIFIC = 0.35
"""Share of indications that have nothing to do with what is found."""


def check_language(language: str) -> None:
    """Raise InputError where the phantom does not report in ``language``."""
    if language not in PHRASES:
        raise InputError(f"no language {language!r}: the phantom reports in {', '.join(PHRASES)}")


def draw_indication(rng: np.random.Generator, disease: Disease, language: str = "en") -> str:
    """Return why the film was taken; it hints at the disease, and often does not."""
    behind = [
        name
        for name, there in (
            ("heart", disease.edema > 0),
            ("infection", bool(disease.opacities)),
            ("air", disease.pneumothorax is not None),
            ("injury", disease.fracture is not None),
            ("tumour", any(not lesion.calcified for lesion in disease.lesions)),
            ("devices", bool(disease.devices)),
        )
        if there
    ]
    unspecific = rng.random() < UNSPECIFIC or not behind
    group = "none" if unspecific else behind[int(rng.integers(len(behind)))]
    complaints = PHRASES[language].complaints[group]
    return complaints[int(rng.integers(len(complaints)))]


def technique_of(
    exposure: Exposure, views: Collection[str] = ("frontal",), language: str = "en"
) -> str:
    """Return how the films were taken, as reports say it; ``exposure`` is of the frontal one."""
    phrases = PHRASES[language]
    upright = exposure.view is View.PA
    if "lateral" in views:
        return phrases.lateral[0 if upright else 1]
    return phrases.upright if upright else phrases.portable


def comparison_of(days: int, language: str = "en") -> str:
    """Return which earlier film a report compares with, taken ``days`` before."""
    phrases = PHRASES[language]
    if days == 1:
        return phrases.day_before
    *units, years = phrases.units
    for unit, length, most in zip(units, (1, 7, 30), (14, 60, 720), strict=True):
        if days <= most:
            return phrases.before.format(round(days / length), unit)
    return phrases.before.format(round(days / 365), years)
