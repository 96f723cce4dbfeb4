"""A report's statements held against segmentation maps of the same film.

Each statement is *supported* (a map of what it says shows something where it says so, or, for a
denial, shows nothing), *contradicted* (a finding without its map, or on the other side of it; a map
of what is denied), or *not checkable* (no map of it). What maps show and no statement mentions is
*possibly missed*. This is what section 6.2 of the ASaRG paper describes; the rules are ours.

A map shows something where one of its cells reaches a threshold: almost any share of a cell for
masks (the truth, files), and an even chance for a segmenter's probabilities. Sides are the
patient's: a frontal film shows the right one at the left, divided where the lungs' maps part, or in
the middle. Names decide what a map shows, never positions.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from plainfilm.core import Finding, InputError, Observation, Report, Side, Status, Study
from plainfilm.core.classes import ADDED, CLASSES
from plainfilm.core.report import Grounding, MapReading, Verdict
from plainfilm.core.study import Maps

Floats = npt.NDArray[np.float32]

PATHOLOGY = "finding: pathology"
OBJECT = "finding: foreign object"
MASKS = ("truth", "truth-superclasses", "cxas")
"""Sources whose maps are pooled masks; a name that begins so counts, too."""
MASK_THRESHOLD, PROBABILITY_THRESHOLD = 0.02, 0.5
_OPACITY, _EDEMA = (one.name for one in ADDED)
_LESIONS = ("Nodule", "Mass", "Diffuse Nodule")
OWN_CLASSES: Mapping[Observation, tuple[str, ...]] = {
    Observation.CARDIOMEGALY: ("Cardiomegaly",),
    Observation.LUNG_OPACITY: (_OPACITY,),
    Observation.LUNG_LESION: _LESIONS,
    Observation.EDEMA: (_EDEMA,),
    Observation.CONSOLIDATION: ("Consolidation",),
    Observation.ATELECTASIS: ("Atelectasis",),
    Observation.PNEUMOTHORAX: ("Pneumothorax",),
    Observation.PLEURAL_EFFUSION: ("Effusion",),
    Observation.PLEURAL_OTHER: ("Pleural Thickening",),
    Observation.FRACTURE: ("Fracture",),
}
"""Observation → the classes that show exactly it."""
ALSO: Mapping[Observation, tuple[str, ...]] = {
    # CheXpert's hierarchy: what is an opacity, and what a pneumonia looks like.
    Observation.LUNG_OPACITY: ("Consolidation", "Atelectasis", _EDEMA, *_LESIONS, "Fibrosis"),
    Observation.PNEUMONIA: ("Consolidation", _OPACITY),
}
"""Observation → further classes that support it, and whose emptiness is needed to contradict it."""
DETAILS: Mapping[str, tuple[str, ...]] = {
    "emphysema": ("Emphysema",), "hyperinflation": ("Emphysema",), "fibrosis": ("Fibrosis",),
    "granuloma": ("Nodule", "Calcification"), "calcification": ("Calcification",),
    "aortic calcification": ("Calcification",),
}  # fmt: skip
"""Finer term → the classes that show it."""
_GRADES = ("Normal", "Borderline", "Abnormal", "Incompletely Imaged")
DEVICES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("central line", "PICC", "port", "dialysis catheter"),
        tuple(f"CVC - {grade}" for grade in _GRADES[:3]),
    ),
    "endotracheal tube": tuple(f"ETT - {grade}" for grade in _GRADES[:3]),
    "enteric tube": tuple(f"NGT - {grade}" for grade in _GRADES),
    "Swan-Ganz catheter": ("Swan Ganz Catheter Present",),
    "chest tube": ("Pipe",),
    **dict.fromkeys(("pacemaker", "ICD"), ("electronics",)),
    "sternotomy wires": ("Stiches",),
}
"""Kind of device → the classes that show it."""
_ON_SKIN = ("Letters", "Sensors", "Cable", "Foreign Object", "Fremdkörper", "Clamp")
"""What reports don't mention."""
ZONES: Mapping[str, tuple[str, ...]] = {
    "upper lobe": ("upper", "mid"), "apex": ("upper",), "upper lung": ("upper",),
    "mid lung": ("upper", "mid", "lower"), "middle lobe": ("mid", "lower"),
    "lingula": ("mid", "lower"), "perihilar": ("upper", "mid", "lower"),
    "hilum": ("upper", "mid"), "lower lobe": ("mid", "lower"), "lower lung": ("mid", "lower"),
    "base": ("mid", "lower"), "retrocardiac": ("mid", "lower"),
    "costophrenic angle": ("mid", "lower"),
}  # fmt: skip
"""Place in words → thirds of the lungs in which it may show; neighbours, since lobes overlap."""
_SOME = 0.1
"""The least share of a map that lies in the place spoken of, for it to be there."""
_BY_NAME = {one.name: one for one in (*CLASSES, *ADDED)}


