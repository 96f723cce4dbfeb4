"""One reader for every film: DICOM, PNG, JPEG and TIFF become an Image.

The kind of file is told by its content, never by its suffix. What is certainly no chest film is
refused with its reason; what is doubtful is read and said in ``Image.warnings``.
"""

import os
from pathlib import Path

from plainfilm.core import Image, ImageError
from plainfilm.data.films import checks
from plainfilm.data.films.raster import read_raster

_EXPECTED = "expected a DICOM, PNG, JPEG or TIFF file"
_RASTER_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_DICOM_STARTS = tuple(
    group + element
    for group in (b"\x02\x00", b"\x08\x00")
    for element in (b"\x00\x00", b"\x01\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00", b"\x18\x00")
)


def sniff(path: Path) -> str | None:
    """Return ``dicom``, ``raster`` or None by the first bytes of the file."""
    with path.open("rb") as file:
        return _kind(file.read(140))


def _kind(head: bytes) -> str | None:
    if head[128:132] == b"DICM":  # first, as the preamble before it may hold a TIFF's header
        return "dicom"
    if head.startswith(_RASTER_STARTS):
        return "raster"
    if head[:4] in _DICOM_STARTS:
        return "dicom"  # a data set without its 128-byte preamble
    return None


def identity(path: Path) -> str | None:
    """Return the DICOM study that the file belongs to; None where nothing says so."""
    if not path.is_file() or sniff(path) != "dicom":
        return None
    from plainfilm.data.films.dicom import study_uid

    return study_uid(path)


def read_image(path: str | os.PathLike[str]) -> Image:
    """Return the film in a DICOM, PNG, JPEG or TIFF file of 8 to 16 bits.

    Pixels are in [0, 1], bright = dense, upright, and for a frontal view with the patient's left at
    the picture's right (see ``docs/films.md`` for how each format gets there).

    Raises:
        ImageError: the file is missing, empty, damaged, or certainly no chest film.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror}); {_EXPECTED}") from error
    if not data:
        raise ImageError(f"{path}: is empty; {_EXPECTED}")
    kind = _kind(data[:140])
    if kind is None:
        raise ImageError(f"{path}: {_what(data)}; {_EXPECTED}")
    if kind == "raster":
        raster = read_raster(path, data)
    else:
        from plainfilm.data.films.dicom import read_dicom  # pydicom is loaded for DICOM files alone

        raster = read_dicom(path, data)
    checks.refuse_blank(path, raster.pixels)
    if not raster.trusted:
        checks.mend(path, raster)
    return Image(
        pixels=raster.pixels,
        view=raster.view,
        laterality=raster.laterality,
        spacing_mm=raster.spacing_mm,
        provenance=raster.provenance,
        source=path.name,
        warnings=tuple(raster.warnings),
    )


def _what(data: bytes) -> str:
    head = data[:512]
    for start, name in ((b"GIF8", "GIF"), (b"BM", "BMP"), (b"%PDF", "PDF"), (b"RIFF", "WebP")):
        if head.startswith(start):
            return f"is a {name} file"
    if head[4:12] in (b"ftypheic", b"ftypavif", b"ftypmif1"):
        return "is a HEIF file"
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "is a text file" if printable > 0.95 * len(head) else "is no image that plainfilm knows"
