"""Limits for reading films, since any film may come from an untrusted source."""

from pathlib import Path

from plainfilm.core import ImageError

MOST_BYTES = 512 * 2**20
"""Maximum size of a film's file, and of a deflated DICOM data set after inflation."""

MOST_PIXELS = 100_000_000
"""Maximum height × width of a film. The largest chest films (14 × 17 inches digitised at 50 µm)
have 60 million."""

MOST_ELEMENTS = 50_000
"""Maximum data elements of a DICOM header, including those in sequences. Chest films have 50 to
500."""

MOST_SCANS = 200
"""Maximum scans of a progressive JPEG, each of which costs a pass over the whole picture. Encoders
write up to 12."""

DECODER_SECONDS = 60
"""Maximum processor time for one film in the decoder process."""

DECODER_BYTES = 4 * 2**30
"""Maximum address space of the decoder process."""


def check_size(path: Path, width: int, height: int) -> None:
    """Raise ImageError if a header announces no pixels, or too many."""
    if width < 1 or height < 1:
        raise ImageError(f"{path}: its header says {width} × {height} pixels; get it again")
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"{path}: its header says {width} × {height} pixels; a film has at most "
            f"{MOST_PIXELS / 1e6:.0f} million: give the film itself"
        )
