"""Lines, tubes, pacemakers, wires: what was put into the patient, as tubes of metal and plastic."""

import numpy as np

from plainfilm.phantom.patient import Patient
from plainfilm.phantom.solids import Camera, Ellipsoid, Tubes, round_corners
from plainfilm.phantom.thorax import LEFT, RIGHT

CATHETER, METAL = 0.16, 0.6
"""Attenuation above soft tissue, 1/mm, of a radiopaque catheter and of steel or lead."""


def device_side(patient: Patient, name: str) -> int:
    """Return on which side a device lies in this patient."""
    draw = np.random.default_rng([patient.anatomy_seed, 11, sum(map(ord, name))]).random()
    right = {"central line": 0.8, "PICC": 0.6, "port": 0.75, "pacemaker": 0.12}.get(name, 0.5)
    return RIGHT if draw < right else LEFT


def place_device(patient: Patient, name: str, camera: Camera) -> tuple[Tubes, list[Ellipsoid]]:
    """Return a device as tubes and ellipsoids of attenuation METAL."""
    tubes = Tubes(camera)
    side = device_side(patient, name)
    h, w = patient.height_mm, patient.width_mm
    junction = [(-22.0, 0.26 * h, -8.0), (-23.0, 0.38 * h, -8.0)]
    arch = [(-21.0, 0.17 * h, -8.0), *junction]
    across = [(24.0, 0.10 * h, -14.0), (-6.0, 0.13 * h, -18.0)] if side == LEFT else []
    if name == "central line":
        neck = [(side * 46, -70, -8), (side * 40, -30, -8), (side * 33, 0.02 * h, -8)]
        tubes.add(round_corners([*neck, *across, *arch]), 1.6, CATHETER)
    elif name == "PICC":
        arm = [(side * (w + 70), 120, 0), (side * (w + 44), 64, 0), (side * (w + 4), 42, -20),
               (side * 0.6 * w, 30, -30), (side * 38, 0.09 * h, -20)]  # fmt: skip
        tubes.add(round_corners([*arm, *across, *arch]), 1.5, CATHETER)
    elif name == "port":
        pocket = (side * 0.62 * w, 0.30 * h, -patient.depth_mm)
        loop = [pocket, (side * 0.6 * w, 0.16 * h, -60), (side * 0.4 * w, 0.08 * h, -40)]
        tubes.add(round_corners([*loop, (side * 32, 0.09 * h, -20), *across, *arch]), 1.4, CATHETER)
        return tubes, [Ellipsoid(pocket, (12, 12, 4)).seen_by(camera)]
    elif name == "pacemaker":
        x, y, z = side * 0.72 * w, 0.20 * h, -patient.depth_mm
        lead = [(x, y - 8, z), (side * 0.62 * w, 0.09 * h, -60), (side * 0.36 * w, 0.07 * h, -36),
                *across, *arch]  # fmt: skip
        bottom = 0.80 * h
        ventricular = [*lead, (-26, 0.62 * h, -20), (4, bottom, -40), (44, bottom - 8, -52)]
        atrial = [*lead, (-36, 0.58 * h, -20), (-44, 0.60 * h, -34), (-42, 0.52 * h, -44)]
        tubes.add(round_corners(ventricular), 1.1, METAL)
        tubes.add(round_corners(atrial), 1.1, METAL)
        return tubes, [
            Ellipsoid((x, y, z), (21, 25, 5), side * 0.35).seen_by(camera),
            Ellipsoid((x, y - 4, z), (14, 16, 4), side * 0.35).seen_by(camera),
        ]
    elif name == "sternotomy wires":
        for level in np.linspace(0.24, 0.64, 6):
            angle = np.linspace(-0.35, 2 * np.pi - 0.1, 11)
            jitter = np.random.default_rng([patient.anatomy_seed, int(level * 100)]).normal(0, 1, 2)
            wire = np.stack([9 * np.cos(angle) + jitter[0], level * h + 3.2 * np.sin(angle)
                             + jitter[1], -0.9 * patient.depth_mm + 0 * angle], axis=1)  # fmt: skip
            tubes.add(wire, 0.75, METAL)
    elif name == "endotracheal tube":
        tip = 0.31 * h - 38
        tubes.add([(1, -90, -14), (0, -40, -8), (-2, 0, 0), (-2.5, tip, 5)], 4.6, 0.02)
        tubes.add([(5, -90, -14), (4, -40, -8), (2, 0, 0), (1.5, tip, 5)], 0.8, METAL)
    return tubes, []
