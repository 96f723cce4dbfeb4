"""One patient in front of one detector: the paths of rays through trunk, heart, mediastinum, lungs.

Film, truth and masks of structures are all made from a scene. Frontal and lateral films share the
same solids; the rays run along z or along x.
"""

from dataclasses import dataclass, field

from plainfilm.core import View
from plainfilm.phantom.anatomy.organs import descending_aorta
from plainfilm.phantom.anatomy.patient import Patient
from plainfilm.phantom.anatomy.solids import Array, Camera, Ellipsoid, Grid, Interval, hull
from plainfilm.phantom.anatomy.thorax import (
    LEFT,
    RIGHT,
    aortic_knob,
    great_vessels,
    heart,
    spine_column,
    trunk,
)
from plainfilm.phantom.disease.deformation import deformed
from plainfilm.phantom.disease.disease import Disease
from plainfilm.phantom.film.exposure import Exposure
from plainfilm.phantom.film.incidental import hernia
from plainfilm.phantom.film.lungs import Lung, make_lung
from plainfilm.phantom.film.variants import fat_pads


@dataclass(frozen=True)
class Scene:
    """Solids and path lengths along the rays of one film."""

    patient: Patient
    disease: Disease
    camera: Camera
    grid: Grid
    lateral: bool
    hearts: list[Ellipsoid]
    """Left ventricle, right atrium, outflow tract, as projected."""
    heart: Interval
    great: Interval
    arch: Interval
    aorta: Interval
    """The descending aorta."""
    spine: Interval
    central: tuple[Interval, ...]
    """Everything that displaces lung except the diaphragm; heart and great vessels come first."""
    body: Array
    """Path length through the whole trunk, mm."""
    lungs: dict[int, Lung]
    kept: dict[str, Array] = field(default_factory=dict, compare=False, repr=False)
    """Cache of path lengths and shadows that several masks share, by name."""

    @property
    def cardiothoracic_ratio(self) -> float:
        """The heart's greatest width divided by the lungs' on this film, from the solids'
        borders."""
        right = min(solid.centre[0] - solid.half_width for solid in self.hearts)
        left = max(solid.centre[0] + solid.half_width for solid in self.hearts)
        walls = {side: lung.cavity.outermost(self.camera) for side, lung in self.lungs.items()}
        return (left - right) / (walls[LEFT] - walls[RIGHT])

    @property
    def arch_y(self) -> float:
        """The film's y, mm, of the aortic arch's middle."""
        knob = aortic_knob(self.patient, self.disease.mediastinum_mm)
        return knob.seen_by(self.camera).centre[1]

    @property
    def mediastinal_width_mm(self) -> float:
        """The mediastinum's width on this film at the height of the aortic arch."""
        knob = aortic_knob(self.patient, self.disease.mediastinum_mm)
        vessels = great_vessels(self.patient, self.disease.mediastinum_mm)
        right, left = vessels.extent(knob.centre[1], self.camera)
        seen = knob.seen_by(self.camera)
        x, half = seen.centre[0], seen.half_width
        return max(float(left), x + half) - min(float(right), x - half)


def make_scene(patient: Patient, disease: Disease, exposure: Exposure, grid: Grid) -> Scene:
    """Return the scene of the patient, deformed by the disease, for the rays of ``exposure``."""
    patient = deformed(patient, disease)
    camera = exposure.camera(patient)
    lateral = exposure.view is View.LATERAL
    ratio = max(disease.ratio or 0.0, patient.cardiothoracic_ratio)
    hearts = [solid.seen_by(camera) for solid in heart(patient, ratio)]
    whole = hull([solid.spread(grid) for solid in hearts])
    great = great_vessels(patient, disease.mediastinum_mm).interval(grid, camera)
    arch = aortic_knob(patient, disease.mediastinum_mm).seen_by(camera).spread(grid)
    aorta = descending_aorta(patient, disease.mediastinum_mm).interval(grid, camera)
    spine = spine_column(patient).interval(grid, camera)
    central = [whole, great, arch, aorta, spine]
    central += [pad.seen_by(camera).spread(grid) for pad in fat_pads(patient, ratio)]
    if disease.hernia_mm:
        central.append(hernia(patient, disease).seen_by(camera).spread(grid))
    lungs = {
        side: make_lung(patient, disease, side, central, grid, camera, lateral)
        for side in (RIGHT, LEFT)
    }
    return Scene(
        patient=patient, disease=disease, camera=camera, grid=grid, lateral=lateral,
        hearts=hearts, heart=whole, great=great, arch=arch, aorta=aorta, spine=spine,
        central=tuple(central), body=trunk(patient, grid, camera, lateral), lungs=lungs,
    )  # fmt: skip
