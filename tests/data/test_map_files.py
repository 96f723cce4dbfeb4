"""Masks from the files that CXAS writes, in each of its forms."""

import json

import numpy as np
import PIL.Image
import pytest
from test_derived import _dataset

from plainfilm.core import DatasetError, InputError
from plainfilm.data.derived import make_maps
from plainfilm.data.map_files import decode_run_lengths, read_class_names, read_mask_file

NAMES = ("liver", "heart", "humerus")
MASKS = np.zeros((3, 32, 24), bool)
MASKS[1, 16:, :12] = True
MASKS[2, :4, :4] = True


def encoded(mask):
    """Return a mask as COCO's text of run lengths."""
    flat = mask.T.reshape(-1).astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [-1]])))
    counts = np.diff(np.concatenate([[0], edges])).tolist()
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            piece, value = value & 0x1F, value >> 5
            more = value != -1 if piece & 0x10 else value != 0
            text += chr(48 + (piece | 0x20 if more else piece))
            if not more:
                break
    return {"size": list(mask.shape), "counts": text}


def write_npz(folder, film):
    np.savez_compressed(folder / f"{film}.npz", MASKS)


def write_npy(folder, film):
    np.save(folder / f"{film}.npy", MASKS)


def write_png(folder, film):
    (folder / film).mkdir()
    for name, mask in zip(NAMES, MASKS, strict=True):
        PIL.Image.fromarray(mask).convert("1").save(folder / film / f"{name}.png")


def write_json(folder, film):
    # Its numbers need not be the places of a model's maps.
    categories = [{"id": 7 - n, "name": name} for n, name in enumerate(NAMES)]
    annotations = [
        {"category_id": 7 - n, "segmentation": encoded(mask)}
        for n, mask in enumerate(MASKS)
        if mask.any()
    ]
    values = {"images": [[{"id": 1}]], "categories": categories, "annotations": annotations}
    (folder / f"{film}.json").write_text(json.dumps(values))


def seg(path, masks, labels):
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.pixels import pack_bits
    from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = (
        SegmentationStorage, ExplicitVRLittleEndian,
    )  # fmt: skip
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.Modality, file.SegmentationType = "SEG", "BINARY"
    file.Rows, file.Columns, file.NumberOfFrames = *masks.shape[1:], len(masks)
    file.BitsAllocated = file.BitsStored = file.SamplesPerPixel = 1
    file.HighBit = file.PixelRepresentation = 0
    file.PhotometricInterpretation = "MONOCHROME2"
    file.SegmentSequence, file.PerFrameFunctionalGroupsSequence = [], []
    for number, label in enumerate(labels, start=1):
        segment, group, which = Dataset(), Dataset(), Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, label
        which.ReferencedSegmentNumber = number
        group.SegmentIdentificationSequence = [which]
        file.SegmentSequence.append(segment)
        file.PerFrameFunctionalGroupsSequence.append(group)
    file.PixelData = pack_bits(masks.astype(np.uint8))
    file.save_as(path, enforce_file_format=True)


def write_seg_folder(folder, film):
    (folder / film).mkdir()
    for name, mask in zip(NAMES, MASKS, strict=True):
        if mask.any():  # CXAS leaves out what is empty
            seg(folder / film / f"{name}.dcm", mask[None], ["anything"])


def write_seg(folder, film):
    seg(folder / f"{film}.dcm", MASKS[[2, 1]], ["humerus", "heart"])


