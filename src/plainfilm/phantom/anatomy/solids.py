"""Analytic solids and the exact length that each ray travels through them.

Coordinates are in mm: x towards the patient's left (the picture's right), y towards the feet (0 at
the lung apex), z towards the back. Rays run along z. The beam's divergence enters as the
magnification at each solid's (for tubes: each vertex's) own depth, so that every path length has a
closed form: a quadratic per ray and solid, as in other ellipsoid phantoms.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Interval = tuple[Array, Array]
"""Depths (near, far) in mm where each ray enters and leaves a solid; near = far where it misses."""


@dataclass(frozen=True)
class Grid:
    """The detector: pixel centres in mm in the plane z = 0."""

    x: Array
    """Columns, ``(1, size)``."""
    y: Array
    """Rows, ``(size, 1)``."""
    spacing_mm: float
    turned: "Camera | None" = None
    """If ellipsoids are given in the patient's coordinates: the camera that projects them."""

    @classmethod
    def square(cls, size: int, field_mm: float, left_mm: float, top_mm: float) -> "Grid":
        """Return a grid of ``size`` × ``size`` pixels over a square field."""
        spacing = field_mm / size
        steps = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(spacing)
        return cls((steps + np.float32(left_mm))[None], (steps + np.float32(top_mm))[:, None],
                   spacing)  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.y.shape[0], self.x.shape[1]

    def box(self, x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice]:
        """Return the slices (rows, columns) of the pixels whose centres lie in the box."""
        xs, ys = self._lists
        return (
            slice(bisect_left(ys, float(y0)), bisect_left(ys, float(y1))),
            slice(bisect_left(xs, float(x0)), bisect_left(xs, float(x1))),
        )

    @cached_property
    def _lists(self) -> tuple[list[float], list[float]]:
        """Both axes as lists of numbers, which are faster to search for hundreds of solids."""
        return self.x[0].tolist(), self.y[:, 0].tolist()

    def unmagnified(self, scale: float, centre_y: float) -> "Grid":
        """Return the pixels' coordinates on a solid magnified by ``scale`` about (0, y)."""
        factor, y = np.float32(1 / scale), np.float32(centre_y)
        return Grid(self.x * factor, (self.y - y) * factor + y, self.spacing_mm / scale)


