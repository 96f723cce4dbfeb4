"""The soft anatomy: trunk, pleural cavities, lungs, diaphragm, heart, great vessels, as solids.

The lungs are the two pleural cavities without heart, mediastinum, spine and diaphragm; the space
between a cavity and its lung is pleural: fluid, air or thickening.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.columns import Column, Section, cross, half_shadow, on_side
from plainfilm.phantom.anatomy.patient import Patient, clamp
from plainfilm.phantom.anatomy.solids import Array, Camera, Ellipsoid, Grid, Interval, length

RIGHT, LEFT = -1, 1
"""The sign of x on each side: the patient's left lies at positive x, the picture's right."""
SIDE_NAMES = {RIGHT: "right", LEFT: "left"}
SPINE_WIDTH_MM = 21
"""Half the width that the spine and adjacent tissue take from the lungs."""


CAVITY_POWERS = (3, 2)
"""Powers of the cavities' superellipses, which are broader at the side than an ellipse."""


@dataclass(frozen=True)
class Cavity:
    """One pleural cavity, or the lung inside it: ellipses stacked along y.

    The section at height y is a superellipse about ``centre(y)`` that reaches the chest wall
    laterally and the midline medially, where the mediastinum cuts it. ``fluid_top`` is the height
    of a meniscus (as a fraction of the cavity's height) above which the lung is not displaced;
    ``rim_mm`` the width of a pneumothorax, of which the fraction ``rim_below`` reaches the base,
    and which collects there in ``supine`` patients; ``cap_mm`` and ``rind_mm`` the thickness of
    apical and lateral pleural thickening. ``midline`` is the x that separates the two cavities.
    """

    side: int
    width: float
    height: float
    depth: float
    top: float
    apex: float
    fluid_top: float | None = None
    rim_mm: float = 0.0
    cap_mm: float = 0.0
    rind_mm: float = 0.0
    supine: bool = False
    rim_below: float = 0.35
    midline: float = 0.0

    def section(self, y: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], ...]:
        """Return at heights ``y``: centre |x|, half-width, half-depth and middle z."""
        apex_drop = (0.2 if self.supine else 1.15) * self.rim_mm + self.cap_mm
        span = self.height - apex_drop
        t = np.maximum((y - self.top - apex_drop) / span, 0)
        rise = np.power(1 - np.power(1 - np.minimum(t / 0.80, 1), 2.3), 0.66)
        lateral = self.apex + (self.width - self.apex) * rise
        centre = self.apex * np.power(np.minimum(np.maximum(1 - t / 0.42, 0), 1), 2)
        depth = self.depth * np.power(1 - np.power(1 - np.minimum(t / 0.66, 1), 2), 0.6)
        closing = np.minimum(np.maximum((t - 0.9) / 0.17, 0), 1)
        end = np.sqrt(np.minimum(np.maximum(1 - np.square(closing), 0), 1))
        gap = self._gap(t)
        half_width = np.maximum((lateral - centre - gap) * np.where(end > 0, 1, 0), 0)
        half_depth = np.maximum((depth - gap) * end, 0)
        return centre, half_width, half_depth, 16 * (1 - np.minimum(t, 1))

    def _gap(self, t: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the width of the pleural space, mm; a meniscus rises as a parabola."""
        gap = np.zeros_like(t)
        if self.fluid_top is not None:
            gap = gap + 4.5 * np.square(np.maximum((t - self.fluid_top) * self.height / 26, 0))
        if self.rim_mm and self.supine:
            gap = gap + self.rim_mm * (0.15 + 0.85 * np.exp(-np.square((t - 0.95) / 0.3)))
        elif self.rim_mm:
            fading = np.exp(-np.square(t / 0.45))
            gap = gap + self.rim_mm * (self.rim_below + (1 - self.rim_below) * fading)
        if self.rind_mm:
            gap = gap + self.rind_mm * np.exp(-np.square((t - 0.62) / 0.2))
        return gap

    def scale(self, camera: Camera) -> float:
        """Return the magnification of cavity, lung and diaphragm, at the cavity's middle."""
        middle = (self.side * 0.5 * self.width, 0.5 * self.height, 8.0)
        return float(camera.magnification(camera.project(middle)[2]))

    def own_grid(self, grid: Grid, camera: Camera) -> Grid:
        """Return the film's pixels in the cavity's coordinates, without magnification."""
        return grid.unmagnified(self.scale(camera), camera.centre_y)

    def window(self, grid: Grid, camera: Camera) -> tuple[slice, slice]:
        """Return the slices (rows, columns) of the film that contain cavity and recess."""
        lateral = self.side * (self.width + 2)
        x = np.array([self.midline, self.midline, lateral, lateral])
        z = np.array([-1.0, 1.0, -1.0, 1.0]) * (self.depth + 16)
        turned = x * np.cos(camera.rotation_rad) - z * np.sin(camera.rotation_rad)
        own = self.own_grid(grid, camera)
        return own.box(turned.min(), turned.max(), self.top - 5, self.top + 1.1 * self.height)

    def interval(self, grid: Grid, camera: Camera) -> Interval:
        """Return the depths at which each ray enters and leaves the cavity."""
        own = self.own_grid(grid, camera)
        centre, *rest = self.section(own.y.astype(np.float64))
        half_width, half_depth, middle = rest
        section = Section(self.side * centre, middle, half_width, half_depth)
        return on_side(
            self.side, self.midline, cross(section, CAVITY_POWERS, own.x, camera), own.x, camera
        )

    def outermost(self, camera: Camera) -> float:
        """Return the film's x, mm, of the most lateral point of the cavity's wall."""
        y = self.top + np.linspace(0, 1, 101) * self.height
        centre, half_width, half_depth, middle = self.section(y)
        section = Section(self.side * centre, middle, half_width, half_depth)
        cos, sin = np.cos(camera.rotation_rad), np.sin(camera.rotation_rad)
        wall = section.x * cos - section.z * sin
        wall = wall + self.side * half_shadow(section, CAVITY_POWERS, camera)
        return float(wall[np.argmax(self.side * wall)] * self.scale(camera))

    def holds(self, points: npt.NDArray[np.float64], margin: float = 0.0) -> npt.NDArray[np.bool_]:
        """Return which points ``(n, 3)`` lie inside, at least ``margin`` mm from the wall."""
        centre, half_width, half_depth, middle = self.section(points[:, 1])
        u = (self.side * points[:, 0] - centre) / np.maximum(half_width - margin, 1e-3)
        v = (points[:, 2] - middle) / np.maximum(half_depth - margin, 1e-3)
        result: npt.NDArray[np.bool_] = (np.abs(u) ** 3 + v * v < 1) & (
            self.side * (points[:, 0] - self.midline) > 0
        )
        return result


@dataclass(frozen=True)
class Dome:
    """One half of the diaphragm: a paraboloid on top of a straight column."""

    side: int
    x: float
    half_width: float
    base: float
    """Height y of the dome's rim, the costophrenic angle."""
    rise: float
    z: float
    half_depth: float
    midline: float = 0.0

    def interval(self, own: Grid, camera: Camera) -> Interval:
        """Return the depths at which each ray enters and leaves the region below the diaphragm.

        ``own`` holds the film's pixels in the coordinates of this side's cavity.
        """
        radius = np.sqrt(np.maximum(1 + np.minimum((own.y - self.base) / self.rise, 0), 0))
        place = np.full_like(radius, self.side * self.x), np.full_like(radius, self.z)
        section = Section(*place, self.half_width * radius, self.half_depth * radius)
        chords = cross(section, (2, 2), own.x, camera)
        return on_side(self.side, self.midline, chords, own.x, camera)

    def holds(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which of the points ``(n, 3)`` lie below the diaphragm."""
        dx = (self.side * points[:, 0] - self.x) / self.half_width
        dy = np.minimum((points[:, 1] - self.base) / self.rise, 0)
        dz = (points[:, 2] - self.z) / self.half_depth
        result: npt.NDArray[np.bool_] = dx * dx - dy + dz * dz < 1
        return result

    def top(self, x: float) -> float:
        """Return the height y of the dome over ``x`` (|x| in mm)."""
        return self.base - self.rise * max(1 - ((x - self.x) / self.half_width) ** 2, 0)


def cavity(patient: Patient, side: int) -> Cavity:
    """Return a patient's pleural cavity on ``side``."""
    index = 0 if side == RIGHT else 1
    return Cavity(
        side=side,
        width=patient.width_mm,
        height=patient.height_mm - patient.lift_mm[index],
        depth=patient.depth_mm,
        top=0.0,
        apex=0.36 * patient.width_mm,
        midline=_midline(patient),
    )


def dome(patient: Patient, side: int, raised_mm: float = 0.0) -> Dome:
    """Return a patient's hemidiaphragm on ``side``, raised by volume loss."""
    index = 0 if side == RIGHT else 1
    return Dome(
        side=side,
        x=0.43 * patient.width_mm,
        half_width=0.575 * patient.width_mm,
        base=patient.height_mm - patient.lift_mm[index],
        rise=patient.dome_mm[index] + raised_mm,
        z=-0.22 * patient.depth_mm,
        half_depth=0.97 * patient.depth_mm,
        midline=_midline(patient),
    )


def _midline(patient: Patient) -> float:
    """Return the x between the pleural cavities, which moves with the mediastinum."""
    return clamp(patient.shift_mm, -SPINE_WIDTH_MM + 2, SPINE_WIDTH_MM - 2)


def gas_and_breasts(patient: Patient) -> tuple[list[Ellipsoid], list[Ellipsoid]]:
    """Return the gas bubbles of stomach (first) and colon, and the (right, left) breast.

    In men these are the pectoral muscles.
    """
    rng = np.random.default_rng([patient.anatomy_seed, 61])
    h, w = patient.height_mm, patient.width_mm
    floor = dome(patient, LEFT)
    x = rng.uniform(0.38, 0.55) * w
    gas = [
        Ellipsoid(
            (x, floor.top(x) + rng.uniform(24, 32), -10),
            (rng.uniform(16, 34), rng.uniform(9, 17), 26),
        )
    ]
    for _ in range(int(rng.integers(0, 5))):
        place = (rng.uniform(0.55, 0.95) * w, h + rng.uniform(-8, 40), -20.0)
        gas.append(Ellipsoid(place, (rng.uniform(9, 17), rng.uniform(8, 14), 12)))
    if patient.sex == "M":
        pectorals = [
            Ellipsoid((side * 0.62 * w, 0.34 * h, -patient.depth_mm), (62, 58, 9), side * 0.5)
            for side in (RIGHT, LEFT)
        ]
        return gas, pectorals
    breasts = []
    size = 0.75 + 0.5 * patient.habitus + 0.15 * rng.normal()
    for side in (RIGHT, LEFT):
        centre = (side * 0.60 * w, 0.72 * h + rng.normal(0, 4) + 14 * size, -patient.depth_mm)
        breasts.append(Ellipsoid(centre, (58 * size, 56 * size, 20 * size), -side * 0.12))
    return gas, breasts


def heart(patient: Patient, ratio: float) -> list[Ellipsoid]:
    """Return the heart's ellipsoids in the patient: left ventricle, right atrium, outflow tract.

    They are placed so that the heart's width is ``ratio`` × the inner width of the chest.
    """
    width = ratio * 2 * patient.width_mm
    right, left = patient.shift_mm - 0.31 * width, patient.shift_mm + 0.69 * width
    bottom = dome(patient, LEFT).top(0.35 * patient.width_mm) + 16
    size = width / 125  # scale of the heart, 1 for a width of 12.5 cm
    ventricle = Ellipsoid(
        (0, 0, -28), (61 * size, 51 * size**0.35, 58 * size**0.6), 0.66 / size**0.9
    )
    lv_y = bottom - 0.86 * ventricle.half_height
    ventricle = replace(ventricle, centre=(left - ventricle.half_width, lv_y, -28.0))
    atrium = Ellipsoid((0, 0, -22), (36 * size, 50 * size**0.35, 50 * size**0.6))
    atrium = replace(atrium, centre=(right + atrium.half_width, lv_y - 1, -22.0))
    outflow = Ellipsoid((patient.shift_mm + 16, lv_y - 48 * size**0.3, -22.0), (27, 44, 46), -0.2)
    return [ventricle, atrium, outflow]


def great_vessels(patient: Patient, extra_mm: float) -> Column:
    """Return the column of the great vessels, from the neck to the abdomen.

    Below the hila it narrows: only esophagus and azygos vein remain in front of the spine, with
    lung on both sides.
    """
    h, half = patient.height_mm, patient.mediastinum_mm
    shares = (0.10, 0.20, 0.30, 0.40, 0.52, 0.62, 0.72)
    y = (-400, -60, -10, *(share * h for share in shares), 2 * h)
    width = np.array(
        [40, 40, 36, half + 3, half + 2, 0.94 * half, 0.86 * half, 0.80 * half, 0.80 * half, 28, 28]
    )
    width = width + np.array([0, 0, 0.1, 0.55, 1, 1, 0.75, 0.4, 0.2, 0, 0]) * extra_mm
    x = (patient.shift_mm + 1.0,) * 11
    z = (2.0, 2.0, 2.0, 2.0, 2.0, 6.0, 20.0, 38.0, 38.0, 2.0, 2.0)
    depth = (70.0, 70.0, 70.0, 66.0, 62.0, 56.0, 42.0, 26.0, 26.0, 70.0, 70.0)
    return Column(y, x, z, tuple(width.tolist()), depth)


def spine_column(patient: Patient) -> Column:
    """Return the spine and adjacent muscles, which lung does not reach, as a column."""
    y = np.array([-400.0, *np.linspace(0, 1, 41) * patient.height_mm, 2 * patient.height_mm])
    x, _ = spine_bend(patient, y)
    n = len(y)
    wide, deep = (float(SPINE_WIDTH_MM),) * n, (26.0,) * n
    return Column(tuple(y.tolist()), tuple(x.tolist()), (88.0,) * n, wide, deep)


def aortic_knob(patient: Patient, extra_mm: float) -> Ellipsoid:
    """Return the part of the aortic arch that protrudes to the left, in patient coordinates."""
    return Ellipsoid(
        (23.0 + 0.35 * extra_mm + patient.shift_mm, 0.205 * patient.height_mm, 8.0),
        (patient.knob_mm + 0.5 * extra_mm, patient.knob_mm + 2 + 0.3 * extra_mm, 38.0),
    )


def spine_bend(
    patient: Patient, y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the spine's displacement to the left of the midline at heights ``y``, mm, and dx/dy.

    The bend is a raised cosine about the middle of the thoracic spine; the Cobb angle is the angle
    between its two steepest points.
    """
    span = 0.95 * patient.height_mm
    phase = np.clip((y - 0.52 * patient.height_mm) / (0.5 * span), -1, 1) * np.pi
    steepest = np.tan(np.deg2rad(patient.cobb_deg) / 2)
    x = steepest * span / np.pi * 0.5 * (1 + np.cos(phase))
    return x, -steepest * np.sin(phase)


def trunk(patient: Patient, grid: Grid, camera: Camera, arms_raised: bool = False) -> Array:
    """Return the path length through the whole trunk with neck and shoulders, mm."""
    shoulder = 1.42 * patient.width_mm + 0.5 * patient.wall_mm
    if arms_raised:
        shoulder = 1.05 * patient.width_mm
    half_width, half_depth = _trunk_section(patient, grid, shoulder)
    middle = np.zeros_like(half_width)
    return length(cross(Section(middle, middle, half_width, half_depth), (4, 4), grid.x, camera))


def _trunk_section(patient: Patient, grid: Grid, shoulder: float) -> tuple[Array, Array]:
    """Return the trunk's half-width and half-depth at each row, ``(rows, 1)`` each."""
    y = grid.y[:, 0].astype(np.float64)
    h, chest = patient.height_mm, patient.width_mm + patient.wall_mm
    knots = [-150, -62, -46, -28, -2, 40, 85, 125, 0.85 * h, 1.1 * h, 1.6 * h]
    widths = [64, 60, 84, 0.86 * shoulder, shoulder, shoulder + 4, chest + 18, chest + 5, chest,
              chest - 3, chest - 6]  # fmt: skip
    depth = patient.depth_mm + 16 + 26 * patient.habitus
    depths = [70, 68, 72, 76, 80, 0.86 * depth, 0.94 * depth, depth, depth + 4, depth + 8,
              depth + 10]  # fmt: skip
    half_width = np.interp(y, knots, widths)
    half_depth = np.interp(y, knots, depths)
    kernel = np.hanning(max(int(30 / grid.spacing_mm), 3) + 2)
    kernel /= kernel.sum()
    pad = len(kernel) // 2
    smooth = [
        np.convolve(np.pad(v, pad, mode="edge"), kernel, mode="same")[pad:-pad]
        for v in (half_width, half_depth)
    ]
    w, d = (v.astype(np.float32)[:, None] for v in smooth)
    return w, d


def front_skin(
    patient: Patient, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the depth z of the trunk's front at (x, y), mm; beyond the trunk, that of its side."""
    rows = Grid.square(128, 800.0, 0.0, -250.0)
    shoulder = 1.42 * patient.width_mm + 0.5 * patient.wall_mm
    half_width, half_depth = (
        np.interp(y, rows.y[:, 0], half[:, 0]) for half in _trunk_section(patient, rows, shoulder)
    )
    part = np.minimum(np.abs(x) / half_width, 1)
    result: npt.NDArray[np.float64] = -half_depth * (1 - part**4) ** 0.25
    return result
