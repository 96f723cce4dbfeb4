"""Devices in the patient: lines, tubes, pacemakers, wires, as tubes of metal and plastic.

Most have a tip, usually in the correct position and sometimes not: a tube in the right main
bronchus, a line in the right atrium or turned up into the neck. The frequencies are set by eye.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import clamp
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT

Point = tuple[float, float, float]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Device:
    """One device in one patient."""

    name: str
    """The reader's name for it, in :attr:`plainfilm.core.Finding.detail`."""
    side: int
    """Side on which the device enters or lies; arbitrary for midline devices."""
    tip: str | None = None
    """Position of the tip, as named in reports."""
    offset_mm: float = 0.0
    """Advancement beyond the usual position."""

    @property
    def misplaced(self) -> bool:
        """Whether the tip is misplaced."""
        return self.tip is not None and self.tip not in WELL_PLACED[self.name]


VENOUS = ("central line", "PICC", "port", "Swan-Ganz catheter")
TIPS: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "central line": {"superior vena cava": 0.78, "cavoatrial junction": 0.08,
                     "right atrium": 0.08, "brachiocephalic vein": 0.06},
    "PICC": {"superior vena cava": 0.70, "cavoatrial junction": 0.08, "right atrium": 0.08,
             "subclavian vein": 0.07, "internal jugular vein": 0.07},
    "port": {"superior vena cava": 0.84, "cavoatrial junction": 0.06, "right atrium": 0.10},
    "Swan-Ganz catheter": {"pulmonary artery": 0.88, "right ventricle": 0.12},
    "endotracheal tube": {"carina": 0.84, "right main bronchus": 0.09, "upper trachea": 0.07},
    "enteric tube": {"stomach": 0.88, "esophagus": 0.09, "right main bronchus": 0.03},
    "chest tube": {"apex": 0.5, "base": 0.5},
})  # fmt: skip
"""Device → position of the tip → share. ``carina`` means above the carina."""
WELL_PLACED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "central line": ("superior vena cava", "cavoatrial junction"),
    "PICC": ("superior vena cava", "cavoatrial junction"),
    "port": ("superior vena cava", "cavoatrial junction"),
    "Swan-Ganz catheter": ("pulmonary artery",),
    "endotracheal tube": ("carina",),
    "enteric tube": ("stomach",),
    "chest tube": ("apex", "base"),
})  # fmt: skip
SPREAD_MM: Mapping[str, float] = MappingProxyType({
    "superior vena cava": 6, "cavoatrial junction": 2, "right atrium": 6, "carina": 11,
    "upper trachea": 6, "right main bronchus": 4, "stomach": 30, "esophagus": 25,
    "apex": 6, "base": 6,
})  # fmt: skip
"""Standard deviation of the tip's position along its course; the maximum is twice that."""
SIDED = (*VENOUS, "pacemaker", "chest tube")
"""Devices whose side is named in reports."""
RIGHT_SHARE = {"central line": 0.8, "PICC": 0.6, "port": 0.75, "pacemaker": 0.12,
               "Swan-Ganz catheter": 0.9}  # fmt: skip
AT_BEDSIDE = {"central line": 0.55, "PICC": 0.2, "pacemaker": 0.12, "sternotomy wires": 0.2,
              "endotracheal tube": 0.35, "port": 0.05, "Swan-Ganz catheter": 0.08,
              "enteric tube": 0.08}  # fmt: skip
WALKING = {"central line": 0.05, "PICC": 0.12, "pacemaker": 0.4, "sternotomy wires": 0.4,
           "port": 0.2}  # fmt: skip
"""Probability of each device in a patient with devices, at the bedside and elsewhere."""
FED = 0.7
"""Share of intubated patients with an enteric tube."""
DRAINED = {True: 0.5, False: 0.15}
"""Probability of a chest tube if there is air or fluid to drain, at the bedside and elsewhere."""
DRAIN_WHERE_IT_LIES = 0.8
"""Share of chest tubes that end at the apex for air, and at the base for fluid."""


def draw_devices(
    rng: np.random.Generator, bedside: bool, drained: Mapping[int, str]
) -> tuple[Device, ...]:
    """Draw the devices of a patient who has at least one.

    ``drained`` maps a side to what there is to drain, ``air`` or ``fluid``.
    """
    chances = AT_BEDSIDE if bedside else WALKING
    names = [name for name, chance in chances.items() if rng.random() < chance]
    for first, second in (("pacemaker", "port"), ("Swan-Ganz catheter", "central line")):
        if first in names and second in names:
            names.remove(second)
    names = names or [str(rng.choice(["central line"] if bedside else ["pacemaker", "port"]))]
    if "endotracheal tube" in names and "enteric tube" not in names and rng.random() < FED:
        names.append("enteric tube")
    devices = [_draw(rng, name) for name in names]
    if drained and rng.random() < DRAINED[bedside]:
        side, content = next(iter(drained.items()))
        wanted, other = ("apex", "base") if content == "air" else ("base", "apex")
        tip = wanted if rng.random() < DRAIN_WHERE_IT_LIES else other
        devices.append(Device("chest tube", side, tip, _offset(rng, tip)))
    return tuple(devices)


def _draw(rng: np.random.Generator, name: str) -> Device:
    side = RIGHT if rng.random() < RIGHT_SHARE.get(name, 0.5) else LEFT
    if name not in TIPS:
        return Device(name, side)
    places = TIPS[name]
    tip = str(rng.choice(list(places), p=list(places.values())))
    return Device(name, side, tip, _offset(rng, tip))


def _offset(rng: np.random.Generator, tip: str) -> float:
    return SPREAD_MM.get(tip, 0.0) * clamp(rng.normal(), -2, 2)