@pytest.mark.parametrize(
    ("write", "named"),
    [(write_npz, True), (write_npy, True), (write_png, False), (write_json, False),
     (write_seg_folder, True), (write_seg, True)],
)  # fmt: skip
def test_every_form_of_file_gives_the_same_maps(write, named, tmp_path):
    dataset = _dataset(tmp_path / "set", 3)
    files = tmp_path / "cxas"
    files.mkdir()
    write(files, "s0")
    write(files, "s1")
    classes = NAMES if named else None
    assert make_maps(dataset, str(files), classes=classes) == "cxas"
    (maps,) = dataset.study(dataset.rows[0], derived=["maps/cxas"]).maps
    assert maps.source == "cxas"
    assert sorted(maps.classes) == ["heart", "liver"]  # nobody here knows a humerus
    by_name = dict(zip(maps.classes, maps.values, strict=True))
    expected = np.zeros((16, 16))
    expected[8:, 2:8] = 1
    np.testing.assert_array_equal(by_name["heart"], expected)
    assert not by_name["liver"].any()
    assert dataset.study(dataset.rows[2], derived=["maps/cxas"]).maps == ()
    name = make_maps(dataset, str(files), classes=classes, superclasses=True, name="cxas-2")
    (maps,) = dataset.study(dataset.rows[0], derived=[f"maps/{name}"]).maps
    assert maps.values[maps.classes.index("heart")].sum() == 48


def test_run_lengths_are_cocos():
    np.testing.assert_array_equal(
        decode_run_lengths({"size": [3, 3], "counts": "013000"}), np.eye(3, dtype=bool)
    )
    listed = {"size": [2, 3], "counts": [1, 2, 3]}
    np.testing.assert_array_equal(
        decode_run_lengths(listed), np.array([[0, 1, 0], [1, 0, 0]], bool)
    )
    draw = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        mask = draw.random((90, 70)) < share
        np.testing.assert_array_equal(decode_run_lengths(encoded(mask)), mask)
    with pytest.raises(ValueError, match="do not fill 3 × 3"):
        decode_run_lengths({"size": [3, 3], "counts": [4, 4]})


def test_what_is_wrong_is_told_in_a_line(tmp_path):
    write_npz(tmp_path, "a")
    with pytest.raises(InputError, match="3 masks and no names: give these with --classes"):
        read_mask_file(tmp_path / "a.npz")
    with pytest.raises(InputError, match="3 masks, and 2 names were given"):
        read_mask_file(tmp_path / "a.npz", NAMES[:2])
    np.save(tmp_path / "b.npy", np.array([{}], object))
    with pytest.raises(DatasetError, match="cannot read the masks"):
        read_mask_file(tmp_path / "b.npy", NAMES)
    (tmp_path / "c.json").write_text("[1]")
    with pytest.raises(DatasetError, match="cannot read the masks"):
        read_mask_file(tmp_path / "c.json")
    write_png(tmp_path, "d")
    PIL.Image.new("1", (5, 5)).save(tmp_path / "d" / "spine.png")
    with pytest.raises(DatasetError, match="must have one size"):
        read_mask_file(tmp_path / "d")
    dataset = _dataset(tmp_path / "set", 2)
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="no masks of this dataset's films"):
        make_maps(dataset, str(tmp_path / "none"))
    write_npz(tmp_path / "none", "s0")
    with pytest.raises(DatasetError, match=r"none of its 3 classes .* is one of the 212"):
        make_maps(dataset, str(tmp_path / "none"), classes=("x", "y", "z"))
    write_png(tmp_path / "none", "s1")
    (tmp_path / "none" / "s1" / "heart.png").unlink()
    (tmp_path / "none" / "s0.npz").unlink()
    write_png(tmp_path / "none", "s0")
    with pytest.raises(DatasetError, match=r"s1 lacks 1 classes that other films have \(heart"):
        make_maps(dataset, str(tmp_path / "none"))
    with pytest.raises(InputError, match="are of maps from files"):
        make_maps(dataset, "truth", classes=NAMES)


def test_names_come_from_cxas_own_table_or_a_text(tmp_path):
    table = tmp_path / "paxray_labels.json"
    table.write_text(json.dumps({"label_dict": {"1": "heart", "0": "spine"}}))
    assert read_class_names(table) == ("spine", "heart")
    (tmp_path / "names.txt").write_text("spine\nheart\n\n")
    assert read_class_names(tmp_path / "names.txt") == ("spine", "heart")
    table.write_text(json.dumps({"label_dict": {"0": "spine", "2": "heart"}}))
    with pytest.raises(InputError, match="cannot read names of classes"):
        read_class_names(table)
