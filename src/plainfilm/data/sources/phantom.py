"""The phantom as a dataset directory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plainfilm.core import InputError
from plainfilm.data.dataset import Dataset, Row
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.masks import pack_masks
from plainfilm.data.prepare import prepare
from plainfilm.data.splits import SPLITS, split_of
from plainfilm.phantom import INSTITUTIONS, PhantomStudy, simulate
from plainfilm.phantom.disease.prevalence import chances_of
from plainfilm.phantom.film.case import has_prior
from plainfilm.phantom.reporting.context import check_language
from plainfilm.phantom.reporting.institutions import find_institutions
from plainfilm.phantom.simulate import PRIOR, check_views

STRUCTURES_SIZE = 128
"""Largest side of stored masks of classes: enough for maps of 16 × 16 cells, which change by 1 %
with finer masks."""
FORMATS = {"png": ".png", "dicom": ".dcm"}
"""Format of film files → suffix."""
TUBE_VOLTAGE_KV = 110.0
"""Tube voltage that the phantom's attenuation corresponds to (``plainfilm.phantom.film.lungs``)."""


def prepare_phantom(
    studies: int,
    out: Path,
    *,
    seed: int = 0,
    size: int = 256,
    prevalence: Mapping[str, float] | None = None,
    institution: str | Sequence[str] | None = None,
    film_format: str = "png",
    structures: bool = False,
    views: Sequence[str] = ("frontal",),
    priors: float = 0.0,
    language: str = "en",
    split: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Dataset:
    """Simulate ``studies`` patients, one study each, into the dataset directory ``out``.

    Args:
        studies: number of patients.
        out: the dataset directory to create.
        seed: random seed of the series; each study depends only on it and on the study's number.
        size: side of the films in pixels.
        prevalence: shares of studies, overriding those of ``plainfilm.phantom.PREVALENCE``.
        institution: institutions or groups of them, of which one is drawn for each study
            (:func:`plainfilm.phantom.reporting.institutions.find_institutions`); default: all seen
            ones.
        film_format: ``png`` (8 bits), or ``dicom`` (12 bits with a full header).
        structures: whether to also store every study's masks in the 212-class table, of at most
            128 × 128.
        views: views of each study: ``frontal`` alone, or ``frontal`` and ``lateral``.
        priors: share of the patients with an earlier study, stored as a separate row.
        language: language of the reports and their context.
        split: one split for all studies; default: 80, 10 and 10 % of the patients.
        workers: number of processes; default: one per core.
        progress: whether to show a progress bar.
    """
    if studies < 1:
        raise InputError(f"studies must be at least 1, got {studies}")
    given = dict(sorted((prevalence or {}).items()))
    chances_of(given)  # raises for impossible prevalences before anything is made
    places = None if institution is None else find_institutions(institution)
    if film_format not in FORMATS:
        raise InputError(f"no film format {film_format!r}; choose from {', '.join(FORMATS)}")
    check_views(views)
    if split is not None and split not in SPLITS:
        raise InputError(f"no split {split!r}; choose from {', '.join(SPLITS)}")
    check_language(language)
    if isinstance(priors, bool) or not isinstance(priors, int | float) or not 0 <= priors <= 1:
        raise InputError(f"priors must lie in [0, 1], got {priors!r}")
    source: dict[str, Any] = {"kind": "phantom", "studies": studies, "seed": seed, "size": size}
    source |= {"prevalence": given} if given else {}
    source |= {"institution": list(places)} if places else {}
    source |= {"format": film_format} if film_format != "png" else {}
    source |= {"structures": True} if structures else {}
    source |= {"views": list(views)} if len(views) > 1 else {}
    source |= {"priors": priors} if priors else {}
    source |= {"language": language} if language != "en" else {}
    source |= {"split": split} if split else {}
    items: dict[str, tuple[int, bool]] = {}
    for index in range(studies):
        paired = has_prior(seed, index, priors)
        if paired:
            items[f"phantom-{seed}-{index}{PRIOR}"] = index, True
        items[f"phantom-{seed}-{index}"] = index, paired
    options = Options(seed, size, tuple(given.items()), places, tuple(views), language)
    return prepare(
        out,
        items,
        partial(_build, options, film_format, structures, split),
        source=source,
        description=f"{len(items)} simulated chest studies, {' and '.join(views)}, series {seed}, "
        f"{size} x {size}",
        licence="Apache-2.0 (simulated: no patient)",
        simulated=True,
        language=language,
        workers=workers or (1 if studies < 100 else os.cpu_count() or 1),
        progress=progress,
    )


class Options(NamedTuple):
    """Simulation settings shared by all studies of a dataset."""

    seed: int
    size: int
    prevalence: tuple[tuple[str, float], ...]
    institution: tuple[str, ...] | None
    views: tuple[str, ...]
    language: str


@lru_cache(maxsize=1)
def _simulated(options: Options, index: int, prior: bool) -> PhantomStudy:
    """Return a patient's study, cached because the next row may belong to the same patient."""
    seed, size, prevalence, institution, views, language = options
    return simulate(
        seed, index, size, prevalence=dict(prevalence), institution=institution, views=views,
        prior=prior, language=language,
    )  # fmt: skip


def _build(
    options: Options,
    film_format: str,
    structures: bool,
    split: str | None,
    study_id: str,
    item: tuple[int, bool],
) -> tuple[Row, dict[str, bytes]]:
    latest = _simulated(options, *item)
    simulated = latest.prior if study_id.endswith(PRIOR) and latest.prior else latest
    views, size = options.views, options.size
    patient_id = study_id.removesuffix(PRIOR)
    study, report = simulated.study, simulated.study.report
    assert report is not None  # noqa: S101 - the phantom always writes one
    names = [study_id if view == "frontal" else f"{study_id}-{view}" for view in views]
    films = [f"images/{name}{FORMATS[film_format]}" for name in names]
    masks = [f"masks/{name}.npz" for name in names]
    row = Row(
        study_id=study_id,
        patient_id=patient_id,
        split=split or split_of(patient_id),
        prior_study_id=None if simulated.prior is None else simulated.prior.study.id,
        images=tuple(films),
        views=tuple(str(image.view) for image in study.images),
        findings=report.findings,
        impression=report.impression,
        table=study.table,
        statements=report.statements,
        masks=masks[0],
        lateral_masks=masks[1] if len(masks) > 1 else None,
        institution=simulated.institution,
        indication=study.indication,
        comparison=study.comparison,
        technique=study.technique,
        style=study.style,
        truth=simulated.truth,
        measures=simulated.measures,
        structures=f"structures/{study_id}.npz" if structures else None,
    )
    film = film_dicom if film_format == "dicom" else _film_png
    files = {name: film(simulated, number) for number, name in enumerate(films)}
    known = (simulated.masks, simulated.lateral_masks)
    files |= {name: pack_masks(these) for name, these in zip(masks, known, strict=False)}
    if row.structures is not None:
        files[row.structures] = pack_masks(simulated.classes(min(size, STRUCTURES_SIZE)))
    return row, files


def film_dicom(simulated: PhantomStudy, number: int = 0) -> bytes:
    """Return one film of a simulated study as a 12-bit DICOM file."""
    from plainfilm.data.films.dicom_write import (  # load pydicom only for DICOM
        Acquisition,
        dicom_bytes,
    )

    view = simulated.study.images[number].view
    camera = replace(simulated.case.exposure, view=view).camera(simulated.case.patient)
    acquisition = Acquisition(
        tube_voltage_kv=TUBE_VOLTAGE_KV,
        source_to_detector_mm=camera.source_mm,
        source_to_patient_mm=camera.source_mm - camera.gap_mm,
    )
    inverted = INSTITUTIONS[simulated.institution].acquisition.inverted
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    patient_id = simulated.study.id.removesuffix(PRIOR)
    return dicom_bytes(
        simulated.study,
        acquisition,
        number=number,
        photometric=photometric,
        patient_id=patient_id,
    )


def _film_png(simulated: PhantomStudy, number: int) -> bytes:
    image = simulated.study.images[number]
    return png_bytes(
        np.round(image.pixels * 255).astype(np.uint8),
        simulated=True,
        spacing_mm=image.spacing_mm,
        view=image.view,
    )
