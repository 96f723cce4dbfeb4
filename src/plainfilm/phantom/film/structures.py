"""Masks of anatomy by name, in the classes of :mod:`plainfilm.core.classes`, made on demand.

Each is the shadow of the solids that the film is made of; structures without contrast on the film
(chambers, lobes, most of :mod:`plainfilm.phantom.anatomy.organs`) are solids of the same kind
without an attenuation of their own. Ambiguous names of the table are understood as follows:

- *lung* is the shadow of all lung, also behind heart and diaphragm; *less obstructed* is the part
  not obscured by them, which annotators outline (the study's masks ``left lung`` and ``right
  lung``);
- zones are separated by height: *apical* above the clavicle's middle, *upper* down to the anterior
  end of the 2nd rib, *mid* to that of the 4th, *base* below;
- a rib is posterior up to its most lateral point; the 11th and 12th end before it;
- the myocardium is the left ventricle's wall, whose shadow also covers its cavity, *heart ventricle
  left*; the inferior vena cava ends with the film;
- the aorta ends at the diaphragm, the stomach is its gas, men have no breast, upper and lower
  mediastinum meet at the disc T4/T5, *tracheal bifurcation* is the carina with both main bronchi.
"""

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from plainfilm.core import InputError
from plainfilm.core.classes import ADDED, CLASSES, ORDINALS, SUPERCLASSES, VERTEBRAE
from plainfilm.phantom.anatomy.organs import left_ventricles_cavity
from plainfilm.phantom.anatomy.skeleton import (
    LEVELS,
    RIB_DEPTH_MM,
    clavicle_curve,
    rib_curve,
    rib_height_mm,
    scapular_plate,
    shoulder,
    sternum,
    vertebra,
)
from plainfilm.phantom.anatomy.solids import (
    Array,
    Ellipsoid,
    Grid,
    Mask,
    Tubes,
    length,
)
from plainfilm.phantom.anatomy.thorax import RIGHT, SIDE_NAMES, gas_and_breasts, heart
from plainfilm.phantom.anatomy.vessels import airway_curves, central_artery
from plainfilm.phantom.film.bones import rib_pieces
from plainfilm.phantom.film.case import Case
from plainfilm.phantom.film.lung_parts import LUNG_ZONES, lobe_mask, lung_mask, own_grid
from plainfilm.phantom.film.organ_masks import ORGANS, Render, pipe, ratio, shadow
from plainfilm.phantom.film.scene import Scene, make_scene

SIDES = {name: side for side, name in SIDE_NAMES.items()}


def structure_masks(
    case: Case, size: int = 256, names: Iterable[str] | None = None
) -> dict[str, Mask]:
    """Return the masks of anatomical classes on a study's film, ``(size, size)`` each.

    Args:
        case: the study's case, ``PhantomStudy.case``.
        size: side of the film in pixels.
        names: classes of :data:`AVAILABLE`; default: all.

    Raises:
        InputError: a name is not in :data:`AVAILABLE`.
    """
    exposure = case.exposure
    grid = Grid.square(size, exposure.field_mm, exposure.left_mm, exposure.top_mm)
    return masks_of(make_scene(case.patient, case.disease, exposure, grid), names)


def masks_of(scene: Scene, names: Iterable[str] | None = None) -> dict[str, Mask]:
    """Return :func:`structure_masks` of an existing scene, frontal or lateral."""
    names = AVAILABLE if names is None else tuple(names)
    unknown = sorted(set(names) - set(AVAILABLE))
    if unknown:
        raise InputError(
            f"the phantom has no mask of {unknown[0]!r}: choose from "
            "plainfilm.phantom.film.structures.AVAILABLE"
        )
    made: dict[str, Mask] = {}

    def mask(name: str) -> Mask:
        if name not in made:
            parts = _UNIONS.get(name)
            made[name] = (
                _RENDER[name](scene)
                if parts is None
                else np.logical_or.reduce([mask(part) for part in parts])
            )
        return made[name]

    return {name: mask(name) for name in names}


def with_unions(parts: Mapping[str, Mask]) -> dict[str, Mask]:
    """Return ``parts`` with all unions that can be formed from them, so that only parts are
    stored."""
    result = dict(parts)
    for name, among in _UNIONS.items():
        if all(part in result for part in among):
            result[name] = np.logical_or.reduce([result[part] for part in among])
    return result


