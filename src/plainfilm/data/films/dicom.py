"""DICOM films: pixels as the header means them to be shown, and what the header says of the view.

Order, after DICOM PS3.3 C.11: stored values, pixel padding taken out, modality LUT or rescale, VOI
LUT or window, MONOCHROME1 turned round. Headers in the wild are wrong now and then; what they say
is held against itself and against the picture, and doubt goes into the warnings.
"""

import io
import warnings as python_warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
)
from pydicom.pixels.utils import pixel_array

from plainfilm.core import ImageError, Pixels, Provenance
from plainfilm.data.films import dicom_header as header
from plainfilm.data.films.raster import Raster, grey_from_rgb, stretch

_UNREADABLE = (
    AttributeError, KeyError, IndexError, NotImplementedError, OSError, EOFError, RuntimeError,
    TypeError, ValueError, BytesLengthException, InvalidDicomError,
)  # fmt: skip
SIMULATED = "plainfilm phantom, simulated"
"""What a header says of a simulated film."""
_ONE_SAMPLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_MOST_PADDING = 0.9
_MOST_SATURATED = 0.85


def study_uid(path: Path) -> str | None:
    """Return the Study Instance UID, None where there is none."""
    try:
        dataset = pydicom.dcmread(path, force=True, specific_tags=["StudyInstanceUID"])
    except _UNREADABLE as error:
        raise _damaged(path, error) from error
    return str(dataset.get("StudyInstanceUID", "")) or None


def read_dicom(path: Path, data: bytes) -> Raster:
    """Return what the DICOM file ``path``, whose bytes are ``data``, shows.

    Raises:
        ImageError: the file is damaged, or its header says that it is certainly no film.
    """
    with python_warnings.catch_warnings():  # pydicom warns of every odd header; ours are in Image
        python_warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            if "PixelData" not in dataset:
                raise ImageError(f"{path}: is a DICOM file without pixels; give an image")
            header.refuse(path, dataset)
            return _read(path, dataset)
        except ImageError:
            raise
        except _UNREADABLE as error:
            raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> ImageError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return ImageError(f"{path}: is a DICOM file that cannot be decoded ({reason}); get it again")


def _read(path: Path, dataset: Dataset) -> Raster:
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else pydicom.uid.ExplicitVRLittleEndian
            if little
            else pydicom.uid.ExplicitVRBigEndian
        )
    raster = Raster(pixels=np.zeros((1, 1), dtype=np.float32))
    photometric = header.text(dataset, "PhotometricInterpretation")
    raster.polarity_known = photometric in ("MONOCHROME1", "MONOCHROME2")
    if dataset.get("SamplesPerPixel", 1) == 1 and photometric not in _ONE_SAMPLE:
        said = photometric[:16] or "missing"
        raster.warnings.append(f"photometric interpretation {said}: read as MONOCHROME2")
        dataset.PhotometricInterpretation = photometric = "MONOCHROME2"  # pydicom asks for one
    stored = pixel_array(dataset)
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3 and stored.shape[2] == 3:
        rgb = (stored / float(np.iinfo(stored.dtype).max) * 255).astype(np.uint8)
        raster.pixels = grey_from_rgb(path, rgb, raster.warnings)
    else:
        raster.pixels = _shown(dataset, stored, photometric, raster.warnings)
    raster.view, raster.laterality = header.view(dataset, raster.warnings)
    raster.spacing_mm = header.spacing_mm(dataset)
    raster.other_part = header.flag(dataset, raster.warnings)
    header.orient(dataset, raster)
    if header.mentions(dataset, SIMULATED):
        raster.provenance = Provenance.SIMULATED
    return raster


