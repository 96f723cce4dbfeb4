"""Simulated films as DICOM: read back as they were, and marked as what they are."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation

from plainfilm.core import InputError, Provenance, Study, View
from plainfilm.data import Dataset, load_study, read_image
from plainfilm.data.films.dicom_write import Acquisition, dicom_bytes, write_dicom
from plainfilm.data.sources.phantom import film_dicom, prepare_phantom
from plainfilm.phantom import simulate
from plainfilm.phantom.film.lateral import render_lateral

HOW = Acquisition(tube_voltage_kv=110.0, source_to_detector_mm=1800.0, source_to_patient_mm=1650.0)


@pytest.fixture(scope="module")
def phantom():
    return simulate(5, 3, 256, institution="teaching")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_film_is_read_back_as_it_was(phantom, photometric, tmp_path):
    film = phantom.study.images[0]
    path = tmp_path / "film.dcm"
    write_dicom(path, phantom.study, HOW, photometric=photometric)
    again = read_image(path, provenance=Provenance.SIMULATED)
    assert np.abs(again.pixels - film.pixels).max() <= 1 / 4095
    assert again.view is film.view
    assert again.spacing_mm == pytest.approx(film.spacing_mm, rel=1e-6)
    assert again.provenance is Provenance.SIMULATED
    assert again.warnings == ()
    assert [file.name for file in tmp_path.iterdir()] == ["film.dcm"]


def test_the_header_says_what_was_simulated(phantom):
    dataset = pydicom.dcmread(io.BytesIO(film_dicom(phantom)))
    camera = phantom.case.exposure.camera(phantom.case.patient)
    assert dataset.SOPClassUID == DigitalXRayImageStorageForPresentation
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
    assert dataset.pixel_array.max() <= 4095
    assert dataset.ViewPosition == str(phantom.study.images[0].view)
    assert list(dataset.PatientOrientation) == ["L", "F"]
    assert dataset.PatientSex == phantom.case.patient.sex
    assert dataset.PatientAge == f"{phantom.case.patient.age:03d}Y"
    assert dataset.KVP == 110
    assert dataset.DistanceSourceToDetector == camera.source_mm
    ratio = float(dataset.ImagerPixelSpacing[0]) / float(dataset.PixelSpacing[0])
    assert ratio == pytest.approx(camera.source_mm / (camera.source_mm - camera.gap_mm), rel=1e-6)
    assert ratio == pytest.approx(dataset.EstimatedRadiographicMagnificationFactor, rel=1e-6)
    assert "simulated" in dataset.ImageComments
    assert (str(dataset.PatientName), dataset.QualityControlImage) == ("PHANTOM^SIMULATED", "YES")
    assert not dataset.StudyDate


def test_uids_belong_to_the_study_and_its_pixels(phantom):
    def uids(study, **options):
        dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(study, HOW, **options)))
        assert all(uid.is_valid for uid in (dataset.SOPInstanceUID, dataset.StudyInstanceUID))
        return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID

    study = phantom.study
    assert uids(study) == uids(study)
    other = uids(simulate(5, 4, 64).study)
    assert not set(uids(study)) & set(other)
    larger = uids(simulate(5, 3, 64).study)
    assert larger[0] == uids(study)[0]
    assert larger[2] != uids(study)[2]


def test_institutions_differ_in_polarity_not_in_what_is_shown(tmp_path):
    shown, kinds = [], set()
    one = simulate(5, 3, 64)
    for institution in ("teaching", "community"):
        phantom = replace(one, institution=institution)
        path = tmp_path / f"{institution}.dcm"
        path.write_bytes(film_dicom(phantom))
        kinds.add(pydicom.dcmread(path).PhotometricInterpretation)
        shown.append(read_image(path).pixels)
    assert kinds == {"MONOCHROME1", "MONOCHROME2"}
    assert np.abs(shown[0] - shown[1]).max() <= 1 / 4095


def test_a_lateral_film_of_the_same_study(phantom, tmp_path):
    case = phantom.case
    lateral, _ = render_lateral(
        case.patient, case.disease, case.exposure, 256, np.random.default_rng(1), "side"
    )
    study = phantom.study.model_copy(update={"images": (*phantom.study.images, lateral)})
    for number in (0, 1):
        write_dicom(tmp_path / f"{number}.dcm", study, HOW, number=number)
    both = load_study(tmp_path / "0.dcm", tmp_path / "1.dcm").images
    assert [image.view for image in both] == [phantom.study.images[0].view, View.LATERAL]
    assert both[1].laterality == "L"
    assert np.abs(both[1].pixels - lateral.pixels).max() <= 1 / 4095


def test_what_must_not_be_written_is_refused(phantom, tmp_path):
    def copy(**changes):
        image = phantom.study.images[0].model_copy(update=changes)
        return Study(id="x", images=(image,))

    refused = [
        ("only simulated", copy(provenance=Provenance.REAL), {}),
        ("view must be", copy(view=View.UNKNOWN), {}),
        ("needs an id", copy().model_copy(update={"id": ""}), {}),
        ("photometric must be", copy(), {"photometric": "RGB"}),
        ("1 images, got number 1", copy(), {"number": 1}),
    ]
    for message, study, options in refused:
        with pytest.raises(InputError, match=message):
            write_dicom(tmp_path / "film.dcm", study, HOW, **options)
    assert not list(tmp_path.iterdir())


def test_a_dataset_of_dicom_films(tmp_path: Path):
    dicom = prepare_phantom(
        4, tmp_path / "dicom", seed=5, size=64, film_format="dicom", progress=False
    )
    png = prepare_phantom(4, tmp_path / "png", seed=5, size=64, progress=False)
    assert dicom.card.source["format"] == "dicom"
    assert "format" not in png.card.source
    for one, other in zip(dicom.rows, png.rows, strict=True):
        assert one.images[0].endswith(".dcm")
        assert replace(one, images=other.images) == other
        film, same = dicom.image(one), png.image(other)
        assert film.view is same.view
        assert film.provenance is Provenance.SIMULATED
        assert np.abs(film.pixels - same.pixels).max() < 0.5 / 255 + 1 / 4095
    again = prepare_phantom(
        4, tmp_path / "again", seed=5, size=64, film_format="dicom", progress=False
    )
    assert again.fingerprint == Dataset(tmp_path / "dicom").fingerprint
    with pytest.raises(InputError, match="choose from png, dicom"):
        prepare_phantom(1, tmp_path / "no", film_format="jpeg", progress=False)
    assert not (tmp_path / "no").exists()
