"""Segmentation masks from other programs' files: those that CXAS writes, and their like.

CXAS (Seibold et al., arXiv:2306.03934) writes, for a film ``FILM.png``, one of:

    FILM.npz, FILM.npy         all masks in one array ``(classes, height, width)``, without names
    FILM/CLASS.png (or .jpg)   a picture a class
    FILM.json                  COCO: categories by name, masks as run lengths
    FILM/CLASS.dcm             a DICOM SEG for each class that is not empty; also FILM.dcm, one SEG
                               with a segment a class

Names decide what a mask shows, never its position. Where a file has none (arrays) or names only
what is not empty (SEG), the names are given beside it: CXAS's own ``paxray_labels.json``, or a text
with a name a line. Nothing is unpickled.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from plainfilm.core import DatasetError, InputError, errors_as
from plainfilm.core.classes import ADDED, CLASSES
from plainfilm.data.masks import Mask

KNOWN = frozenset(one.name.strip() for one in (*CLASSES, *ADDED))
"""Names that a model may read."""
_ARRAYS, _PICTURES = (".npz", ".npy"), (".png", ".jpg")
_MOST_BYTES = 2**31
_MOST_PIXELS = 2**26


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the names of classes in their order.

    Args:
        path: JSON with a ``label_dict`` from number to name (CXAS's ``paxray_labels.json``), a JSON
            list, or a text with a name a line.

    Raises:
        InputError: it is none of these, or a number is missing.
    """
    expected = "expected CXAS's paxray_labels.json, a JSON list, or a text with a name a line"
    with errors_as(InputError, f"cannot read names of classes from {path}", expected):
        text = path.read_text("utf-8")
        if path.suffix != ".json":
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        values = json.loads(text)
        if isinstance(values, dict):
            table = values.get("label_dict", values)
            return tuple(str(table[str(number)]).strip() for number in range(len(table)))
        return tuple(str(name).strip() for name in values)


