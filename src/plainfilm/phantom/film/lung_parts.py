"""The lungs' lobes and zones on a film.

Lobes are separated by planes, so that their path lengths have a closed form; zones are separated at
the heights of the clavicles and of the ribs' anterior ends.
"""

import numpy as np

from plainfilm.phantom.anatomy.skeleton import clavicle_curve, rib_curve
from plainfilm.phantom.anatomy.solids import Array, Grid, Interval, Mask, length_without
from plainfilm.phantom.anatomy.thorax import LEFT, SIDE_NAMES
from plainfilm.phantom.film.scene import Scene

LUNG_ZONES = ("apical zone lung", "upper zone lung", "mid zone lung", "lung base")
"""Zones from top to bottom."""


def lobe_lengths(scene: Scene, side: int) -> dict[str, Array]:
    """Return the length of lung in each lobe of one side along each ray of a frontal film, mm.

    The oblique fissure is a plane from the back at .25 of the lung's height to the front at .95;
    the right lung's horizontal one lies in front of it at .50.
    """
    lung, grid, name = scene.lungs[side], scene.grid, SIDE_NAMES[side]
    rays = np.nonzero(lung.full > 0)

    def there(interval: Interval) -> Interval:
        near, far = (np.broadcast_to(depth, grid.shape)[rays] for depth in interval)
        return near, far

    own, turn = own_grid(scene, side), scene.camera.rotation_rad
    near, far = there(lung.cavity.interval(grid, scene.camera))
    below = lung.dome.interval(own, scene.camera)
    holes = [there(interval) for interval in (*scene.central, below)]
    x, y = own.x[0, rays[1]], own.y[rays[0], 0]
    fissure, high = _oblique_fissure(scene, side, y), _above_horizontal_fissure(scene, side, y)
    # depth of the plane along a ray through the rotated patient
    fissure = np.asarray((fissure + x * np.sin(turn)) / np.cos(turn), np.float32)

    def spread(values: Array) -> Array:
        result = np.zeros(grid.shape, np.float32)
        result[rays] = values
        return result

    front = length_without((near, np.minimum(far, fissure)), holes)
    behind = length_without((np.maximum(near, fissure), far), holes)
    lobes = {f"lung lower lobe {name}": spread(behind)}
    if side == LEFT:
        return lobes | {"lung upper lobe left": spread(front)}
    return lobes | {
        "lung upper lobe right": spread(np.where(high, front, 0)),
        "lung middle lobe right": spread(np.where(high, 0, front)),
    }


def _oblique_fissure(scene: Scene, side: int, y: Array) -> Array:
    cavity = scene.lungs[side].cavity
    fraction = (y - np.float32(cavity.top)) / np.float32(cavity.height)
    return np.asarray(np.float32(cavity.depth) * (1 - 2 * (fraction - 0.25) / 0.70), np.float32)


def _above_horizontal_fissure(scene: Scene, side: int, y: Array) -> Mask:
    cavity = scene.lungs[side].cavity
    return np.asarray(y < cavity.top + 0.5 * cavity.height)


def lobe_mask(name: str, side: int, scene: Scene) -> Mask:
    """Return the mask of the lobe that the table of classes calls ``name``."""
    if not scene.lateral:
        if name not in scene.kept:
            scene.kept.update(lobe_lengths(scene, side))
        return np.asarray(scene.kept[name] > 2)
    own = own_grid(scene, side)
    behind = own.x > _oblique_fissure(scene, side, own.y)
    if "lower" in name:
        part = behind
    elif side == LEFT:
        part = ~behind
    else:
        part = ~behind & (_above_horizontal_fissure(scene, side, own.y) == ("upper" in name))
    return part & (scene.lungs[side].full > 2)


def own_grid(scene: Scene, side: int) -> Grid:
    """Return the film's pixels in the coordinates of one lung, without magnification."""
    return scene.lungs[side].cavity.own_grid(scene.grid, scene.camera)


def lung_mask(side: int, clear: bool, zone: str | None, scene: Scene) -> Mask:
    """Return the mask of one lung, or a zone of it; ``clear`` for only its unobscured part."""
    lung = scene.lungs[side]
    mask = lung.clear if clear else lung.full > 2
    if zone is None:
        return mask
    patient, camera = scene.patient, scene.camera
    points = [
        clavicle_curve(patient, side).mean(axis=0),
        rib_curve(patient, side, 2)[-1],
        rib_curve(patient, side, 4)[-1],
    ]
    cuts = [-np.inf, *(float(camera.project(point)[1]) for point in points), np.inf]
    number = LUNG_ZONES.index(zone)
    y = scene.grid.y
    return mask & (y >= cuts[number]) & (y < cuts[number + 1])