def superclass_masks(masks: Mapping[str, Mask]) -> dict[str, Mask]:
    """Return the union of its classes' masks for each of the 20 superclasses; empty without any.

    Raises:
        InputError: there are no masks, or a name is not a class of plainfilm.core.classes.
    """
    if not masks:
        raise InputError("superclasses need at least one mask of a class, got none")
    classes = (*CLASSES, *ADDED)
    unknown = sorted(set(masks) - {entry.name for entry in classes})
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is not one of the 212 classes of plainfilm.core.classes, nor one of "
            f"those added: {', '.join(entry.name for entry in ADDED)}"
        )
    shape = next(iter(masks.values())).shape
    result: dict[str, Mask] = {name: np.zeros(shape, bool) for name in SUPERCLASSES}
    for entry in classes:
        if entry.superclass is not None and entry.name in masks:
            result[entry.superclass] = result[entry.superclass] | masks[entry.name]
    return result


def _vertebra(level: int, scene: Scene) -> Mask:
    body, arch = vertebra(scene.patient, level)
    return shadow([body, *arch], scene)


def _rib(name: str, scene: Scene) -> Mask:
    if name not in scene.kept:
        scene.kept.update(_ribs(scene))
    return np.asarray(scene.kept[name] > 0.5)


def _ribs(scene: Scene) -> dict[str, Array]:
    """Return the path length through each part of each rib, computed in one pass."""
    tubes = Tubes(scene.camera)
    names: list[str] = []
    groups: list[int] = []
    for side_name, side in SIDES.items():
        for number, ordinal in enumerate(ORDINALS, 1):
            lateral = int(np.argmax(np.abs(rib_curve(scene.patient, side, number)[:, 0])))
            lateral = lateral if number < 11 else 10**6
            pieces = rib_pieces(scene.patient, scene.disease, side, number)
            for part in RIB_PARTS if number < 11 else RIB_PARTS[:1]:
                first = 0
                for piece in pieces:
                    turn = max(lateral - first, 0)
                    own = piece[turn:] if part == "anterior" else piece[: turn + 1]
                    if len(own) > 1:
                        tubes.add(own, rib_height_mm(number), 1.0, RIB_DEPTH_MM)
                        groups.append(len(names))
                    first += len(piece) - 1
                names.append(f"{part} {ordinal} rib {side_name}")
    paths = tubes.paths(scene.grid, groups, len(names))
    return dict(zip(names, paths, strict=True))


RIB_PARTS = ("posterior", "anterior")


def _clavicle(side: int, scene: Scene) -> Mask:
    return pipe([(clavicle_curve(scene.patient, side), 6.0)], 1, scene)


def _scapula(side: int, scene: Scene) -> Mask:
    plate = shadow([scapular_plate(scene.patient, side)], scene)
    return plate | pipe(shoulder(scene.patient, side)[:-1], 0.5, scene)


def _hemidiaphragm(side: int, scene: Scene) -> Mask:
    lung = scene.lungs[side]
    return (lung.below > 0) & (own_grid(scene, side).y < lung.dome.base)


def _cardiomediastinum(upper: bool, scene: Scene) -> Mask:
    h = scene.patient.height_mm
    top, disc, bottom = (
        float(scene.camera.project((0.0, y, 0.0))[1])
        for y in (0.0, 0.5 * sum(vertebra(scene.patient, n)[0].centre[1] for n in (3, 4)), 0.6 * h)
    )
    y = scene.grid.y
    vessels = (length(scene.great) > 0) & (y > top) & (y < bottom)
    whole = vessels | (length(scene.arch) > 0) | (length(scene.heart) > 0)
    return whole & ((y < disc) if upper else (y >= disc))


def _chamber(name: str, scene: Scene) -> Mask:
    """Return a chamber's mask within the heart; inner chambers are placed relative to outer
    ones."""
    patient = scene.patient
    left, right_atrium, _ = heart(patient, ratio(scene))
    x, y = 0.5 * (left.centre[0] + right_atrium.centre[0]), left.centre[1]
    w, h = left.half_width, left.half_height
    solid = {
        "heart ventricle left": left_ventricles_cavity(left),
        "heart myocardium": left,
        "heart atrium right": right_atrium,
        "heart ventricle right": Ellipsoid((x, y + 0.25 * h, -48), (0.62 * w, 0.62 * h, 30)),
        "heart atrium left": Ellipsoid((x, y - 0.42 * h, 8), (0.55 * w, 0.40 * h, 24)),
    }[name]
    return shadow([solid], scene) & (length(scene.heart) > 0)


def _airway(bifurcation: bool, scene: Scene) -> Mask:
    (trachea, radius), *bronchi = airway_curves(scene.patient)
    if not bifurcation:
        return pipe([(trachea, radius)], 2, scene)
    along = trachea[-1] - trachea[-2]
    low = trachea[-1] - 15 * along / np.linalg.norm(along)
    return pipe([(np.stack([low, trachea[-1]]), radius), *bronchi], 2, scene)


