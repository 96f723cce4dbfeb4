"""Objects on the front skin: electrodes with their cables, buttons, a necklace, as solids.

They are projected like everything else, so that they rotate with the patient, lie farther apart on
an AP film than on a PA one, and in front of the chest on a lateral film. Plates stay parallel to
the film even where the skin slopes, and the skin is that of the trunk, without breasts.
"""

import math

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import Array, Camera, Ellipsoid, Grid, Mask, Tubes
from plainfilm.phantom.anatomy.thorax import front_skin
from plainfilm.phantom.film.device_shapes import METAL
from plainfilm.phantom.film.nuisance import Buttons, Nuisance

Points = npt.NDArray[np.float64]

SNAP_MM, PAD_MM = (5.0, 5.0, 1.4), (15.0, 15.0, 1.0)
"""Semi-axes of an electrode's metal snap including the cable's clip, and of its gel pad."""
SNAP, PAD, PLASTIC = 0.35, 0.05, 0.18
"""Attenuation of objects in the air in front of the skin, 1/mm."""
CABLE_MM, CABLE = 1.0, 0.22
CHAIN_MM, CHAIN = 0.8, 0.5 * METAL
BUTTON_MM = (5.5, 5.5, 1.6)
SEEN = 0.04
"""Minimum line integral within a mask."""


def add_nuisance(
    nuisance: Nuisance,
    patient: Patient,
    camera: Camera,
    grid: Grid,
    path: Array,
    masks: dict[str, Mask],
) -> None:
    """Add objects on the skin to ``path`` and their masks to ``masks``, in place."""
    if nuisance.leads:
        masks["electrodes"] = _draw_on(path, grid, Tubes(camera), _electrodes(nuisance, patient,
                                                                              camera))  # fmt: skip
        masks["cables"] = _draw_on(path, grid, _cables(nuisance, patient, camera), [])
    if nuisance.buttons:
        solids = _buttons(nuisance.buttons, patient, camera)
        masks["buttons"] = _draw_on(path, grid, Tubes(camera), solids)
    if nuisance.necklace is not None:
        masks["necklace"] = _draw_on(path, grid, *_necklace(nuisance.necklace, patient, camera))


def _draw_on(path: Array, grid: Grid, tubes: Tubes, solids: list[tuple[Ellipsoid, float]]) -> Mask:
    """Add projected tubes and solids with their attenuation; return the mask of their shadow."""
    own = tubes.path(grid)
    for solid, weight in solids:
        solid.add(own, grid, weight)
    path += own
    mask: Mask = own > SEEN
    return mask


def _place(patient: Patient, across: npt.ArrayLike, down: npt.ArrayLike, off_mm: float) -> Points:
    """Return points ``(n, 3)`` at x, y in mm, ``off_mm`` in front of the skin."""
    x, y = np.broadcast_arrays(np.asarray(across, float), np.asarray(down, float))
    return np.stack([x, y, front_skin(patient, x, y) - off_mm], axis=-1)


def _plate(centre: Points, radii: tuple[float, float, float], camera: Camera) -> Ellipsoid:
    x, y, z = (float(value) for value in centre)
    return Ellipsoid((x, y, z), radii).seen_by(camera)


def _electrodes(
    nuisance: Nuisance, patient: Patient, camera: Camera
) -> list[tuple[Ellipsoid, float]]:
    places = np.array([(lead.x, lead.y) for lead in nuisance.leads])
    x, y = places[:, 0] * patient.width_mm, places[:, 1] * patient.height_mm
    return [
        (_plate(centre, radii, camera), weight)
        for off_mm, radii, weight in ((1.0, PAD_MM, PAD), (3.0, SNAP_MM, SNAP))
        for centre in _place(patient, x, y, off_mm)
    ]


def _cables(nuisance: Nuisance, patient: Patient, camera: Camera) -> Tubes:
    """Return each cable as a cubic Bézier curve from its electrode to their common hub."""
    size = np.array([patient.width_mm, patient.height_mm])
    hub = np.array(nuisance.hub) * size
    t = np.linspace(0, 1, 25)[:, None]
    tubes = Tubes(camera)
    for number, lead in enumerate(nuisance.leads):
        start = np.array([lead.x, lead.y]) * size
        end = hub + np.array([6.0 * number, 0])
        away = start + 90 * np.array([math.cos(lead.way), math.sin(lead.way)])
        curve = (
            (1 - t) ** 3 * start
            + 3 * (1 - t) ** 2 * t * away
            + 3 * (1 - t) * t**2 * (0.35 * start + 0.65 * end)
            + t**3 * end
        )
        tubes.add(_place(patient, curve[:, 0], curve[:, 1], 4.0), CABLE_MM, CABLE)
    return tubes


def _buttons(row: Buttons, patient: Patient, camera: Camera) -> list[tuple[Ellipsoid, float]]:
    down = np.linspace(-0.02, 1.05, row.number) * patient.height_mm
    weight = SNAP if row.metal else PLASTIC
    return [
        (_plate(centre, BUTTON_MM, camera), weight)
        for centre in _place(patient, row.x_mm, down, 3.0)
    ]


def _necklace(
    length: float, patient: Patient, camera: Camera
) -> tuple[Tubes, list[tuple[Ellipsoid, float]]]:
    """Return a chain around the neck, and the pendant at its lowest point."""
    lowest = length * patient.height_mm
    across = np.linspace(-1, 1, 29)
    x = 52 * across
    y = lowest - (lowest + 52) * np.abs(across) ** 1.5
    chain = _place(patient, x, y, 2.0)
    tubes = Tubes(camera)
    tubes.add(chain, CHAIN_MM, CHAIN)
    pendant = chain[len(chain) // 2] + np.array([0, 7.0, 0])
    return tubes, [(_plate(pendant, (4.0, 7.0, 1.0), camera), METAL)]
