"""Films made for the tests: a drawn chest, and a real chest film from pydicom-data."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

MakeDicom = Callable[..., Path]


def draw_chest(height: int = 320, width: int = 288) -> np.ndarray:
    """Return a drawn frontal chest, float64 in [0, 1], bright = dense, heart to the right."""
    y, x = np.mgrid[:height, :width]
    y, x = y / height, x / width

    def oval(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return 1 / (1 + np.exp((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 - 1) * 8))

    body = oval(0.5, 0.62, 0.47, 0.6)
    lungs = np.maximum(oval(0.3, 0.45, 0.14, 0.32), oval(0.7, 0.45, 0.14, 0.32))
    heart = oval(0.57, 0.6, 0.14, 0.16)
    dense = np.maximum(oval(0.5, 0.5, 0.07, 0.7), oval(0.5, 1.0, 0.45, 0.26))
    ribs = 0.05 * np.sin(y * 60) * lungs
    film = body * (0.55 - 0.4 * lungs * (1 - heart)) + 0.35 * np.maximum(dense, heart) * body
    return np.clip(film + ribs + 0.03, 0, 1)


@pytest.fixture
def chest() -> np.ndarray:
    """A drawn frontal chest, float64 in [0, 1]."""
    return draw_chest()


@cache
def _real_film() -> pydicom.Dataset:
    path = get_testdata_file("RG1_UNCI.dcm", download=False)
    if path is None:
        pytest.fail("pydicom-data is missing: pip install 'plainfilm[dev]'")
    return pydicom.dcmread(path)


@pytest.fixture
def real_film() -> pydicom.Dataset:
    """A chest PA of pydicom-data (MONOCHROME1, 15 bits, uncompressed) at a quarter of its size."""
    dataset = pydicom.dcmread(_real_film().filename)
    small = _real_film().pixel_array[:1952, :1840].reshape(488, 4, 460, 4).mean(axis=(1, 3))
    dataset.Rows, dataset.Columns = small.shape
    dataset.PixelData = small.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """Return a function that writes a DICOM film: stored values and header elements by keyword."""

    def write(stored: np.ndarray, name: str = "film.dcm", **elements: Any) -> Path:
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.Modality, dataset.BodyPartExamined = "DX", "CHEST"
        dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
        dataset.Rows, dataset.Columns = stored.shape
        dataset.BitsAllocated = dataset.BitsStored = stored.dtype.itemsize * 8
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW" if stored.dtype.itemsize == 2 else "OB"
        with warnings.catch_warnings():  # the odd headers are odd on purpose
            warnings.simplefilter("ignore")
            for keyword, value in elements.items():
                if value is None:
                    del dataset[keyword]
                else:
                    setattr(dataset, keyword, value)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