def threshold_of(source: str) -> float:
    """Return from which value on a cell of a source's maps shows something."""
    masks = any(source == one or source.startswith(f"{one}-") for one in MASKS)
    return MASK_THRESHOLD if masks else PROBABILITY_THRESHOLD


def choose_maps(study: Study, source: str | None = None, image: int | None = None) -> Maps:
    """Return the maps of a study's film.

    Args:
        study: the study.
        source: where they come from; the first there are where left out.
        image: of which film; the frontal one where left out.

    Raises:
        InputError: there are none.
    """
    image = study.frontal if image is None else image
    found = [one for one in study.maps if one.image == image and (source in (None, one.source))]
    if not found:
        known = ", ".join(dict.fromkeys(one.source for one in study.maps)) or "none"
        raise InputError(
            f"study {study.id!r} has no maps{f' from {source!r}' if source else ''} of its frontal "
            f"film (it has: {known}): make them with plainfilm maps, or name another source"
        )
    return found[0]


def ground(
    report: Report,
    maps: Maps,
    *,
    threshold: float | None = None,
    shape: tuple[int, int] = (1, 1),
) -> Report:
    """Return a report whose statements were held against maps.

    Args:
        report: with its statements.
        maps: of the film that it is about.
        threshold: from which value on a cell shows something; :func:`threshold_of` where left out.
        shape: (height, width) of the film, so that the maps' padding is left out of what is shown.
    """
    threshold = threshold_of(maps.source) if threshold is None else threshold
    film = FilmMaps(maps, threshold, shape)
    found = tuple(film.held(finding) for finding in report.statements)
    missed = tuple(film.unmentioned(report.statements))
    return report.model_copy(update={"grounding": found, "possibly_missed": missed})


