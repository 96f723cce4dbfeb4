"""Shapes of devices in a patient, as tubes of metal and plastic, and positions of their tips."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from plainfilm.phantom.anatomy.organs import esophagus
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import Camera, Ellipsoid, Tubes, round_corners
from plainfilm.phantom.anatomy.thorax import LEFT, RIGHT, dome
from plainfilm.phantom.anatomy.vessels import airway_curves
from plainfilm.phantom.disease.devices import VENOUS, Device
from plainfilm.phantom.film.exposure import Exposure

CATHETER, METAL = 0.24, 0.6
"""Attenuation above soft tissue, 1/mm, of a radiopaque catheter and of steel or lead."""

Point = tuple[float, float, float]
Points = npt.NDArray[np.float64]


def place_device(patient: Patient, device: Device, camera: Camera) -> tuple[Tubes, list[Ellipsoid]]:
    """Return a device as tubes, and ellipsoids of attenuation METAL."""
    tubes = Tubes(camera)
    solids: list[Ellipsoid] = []
    if device.name == "pacemaker":
        solids = _add_pacemaker(tubes, patient, device.side)
    elif device.name == "sternotomy wires":
        _add_wires(tubes, patient)
    else:
        axis = round_corners(course(patient, device))
        if device.name == "endotracheal tube":
            tubes.add(axis, 4.6, 0.03)
            tubes.add(axis + np.array([3.6, 0, 0]), 0.8, METAL)
        elif device.name == "enteric tube":
            tubes.add(axis, 2.1, 0.15)
        elif device.name == "chest tube":
            tubes.add(axis, 3.8, 0.04)
            tubes.add(axis + np.array([0, 2.4, 0]), 0.8, 0.5 * METAL)
        else:
            radius = {"central line": 1.6, "PICC": 1.2, "port": 1.4}.get(device.name, 1.5)
            tubes.add(axis, radius, CATHETER)
        if device.name == "port":
            x, y, z = axis[0]
            solids.append(Ellipsoid((x, y, z), (12, 12, 4)))
    return tubes, [solid.seen_by(camera) for solid in solids]


def course(patient: Patient, device: Device) -> Points:
    """Return the vertices ``(n, 3)`` of a device with a tip, from outside to the tip, mm."""
    if device.name in VENOUS:
        return np.array(_entry(patient, device) + _to_heart(patient, device), dtype=np.float64)
    if device.name == "endotracheal tube":
        return _airway_course(patient, device, {"carina": 40.0, "upper trachea": 80.0})
    if device.name == "enteric tube":
        return _enteric(patient, device)
    return _chest_tube(patient, device)


def tip_measures(patient: Patient, device: Device) -> dict[str, float]:
    """Return the tip's distance from its reference landmark, mm along the body."""
    carina = float(airway_curves(patient)[0][0][-1, 1])
    name = device.name.lower().replace(" ", "_").replace("-", "_")
    if device.tip is None or device.name == "chest tube":
        return {}
    x, y, _ = course(patient, device)[-1]
    if device.name == "endotracheal tube":
        return {f"{name}_above_carina_mm": carina - float(y)}
    if device.name == "enteric tube":
        floor = dome(patient, LEFT if x > 0 else RIGHT).top(abs(x))
        return {f"{name}_below_diaphragm_mm": float(y) - floor}
    return {f"{name}_below_carina_mm": float(y) - carina}


def tip_on_film(patient: Patient, device: Device, exposure: Exposure) -> bool:
    """Return whether a device's tip is visible on the film, within the shutters."""
    x, y, _ = exposure.camera(patient).project(course(patient, device)[-1])
    across = (x - exposure.left_mm) / exposure.field_mm
    down = (y - exposure.top_mm) / exposure.field_mm
    left, right, top, bottom = exposure.shutters
    return bool(left < across < 1 - right and top < down < 1 - bottom)