def _pulmonary_artery(side: int, scene: Scene) -> Mask:
    curve, radii = central_artery(scene.patient, side)
    tubes = Tubes(scene.camera)
    tubes.add(curve, radii, 1.0)
    return tubes.path(scene.grid) > 2


def _breast(side: int, scene: Scene) -> Mask:
    if scene.patient.sex == "M":
        return np.zeros(scene.grid.shape, bool)
    return shadow([gas_and_breasts(scene.patient)[1][0 if side == RIGHT else 1]], scene)


def _renders() -> dict[str, Render]:
    """Return class → function that draws its mask, for classes that are not unions."""
    renders: dict[str, Render] = {
        **ORGANS,
        "sternum": lambda scene: shadow([sternum(scene.patient)], scene),
        "stomach": lambda scene: shadow(gas_and_breasts(scene.patient)[0][:1], scene),
        "heart": lambda scene: length(scene.heart) > 0,
        "aortic arch": lambda scene: length(scene.arch) > 0,
        "upper mediastinum": partial(_cardiomediastinum, True),
        "lower mediastinum": partial(_cardiomediastinum, False),
        "trachea": partial(_airway, False),
        "tracheal bifurcation": partial(_airway, True),
    }
    for level in LEVELS:
        renders[f"vertebrae {VERTEBRAE[level + 7]}"] = partial(_vertebra, level)
    for kind in ("myocardium", "ventricle left", "atrium right", "ventricle right", "atrium left"):
        renders[f"heart {kind}"] = partial(_chamber, f"heart {kind}")
    for name, side in SIDES.items():
        for number, ordinal in enumerate(ORDINALS, 1):
            for part in RIB_PARTS if number < 11 else RIB_PARTS[:1]:
                rib = f"{part} {ordinal} rib {name}"
                renders[rib] = partial(_rib, rib)
        renders[f"clavicle {name}"] = partial(_clavicle, side)
        renders[f"scapula {name}"] = partial(_scapula, side)
        renders[f"{name} hemidiaphragm"] = partial(_hemidiaphragm, side)
        renders[f"breast {name}"] = partial(_breast, side)
        renders[f"{name} pulmonary artery"] = partial(_pulmonary_artery, side)
        for clear, prefix in ((False, ""), (True, "l. obs. ")):
            renders[f"{prefix}{name} lung"] = partial(lung_mask, side, clear, None)
            for zone in LUNG_ZONES:
                renders[f"{prefix}{name} {zone}"] = partial(lung_mask, side, clear, zone)
        for lobe in ("lower", "upper", *(["middle"] if side == RIGHT else [])):
            full = f"lung {lobe} lobe {name}"
            renders[full] = partial(lobe_mask, full, side)
    return renders


def _unions() -> dict[str, tuple[str, ...]]:
    """Return class → its parts, for classes that are unions of others."""
    drawn = [f"vertebrae {VERTEBRAE[level + 7]}" for level in LEVELS]
    unions = {
        f"{region} spine": tuple(name for name in drawn if name[10] == region[0].upper())
        for region in ("cervical", "thoracic", "lumbar")
    }
    unions |= {
        "spine": tuple(unions),
        "clavicles": ("clavicle left", "clavicle right"),
        "scapulas": ("scapula left", "scapula right"),
        "12th rib": ("posterior 12th rib left", "posterior 12th rib right"),
        "diaphragm": ("left hemidiaphragm", "right hemidiaphragm"),
        "cardiomediastinum": ("upper mediastinum", "lower mediastinum"),
        "aorta": ("ascending aorta", "aortic arch", "descending aorta"),
        "pulmonary artery": ("left pulmonary artery", "right pulmonary artery"),
        "breast": ("breast left", "breast right"),
        "lung": ("left lung", "right lung"),
        "less obstructed lung": ("l. obs. left lung", "l. obs. right lung"),
    }
    for number, ordinal in enumerate(ORDINALS[:-1], 1):
        for part in ("posterior", "anterior") if number < 11 else ("posterior",):
            name = f"{part} {ordinal} rib"
            unions[name] = (f"{name} left", f"{name} right")
    for prefix in ("", "l. obs. "):
        for zone in LUNG_ZONES:
            unions[f"{prefix}{zone}"] = (f"{prefix}left {zone}", f"{prefix}right {zone}")
    return unions


_RENDER, _UNIONS = _renders(), _unions()

AVAILABLE = tuple(entry.name for entry in CLASSES if entry.name in _RENDER.keys() | _UNIONS.keys())
"""Anatomical classes for which the phantom has masks, in the table's order."""
PARTS = tuple(name for name in AVAILABLE if name not in _UNIONS)
"""Available classes that are not unions of others."""