class FilmMaps:
    """One film's maps, and what they show.

    Args:
        maps: the maps.
        threshold: from which value on a cell shows something.
        shape: (height, width) of the film.
    """

    def __init__(self, maps: Maps, threshold: float, shape: tuple[int, int] = (1, 1)) -> None:
        self.maps = maps
        self.shape = shape
        self.threshold = threshold
        self.values: dict[str, Floats] = dict(zip(maps.classes, maps.values, strict=True))
        rows, columns = maps.values.shape[1:]
        self.middle = self._middle(columns)
        lungs = self._lungs()
        self.lung_area = 0.0 if lungs is None else float(lungs.sum())
        top, bottom = 0.0, float(rows)
        if lungs is not None and (filled := np.flatnonzero(lungs.sum(1) > 0.05)).size:
            top, bottom = float(filled[0]), float(filled[-1] + 1)
        thirds = np.clip((np.arange(rows) + 0.5 - top) / (bottom - top) * 3, 0, 2.99).astype(int)
        self.thirds = thirds
        """Third of the lungs that each row belongs to, from the top."""

    def _lungs(self) -> Floats | None:
        for name in ("lung", "lungs"):
            if name in self.values and self.values[name].any():
                return self.values[name]
        return None

    def _middle(self, columns: int) -> float:
        """Return the column at which the patient's right ends, in cells."""
        centres = []
        for name in ("right lung", "left lung"):
            mass = self.values.get(name, np.zeros((1, columns), np.float32)).sum(0)
            if mass.sum() > 0:
                centres.append(float((mass * (np.arange(columns) + 0.5)).sum() / mass.sum()))
        return sum(centres) / 2 if len(centres) == 2 else columns / 2

    def half(self, values: Floats, side: Side | None) -> Floats:
        """Return a map of one side alone; the whole of it for no side and for both."""
        if side in (None, Side.BILATERAL):
            return values
        columns = np.arange(values.shape[1])
        # The share of each column's cells that lies on the patient's right.
        right = np.clip(self.middle - columns, 0, 1).astype(np.float32)
        kept: Floats = values * (right if side is Side.RIGHT else 1 - right)
        return kept

    def shows(self, name: str, side: Side | None = None) -> bool:
        """Return whether a class's map shows something on a side."""
        return float(self.half(self.values[name], side).max()) >= self.threshold

    def reading(self, name: str, side: Side | None = None) -> MapReading:
        """Return what a class's map shows, in words."""
        values = self.values[name]
        sides = tuple(one for one in (Side.LEFT, Side.RIGHT) if self.shows(name, one))
        spoken = self.half(values, side)
        by_third = [float(spoken[self.thirds == third].sum()) for third in range(3)]
        total = sum(by_third)
        words = ("upper", "mid", "lower")
        zones = tuple(w for w, part in zip(words, by_third, strict=True) if part > 0.25 * total)
        area = float(values.sum())
        of_lungs = self.lung_area > 0
        return MapReading(
            map_class=name,
            source=self.maps.source,
            image=self.maps.image,
            sides=sides,
            zones=zones,
            share=round(area / (self.lung_area if of_lungs else values.size), 4),
            share_of="lungs" if of_lungs else "film",
            confidence=round(float(spoken.max()), 4),
            heatmap=self._on_film(values),
        )

    def _on_film(self, values: Floats) -> tuple[tuple[float, ...], ...]:
        """Return a map of the square as one of the film alone."""
        if self.shape[0] != self.shape[1]:
            import torch

            from plainfilm.vision.preparation import maps_on_film

            values = maps_on_film(torch.from_numpy(np.array(values))[None], self.shape)[0].numpy()
        return tuple(tuple(round(min(float(cell), 1.0), 3) for cell in row) for row in values)

    def held(self, finding: Finding) -> Grounding:
        """Return a statement held against the maps."""
        if finding.observation is Observation.NO_FINDING:
            return self._nothing()
        names = [name for name in classes_of(finding) if name in self.values]
        exact = [name for name in own_classes(finding) if name in self.values]
        if not names:
            return self._by_superclass(finding)
        side = finding.side
        if finding.status is Status.ABSENT:
            return self._denied(finding, exact, side)
        showing = [name for name in names if self.shows(name, side)]
        if not showing:
            return self._unseen(finding, names, side)
        if side is Side.BILATERAL:
            halves = (Side.LEFT, Side.RIGHT)
            empty = [one for one in halves if not any(self.shows(name, one) for name in names)]
            if empty:
                return Grounding(
                    verdict=Verdict.CONTRADICTED,
                    reason=f"said of both sides, and no map shows it on the {empty[0]}",
                    maps=tuple(self.reading(name) for name in showing),
                )
        placed = self._placed(finding, showing, side)
        readings = tuple(self.reading(name, side) for name in placed or showing)
        if not placed:
            where = " and ".join(dict.fromkeys(z for one in readings for z in one.zones))
            return Grounding(
                verdict=Verdict.CONTRADICTED,
                reason=f"said of the {finding.location}, and the map lies in the {where} zone",
                maps=readings,
            )
        return Grounding(verdict=Verdict.SUPPORTED, reason=describe(readings[0]), maps=readings)

    def _placed(self, finding: Finding, showing: Sequence[str], side: Side | None) -> Sequence[str]:
        """Return the classes whose map lies in the third of the lungs that a statement names."""
        zones = ZONES.get(finding.location or "")
        if zones is None:
            return showing
        wanted = np.isin(self.thirds, [("upper", "mid", "lower").index(zone) for zone in zones])
        placed = []
        for name in showing:
            values = self.half(self.values[name], side)
            if float(values[wanted].sum()) >= _SOME * float(values.sum()):
                placed.append(name)
        return placed

    def _denied(self, finding: Finding, exact: Sequence[str], side: Side | None) -> Grounding:
        if not exact:
            return Grounding(
                verdict=Verdict.NOT_CHECKABLE, reason="no map shows exactly what is denied"
            )
        showing = [name for name in exact if self.shows(name, side)]
        if showing:
            readings = tuple(self.reading(name, side) for name in showing)
            return Grounding(
                verdict=Verdict.CONTRADICTED,
                reason=f"denied, and {describe(readings[0])}",
                maps=readings,
            )
        return Grounding(verdict=Verdict.SUPPORTED, reason=f"the map of {exact[0]} shows nothing")

    def _unseen(self, finding: Finding, names: Sequence[str], side: Side | None) -> Grounding:
        elsewhere = [name for name in names if self.shows(name)]
        readings = tuple(self.reading(name) for name in elsewhere)
        if elsewhere:
            others = " and ".join(dict.fromkeys(s for one in readings for s in one.sides))
            return Grounding(
                verdict=Verdict.CONTRADICTED,
                reason=f"said of the {side}, and the map lies on the {others}",
                maps=readings,
            )
        if finding.status is Status.UNCERTAIN:
            return Grounding(
                verdict=Verdict.NOT_CHECKABLE,
                reason=f"said to be possible, and the map of {names[0]} shows nothing",
            )
        return Grounding(
            verdict=Verdict.CONTRADICTED, reason=f"the map of {names[0]} shows nothing"
        )

    def _by_superclass(self, finding: Finding) -> Grounding:
        """Hold a statement against the map of all findings, where there is none of its own."""
        device = finding.observation is Observation.SUPPORT_DEVICES
        name = OBJECT if device else PATHOLOGY
        known = device or bool(classes_of(finding))
        present = finding.status is not Status.ABSENT
        if not known or name not in self.values:
            return Grounding(verdict=Verdict.NOT_CHECKABLE, reason="there is no map of it")
        if self.shows(name, finding.side):
            return Grounding(
                verdict=Verdict.NOT_CHECKABLE,
                reason=f"the map of {name} shows something, and does not say what",
                maps=(self.reading(name, finding.side),),
            )
        verdict = Verdict.CONTRADICTED if present else Verdict.SUPPORTED
        if finding.status is Status.UNCERTAIN:
            verdict = Verdict.NOT_CHECKABLE
        return Grounding(verdict=verdict, reason=f"the map of {name} shows nothing there")

    def _nothing(self) -> Grounding:
        names = [name for name in self.values if _is_pathology(name)]
        if not names:
            return Grounding(verdict=Verdict.NOT_CHECKABLE, reason="there is no map of findings")
        showing = tuple(self.reading(name) for name in names if self.shows(name))
        if showing:
            return Grounding(
                verdict=Verdict.CONTRADICTED,
                reason=f"said to be normal, and {describe(showing[0])}",
                maps=showing,
            )
        return Grounding(verdict=Verdict.SUPPORTED, reason="no map shows a finding")

    def told(self) -> list[str]:
        """Return the single classes among the maps that a report would mention."""
        return [name for name in self.values if name in _BY_NAME and _is_told(name)]

    def unmentioned(self, statements: Sequence[Finding]) -> Iterator[MapReading]:
        """Yield what maps show and no statement mentions."""
        said = [one for one in statements if one.status is not Status.ABSENT]
        # Whoever speaks of an opacity has not missed what makes it.
        covered = {name for one in said for name in classes_of(one)}
        single = self.told()
        for name in single:
            if name not in covered and self.shows(name):
                yield self.reading(name)
        if single:
            return
        about = {one.observation is Observation.SUPPORT_DEVICES for one in said
                 if one.observation is not Observation.NO_FINDING}  # fmt: skip
        for name, device in ((PATHOLOGY, False), (OBJECT, True)):
            if name in self.values and device not in about and self.shows(name):
                yield self.reading(name)


