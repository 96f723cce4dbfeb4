"""One reader for all films: DICOM, PNG, JPEG and TIFF become an Image.

The file type is detected from the content, never from the suffix. A file that is certainly not a
chest film is refused with the reason; a doubtful one is read, with a note in ``Image.warnings``.
"""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import BinaryIO

from plainfilm.core import Image, ImageError, Provenance, View, errors_as, printable
from plainfilm.data.films import checks
from plainfilm.data.films.limits import MOST_BYTES
from plainfilm.data.films.raster import Raster, read_raster

HEADER_BYTES = 2**20
"""Number of first bytes of a DICOM file within which its study is named."""
_EXPECTED = "expected a DICOM, PNG, JPEG or TIFF file"
_RASTER_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_DICOM_STARTS = tuple(
    group + element
    for group in (b"\x02\x00", b"\x08\x00")
    for element in (b"\x00\x00", b"\x01\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00", b"\x18\x00")
)


def sniff(path: Path) -> str | None:
    """Return ``dicom``, ``raster`` or None, by the first bytes of the file."""
    with _opened(path) as file:
        return kind_of(file.read(140)) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


def kind_of(head: bytes) -> str | None:
    """Return ``dicom``, ``raster`` or None by the first 140 bytes of a file."""
    if head[128:132] == b"DICM":  # checked first, since the preamble may contain a TIFF header
        return "dicom"
    if head.startswith(_RASTER_STARTS):
        return "raster"
    if head[:4] in _DICOM_STARTS:
        return "dicom"  # a data set without its 128-byte preamble
    return None


def identity(path: Path) -> str | None:
    """Return the DICOM study that the file belongs to; None where nothing says so."""
    if not path.is_file():
        return None
    with _opened(path) as file:
        return header_identity(path, file.read(HEADER_BYTES))


def header_identity(path: Path, head: bytes) -> str | None:
    """Return the DICOM study of a file that begins with ``head``; None where nothing says so.

    Args:
        path: of the file, for messages, and to read it whole where its data set is deflated.
        head: its first HEADER_BYTES.

    Raises:
        ImageError: the file is damaged.
    """
    if kind_of(head[:140]) != "dicom":
        return None
    from plainfilm.data.films.dicom import study_uid
    from plainfilm.data.films.dicom_file import is_deflated

    whole = is_deflated(head) and len(head) == HEADER_BYTES
    return study_uid(path, _content(path) if whole else head)


def read_image(
    path: str | os.PathLike[str],
    *,
    provenance: Provenance | None = None,
    identified: bool = False,
    view: View | None = None,
    modality: str | None = None,
) -> Image:
    """Return the film in a DICOM, PNG, JPEG or TIFF file of 8 to 16 bits.

    Pixels are in [0, 1], bright = dense, upright and square; in a frontal view the patient's left
    is at the picture's right (``docs/films.md`` says how, for each format).

    Args:
        path: the file.
        provenance: provenance according to the film's dataset; plainfilm's own PNGs, which were
            checked when the dataset was prepared, are then read without checks. By default a film
            is real, unless both the file *and* its dataset directory say that it is simulated.
        identified: also read the patient's identity from a DICOM header, into ``Image.reference``.
        view: the film's view, in place of what header and picture say.
        modality: a DICOM object's modality, in place of what its header says.

    Raises:
        ImageError: the file is missing, empty, damaged, certainly not a chest film, or exceeds the
            limits of pixels, bytes, time or memory.
    """
    path = Path(path)
    data = _content(path)
    if kind_of(data[:140]) == "raster":
        raster = read_raster(path, data)
    else:
        from plainfilm.data.films.dicom import read_dicom  # load pydicom only for DICOM

        raster = read_dicom(path, data, identified=identified, modality=modality)
    digest = hashlib.sha256(data).hexdigest()
    del data
    with errors_as(ImageError, f"{path}: cannot be looked at", "get it again"):
        if not (raster.trusted and provenance is not None):
            checks.refuse_blank(path, raster.pixels)
            checks.square(raster)
            checks.mend(path, raster, view)
        raster.pixels.flags.writeable = False  # so that Image need not copy it
        return Image(
            pixels=raster.pixels,
            view=view or raster.view,
            laterality=raster.laterality,
            spacing_mm=raster.spacing_mm,
            provenance=provenance or _provenance(path, raster),
            source=printable(path.name),
            digest=digest,
            reference=raster.reference,
            refusal=raster.refusal,
            warnings=tuple(dict.fromkeys(raster.warnings)),
        )


def _content(path: Path) -> bytes:
    """Return the bytes of a file; if it can't be a film, only the first bytes are read."""
    try:
        with _opened(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"{path}: is no regular file; {_EXPECTED}")
            head = file.read(512)
            if not head:
                raise ImageError(f"{path}: is empty; {_EXPECTED}")
            if kind_of(head[:140]) is None:
                raise ImageError(f"{path}: {_what(head)}; {_EXPECTED}")
            if status.st_size > MOST_BYTES:
                raise ImageError(
                    f"{path}: has {status.st_size / 2**20:.0f} MiB; a film has at most "
                    f"{MOST_BYTES >> 20}: give the film itself"
                )
            file.seek(0)
            return file.read(status.st_size)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"{path}: cannot be opened ({reason}); {_EXPECTED}") from error


def _opened(path: Path) -> BinaryIO:
    """Open a file for reading, without blocking on a pipe that nobody writes to."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags), "rb")


def _provenance(path: Path, raster: Raster) -> Provenance:
    """Return SIMULATED if both the file and the dataset that it lies in say so, else REAL."""
    if not raster.says_simulated:
        return Provenance.REAL
    try:
        card = json.loads((path.absolute().parent.parent / "card.json").read_bytes())
        if isinstance(card, dict) and card.get("simulated") is True:
            return Provenance.SIMULATED
    except (OSError, ValueError, RecursionError):
        pass
    raster.warnings.append(
        "the file says that it is simulated, but lies in no dataset that says so: taken as real"
    )
    return Provenance.REAL


def _what(data: bytes) -> str:
    head = data
    for start, name in ((b"GIF8", "GIF"), (b"BM", "BMP"), (b"%PDF", "PDF"), (b"RIFF", "WebP")):
        if head.startswith(start):
            return f"is a {name} file"
    if head[4:12] in (b"ftypheic", b"ftypavif", b"ftypmif1"):
        return "is a HEIF file"
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "is a text file" if printable > 0.95 * len(head) else "is no image that plainfilm knows"
