"""How much a file may ask for: every film comes from outside, and is read within these limits."""

from pathlib import Path

from plainfilm.core import ImageError

MOST_BYTES = 512 * 2**20
"""Size of a film's file; also what a deflated DICOM data set may inflate to."""

MOST_PIXELS = 100_000_000
"""Height × width of a film. The largest chest films (14 × 17 inches digitised at 50 µm) have
60 million."""

MOST_ELEMENTS = 50_000
"""Data elements of a DICOM header, those in sequences included. Chest films have 50 to 500."""

MOST_SCANS = 200
"""Scans of a progressive JPEG, each of which costs a pass over the whole picture. Encoders write
up to 12."""

DECODER_SECONDS = 60
"""Processor time for one film in the decoder's own process."""

DECODER_BYTES = 4 * 2**30
"""Address space of the decoder's own process."""


def check_size(path: Path, width: int, height: int) -> None:
    """Raise ImageError where a header asks for a picture without pixels, or for too many."""
    if width < 1 or height < 1:
        raise ImageError(f"{path}: its header says {width} × {height} pixels; get it again")
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"{path}: its header says {width} × {height} pixels; a film has at most "
            f"{MOST_PIXELS / 1e6:.0f} million: give the film itself"
        )