def own_classes(finding: Finding) -> tuple[str, ...]:
    """Return the classes whose maps show exactly what a statement is about."""
    if finding.observation is Observation.SUPPORT_DEVICES:
        if finding.detail is None:
            return tuple(dict.fromkeys(name for names in DEVICES.values() for name in names))
        return DEVICES.get(finding.detail, ())
    if finding.detail is not None and finding.detail in DETAILS:
        return DETAILS[finding.detail]
    return OWN_CLASSES.get(finding.observation, ())


def classes_of(finding: Finding) -> tuple[str, ...]:
    """Return the classes whose maps can support a statement."""
    return (*own_classes(finding), *ALSO.get(finding.observation, ()))


def describe(reading: MapReading) -> str:
    """Return what a map shows: ``Effusion on the left, lower zone, 12 % of the lungs``."""
    parts = [f"{reading.map_class} on the {' and '.join(reading.sides)}"
             if reading.sides else reading.map_class]  # fmt: skip
    if reading.zones and len(reading.zones) < 3:
        parts.append(f"{' and '.join(reading.zones)} zone")
    percent = 100 * reading.share
    amount = f"{percent:.0f}" if percent >= 1 else f"{percent:.1f}"
    parts.append(f"{amount} % of the {reading.share_of}")
    return ", ".join(parts)


def superclass_of(name: str) -> str | None:
    """Return the superclass of a class; None where it has none."""
    one = _BY_NAME.get(name)
    return None if one is None else one.superclass


def _is_pathology(name: str) -> bool:
    return PATHOLOGY in (name, superclass_of(name))


def _is_told(name: str) -> bool:
    """Return whether a report would mention what a class shows."""
    found = _BY_NAME[name].superclass in (PATHOLOGY, OBJECT)
    return found and name not in _ON_SKIN