def find_masks(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the file, or folder, of a film's masks; None where there is none.

    Args:
        folder: with those of all films.
        names: what they may be called: the study's id, the film's file name without its suffix.
    """
    for name in dict.fromkeys(names):
        for suffix in ("", *_ARRAYS, ".json", ".dcm"):
            path = folder / f"{name}{suffix}"
            if path.is_dir() if not suffix else path.is_file():
                return path
    return None


def read_mask_file(path: Path, classes: Sequence[str] | None = None) -> dict[str, Mask]:
    """Return the masks of one film by the names of their classes, ``(height, width)`` each.

    Args:
        path: from :func:`find_masks`.
        classes: names, where the file has none or not all.

    Raises:
        InputError: names are needed and not given, or are of another number than the masks.
        DatasetError: the file is damaged, or its masks differ in size.
    """
    with errors_as(DatasetError, f"cannot read the masks in {path}", "write them again"):
        if path.is_dir():
            masks = _of_folder(path)
        elif path.suffix == ".json":
            masks = _of_coco(json.loads(path.read_text("utf-8")))
        elif path.suffix == ".dcm":
            masks = _of_seg(path, None)
        else:
            masks = _of_array(path, classes)
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) > 1:
        raise DatasetError(f"{path}: masks of one film must have one size, got {sorted(shapes)}")
    if not masks:
        raise DatasetError(f"{path} holds no mask: expected png, json, npz or DICOM SEG of CXAS")
    if classes is not None:
        nothing = np.zeros(next(iter(shapes)), bool)
        masks = {name: masks.get(name, nothing) for name in classes}
    return masks


def _of_array(path: Path, classes: Sequence[str] | None) -> dict[str, Mask]:
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:  # before anything is unpacked
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise ValueError(f"it unpacks to more than {_MOST_BYTES >> 30} GiB")
        with np.load(path, allow_pickle=False) as file:
            names = file.files
            if len(names) != 1:
                raise ValueError(f"expected one array, found {len(names)}")
            values = file[names[0]]
    else:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    if values.ndim != 3:
        raise ValueError(f"expected an array (classes, height, width), got {values.shape}")
    if classes is None:
        raise InputError(
            f"{path} has {len(values)} masks and no names: give these with --classes (CXAS's "
            "paxray_labels.json, or a text with a name a line)"
        )
    if len(classes) != len(values):
        raise InputError(
            f"{path} has {len(values)} masks, and {len(classes)} names were given: give the names "
            "of the very segmenter that wrote it"
        )
    return {name: np.asarray(mask) > 0 for name, mask in zip(classes, values, strict=True)}


def _of_folder(folder: Path) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _PICTURES:
            with PIL.Image.open(path) as picture:
                _check_size(*picture.size)
                # CXAS's JPEGs are grey: half of it is the edge.
                masks[path.stem] = np.asarray(picture.convert("L")) > 127
        elif path.suffix == ".dcm":
            masks |= _of_seg(path, path.stem)
    return masks


def _of_coco(values: Any) -> dict[str, Mask]:
    names = {int(one["id"]): str(one["name"]).strip() for one in values["categories"]}
    found: dict[str, Mask] = {}
    shape: tuple[int, int] | None = None
    for one in values["annotations"]:
        mask = decode_run_lengths(one["segmentation"])
        shape = shape or (mask.shape[0], mask.shape[1])
        name = names[int(one["category_id"])]
        found[name] = found[name] | mask if name in found else mask
    if shape is None:
        raise ValueError("it has no mask, and so no size")
    nothing = np.zeros(shape, bool)  # a class without an annotation is empty
    return {name: found.get(name, nothing) for name in names.values()}


def decode_run_lengths(values: Mapping[str, Any]) -> Mask:
    """Return the mask ``(height, width)`` that COCO's run lengths stand for.

    They count zeros and ones by turns, column by column. As text each count is written in pieces
    of five bits, lowest first, from the third count on as the difference to the last but one.

    Args:
        values: ``size`` (height, width) and ``counts``, a list or a text.
    """
    height, width = (int(side) for side in values["size"])
    _check_size(width, height)
    counts = values["counts"]
    if isinstance(counts, str):
        counts = _counts(counts.encode("ascii"))
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"the run lengths do not fill {height} × {width} pixels")
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(width, height).T


def _counts(text: bytes) -> list[int]:
    counts: list[int] = []
    value, shift = 0, 0
    for byte in text:
        piece = byte - 48
        value |= (piece & 0x1F) << shift
        shift += 5
        if not piece & 0x20:
            if piece & 0x10:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return counts


def _of_seg(path: Path, name: str | None) -> dict[str, Mask]:
    """Return the masks of a DICOM SEG.

    Args:
        path: the file.
        name: of its only class; None where its segments' labels name them.
    """
    import pydicom

    file = pydicom.dcmread(path)
    if file.get("Modality") != "SEG":
        raise ValueError(f"it is {file.get('Modality')}, not SEG")
    _check_size(int(file.Columns), int(file.Rows))
    frames: npt.NDArray[Any] = file.pixel_array
    frames = frames[None] if frames.ndim == 2 else frames
    labels = {int(one.SegmentNumber): str(one.SegmentLabel) for one in file.SegmentSequence}
    masks: dict[str, Mask] = {}
    groups = file.get("PerFrameFunctionalGroupsSequence") or [None] * len(frames)
    for frame, group in zip(frames, groups, strict=True):
        number = 1
        if group is not None and "SegmentIdentificationSequence" in group:
            number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        label = name or labels[number].strip()
        mask = frame > 0
        masks[label] = masks[label] | mask if label in masks else mask
    return masks


def _check_size(width: int, height: int) -> None:
    if not 0 < width * height <= _MOST_PIXELS:
        raise ValueError(f"it says {height} × {width} pixels")