@dataclass(frozen=True)
class Camera:
    """Position of source and detector, and rotation of the patient.

    ``source_mm`` is the distance from source to detector; the detector lies ``gap_mm`` beyond the
    plane z = 0, in front of the patient for a PA film and behind for an AP film. A patient rotated
    by −90° has the left side against the detector: a lateral film, on which depth runs along −x and
    the film's x along z.
    """

    anterior_detector: bool
    source_mm: float
    gap_mm: float
    rotation_rad: float
    centre_y: float

    def magnification(self, z: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the magnification at depth ``z`` relative to the plane z = 0."""
        z = np.asarray(z, dtype=np.float64)
        distance = self.gap_mm + (z if self.anterior_detector else -z)
        return (self.source_mm - self.gap_mm) / (self.source_mm - distance)

    def _magnification_at(self, z: float) -> float:
        distance = self.gap_mm + (z if self.anterior_detector else -z)
        return (self.source_mm - self.gap_mm) / (self.source_mm - distance)

    def project(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return points ``(..., 3)`` rotated with the patient and scaled by their magnification."""
        points = np.asarray(points, dtype=np.float64)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        cos, sin = math.cos(self.rotation_rad), math.sin(self.rotation_rad)
        deep = x * sin + z * cos
        scale = self.magnification(deep)
        result = np.empty_like(points)
        result[..., 0] = (x * cos - z * sin) * scale
        result[..., 1] = self.centre_y + (y - self.centre_y) * scale
        result[..., 2] = deep
        return result


STRAIGHT = Camera(anterior_detector=True, source_mm=1e9, gap_mm=0, rotation_rad=0, centre_y=0)
"""A camera without rotation or magnification, for solids in the patient's coordinates."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with semi-axes in mm, tilted by ``tilt`` radians in the film's plane.

    ``lean`` is the slope of its chords' midpoints in depth along x and y; with it any ellipsoid in
    any projection has this form.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    tilt: float = 0.0
    lean: tuple[float, float] = (0.0, 0.0)

    def seen_by(self, camera: Camera) -> "Ellipsoid":
        """Return the ellipsoid rotated, magnified and displaced by the camera.

        With Q its quadratic form in the camera's axes, a ray hits it where the Schur complement of
        Q in z is below 1; that complement is the ellipse of the shadow.
        """
        cos, sin = math.cos(camera.rotation_rad), math.sin(camera.rotation_rad)
        x, y, z = self.centre
        deep = x * sin + z * cos
        scale = camera._magnification_at(deep)
        place = (x * cos - z * sin) * scale, camera.centre_y + (y - camera.centre_y) * scale, deep
        a, b, c = self.radii
        if camera.rotation_rad == 0:
            lean = (self.lean[0] / scale, self.lean[1] / scale)
            return Ellipsoid(place, (a * scale, b * scale, c), self.tilt, lean)
        # Q is the sum of squares of three linear forms, one for each axis; each is rotated
        along, up = math.cos(self.tilt), math.sin(self.tilt)
        first_axis, second_axis = (along / a, up / a, 0.0), (-up / b, along / b, 0.0)
        third_axis = -self.lean[0] / c, -self.lean[1] / c, 1 / c
        xx = yy = zz = xy = xz = yz = 0.0
        for i, j, k in (first_axis, second_axis, third_axis):
            i, k = i * cos - k * sin, i * sin + k * cos
            xx, yy, zz = xx + i * i, yy + j * j, zz + k * k
            xy, xz, yz = xy + i * j, xz + i * k, yz + j * k
        shadow = xx - xz * xz / zz, yy - yz * yz / zz, xy - xz * yz / zz
        tilt = 0.5 * math.atan2(2 * shadow[2], shadow[0] - shadow[1])
        along, up = math.cos(tilt), math.sin(tilt)
        cross = 2 * along * up * shadow[2]
        first = along * along * shadow[0] + up * up * shadow[1] + cross
        second = up * up * shadow[0] + along * along * shadow[1] - cross
        return Ellipsoid(
            place,
            (scale / math.sqrt(first), scale / math.sqrt(second), 1 / math.sqrt(zz)),
            tilt,
            (-xz / zz / scale, -yz / zz / scale),
        )

    @property
    def half_width(self) -> float:
        """Half of the ellipsoid's extent along x."""
        a, b, _ = self.radii
        return math.hypot(a * math.cos(self.tilt), b * math.sin(self.tilt))

    @property
    def half_height(self) -> float:
        """Half of the ellipsoid's extent along y."""
        a, b, _ = self.radii
        return math.hypot(a * math.sin(self.tilt), b * math.cos(self.tilt))

    def box(self, grid: Grid) -> tuple[slice, slice]:
        """Return the slices (rows, columns) that contain the shadow."""
        x, y, _ = self.centre
        w, h = self.half_width, self.half_height
        return grid.box(x - w, x + w, y - h, y + h)

    def inside(self, grid: Grid, box: tuple[slice, slice]) -> Array:
        """Return 1 − q clipped at 0, where q = 1 on the shadow's edge, over ``box``."""
        dx, dy = grid.x[:, box[1]] - self.centre[0], grid.y[box[0]] - self.centre[1]
        cos, sin = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        u = (dx * cos + dy * sin) / np.float32(self.radii[0])
        v = (dy * cos - dx * sin) / np.float32(self.radii[1])
        return np.maximum(1 - u * u - v * v, 0, dtype=np.float32)

    def interval(self, grid: Grid, box: tuple[slice, slice]) -> Interval:
        """Return the depths at which the rays in ``box`` enter and leave the ellipsoid."""
        half = np.float32(self.radii[2]) * np.sqrt(self.inside(grid, box))
        middle: Array = np.full((1, 1), self.centre[2], np.float32)
        if any(self.lean):
            dx, dy = grid.x[:, box[1]] - self.centre[0], grid.y[box[0]] - self.centre[1]
            middle = middle + np.float32(self.lean[0]) * dx + np.float32(self.lean[1]) * dy
        return middle - half, middle + half

    def spread(self, grid: Grid) -> Interval:
        """Return the ellipsoid's interval over the whole grid, empty where rays miss it."""
        near, far = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
        box = self.box(grid)
        near[box], far[box] = self.interval(grid, box)
        return near, far

    def add(self, path: Array, grid: Grid, weight: float, soft: bool = False) -> None:
        """Add ``weight`` times the path length to ``path``, in place.

        A soft ellipsoid's density decreases as 1 − r², whose line integral is
        (4/3) c (1 − q)^(3/2); the chord of a hard one is 2 c (1 − q)^(1/2).
        """
        seen = self if grid.turned is None else self.seen_by(grid.turned)
        rows, columns = box = seen.box(grid)
        if rows.start == rows.stop or columns.start == columns.stop:
            return  # outside the film
        inside = seen.inside(grid, box)
        root = np.sqrt(inside)
        if soft:
            path[box] += np.float32(weight * seen.radii[2] * 4 / 3) * inside * root
        else:
            path[box] += np.float32(weight * seen.radii[2] * 2) * root


def length(interval: Interval) -> Array:
    """Return the length of each interval, 0 where it is empty."""
    result: Array = np.maximum(interval[1] - interval[0], 0)
    return result


def length_without(interval: Interval, holes: list[Interval]) -> Array:
    """Return the exact length of ``interval`` outside the union of ``holes``.

    The holes are visited in the order of their entry depths; time grows linearly with their number,
    not with the number of possible overlaps.
    """
    near, far = interval
    if not holes:
        return length(interval)
    ordered = [(np.broadcast_to(start, near.shape), np.maximum(start, end)) for start, end in holes]
    for last in range(len(ordered) - 1, 0, -1):  # for few, faster than np.sort
        for place in range(last):
            (start, end), (other, its_end) = ordered[place], ordered[place + 1]
            swap = start > other
            if swap.any():
                ordered[place] = np.minimum(start, other), np.where(swap, its_end, end)
                ordered[place + 1] = np.maximum(start, other), np.where(swap, end, its_end)
    reached, open_length = near, np.zeros_like(near)
    for start, end in ordered:
        open_length += np.maximum(np.minimum(start, far) - reached, 0)
        reached = np.maximum(reached, end)
    return np.asarray(open_length + np.maximum(far - reached, 0), np.float32)


def hull(intervals: list[Interval]) -> Interval:
    """Return the interval from the nearest entry to the farthest exit of overlapping solids."""
    near, far = intervals[0]
    for start, end in intervals[1:]:
        hit, held = end > start, far > near
        near = np.where(hit, np.where(held, np.minimum(near, start), start), near)
        far = np.where(hit, np.where(held, np.maximum(far, end), end), far)
    return near, far


def round_corners(points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return a finer polyline with rounded corners (Chaikin's corner cutting, twice)."""
    curve = np.asarray(points, dtype=np.float64)
    for _ in range(2):
        near, far = 0.75 * curve[:-1] + 0.25 * curve[1:], 0.25 * curve[:-1] + 0.75 * curve[1:]
        inner = np.stack([near, far], axis=1).reshape(-1, 3)
        curve = np.concatenate([curve[:1], inner, curve[-1:]])
    return curve


def norms(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the lengths of vectors ``(n, 3)``; faster than numpy's function for few vectors."""
    result: npt.NDArray[np.floating] = np.sqrt(np.add.reduce(vectors * vectors, axis=1))
    return result


def crossed(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the cross products of vectors ``(n, 3)``; faster than numpy's for few vectors."""
    result = np.empty_like(a)
    for axis, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.subtract(a[:, i] * b[:, j], a[:, j] * b[:, i], out=result[:, axis])
    return result


@dataclass
class Tubes:
    """Tubes of elliptic cross-section along polylines, all projected in one vectorised pass.

    A polyline's segments are cut by the planes that bisect the angle between neighbours, so that
    their chords add up to the tube's without gap or overlap. A tube thinner than a pixel is widened
    to a pixel and its attenuation reduced in proportion, which keeps its mass.
    """

    camera: Camera
    _points: list[npt.NDArray[np.float64]] = field(default_factory=list)
    """Points of each tube, ``(n, 3)``, in the patient's coordinates."""
    _starts: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """For each tube, the indices of points that start a segment ending at the next point."""
    _sizes: list[npt.NDArray[np.float64]] = field(default_factory=list)
    """For each tube, ``(segments, 3)``: half-axes and attenuation."""

    def add(
        self,
        points: npt.ArrayLike,
        height: npt.ArrayLike,
        weight: npt.ArrayLike,
        depth: npt.ArrayLike | None = None,
    ) -> None:
        """Add the tube along ``points`` ``(n, 3)``.

        ``height`` is the half-axis in the film's plane and ``depth`` the one across it (equal by
        default), ``weight`` the attenuation in 1/mm: a number each, or one per segment.
        """
        curve = np.asarray(points, dtype=np.float64)
        self._add(curve, np.arange(len(curve) - 1), height, weight, depth)

    def add_segments(
        self,
        start: npt.NDArray[np.float64],
        end: npt.NDArray[np.float64],
        height: npt.ArrayLike,
        weight: npt.ArrayLike,
        depth: npt.ArrayLike | None = None,
    ) -> None:
        """Add single segments from ``(n, 3)`` to ``(n, 3)``, with perpendicular ends."""
        points = np.stack([start, end], axis=1).reshape(-1, 3)
        self._add(points, np.arange(0, len(points), 2), height, weight, depth)

    def _add(
        self,
        points: npt.NDArray[np.float64],
        starts: npt.NDArray[np.int64],
        height: npt.ArrayLike,
        weight: npt.ArrayLike,
        depth: npt.ArrayLike | None,
    ) -> None:
        sizes = np.empty((len(starts), 3))
        sizes[:, 0], sizes[:, 1] = height, height if depth is None else depth
        sizes[:, 2] = weight
        self._points.append(points)
        self._starts.append(starts)
        self._sizes.append(sizes)

    def _table(self) -> Array:
        """Return one row per segment: start, end, direction, the normals of its two end planes,
        half-axes, attenuation. All tubes are projected at once."""
        before = np.cumsum([0, *map(len, self._points[:-1])])
        starts = np.concatenate([at + own for at, own in zip(before, self._starts, strict=True)])
        points = self.camera.project(np.concatenate(self._points))
        table = np.empty((len(starts), 18))
        start, end = points[starts], points[starts + 1]
        along = end - start
        along /= norms(along)[:, None] + 1e-9
        # the plane between two segments bisects the angle between them
        joined = np.flatnonzero(np.diff(starts) == 1)
        first, last = along.copy(), along.copy()
        first[joined + 1] += along[joined]
        last[joined] += along[joined + 1]
        table[:, 0:3], table[:, 3:6], table[:, 6:9] = start, end, along
        table[:, 9:12], table[:, 12:15] = first, last
        table[:, 15:18] = np.concatenate(self._sizes)
        return table.astype(np.float32)

    def path(self, grid: Grid) -> Array:
        """Return the sum over all tubes of weight × path length, ``(height, width)``."""
        total: Array = self.paths(grid, [0] * len(self._sizes), 1)[0]
        return total

    def paths(self, grid: Grid, groups: Sequence[int], count: int) -> Array:
        """Return :meth:`path` of each group of tubes, ``(count, height, width)``.

        ``groups`` holds the group, 0 to ``count`` - 1, of each tube in the order they were added.
        """
        pixels = grid.shape[0] * grid.shape[1]
        if not self._sizes:
            return np.zeros((count, *grid.shape), np.float32)
        table = self._table()
        group = np.repeat(groups, [len(sizes) for sizes in self._sizes])
        axes = _axes(table)
        row, column, segment = _pixels_near(table, axes, grid)
        index, chord, segment = _chords(table, axes, grid, row, column, segment)
        if count > 1:
            index += group[segment] * pixels
        total = np.bincount(index, chord, minlength=count * pixels)
        return total.astype(np.float32).reshape(count, *grid.shape)


def _pixels_near(
    table: Array, axes: tuple[Array, Array], grid: Grid
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return every (row, column, segment) whose boxes overlap; widens ``table`` in place."""
    least = np.float32(0.7 * grid.spacing_mm)
    wide = np.maximum(table[:, 15:17], least)
    table[:, 17] *= table[:, 15] * table[:, 16] / (wide[:, 0] * wide[:, 1])
    table[:, 15:17] = wide
    across, third = axes
    along = table[:, 6:9]
    # a section extends by its half-axes; a tilted end plane adds to that along the tube
    section = np.abs(across) * wide[:, :1] + np.abs(third) * wide[:, 1:]
    radius = np.hypot(wide[:, 0], wide[:, 1])
    tilt = np.maximum(_tangent(along, table[:, 9:12]), _tangent(along, table[:, 12:15]))
    reach = section + np.abs(along) * (radius * tilt)[:, None] + np.float32(1e-3)
    height, width = grid.shape
    low, high = np.minimum(table[:, :3], table[:, 3:6]), np.maximum(table[:, :3], table[:, 3:6])

    def edge(values: Array, origin: np.float32, limit: int) -> npt.NDArray[np.int64]:
        pixels = np.minimum(np.maximum(np.ceil((values - origin) / grid.spacing_mm), 0), limit)
        result: npt.NDArray[np.int64] = pixels.astype(np.int64)
        return result

    x0, x1 = (
        edge(v, grid.x[0, 0], width) for v in (low[:, 0] - reach[:, 0], high[:, 0] + reach[:, 0])
    )
    y0, y1 = (
        edge(v, grid.y[0, 0], height) for v in (low[:, 1] - reach[:, 1], high[:, 1] + reach[:, 1])
    )
    columns, rows = x1 - x0, y1 - y0
    counts = columns * rows
    segment = np.repeat(np.arange(len(table)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(place, np.maximum(columns, 1)[segment])
    return row + y0[segment], column + x0[segment], segment


def _axes(table: Array) -> tuple[Array, Array]:
    """Return the unit axes of each segment's cross-section: in the film's plane, and the other."""
    along = table[:, 6:9]
    across = np.stack([-along[:, 1], along[:, 0], np.zeros(len(table), np.float32)], 1)
    norm = norms(across)[:, None]
    upright = np.array([[0, 1, 0]], np.float32)  # for segments parallel to the ray
    across = np.where(norm > 1e-4, across / np.maximum(norm, 1e-6), upright)
    return across, crossed(along, across).astype(np.float32)


def _tangent(along: Array, normal: Array) -> Array:
    """Return the tangent of the angle between each segment and the normal of its end plane."""
    cosine = (along * normal).sum(axis=1) / norms(normal)
    cosine = np.minimum(np.maximum(cosine, np.float32(0.05)), 1)
    result: Array = np.sqrt(1 - cosine * cosine) / cosine
    return result


def _chords(
    table: Array,
    axes: tuple[Array, Array],
    grid: Grid,
    row: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
    segment: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], Array, npt.NDArray[np.int64]]:
    """Return (pixel, weight × chord length, segment) for rays that hit a segment.

    A segment is tube ∩ half-space ∩ half-space. With alpha and beta the ray's coordinates across
    the tube in units of its half-axes, (beta + kappa z)² ≤ 1 − alpha² bounds z; so does each plane.
    """
    start = table[:, :3]
    across, third = axes
    a = (across / table[:, 15:16]).astype(np.float32)
    b = (third / table[:, 16:17]).astype(np.float32)

    def form(vector: Array, at: Array) -> Array:
        """Return (x, y, constant) of the linear form vector · (point − at) at the start's z."""
        constant = -(vector * at).sum(axis=1) + vector[:, 2] * start[:, 2]
        return np.stack([vector[:, 0], vector[:, 1], constant])

    def value(rows: Array) -> Array:
        result: Array = rows[0][segment] * x + rows[1][segment] * y + rows[2][segment]
        return result

    x, y = grid.x[0][column], grid.y[:, 0][row]
    alpha = value(form(a, start))
    near_axis = np.flatnonzero(np.abs(alpha) < 1)
    segment, x, y, alpha = segment[near_axis], x[near_axis], y[near_axis], alpha[near_axis]
    index = row[near_axis] * grid.shape[1] + column[near_axis]
    kappa = np.where(np.abs(b[:, 2]) < 3e-4, np.float32(3e-4), b[:, 2]).astype(np.float32)
    middle = -value(form(b, start) / kappa)
    half = np.sqrt(1 - alpha * alpha) / np.abs(kappa)[segment]
    near, far = middle - half, middle + half
    for columns, at, sense in ((slice(9, 12), start, 1), (slice(12, 15), table[:, 3:6], -1)):
        normal: Array = table[:, columns] * np.float32(sense)
        slope = np.where(np.abs(normal[:, 2]) < 1e-5, np.float32(1e-5), normal[:, 2]).astype(
            np.float32
        )
        bound = -value(form(normal, at) / slope)
        enters = (slope > 0)[segment]
        near = np.where(enters, np.maximum(near, bound), near)
        far = np.where(enters, far, np.minimum(far, bound))
    return index, np.maximum(far - near, 0) * table[segment, 17], segment
