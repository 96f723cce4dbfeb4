"""What headers say of a film, and what is made of the wrong and the missing ones."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.uid import CTImageStorage

from plainfilm.core import ImageError, View
from plainfilm.data import read_image

CR = "1.2.840.10008.5.1.4.1.1.1"


@pytest.fixture
def stored(chest):
    return (chest * 255).astype(np.uint8)


def code(meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "R-1", "SRT", meaning
    return Sequence([item])


@pytest.mark.parametrize(
    ("elements", "view", "laterality"),
    [
        ({}, View.UNKNOWN, None),
        ({"ViewPosition": "PA"}, View.PA, None),
        ({"ViewPosition": "ap"}, View.AP, None),
        ({"ViewPosition": "LL"}, View.LATERAL, "L"),
        ({"ViewPosition": "RL"}, View.LATERAL, "R"),
        ({"ViewPosition": "LATERAL"}, View.LATERAL, None),
        ({"ViewPosition": "LAO"}, View.OBLIQUE, None),
        ({"ViewPosition": "", "SeriesDescription": "Thorax p.a."}, View.PA, None),
        ({"ViewPosition": "XX", "SeriesDescription": "CHEST_AP_PORTABLE"}, View.AP, None),
        ({"ProtocolName": "W034 Chest LAT"}, View.LATERAL, None),
        ({"SeriesDescription": "L LAT"}, View.LATERAL, "L"),
        ({"SeriesDescription": "Chest PA and lateral"}, View.UNKNOWN, None),
        ({"StudyDescription": "PA/LAT", "ProtocolName": "Chest lat"}, View.LATERAL, None),
        ({"StudyDescription": "CHEST X-RAY, APPROVED, COLLATERAL"}, View.UNKNOWN, None),
        ({"ViewCodeSequence": code("postero-anterior")}, View.PA, None),
        ({"ViewCodeSequence": code("Left lateral")}, View.LATERAL, "L"),
        ({"PatientOrientation": ["A", "F"]}, View.LATERAL, None),
    ],
)
def test_view_and_side(make_dicom, stored, elements, view, laterality):
    image = read_image(make_dicom(stored, **elements))
    assert (image.view, image.laterality) == (view, laterality)
    assert image.warnings == ()


@pytest.mark.parametrize(
    ("elements", "view", "warning"),
    [
        (
            {"PatientPosition": "AP"},
            View.AP,
            "view AP was taken from PatientPosition, where it does not belong",
        ),
        (
            {"ViewPosition": "PA", "PatientOrientation": ["A", "F"]},
            View.PA,
            "the header says view PA but the orientation of a lateral film",
        ),
        (
            {"ViewPosition": "LL", "PatientOrientation": ["L", "F"]},
            View.LATERAL,
            "the header says a lateral view but the orientation of a frontal film",
        ),
        (
            {"BodyPartExamined": "RIBCAGE"},
            View.UNKNOWN,
            "the header says body part RIBCAGE: exposed for that, not for the lungs",
        ),
        ({"BodyPartExamined": None}, View.UNKNOWN, "the header does not say that this is a chest"),
        ({"Modality": ""}, View.UNKNOWN, "the header does not say the modality"),
        (
            {"Modality": "CT", "SOPClassUID": CR},
            View.UNKNOWN,
            "the header calls a radiograph's object modality CT",
        ),
        (
            {"PresentationIntentType": "FOR PROCESSING"},
            View.UNKNOWN,
            "raw detector data (FOR PROCESSING): contrast is not a film's",
        ),
    ],
)
def test_wrong_headers_do_not_refuse_a_chest_film(make_dicom, stored, elements, view, warning):
    image = read_image(make_dicom(stored, **elements))
    assert image.view is view
    assert image.warnings == (warning,)
    assert np.allclose(image.pixels, stored / 255)


@pytest.mark.parametrize("part", ["Thorax", "CHEST PORT", "LUNG"])
def test_other_words_for_the_chest(make_dicom, stored, part):
    assert read_image(make_dicom(stored, BodyPartExamined=part)).warnings == ()


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (
            {"Modality": "CT", "SOPClassUID": CTImageStorage},
            "is a CT slice (modality CT), not a chest film; give a CR or DX image",
        ),
        (
            {"Modality": "MG", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2"},
            "is a mammogram (modality MG), not a chest film",
        ),
        ({"NumberOfFrames": 3}, "holds 3 frames; a film is one image: give a radiograph"),
        ({"PixelData": None}, "is a DICOM file without pixels; give an image"),
        ({"PixelData": b"\0" * 50}, "is cut short, or its header is wrong (50 bytes of pixels, "),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(make_dicom, stored, elements, message):
    path = make_dicom(stored, **elements)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("elements", "refusal", "asked"),
    [
        (
            {"Modality": "CT"},
            "the header says CT, the picture looks like a frontal chest film; --modality DX to "
            "go on",
            {"modality": "DX"},
        ),
        (
            {"BodyPartExamined": "HAND"},
            "the header says body part HAND, the picture looks like a frontal chest film; --force "
            "to go on",
            None,
        ),
    ],
)
def test_a_header_that_contradicts_the_picture_is_named(
    make_dicom, stored, elements, refusal, asked
):
    path = make_dicom(stored, **elements)
    assert read_image(path).refusal == refusal
    if asked is not None:
        assert read_image(path, **asked).refusal is None


def test_a_picture_that_agrees_with_the_header_is_no_film(make_dicom):
    y, x = np.mgrid[:320, :320]
    rings = (np.sin(np.hypot(x - 160, y - 160) / 12) * 100 + 120).astype(np.uint8)
    with pytest.raises(ImageError, match="is a CT slice"):
        read_image(make_dicom(rings, Modality="CT"))


def test_burned_in_text_is_said(make_dicom, stored):
    (warning,) = read_image(make_dicom(stored, BurnedInAnnotation="YES")).warnings
    assert warning.startswith("the header says that text is burned into the picture")
    picture = PIL.Image.fromarray(stored)
    draw = PIL.ImageDraw.Draw(picture)
    font = PIL.ImageFont.load_default(18)
    draw.text((8, 40), "R", 255, font)
    assert read_image(make_dicom(np.asarray(picture))).warnings == ()
    draw.text((8, 280), "NOBODY ANNA 1950", 255, font)
    (warning,) = read_image(make_dicom(np.asarray(picture))).warnings
    assert warning.startswith("1 line of text burned into the picture")


def test_other_part_is_refused_where_the_picture_agrees(make_dicom):
    y, x = np.mgrid[:320, :320]
    rings = (np.sin(np.hypot(x - 160, y - 160) / 12) * 100 + 120).astype(np.uint8)
    path = make_dicom(rings, BodyPartExamined="KNEE")
    with pytest.raises(ImageError, match=r"is no chest film \(the header says KNEE, and the"):
        read_image(path)


def test_wrong_polarity_in_the_header_is_flagged_not_mended(make_dicom, stored):
    image = read_image(make_dicom(255 - stored))
    assert image.warnings == ("looks inverted, against what the header says: check it",)
    assert np.allclose(image.pixels, 1 - stored / 255)


@pytest.mark.parametrize(
    ("orientation", "store", "words"),
    [
        (["L", "F"], lambda film: film, None),
        (["L", "FR"], lambda film: film, None),  # a little tilted
        (["R", "F"], lambda film: film[:, ::-1], "mirrored"),
        (["R", "H"], lambda film: film[::-1, ::-1], "turned by 180°"),
        (["L", "H"], lambda film: film[::-1], "turned by 180° and mirrored"),
        (["F", "R"], lambda film: np.rot90(film), "turned by 270°"),
        (["H", "L"], lambda film: np.rot90(film, 3), "turned by 90°"),
    ],
)
def test_frontal_film_is_turned_as_the_header_says(make_dicom, stored, orientation, store, words):
    image = read_image(
        make_dicom(
            np.ascontiguousarray(store(stored)),
            ViewPosition="PA", PatientOrientation=orientation, PixelSpacing=[0.201, 0.2],
        )
    )  # fmt: skip
    assert np.allclose(image.pixels, stored / 255)
    spacing = (
        (0.2, 0.201) if words and "turned by 180°" not in words and words != "mirrored" else None
    )
    assert image.spacing_mm == (spacing or (0.201, 0.2))
    said = "\\".join(value[0] for value in orientation)
    expected = f"{words} as the header's orientation {said} says"
    assert image.warnings == ((expected,) if words else ())


def test_lateral_film_is_turned_but_never_mirrored(make_dicom, stored):
    for orientation, turned in ((["P", "F"], stored), (["A", "H"], stored[::-1, ::-1])):
        path = make_dicom(stored, ViewPosition="LL", PatientOrientation=orientation)
        assert np.allclose(read_image(path).pixels, turned / 255)


@pytest.mark.parametrize("orientation", [["L", "L"], ["X", "F"], ["L"], "", ["A", "R"]])
def test_unclear_orientation_turns_nothing(make_dicom, stored, orientation):
    path = make_dicom(stored, ViewPosition="PA", PatientOrientation=orientation)
    assert np.allclose(read_image(path).pixels, stored / 255)


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        ({"PixelSpacing": [0.143, 0.144]}, (0.143, 0.144)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({"PixelSpacing": [900, 900]}, None),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25},
            (0.16, 0.16),
        ),
    ],
)
def test_spacing(make_dicom, stored, elements, spacing):
    assert read_image(make_dicom(stored, **elements)).spacing_mm == spacing


def test_nothing_of_the_patient_reaches_the_image(make_dicom, stored):
    path = make_dicom(stored, PatientName="Doe^Jane", PatientID="4711", PatientBirthDate="19700101")
    assert pydicom.dcmread(path).PatientID == "4711"
    text = read_image(path).to_json()
    assert not any(word in text for word in ("Doe", "Jane", "4711", "19700101"))


UIDS = {"StudyInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3.4.5"}


def test_what_a_film_is_called_is_kept_but_never_written(make_dicom, stored):
    path = make_dicom(stored, PatientName="Doe^Jane", PatientID="4711", **UIDS)
    header = pydicom.dcmread(path)
    known = read_image(path).reference
    assert (known.study_uid, known.series_uid) == (
        header.StudyInstanceUID,
        header.SeriesInstanceUID,
    )
    assert (known.instance_uid, known.class_uid) == (header.SOPInstanceUID, header.SOPClassUID)
    assert known.patient is None
    identified = read_image(path, identified=True)
    assert identified.reference.patient.name == "Doe^Jane"
    for text in (repr(identified), identified.to_json()):
        assert header.SOPInstanceUID not in text
        assert "4711" not in text


def test_how_a_film_was_turned_can_be_undone(make_dicom, stored):
    upright = read_image(make_dicom(stored)).pixels
    lying = read_image(
        make_dicom(np.rot90(stored)[:, ::-1].copy(), PatientOrientation=["F", "L"], **UIDS)
    )
    known = lying.reference
    assert known.turns
    back = lying.pixels[:, ::-1] if known.mirrored else lying.pixels
    assert np.rot90(back, -known.turns).shape == (known.rows, known.columns)
    assert lying.pixels.shape == upright.shape


def test_without_valid_uids_there_is_nothing_to_cite(make_dicom, stored):
    path = make_dicom(stored, **UIDS | {"SeriesInstanceUID": "<script>1"})
    assert read_image(path).reference is None