def _entry(patient: Patient, device: Device) -> list[Point]:
    """Return a venous catheter's course from the skin to the great veins."""
    side, h, w = device.side, patient.height_mm, patient.width_mm
    if device.name in ("central line", "Swan-Ganz catheter"):
        return [(side * 46, -70, -8), (side * 40, -30, -8), (side * 33, 0.02 * h, -8)]
    if device.name == "PICC":
        arm: list[Point] = [
            (side * (w + 70), 120, 0),
            (side * (w + 44), 64, 0),
            (side * (w + 4), 42, -20),
            (side * 0.6 * w, 30, -30),
        ]
        return arm if device.tip == "subclavian vein" else [*arm, (side * 38, 0.09 * h, -20)]
    pocket = (side * 0.62 * w, 0.30 * h, -patient.depth_mm)
    return [pocket, (side * 0.6 * w, 0.16 * h, -60), (side * 0.4 * w, 0.08 * h, -40),
            (side * 32, 0.09 * h, -20)]  # fmt: skip


def _to_heart(patient: Patient, device: Device) -> list[Point]:
    """Return the rest of the course, from the great veins to the tip."""
    side, h, w, further = device.side, patient.height_mm, patient.width_mm, device.offset_mm
    if device.tip == "subclavian vein":
        return [(side * 0.44 * w, 32, -30)]
    if device.tip == "internal jugular vein":
        return [(side * 35, 0.03 * h, -12), (side * 38, -6, -8), (side * 40, -22, -8)]
    if device.tip == "brachiocephalic vein":
        return [(side * 24, 0.10 * h, -14)] + ([(6.0, 0.12 * h, -16)] if side == LEFT else [])
    cava = -0.72 * patient.mediastinum_mm
    way = [*(_across(h) if side == LEFT else []), (cava, 0.17 * h, -8.0), (cava, 0.26 * h, -8.0)]
    if device.tip == "superior vena cava":
        return [*way, (cava, 0.37 * h + further, -8.0)]
    way.append((cava, 0.38 * h, -8.0))
    if device.tip == "cavoatrial junction":
        return [*way, (cava, 0.47 * h + further, -10.0)]
    if device.tip == "right atrium":
        return [*way, (-24.0, 0.50 * h, -14.0), (-26.0, 0.61 * h + further, -22.0)]
    way += [(-24.0, 0.52 * h, -16.0), (-18.0, 0.66 * h, -30.0), (8.0, 0.74 * h, -46.0)]
    if device.tip == "right ventricle":
        return [*way, (22.0, 0.72 * h, -52.0)]
    return [*way, (26.0, 0.66 * h, -52.0), (22.0, 0.50 * h, -36.0), (12.0, 0.42 * h, -10.0),
            (-10.0, 0.415 * h, 0.0), (-34.0, 0.44 * h, 6.0)]  # fmt: skip


def _across(h: float) -> list[Point]:
    """Return the left brachiocephalic vein's course."""
    return [(24.0, 0.10 * h, -14.0), (-6.0, 0.13 * h, -18.0)]


def _add_pacemaker(tubes: Tubes, patient: Patient, side: int) -> list[Ellipsoid]:
    h, w = patient.height_mm, patient.width_mm
    x, y, z = side * 0.72 * w, 0.20 * h, -patient.depth_mm
    lead = [(x, y - 8, z), (side * 0.62 * w, 0.09 * h, -60), (side * 0.36 * w, 0.07 * h, -36),
            *(_across(h) if side == LEFT else []), (-21.0, 0.17 * h, -8.0), (-22.0, 0.26 * h, -8.0),
            (-23.0, 0.38 * h, -8.0)]  # fmt: skip
    bottom = 0.80 * h
    ventricular = [*lead, (-26, 0.62 * h, -20), (4, bottom, -40), (44, bottom - 8, -52)]
    atrial = [*lead, (-36, 0.58 * h, -20), (-44, 0.60 * h, -34), (-42, 0.52 * h, -44)]
    tubes.add(round_corners(ventricular), 1.1, METAL)
    tubes.add(round_corners(atrial), 1.1, METAL)
    return [
        Ellipsoid((x, y, z), (21, 25, 5), side * 0.35),
        Ellipsoid((x, y - 4, z), (14, 16, 4), side * 0.35),
    ]


