"""Columns: upright surfaces whose cross-section at each height is a superellipse.

The section at height y is |u|^p + |v|^q = 1 with u = (x − x₀)/a and v = (z − z₀)/b, where centre
and half-axes depend on y. A ray stays at one height and crosses the section in a straight line,
however the patient is rotated. For p = q = 2 entry and exit are the roots of a quadratic. Otherwise
|u|^p + |v|^q − 1 is convex along the ray, so that Newton steps from a bound outside converge to
entry and exit without passing them; three steps give volumes within .1 % for rotations of 10°.

A column as a whole is magnified at the depth of its middle; the slight vertical slope of rays
within it is neglected, as for all solids here.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.solids import Array, Camera, Grid, Interval

STEPS = 3
"""Number of Newton steps."""
_V = np.linspace(0, 1, 129)


class Section(NamedTuple):
    """Superellipses at several heights: arrays of one shape, mm; empty where a half-axis is 0."""

    x: npt.NDArray[np.floating]
    z: npt.NDArray[np.floating]
    half_width: npt.NDArray[np.floating]
    half_depth: npt.NDArray[np.floating]


def cross(section: Section, powers: tuple[float, float], x: Array, camera: Camera) -> Interval:
    """Return the depths at which rays enter and leave; near = far where they miss.

    Args:
        section: arrays of shape ``(rows, 1)``.
        powers: p and q.
        x: where the rays cross the plane of depth 0, ``(1, columns)``, without magnification.
        camera: the patient's rotation.
    """
    cos, sin = np.float32(np.cos(camera.rotation_rad)), np.float32(np.sin(camera.rotation_rad))
    x0, z0, a, b = (np.asarray(value, np.float32) for value in section)
    filled = (a > 0) & (b > 0)
    a, b = np.where(filled, a, 1), np.where(filled, b, 1)
    # at depth t the ray is at x cos + t sin and −x sin + t cos in the patient's own axes
    u, v = (cos * x - x0) / a, (-sin * x - z0) / b
    du, dv = sin / a, cos / b
    near, far = _quadratic(u, v, du, dv) if powers == (2, 2) else _newton(u, v, du, dv, powers)
    miss = ~filled | ~(far > near)
    return np.where(miss, 0, near), np.where(miss, 0, far)


def _quadratic(u: Array, v: Array, du: Array, dv: Array) -> Interval:
    square = du * du + dv * dv
    middle = -(u * du + v * dv) / square
    apart = u * dv - v * du
    half = np.sqrt(np.maximum(square - apart * apart, 0)) / square
    return middle - half, middle + half


def _newton(u: Array, v: Array, du: Array, dv: Array, powers: tuple[float, float]) -> Interval:
    if np.abs(du).max() > np.abs(dv).max():  # let v change most along the ray
        u, v, du, dv, powers = v, u, dv, du, powers[::-1]
    p, q = powers
    low, high = _slab(v, dv, np.float32(1))
    # within the slab |u| is at least this, so that |v| stays below the bound
    first, last = u + du * low, u + du * high
    least = np.where(first * last > 0, np.minimum(np.abs(first), np.abs(last)), 0)
    bound = np.power(np.maximum(1 - _power(least, p)[0], 0), np.float32(1 / q))
    near, far = _slab(v, dv, bound)
    low, high = near, far
    for _ in range(STEPS):
        value, slope = _form(u, v, du, dv, near, powers)
        near = np.minimum(near - value / np.minimum(slope, np.float32(-1e-6)), high)
        value, slope = _form(u, v, du, dv, far, powers)
        far = np.maximum(far - value / np.maximum(slope, np.float32(1e-6)), low)
    return np.asarray(near, np.float32), np.asarray(far, np.float32)


def _slab(v: Array, dv: Array, bound: Array | np.float32) -> Interval:
    """Return the depths between which |v + dv t| is below ``bound``."""
    middle, half = -v / dv, np.asarray(bound / np.abs(dv), np.float32)
    return middle - half, middle + half


def _form(
    u: Array, v: Array, du: Array, dv: Array, t: Array, powers: tuple[float, float]
) -> tuple[Array, Array]:
    """Return |u|^p + |v|^q − 1 at depth t, and its derivative along the ray."""
    first, first_slope = _power(u + du * t, powers[0])
    second, second_slope = _power(v + dv * t, powers[1])
    slope: Array = first_slope * du + second_slope * dv
    return first + second - 1, slope


def _power(u: Array, power: float) -> tuple[Array, Array]:
    """Return |u|^power and its derivative."""
    size = np.abs(u)
    if power == 2:
        return u * u, 2 * u
    if power == 3:
        return u * u * size, 3 * u * size
    if power == 4:
        square = u * u
        return square * square, 4 * square * u
    lower = np.power(size, power - 1)
    return np.asarray(lower * size, np.float32), np.asarray(power * lower * np.sign(u), np.float32)


def half_shadow(
    section: Section, powers: tuple[float, float], camera: Camera
) -> npt.NDArray[np.float64]:
    """Return half the width of each section's shadow, without magnification."""
    p, q = powers
    across = np.abs(np.multiply.outer(section.half_width, (1 - _V**q) ** (1 / p)))
    deep = np.abs(np.multiply.outer(section.half_depth, _V))
    turned = abs(np.cos(camera.rotation_rad)) * across + abs(np.sin(camera.rotation_rad)) * deep
    widest: npt.NDArray[np.float64] = turned.max(axis=-1)
    return widest


