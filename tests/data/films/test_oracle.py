"""Every way to say the same picture, held against a direct computation of what is shown."""

import io
import itertools

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from plainfilm.data import read_image

BITS = (8, 10, 12, 16)
RESCALES = {"none": None, "identity": (1, 0), "rising": (2, -500), "falling": (-3, 4000)}
SHOWN = ("nothing", "window", "exact", "sigmoid", "voi", "voi packed", "modality and window")
COMPRESSED = (RLELossless, JPEG2000Lossless, JPEGLSLossless)
NATIVE = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)  # fmt: skip


def lut(entries, first, bits, packed=False, vr="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries).astype("u1" if packed else "<u2").tobytes())
    return Sequence([item])


def direct(values, shown, elements, bits, rescaled):
    """Return what PS3.3 C.11 makes of modality values, computed for each pixel."""
    if shown == "window":
        centre, width = elements["WindowCenter"], elements["WindowWidth"]
        return ((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    if shown == "exact":
        return ((values - elements["WindowCenter"]) / elements["WindowWidth"] + 0.5).clip(0, 1)
    if shown == "sigmoid":
        return 1 / (1 + np.exp(-4 * (values - elements["WindowCenter"]) / elements["WindowWidth"]))
    if shown == "nothing" and bits == 8 and not rescaled:
        return values.clip(0, 255) / 255
    low, high = np.percentile(values, (0.5, 99.5))
    return ((values - low) / (high - low)).clip(0, 1)


def save(dataset, syntax, path):
    """Write a data set, made as Explicit VR Little Endian, in another transfer syntax."""
    if syntax in COMPRESSED:
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path, enforce_file_format=True)
        return
    if syntax == ExplicitVRBigEndian:  # words turned round, which pydicom leaves to the caller
        words = [dataset] if dataset.BitsAllocated == 16 else []
        luts = [*dataset.get("VOILUTSequence", ()), *dataset.get("ModalityLUTSequence", ())]
        for item, keyword in (*((one, "PixelData") for one in words),
                              *((one, "LUTData") for one in luts)):  # fmt: skip
            padded = item[keyword].value + b"\0" * (len(item[keyword].value) % 2)
            item[keyword].value = np.frombuffer(padded, "<u2").byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    pydicom.dcmwrite(
        file, dataset, implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian, force_encoding=True,
    )  # fmt: skip
    path.write_bytes(file.getvalue())


def combinations():
    """All of photometric × signed × bits × rescale × window, each in a transfer syntax."""
    chosen = np.random.default_rng(5)
    for photometric, signed, bits, rescale, shown in itertools.product(
        ("MONOCHROME1", "MONOCHROME2"), (False, True), BITS, RESCALES, SHOWN
    ):
        syntax = (*NATIVE, *COMPRESSED)[chosen.integers(7)]
        if syntax is JPEGLSLossless and signed:
            syntax = RLELossless
        if "modality" in shown and rescale != "none":
            continue  # a modality LUT stands in place of a rescale
        yield photometric, signed, bits, rescale, shown, syntax


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_picture_that_the_file_means(make_dicom, tmp_path, photometric):
    tried = 0
    for combination in combinations():
        if combination[0] != photometric:
            continue
        _, signed, bits, rescale, shown, syntax = combination
        height, width = 40, 48
        place = np.linspace(0, 1, height * width).reshape(height, width) ** 1.5
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        stored = np.round(low + place * (high - low))
        depth = 8 if bits == 8 else 16
        array = stored.astype(f"{'i' if signed else 'u'}{depth // 8}")
        elements = {
            "BitsStored": bits, "HighBit": bits - 1, "PhotometricInterpretation": photometric,
            "ViewPosition": "LL",
        }  # fmt: skip
        values = stored
        if RESCALES[rescale] is not None:
            slope, intercept = RESCALES[rescale]
            values = stored * slope + intercept
            elements |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
        if "modality" in shown:
            entries = np.arange(2**bits) // 2 + 7
            elements["ModalityLUTSequence"] = lut(
                entries, int(low), 16, vr="SS" if signed else "US"
            )
            values = entries[(stored - low).astype(int)]
        if "window" in shown or shown in ("exact", "sigmoid"):
            span = float(np.ptp(values))
            elements |= {
                "WindowCenter": round(float(values.min()) + 0.45 * span, 1),
                "WindowWidth": round(0.7 * span, 1),
            }
            functions = {"exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
            if shown in functions:
                elements["VOILUTFunction"] = functions[shown]
        if shown.startswith("voi"):
            first, last = int(values.min()), int(values.max())
            size = min(last - first + 1, 60000)
            white = 255 if "packed" in shown else 65535
            entries = np.round(np.linspace(0, 1, size) ** 2 * white).astype(int)
            # The descriptor's first value has 16 bits, signed or not.
            if not -32768 <= first <= 65535:
                continue
            elements["VOILUTSequence"] = lut(
                entries, first, 8 if "packed" in shown else 16, packed="packed" in shown,
                vr="SS" if first < 0 else "US",
            )  # fmt: skip
            index = (values - first).clip(0, size - 1).astype(int)
            expected = entries[index] / white
        else:
            how = "window" if "window" in shown else shown
            expected = direct(values, how, elements, bits, rescale not in ("none", "identity"))
        if photometric == "MONOCHROME1":
            expected = 1 - expected
        path = make_dicom(array, **elements)
        save(pydicom.dcmread(path), syntax, path)
        image = read_image(path)
        said = [warning for warning in image.warnings if not warning.startswith("only ")]
        assert not said, (combination, said)
        assert np.abs(image.pixels - expected).max() < 0.004, combination
        tried += 1
    assert tried > 150


def test_the_oracle_covers_every_pair():
    seen = {pair for chosen in combinations() for pair in itertools.combinations(chosen, 2)}
    for syntax, bits in itertools.product((*NATIVE, *COMPRESSED), BITS):
        assert (bits, syntax) in seen
    for syntax, shown in itertools.product((*NATIVE, *COMPRESSED), SHOWN):
        assert (shown, syntax) in seen
