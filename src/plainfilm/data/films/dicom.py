"""DICOM films: display pixels according to the header, and the header's other information.

The steps are in :mod:`plainfilm.data.films.dicom_file` (parsing the file), ``dicom_frames``
(decoding the pixel data), ``grey`` (display values) and ``dicom_header`` (all other elements).
"""

import io
import warnings as python_warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from plainfilm.core import ImageError, errors_as
from plainfilm.data.films import dicom_header as header
from plainfilm.data.films.damage import look_for_damage
from plainfilm.data.films.dicom_file import is_deflated, parse
from plainfilm.data.films.dicom_frames import read_cells
from plainfilm.data.films.grey import shown
from plainfilm.data.films.raster import Raster, grey_from_rgb

SIMULATED = "plainfilm phantom, simulated"
"""Mark in the header of a simulated film."""
_STUDY_UID = 0x0020000D
_ONE_SAMPLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_SHAPES = {"MONOCHROME1": "IDENTITY", "MONOCHROME2": "INVERSE"}
"""Photometric interpretation → contradictory Presentation LUT Shape (PS3.3 C.11.6)."""


def study_uid(path: Path, data: bytes) -> str | None:
    """Return the Study Instance UID, or None.

    Args:
        path: the file.
        data: its first bytes; all bytes if its data set is deflated.

    Raises:
        ImageError: the file is damaged.
    """
    with _decoding(path):
        if is_deflated(data):
            dataset: Dataset = parse(path, data).dataset
        else:
            dataset = pydicom.filereader.read_partial(
                io.BytesIO(data), lambda tag, *_: tag > _STUDY_UID, force=True
            )
        return header.text(dataset, "StudyInstanceUID") or None


def read_dicom(
    path: Path, data: bytes, *, identified: bool = False, modality: str | None = None
) -> Raster:
    """Read the DICOM file ``path``.

    Args:
        path: the file.
        data: its bytes.
        identified: also read the patient's identity.
        modality: what it is, in place of what the header says.

    Raises:
        ImageError: the file is damaged, its header rules out a film, or it exceeds the limits.
    """
    with _decoding(path):
        file = parse(path, data)
        dataset = file.dataset
        if modality is not None:
            dataset.Modality = modality
        other = header.refuse(path, dataset)
        raster = Raster(pixels=np.zeros((1, 1), dtype=np.float32), modality=other)
        photometric = _photometric(dataset, raster)
        cells = read_cells(path, file, raster.warnings)
        if photometric == "PALETTE COLOR":
            rgb = _palette(dataset, cells.values)
            raster.pixels = grey_from_rgb(path, rgb, raster.warnings)
        elif cells.values.ndim == 3:
            raster.pixels = grey_from_rgb(path, cells.values, raster.warnings)
        else:
            raster.pixels = shown(dataset, cells.values, cells.precision, raster.warnings)
        look_for_damage(path, raster.pixels, cells.values, raster.warnings)
        raster.view, raster.laterality = header.view(dataset, raster.warnings)
        raster.spacing_mm = header.spacing_mm(dataset)
        raster.aspect = header.aspect(dataset)
        raster.other_part = header.flag(dataset, raster.warnings)
        raster.reference = header.reference(dataset, identified=identified)
        header.orient(dataset, raster)
        raster.says_simulated = header.mentions(dataset, SIMULATED)
        return raster


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Silence pydicom's warnings about odd headers, and convert what it raises to ImageError."""
    what = f"{path}: is a DICOM file that cannot be decoded"
    with (
        python_warnings.catch_warnings(action="ignore"),
        errors_as(ImageError, what, "get it again"),
    ):
        yield


def _photometric(dataset: Dataset, raster: Raster) -> str:
    """Return the photometric interpretation to use, and add doubts to ``raster``."""
    photometric = header.text(dataset, "PhotometricInterpretation")
    raster.polarity_known = photometric in ("MONOCHROME1", "MONOCHROME2")
    if (header.number(dataset, "SamplesPerPixel") or 1) == 1 and photometric not in _ONE_SAMPLE:
        said = photometric[:16] or "missing"
        raster.warnings.append(f"photometric interpretation {said}: read as MONOCHROME2")
        dataset.PhotometricInterpretation = photometric = "MONOCHROME2"
    shape = header.text(dataset, "PresentationLUTShape").upper()
    if shape and shape == _SHAPES.get(photometric):
        raster.polarity_doubt = f"{photometric} with presentation LUT shape {shape}"
    return photometric


def _palette(dataset: Dataset, cells: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return palette colours as RGB, ``(height, width, 3)``."""
    colours = apply_color_lut(cells.astype(f"=u{cells.dtype.itemsize}"), dataset)
    shift = 8 * (colours.dtype.itemsize - 1)
    return np.asarray((colours >> shift).astype(np.uint8))