def on_side(side: int, midline: float, interval: Interval, x: Array, camera: Camera) -> Interval:
    """Return the part of ``interval`` beyond the plane x = ``midline`` of the patient."""
    near, far = interval
    cos, sin = np.cos(camera.rotation_rad), np.sin(camera.rotation_rad)
    if abs(sin) < 1e-6:
        hit = side * (cos * x - midline) > 0
        return np.where(hit, near, 0), np.where(hit, far, 0)
    plane = np.float32(midline / sin) - x * np.float32(cos / sin)
    if side * sin > 0:
        near = np.maximum(near, plane)
    else:
        far = np.minimum(far, plane)
    return near, np.maximum(near, far)


@dataclass(frozen=True)
class Column:
    """A column in the patient's coordinates: sections at several heights, linear in between."""

    y: tuple[float, ...]
    """Heights, increasing downwards."""
    x: tuple[float, ...]
    z: tuple[float, ...]
    half_width: tuple[float, ...]
    half_depth: tuple[float, ...]
    powers: tuple[float, float] = (2, 2)

    def section(self, y: npt.ArrayLike) -> Section:
        """Return the sections at heights ``y``, empty above the first and below the last."""
        y = np.asarray(y, np.float64)
        inside = (y >= self.y[0]) & (y <= self.y[-1])
        x, z, a, b = (
            np.interp(y, self.y, v) for v in (self.x, self.z, self.half_width, self.half_depth)
        )
        return Section(x, z, np.where(inside, a, 0), np.where(inside, b, 0))

    def scale(self, camera: Camera) -> float:
        """Return the column's magnification, at the depth of its middle."""
        return float(camera.magnification(camera.project(self._middle)[2]))

    @property
    def _middle(self) -> tuple[float, float, float]:
        x, y, z = (float(np.mean(values)) for values in (self.x, self.y, self.z))
        return x, y, z

    def interval(self, grid: Grid, camera: Camera) -> Interval:
        """Return the depths at which each ray of the film enters and leaves the column."""
        own = grid.unmagnified(self.scale(camera), camera.centre_y)
        section = self.section(own.y[:, 0])
        middle, half = self._shadow(section, camera)
        held = section.half_width > 0
        near, far = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
        if held.any():
            rows = slice(int(np.argmax(held)), len(held) - int(np.argmax(held[::-1])))
            low, high = (middle - half)[rows].min(), (middle + half)[rows].max()
            columns = slice(*(int(n) for n in np.searchsorted(own.x[0], (low, high))))
            there = Section(*(value[rows, None] for value in section))
            part = cross(there, self.powers, own.x[:, columns], camera)
            near[rows, columns], far[rows, columns] = part
        return near, far

    def extent(
        self, y: npt.ArrayLike, camera: Camera
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the shadow's (right, left) borders on the film at the patient's heights ``y``."""
        middle, half = self._shadow(self.section(y), camera)
        scale = self.scale(camera)
        return (middle - half) * scale, (middle + half) * scale

    def _shadow(
        self, section: Section, camera: Camera
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        cos, sin = np.cos(camera.rotation_rad), np.sin(camera.rotation_rad)
        return section.x * cos - section.z * sin, half_shadow(section, self.powers, camera)

    def holds(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which of the points ``(n, 3)`` lie inside."""
        x, z, a, b = self.section(points[:, 1])
        u, v = (points[:, 0] - x) / np.maximum(a, 1e-3), (points[:, 2] - z) / np.maximum(b, 1e-3)
        p, q = self.powers
        return np.asarray((np.abs(u) ** p + np.abs(v) ** q < 1) & (a > 0))
