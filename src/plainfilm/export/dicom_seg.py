"""A film's segmentation maps as a DICOM segmentation, and where a model looked as a picture.

Maps are the study's own, or else those of the shipped segmenter, which was trained on simulated
films alone and says so in every segment's description. They are coarse (32 × 32 cells on the whole
film): outlines of where a structure lies, nothing to measure. A segment is laid on the picture as
it is stored, whatever turn it needed to be read.

Heatmaps are no segmentation: they go into a secondary capture, burned into a copy of the film.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from plainfilm import __version__
from plainfilm.core import Image, InputError, Reference, Report, Status, Study
from plainfilm.core.study import Maps
from plainfilm.export import codes, dicom
from plainfilm.export.plain import DISCLAIMER, evidence_of
from plainfilm.grounding.overlay import tint, upsample

if TYPE_CHECKING:
    from pydicom import Dataset

_HALF = 0.5
_SIDE = 1024  # pixels of a capture's longer side
_SPACING = "PixelSpacing"


def dicom_seg(study: Study, report: Report) -> bytes:
    """Return the segmentation of the frontal film as the bytes of a DICOM file.

    Raises:
        InputError: a film came from no DICOM file, or no map shows anything.
        MissingDependencyError: highdicom is not installed.
    """
    sources = dicom.sources(study)
    try:
        from highdicom import AlgorithmIdentificationSequence
        from highdicom.seg import Segmentation, SegmentDescription
        from highdicom.sr import CodedConcept
    except ModuleNotFoundError as error:
        raise dicom.highdicom_missing(error) from error
    maps = study.maps[0] if study.maps else _segmented(study)
    image, source = study.images[maps.image], sources[maps.image]
    assert image.reference is not None  # noqa: S101 - sources() saw to it
    found = [
        (name, mask)
        for name, values in zip(maps.classes, maps.values, strict=True)
        if (mask := on_stored(values, image, image.reference)).any()
    ]
    if not found:
        raise InputError(f"no map of {maps.source} shows anything on this film: nothing to write")
    kind = AlgorithmIdentificationSequence(
        name=maps.source[:64],
        version=__version__,
        family=CodedConcept("123110", "DCM", "Artificial Intelligence"),
    )

    def described(number: int, name: str) -> Any:
        code = codes.structure_code(name)
        sick = "finding" in name or code.value in _FINDINGS
        category = (
            ("49755003", "SCT", "Morphologically Abnormal Structure")
            if sick
            else ("123037004", "SCT", "Anatomical Structure")
        )
        return SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=CodedConcept(*category),
            segmented_property_type=CodedConcept(code.value, code.scheme, code.meaning),
            algorithm_type="AUTOMATIC",
            algorithm_identification=kind,
        )

    dataset = Segmentation(
        source_images=[source],
        pixel_array=np.stack([mask for _, mask in found], axis=-1)[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[described(n, name) for n, (name, _) in enumerate(found, start=1)],
        series_instance_uid=dicom.new_uid(),
        series_number=dicom.SERIES["dicom-seg"],
        sop_instance_uid=dicom.new_uid(),
        instance_number=1,
        manufacturer=dicom.MANUFACTURER,
        manufacturer_model_name=maps.source[:64],
        software_versions=__version__,
        device_serial_number=__version__,
        content_label="DRAFT",
        content_description="Draft, coarse, not checked by anyone",
    )
    dataset.SeriesDescription = "Draft segmentation, unverified"
    _mend(dataset)
    return dicom.file_bytes(dataset)


_FINDINGS = {"60046008", "36118008", "46621007", "95436008", "125605004", "87433001"}


def _segmented(study: Study) -> Maps:
    """Return the shipped segmenter's maps of the frontal film, as fine as it makes them."""
    from plainfilm.vision.segmenter import shipped

    index = study.frontal
    if index is None:
        raise InputError("no film is frontal: the segmenter knows frontal films alone")
    network = shipped()
    values = network.maps(study.images[index], side=None)
    return Maps(
        classes=network.classes, values=values, source=f"{network.name} (simulated)", image=index
    )