def _add_wires(tubes: Tubes, patient: Patient) -> None:
    h = patient.height_mm
    for level in np.linspace(0.24, 0.64, 6):
        angle = np.linspace(-0.35, 2 * np.pi - 0.1, 11)
        jitter = np.random.default_rng([patient.anatomy_seed, int(level * 100)]).normal(0, 1, 2)
        wire = np.stack([9 * np.cos(angle) + jitter[0], level * h + 3.2 * np.sin(angle)
                         + jitter[1], -0.9 * patient.depth_mm + 0 * angle], axis=1)  # fmt: skip
        tubes.add(wire, 0.75, METAL)


def _airway_course(patient: Patient, device: Device, above: Mapping[str, float]) -> Points:
    """Return a course down the trachea's axis to a point ``above`` the carina, or beyond it."""
    trachea, bronchus = airway_curves(patient)[0][0], airway_curves(patient)[1][0]
    start = np.array([(1.0, -120.0, -24.0)])
    if device.tip == "right main bronchus":
        inner = bronchus[-1] - bronchus[-2]
        end = bronchus[-2] + inner * (0.7 + device.offset_mm / float(np.linalg.norm(inner)))
        return np.concatenate([start, trachea[:-1], trachea[-1:] - (1, 3, 0), bronchus[1:2], [end]])
    y = trachea[-1, 1] - above[str(device.tip)] + device.offset_mm
    tip = [np.interp(y, trachea[:, 1], trachea[:, axis]) for axis in range(3)]
    return np.concatenate([start, trachea[trachea[:, 1] < y - 2], [tip]])


def _enteric(patient: Patient, device: Device) -> Points:
    h, w, further = patient.height_mm, patient.width_mm, device.offset_mm
    if device.tip == "right main bronchus":
        into = _airway_course(patient, device, {})
        x, y, z = into[-1]
        return np.concatenate([into, [(x - 10, y + 22, z + 4), (x - 18, y + 50 + further, z + 6)]])
    gullet = esophagus(patient)
    if device.tip == "esophagus":
        return np.concatenate([gullet[:4], [(5, 0.52 * h + further, 30)]])
    floor = dome(patient, LEFT).top(0.42 * w)
    below = [(0.28 * w, floor + 26, 0), (0.42 * w, floor + 50, -14),
             (0.38 * w, floor + 80, -26), (0.22 * w, floor + 104, -34),
             (0.02 * w, floor + 112, -38)]  # fmt: skip
    inside = np.concatenate([gullet[-1:], below])
    return np.concatenate([gullet[:-1], _cut(inside, 95 + further)])


def _cut(points: Points, length_mm: float) -> Points:
    """Return the first ``length_mm`` of a polyline."""
    reached = np.cumsum([0, *np.linalg.norm(np.diff(points, axis=0), axis=1)])
    end = [np.interp(length_mm, reached, points[:, axis]) for axis in range(3)]
    return np.concatenate([points[reached < length_mm], [end]])


def _chest_tube(patient: Patient, device: Device) -> Points:
    side, h, w, further = device.side, patient.height_mm, patient.width_mm, device.offset_mm
    start = [(w + patient.wall_mm + 16, 0.66 * h, -20), (w + 6, 0.58 * h, -16)]
    if device.tip == "apex":
        rest = [
            (0.80 * w, 0.42 * h, -6),
            (0.66 * w, 0.22 * h, 6),
            (0.50 * w, 0.10 * h - further, 10),
        ]
    else:
        rest = [
            (0.86 * w, 0.62 * h, 20),
            (0.70 * w, 0.74 * h, 50),
            (0.46 * w - further, 0.77 * h, 62),
        ]
    return np.array([*start, *rest]) * (side, 1, 1)
