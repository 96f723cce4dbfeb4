"""Image: one film, the same type in every stage."""

import base64
import zlib
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, PlainSerializer

from plainfilm.core.word import Word

Pixels = npt.NDArray[np.float32]


class View(StrEnum):
    """Projection of the film; ``unknown`` if neither a header nor the user gives it."""

    PA = "PA"
    AP = "AP"
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    UNKNOWN = "unknown"

    @property
    def frontal(self) -> bool:
        """Whether this is a frontal view."""
        return self in (View.PA, View.AP)


class Provenance(StrEnum):
    """Whether a film came from a patient or from the phantom."""

    REAL = "real"
    SIMULATED = "simulated"


class Patient(Word):
    """The patient's identity as in the DICOM header; read only on explicit request."""

    name: str = ""
    """Family^given^middle^prefix^suffix."""
    id: str = ""
    issuer: str = ""
    """Issuer of the id."""
    birth_date: str = ""
    """YYYYMMDD."""
    sex: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_date: str = ""
    """YYYYMMDD."""
    study_time: str = ""
    """HHMMSS."""
    referring_physician: str = ""


Uid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)+$", max_length=64)]
"""A DICOM unique identifier."""


class Reference(Word):
    """The DICOM object that a film came from, which a structured report must cite."""

    study_uid: Uid
    series_uid: Uid
    instance_uid: Uid
    class_uid: Uid
    rows: int
    """Rows of the stored picture; ``columns`` likewise."""
    columns: int
    turns: int = 0
    """Quarter turns, counterclockwise, by which the stored picture was rotated upright."""
    mirrored: bool = False
    """Whether the picture was mirrored after the rotation."""
    patient: Patient | None = None
    """The patient's identity; None unless it was requested."""


def _as_pixels(value: Any) -> Pixels:
    if isinstance(value, dict):  # from JSON: what _pixels_to_json wrote
        try:
            size = 4 * int(value["shape"][0]) * int(value["shape"][1])
            raw = zlib.decompressobj().decompress(base64.b64decode(value["zlib"]), size + 1)
            value = np.frombuffer(raw, dtype="<f4").reshape(value["shape"])
        except (KeyError, TypeError, ValueError, IndexError, OverflowError, zlib.error) as error:
            raise ValueError(f"pixels are not the JSON that plainfilm writes: {error}") from error
    if not isinstance(value, np.ndarray):
        raise ValueError(f"pixels must be a numpy array, got {type(value).__name__}")
    if value.ndim != 2 or min(value.shape) < 1:
        raise ValueError(f"pixels must have shape (height, width), got {value.shape}")
    frozen = value.dtype == np.float32 and value.base is None and not value.flags.writeable
    # Copy the array so that it can be made read-only; one that already is needs no copy.
    pixels = value if frozen else np.array(value, dtype=np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("pixels must be finite")
    if low < 0 or high > 1:
        raise ValueError(f"pixels must lie in [0, 1], got [{low:.4g}, {high:.4g}]")
    pixels.flags.writeable = False
    return pixels


def _pixels_to_json(pixels: Pixels) -> dict[str, Any]:
    packed = zlib.compress(pixels.astype("<f4").tobytes(), level=1)
    return {"shape": list(pixels.shape), "zlib": base64.b64encode(packed).decode("ascii")}


class Image(Word):
    """A film: pixels and what is known about them.

    ``pixels`` is float32 ``(height, width)`` in [0, 1], bright = dense, upright; in a frontal view
    the patient's left is at the picture's right. ``warnings`` lists what was doubtful or had to be
    corrected when the file was read.
    """

    pixels: Annotated[
        Pixels, BeforeValidator(_as_pixels), PlainSerializer(_pixels_to_json, when_used="json")
    ]
    view: View = View.UNKNOWN
    laterality: Annotated[str | None, Field(pattern="^[LR]$")] = None
    """For a lateral film, the side next to the detector."""
    spacing_mm: tuple[float, float] | None = None
    """Distance between pixel centres: (between rows, between columns)."""
    provenance: Provenance = Provenance.REAL
    source: str | None = None
    """The file that the film was read from."""
    digest: str | None = None
    """SHA-256 of that file's content, hexadecimal."""
    reference: Annotated[Reference | None, Field(exclude=True, repr=False)] = None
    """The DICOM object that the film came from; never part of the image's repr or JSON."""
    refusal: str | None = None
    """Why the film gate keeps it from a model, in one line; None if it passed or was not tried."""
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.pixels.shape
        return height, width

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Image):
            return NotImplemented
        apart = {"pixels", "digest"}  # the same film may be stored in two files
        return np.array_equal(self.pixels, other.pixels) and self.model_dump(
            exclude=apart
        ) == other.model_dump(exclude=apart)

    def __hash__(self) -> int:
        return hash((self.pixels.tobytes(), self.view, self.source))
