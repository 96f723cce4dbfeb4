"""DICOM films: one picture from every encoding, shown as the header means it."""

import io

import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from plainfilm.core import ImageError, Provenance, View
from plainfilm.data import read_image

GREY = np.tile(np.arange(256, dtype=np.uint8), (256, 1))


def correlation(one, other):
    return np.corrcoef(np.asarray(one).ravel(), np.asarray(other).ravel())[0, 1]


def save(dataset, path):
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("name", ["UNCI", "UNCR", "J2KI", "J2KR"])
def test_one_real_film_in_four_encodings(name):
    # UNCI and J2KI, UNCR and J2KR: one film, from a lossy and a lossless compression of it. The
    # *R files carry a TIFF header in their DICOM preamble.
    image = read_image(get_testdata_file(f"RG1_{name}.dcm", download=False))
    reference = read_image(get_testdata_file("RG1_UNCR.dcm", download=False))
    assert image.shape == (1955, 1841)
    assert image.view is View.PA
    assert image.warnings == ()
    assert np.abs(image.pixels - reference.pixels).max() < 0.05
    assert image.spacing_mm is None  # the header says 0 × 0 mm


def test_monochrome1_is_not_shown_inverted(real_film, tmp_path):
    image = read_image(save(real_film, tmp_path / "film.dcm"))
    lung, abdomen = image.pixels[150:200, 90:130].mean(), image.pixels[400:440, 90:130].mean()
    assert lung < 0.6 < 0.8 < abdomen


