"""A service with a model that writes one sentence, so that the tests are about the service."""

import io
import json
import time

import numpy as np
import PIL.Image

from plainfilm.core import Evidence, Finding, Observation, Report, Side

SENTENCE = "Small right pleural effusion."


class Model:
    """Drafts the same report of any study."""

    def __init__(self):
        self.drafted = 0

    def report(self, study):
        self.drafted += 1
        return Report(
            findings=f"{SENTENCE} No pneumothorax.",
            impression="Effusion.",
            statements=(
                Finding(
                    observation=Observation.PLEURAL_EFFUSION, severity="small", side=Side.RIGHT,
                    sentence=SENTENCE, spans=((12, 28),),
                ),
                Finding(observation=Observation.PNEUMOTHORAX, status="absent",
                        sentence="No pneumothorax.", spans=((33, 45),)),
            ),
            evidence=(
                Evidence(observation=Observation.PLEURAL_EFFUSION, probability=0.9,
                         heatmap=((0.0, 0.1), (1.0, 0.2)), method="test"),
            ),
            badges=("a badge",),
            model="toy",
            images_read=(0,),
        )  # fmt: skip


def film(seed: int = 0) -> bytes:
    """Return a PNG of a drawn chest."""
    y, x = np.mgrid[:320, :288] / np.array([320, 288])[:, None, None]
    lungs = sum(np.exp(-(((x - c) / 0.11) ** 2 + ((y - 0.42) / 0.25) ** 2)) for c in (0.3, 0.7))
    grey = np.clip(0.6 - 0.5 * lungs + 0.3 * np.exp(-(((x - 0.5) / 0.07) ** 2)), 0, 1)
    noise = np.random.default_rng(seed).normal(0, 0.01, grey.shape)
    file = io.BytesIO()
    PIL.Image.fromarray(np.uint8(255 * np.clip(grey + noise, 0, 1))).save(file, "png")
    return file.getvalue()


def until_ended(client, id, seconds=300):
    """Return where a study stands once it is no longer waiting."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        about = client.get(f"/v1/studies/{id}").json()
        if about["state"] not in ("waiting", "drafting"):
            return about
        time.sleep(0.05)
    raise AssertionError(json.dumps(about))


def dicom_film(seed: int = 0, study: str = "1.2.3.4", **elements):
    """Return a drawn chest as a DICOM data set (DX) with a patient's name."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    pixels = np.asarray(PIL.Image.open(io.BytesIO(film(seed))))
    made = Dataset()
    made.SOPClassUID = DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = f"{study}.9.{seed + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID = study, f"{study}.8"
    made.PatientName, made.PatientID, made.PatientSex = "Doe^Jane", "4711", "F"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.StudyDate, made.AccessionNumber = "20260102", "A1"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OB"
    for name, value in elements.items():
        setattr(made, name, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def until(what, seconds=300):
    """Return what ``what()`` returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about")