def _shown(
    dataset: Dataset, stored: npt.NDArray[np.integer], photometric: str, warnings: list[str]
) -> Pixels:
    """Return the ``(height, width)`` stored values as they are meant to be shown, in [0, 1]."""
    padding = _padding(dataset, stored, warnings)
    values = _modality_values(dataset, stored, warnings)
    pixels = _windowed(dataset, values, ~padding, warnings)
    if pixels is None and header.number(dataset, "BitsStored") == 8:
        pixels = (np.clip(values, 0, 255) / 255).astype(
            np.float32
        )  # eight bits hold display values
    elif pixels is None:
        pixels = stretch(values, ~padding)
    if photometric == "MONOCHROME1":
        pixels = 1 - pixels
    pixels[padding] = 0
    return pixels


def _modality_values(
    dataset: Dataset, stored: npt.NDArray[np.integer], warnings: list[str]
) -> npt.NDArray[np.float64]:
    slope = header.number(dataset, "RescaleSlope")
    if "RescaleSlope" in dataset and not slope and not dataset.get("ModalityLUTSequence"):
        warnings.append(f"rescale slope {dataset.RescaleSlope} is none: ignored")
        return stored.astype(np.float64)
    return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float64)


def _padding(
    dataset: Dataset, stored: npt.NDArray[np.integer], warnings: list[str]
) -> npt.NDArray[np.bool_]:
    """Return where the stored values are padding (PS3.3 C.7.5.1.1.2): one value, or a range."""
    first = header.number(dataset, "PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, dtype=bool)
    last = header.number(dataset, "PixelPaddingRangeLimit")
    ends = [first, first if last is None else last]
    if header.number(dataset, "PixelRepresentation") == 1:  # signed, but written as unsigned
        ends = [end - 2**16 if end >= 2**15 else end for end in ends]
    low, high = min(ends), max(ends)
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    if padding.mean() > _MOST_PADDING:
        warnings.append("the padding value covers nearly the whole film: ignored")
        return np.zeros(stored.shape, dtype=bool)
    return padding


def _windowed(
    dataset: Dataset,
    values: npt.NDArray[np.float64],
    counted: npt.NDArray[np.bool_],
    warnings: list[str],
) -> Pixels | None:
    """Return the VOI LUT or the first window applied, in [0, 1]; None where neither makes sense."""
    pixels = _through_lut(dataset, values, warnings) if dataset.get("VOILUTSequence") else None
    if pixels is None:
        pixels = _through_window(dataset, values, warnings)
    if pixels is None:
        return None
    inside = pixels[counted]
    if float(((inside <= 0.001) | (inside >= 0.999)).mean()) > _MOST_SATURATED:
        warnings.append("the header's window leaves the film black or white: ignored")
        return None
    return np.asarray(pixels.clip(0, 1), dtype=np.float32)


def _through_lut(
    dataset: Dataset, values: npt.NDArray[np.float64], warnings: list[str]
) -> npt.NDArray[np.float64] | None:
    try:
        shown = np.asarray(apply_voi(values.astype(np.int64), dataset), dtype=np.float64)
    except _UNREADABLE:
        warnings.append("the header's VOI LUT is damaged: ignored")
        return None
    low, high = float(shown.min()), float(shown.max())
    return (shown - low) / (high - low) if high > low else np.zeros_like(shown)


def _through_window(
    dataset: Dataset, values: npt.NDArray[np.float64], warnings: list[str]
) -> npt.NDArray[np.float64] | None:
    if dataset.get("WindowWidth") is None or dataset.get("WindowCenter") is None:
        return None
    width, center = (header.number(dataset, key) for key in ("WindowWidth", "WindowCenter"))
    if width is None or center is None or width <= (0 if _exact(dataset) else 1):
        warnings.append(f"window width {dataset.WindowWidth} is no window: ignored")
        return None
    with np.errstate(over="ignore"):
        low, high = apply_windowing(np.array([-1e12, 1e12]), dataset)
        return np.asarray((apply_windowing(values, dataset) - low) / (high - low))


def _exact(dataset: Dataset) -> bool:
    """Whether the window's function allows widths down to 0 (PS3.3 C.11.2.1.2)."""
    return header.text(dataset, "VOILUTFunction").upper() in ("LINEAR_EXACT", "SIGMOID")