@pytest.mark.parametrize(
    ("syntax", "closeness", "options"),
    [
        (RLELossless, 0, {}),
        (JPEG2000Lossless, 0, {}),
        (JPEG2000, 0.02, {"j2k_cr": [10]}),
        (ImplicitVRLittleEndian, 0, None),
        (ExplicitVRBigEndian, 0, None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_real_film_in_other_transfer_syntaxes(real_film, tmp_path, syntax, closeness, options):
    reference = read_image(save(real_film, tmp_path / "reference.dcm"))
    if options is not None:
        real_film.compress(syntax, **options, generate_instance_uid=False)
        save(real_film, tmp_path / "film.dcm")
    else:
        if syntax == ExplicitVRBigEndian:
            real_film.PixelData = real_film.pixel_array.astype(">u2").tobytes()
        real_film.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(
            tmp_path / "film.dcm",
            real_film,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
            force_encoding=True,
        )
    image = read_image(tmp_path / "film.dcm")
    assert pydicom.dcmread(tmp_path / "film.dcm").file_meta.TransferSyntaxUID == syntax
    assert np.abs(image.pixels - reference.pixels).max() <= closeness
    assert image.warnings == reference.warnings == ()


def test_real_film_as_jpeg(real_film, tmp_path, make_dicom):
    reference = read_image(save(real_film, tmp_path / "reference.dcm"))
    stored = (255 - real_film.pixel_array / 30000 * 255).clip(0, 255).astype(np.uint8)
    jpeg = io.BytesIO()
    PIL.Image.fromarray(stored).save(jpeg, format="JPEG", quality=95)
    dataset = pydicom.dcmread(make_dicom(stored, ViewPosition="PA"))
    dataset.PixelData = encapsulate([jpeg.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    image = read_image(save(dataset, tmp_path / "film.dcm"))
    assert correlation(image.pixels, reference.pixels) > 0.99
    assert image.view is View.PA


@pytest.mark.parametrize(
    "name", ["JPGLosslessP14SV1_1s_1f_8b.dcm", "JPGExtended.dcm", "MR_small_jpeg_ls_lossless.dcm"]
)
def test_other_jpegs_are_decoded(name, tmp_path):
    # No encoder at hand for these: the files of pydicom, relabelled as radiographs.
    dataset = pydicom.dcmread(get_testdata_file(name, download=False))
    dataset.Modality, dataset.BodyPartExamined = "CR", "CHEST"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    assert read_image(save(dataset, tmp_path / "film.dcm")).pixels.std() > 0.05


def test_data_set_without_preamble_is_told_by_its_content(tmp_path, make_dicom):
    path = make_dicom(GREY, ViewPosition="AP")
    path.write_bytes(path.read_bytes()[132:])
    assert read_image(path).view is View.AP


def test_dicom_beside_pixels(make_dicom, chest):
    stored = (chest * 4095).astype(np.uint16)
    path = make_dicom(
        stored,
        BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=4096, ViewPosition="PA",
        ImagerPixelSpacing=[0.2, 0.201], ImageComments="plainfilm phantom, simulated",
    )  # fmt: skip
    image = read_image(path, provenance=Provenance.SIMULATED)
    assert np.abs(image.pixels - chest).max() < 0.001
    assert image.spacing_mm == (0.2, 0.201)
    assert image.provenance is Provenance.SIMULATED
    assert image.source == "film.dcm"
    assert image.warnings == ()


def test_eight_bits_hold_display_values(make_dicom, chest):
    stored = (chest * 200).astype(np.uint8)
    assert np.allclose(read_image(make_dicom(stored)).pixels, stored / 255)


def test_rescale_comes_before_the_window(make_dicom, chest):
    stored = (chest * 1000).astype(np.int16)
    path = make_dicom(
        stored, RescaleSlope=2, RescaleIntercept=-500, WindowCenter=500, WindowWidth=2000
    )
    assert np.abs(read_image(path).pixels - chest).max() < 0.002


def test_first_of_several_windows_counts(make_dicom, chest):
    stored = (chest * 1000).astype(np.uint16)
    path = make_dicom(stored, WindowCenter=[500, 100], WindowWidth=[1000, 50])
    assert np.abs(read_image(path).pixels - chest).max() < 0.002


def _lut(table, first=0):
    item = Dataset()
    item.LUTDescriptor = [len(table), first, 16]
    item.LUTData = [int(value) for value in table]
    for keyword in ("LUTDescriptor", "LUTData"):
        item[keyword].VR = "US"
    return Sequence([item])


def test_luts_are_applied(make_dicom, chest):
    stored = (chest * 255).astype(np.uint16)
    table = np.arange(256) ** 2
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        sequence = _lut(table)
        if keyword == "ModalityLUTSequence":
            sequence[0].ModalityLUTType = "US"
        image = read_image(make_dicom(stored, **{keyword: sequence}))
        shown = (stored / stored.max()) ** 2.0
        assert correlation(image.pixels, shown) > 0.999
    damaged = _lut(table)
    damaged[0].LUTDescriptor = [0, 0, 0]
    del damaged[0].LUTData
    image = read_image(make_dicom(stored, VOILUTSequence=damaged))
    assert image.warnings == ("the header's VOI LUT is damaged: ignored",)
    assert correlation(image.pixels, stored) > 0.99


@pytest.mark.parametrize(
    ("elements", "warning"),
    [
        ({"WindowCenter": 0, "WindowWidth": 0}, "window width 0.0 is no window: ignored"),
        ({"WindowCenter": 9999, "WindowWidth": 10}, "leaves the film black or white: ignored"),
        ({"RescaleSlope": 0, "RescaleIntercept": 7}, "rescale slope 0.0 is none: ignored"),
        ({"PhotometricInterpretation": "XYZ"}, "photometric interpretation XYZ: read as"),
    ],
)
def test_nonsense_is_ignored_and_said(make_dicom, chest, elements, warning):
    stored = (chest * 3000 + 50).astype(np.uint16)
    image = read_image(make_dicom(stored, **elements))
    assert warning in image.warnings[0]
    assert correlation(image.pixels, chest) > 0.99


def test_padding_is_black_in_both_polarities(make_dicom, chest):
    for photometric, film in (("MONOCHROME2", chest), ("MONOCHROME1", 1 - chest)):
        stored = (film * 3000 + 100).astype(np.uint16)
        stored[:, :40] = 5000
        path = make_dicom(stored, PhotometricInterpretation=photometric, PixelPaddingValue=5000)
        image = read_image(path)
        assert (image.pixels[:, :40] == 0).all()
        assert correlation(image.pixels[:, 40:], chest[:, 40:]) > 0.99
        assert image.pixels[:, 40:].max() == 1  # the padding took no part in the stretch


def test_padding_of_a_signed_film_written_as_unsigned(make_dicom, chest):
    stored = (chest * 3000).astype(np.int16)
    stored[:, :40] = -2000
    path = make_dicom(stored)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    image = read_image(save(dataset, path))
    assert (image.pixels[:, :40] == 0).all()
    assert image.pixels[:, 40:].max() == 1


def test_colour_and_grey_in_rgb(make_dicom, chest):
    grey = np.repeat((chest * 255).astype(np.uint8)[..., None], 3, axis=2)
    rgb = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    path = make_dicom(grey[..., 0], PixelData=grey.tobytes(), **rgb)
    assert np.abs(read_image(path).pixels - chest).max() < 0.005
    noise = np.random.default_rng(0).integers(0, 255, grey.shape).astype(np.uint8)
    path = make_dicom(grey[..., 0], PixelData=noise.tobytes(), **rgb)
    with pytest.raises(ImageError, match="is a colour picture, not a film"):
        read_image(path)
