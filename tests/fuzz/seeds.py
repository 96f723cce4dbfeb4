"""What the fuzzer starts from: films in every encoding, drawn here, and how they are damaged."""

import io
import random
import struct

import numpy as np
import PIL.Image
import pydicom
from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

STRANGE = (
    "", "-1", "0", "1e999", "nan", "null", "[]", "{}", "'", '"', "\0", "\ufeff", "é" * 300,
    "../../etc/passwd", "x" * 5000, "[" * 3000, "&a [*a]", "!!python/name:os.system",
    "99999999999999999999", "\n", ",", ":", "\u2028", "true", "=1+1",
)  # fmt: skip
"""Words that a reader of text may stumble over."""


def chest(height: int = 160, width: int = 176) -> np.ndarray:
    """Return a drawn frontal chest in [0, 1]."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]

    def blob(centre_x: float, centre_y: float, across: float, down: float) -> np.ndarray:
        return np.exp(-(((x - centre_x) / across) ** 4 + ((y - centre_y) / down) ** 4))

    body, middle = blob(0.5, 0.7, 0.46, 0.72), blob(0.5, 0.5, 0.08, 0.9)
    lungs = blob(0.29, 0.42, 0.15, 0.3) + blob(0.71, 0.42, 0.15, 0.3)
    dense = middle + 0.7 * blob(0.56, 0.6, 0.14, 0.14) + blob(0.5, 1.02, 0.45, 0.25)
    ribs = 0.04 * np.sin(y * 70 + 6 * np.abs(x - 0.5)) * lungs
    return np.clip(0.04 + body * (0.5 - 0.38 * lungs + 0.4 * dense) + ribs, 0, 1)


def dicom(
    stored: np.ndarray,
    syntax: pydicom.uid.UID = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    **elements: object,
) -> bytes:
    """Return a CR film as the bytes of a DICOM file."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax if frame else ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3"
    dataset.StudyInstanceUID = "1.2.4"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = stored.itemsize * 8
    dataset.BitsStored = elements.pop("BitsStored", dataset.BitsAllocated)
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([frame]) if frame else stored.tobytes()
    dataset["PixelData"].VR = "OB" if frame or stored.itemsize == 1 else "OW"
    if not frame and syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    elif not frame:
        dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def picture(values: np.ndarray, kind: str, **options: object) -> bytes:
    """Return values as a PNG, JPEG or TIFF file."""
    file = io.BytesIO()
    PIL.Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def films() -> dict[str, bytes]:
    """Return the same film in many encodings."""
    film = chest()
    eight = np.round(film * 255).astype(np.uint8)
    twelve, sixteen = (np.round(film * (2**bits - 1)).astype(np.uint16) for bits in (12, 16))
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [4096, 0, 16])
    lut.add_new("LUTData", "OW", (np.arange(4096) * 16).astype("<u2").tobytes())
    window = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
    jpeg = picture(eight, "JPEG", quality=92)
    return {
        "explicit": dicom(twelve, **window),
        "implicit": dicom(twelve, ImplicitVRLittleEndian, **window),
        "deflated": dicom(twelve, DeflatedExplicitVRLittleEndian, **window),
        "no window": dicom(twelve, BitsStored=12, RescaleSlope=2, RescaleIntercept=-100),
        "monochrome1": dicom(4095 - twelve, PhotometricInterpretation="MONOCHROME1", **window),
        "voi lut": dicom(twelve, BitsStored=12, VOILUTSequence=Sequence([lut])),
        "padding": dicom(twelve, PixelPaddingValue=0, **window),
        "eight bits": dicom(eight),
        "jpeg 2000": dicom(twelve, JPEG2000Lossless, **window),
        "rle": dicom(twelve, RLELossless, **window),
        "jpeg-ls": dicom(twelve, JPEGLSLossless, **window),
        "dicom jpeg": dicom(eight, JPEGBaseline8Bit, frame=jpeg),
        "png": picture(eight, "PNG"),
        "deep png": picture(sixteen, "PNG"),
        "jpeg": jpeg,
        "progressive": picture(eight, "JPEG", quality=92, progressive=True),
        "tiff": picture(eight, "TIFF"),
        "deep tiff": picture(sixteen, "TIFF"),
        "float tiff": picture(film.astype(np.float32), "TIFF"),
        "lzw": picture(eight, "TIFF", compression="tiff_lzw"),
        "deflate": picture(eight, "TIFF", compression="tiff_adobe_deflate"),
        "packbits": picture(eight, "TIFF", compression="packbits"),
        "tiff jpeg": picture(eight, "TIFF", compression="jpeg"),
    }


def damaged(content: bytes, chance: random.Random, head: int = 900) -> bytes:
    """Return a file with bytes changed, lost, doubled or blanked, the header's more often."""
    data = bytearray(content or b"\0")

    def place() -> int:
        end = min(len(data), head) if chance.random() < 0.6 else len(data)
        return chance.randrange(end)

    kind = chance.choices(range(8), (40, 15, 10, 8, 6, 6, 8, 7))[0]
    if kind == 0:
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            data[place()] = chance.randrange(256)
    elif kind == 1:
        for _ in range(chance.choice((1, 2, 4))):
            data[place()] ^= 1 << chance.randrange(8)
    elif kind == 2:
        del data[chance.randrange(len(data)) :]
    elif kind in (3, 4, 5):
        start = chance.randrange(len(data))
        length = min(chance.choice((1, 2, 8, 100, 1000, len(data) // 3)), len(data) - start)
        if kind == 3:
            data[start : start + length] = bytes(length)
        elif kind == 4:
            del data[start : start + length]
        else:
            data[start:start] = chance.randbytes(length)
    elif kind == 6:
        start, value = place(), chance.choice((0, 1, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1))
        data[start : start + 4] = struct.pack(chance.choice(("<I", ">I")), value)
    else:
        start, other = chance.randrange(len(data)), chance.randrange(len(data))
        data[start : start + 256] = data[other : other + 256]
    return bytes(data) or b"\0"


def damaged_text(text: str, chance: random.Random) -> str:
    """Return a text with words exchanged for what its reader may stumble over."""
    words = text.split(" ")
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(words))
        words[at] = chance.choice(STRANGE) if chance.random() < 0.7 else chance.choice(words)
    found = " ".join(words)
    if chance.random() < 0.2:
        cut = chance.randrange(len(found) + 1)
        found = found[:cut]
    return found