def on_stored(values: npt.NDArray[Any], image: Image, reference: Reference) -> npt.NDArray[Any]:
    """Return where a map has at least one half, on the picture as its file stores it.

    Args:
        values: ``(side, side)`` on the square into which the film is fitted.
        image: the film.
        reference: the DICOM object that it came from.

    Returns:
        ``(rows, columns)``, boolean.
    """
    height, width = image.shape
    longest = max(height, width)
    square = Picture.fromarray(np.asarray(values, dtype=np.float32))
    square = square.resize((longest, longest), Picture.Resampling.BILINEAR)
    top, left = (longest - height) // 2, (longest - width) // 2
    film = np.asarray(square)[top : top + height, left : left + width]
    stored = np.rot90(film[:, ::-1] if reference.mirrored else film, -reference.turns)
    if stored.shape != (reference.rows, reference.columns):
        size = reference.columns, reference.rows
        stored = np.asarray(
            Picture.fromarray(np.ascontiguousarray(stored)).resize(
                size, Picture.Resampling.BILINEAR
            )
        )
    return np.asarray(stored >= _HALF)


def _mend(dataset: "Dataset") -> None:
    """Add what the standard asks of a segmentation of a plain film and highdicom leaves out."""
    dataset.PatientOrientation = None  # type 2C: a film's own is its header's to say
    dataset.BodyPartExamined = "CHEST"
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if "PixelMeasuresSequence" in shared and not shared.PixelMeasuresSequence[0].get(_SPACING):
        del shared.PixelMeasuresSequence


def dicom_sc(study: Study, report: Report) -> bytes:
    """Return where the model looked as a secondary capture: a copy of the film, tinted.

    The tint is the greatest weight of the maps of everything that the draft calls present or
    uncertain; a line below the film names it and says that this is a draft.

    Raises:
        InputError: a film came from no DICOM file, or the draft has no heatmap to show.
        MissingDependencyError: highdicom is not installed.
    """
    sources = dicom.sources(study)
    try:
        from highdicom.sc import SCImage
    except ModuleNotFoundError as error:
        raise dicom.highdicom_missing(error) from error
    index = dicom.frontal_index(study, report)
    picture = tinted(study.images[index], index, report)
    source = sources[index]
    dataset = SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=dicom.new_uid(),
        series_number=dicom.SERIES["dicom-sc"],
        sop_instance_uid=dicom.new_uid(),
        instance_number=1,
        manufacturer=dicom.MANUFACTURER,
        patient_orientation=("L", "F"),
        patient_id=source.PatientID,
        patient_name=source.PatientName,
        patient_birth_date=source.PatientBirthDate,
        patient_sex=source.PatientSex or None,
        accession_number=source.AccessionNumber,
        study_id=source.StudyID,
        study_date=source.StudyDate,
        study_time=source.StudyTime,
        referring_physician_name=source.ReferringPhysicianName,
    )
    _cite(dataset, source)
    dataset.ManufacturerModelName = dicom.model_name(report)
    dataset.BodyPartExamined = "CHEST"
    dataset.SeriesDescription = "Where the model looked, draft"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = "Heatmaps of a draft report over a copy of the film"
    dataset.BurnedInAnnotation = "YES"
    return dicom.file_bytes(dataset)


def _cite(dataset: "Dataset", source: "Dataset") -> None:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    dataset.SourceImageSequence = [item]


def tinted(image: Image, index: int, report: Report) -> npt.NDArray[np.uint8]:
    """Return a copy of the film with the draft's heatmaps over it, RGB, a legend below.

    Raises:
        InputError: nothing that the draft calls present or uncertain has a heatmap.
    """
    grey = Picture.fromarray(np.rint(image.pixels * 255).astype(np.uint8))
    grey.thumbnail((_SIDE, _SIDE), Picture.Resampling.LANCZOS)
    shape = grey.height, grey.width
    weights = np.zeros(shape, dtype=np.float32)
    names = []
    for finding in report.statements:
        if finding.status is Status.ABSENT:
            continue
        for item in evidence_of(finding, report):
            if item.heatmap and item.image == index:
                weights = np.maximum(weights, upsample(item.heatmap, shape))
                names.append(str(finding.observation))
    if not names:
        raise InputError("nothing that the draft finds has a heatmap: there is nothing to show")
    colour = tint(weights).astype(np.float32)
    opacity = colour[..., 3:] / 255
    film = np.asarray(grey, dtype=np.float32)[..., None]
    blended = np.rint(film * (1 - opacity) + colour[..., :3] * opacity).astype(np.uint8)
    size = max(10, shape[1] // 50)
    font = ImageFont.load_default(size)
    step = int(size * 1.5)
    lines = [DISCLAIMER, "Where the model looked: " + ", ".join(dict.fromkeys(names))]
    height = step * len(lines) + 8
    canvas = Picture.new("RGB", (shape[1], shape[0] + height))
    canvas.paste(Picture.fromarray(blended), (0, 0))
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        place = (6, shape[0] + 4 + number * step)
        pen.text(place, line, fill=(255, 255, 255), font=font)
    return np.asarray(canvas)
