"""Masks: storage as packed bits, one file per study, and pooling for the models."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import PIL.Image

from plainfilm.core import DatasetError, InputError, Observation, errors_as

Mask = npt.NDArray[np.bool_]

OBSERVED: Mapping[str, Observation] = MappingProxyType({
    "atelectasis": Observation.ATELECTASIS, "consolidation": Observation.CONSOLIDATION,
    "edema": Observation.EDEMA, "effusion": Observation.PLEURAL_EFFUSION,
    "fracture": Observation.FRACTURE, "lesion": Observation.LUNG_LESION,
    "opacity": Observation.LUNG_OPACITY, "pleural thickening": Observation.PLEURAL_OTHER,
    "pneumothorax": Observation.PNEUMOTHORAX,
    **dict.fromkeys(
        ("central line", "PICC", "port", "endotracheal tube", "enteric tube",
         "Swan-Ganz catheter", "chest tube", "pacemaker", "sternotomy wires"),
        Observation.SUPPORT_DEVICES,
    ),
})  # fmt: skip
"""Name of a dataset's mask, without its side → the observation that it locates."""

_SHAPE = "(height, width)"
_MOST_PIXELS, _MOST_BYTES = 100_000_000, 2**31
"""Maximum pixels of a film, and bytes of its decompressed masks (212 of 4096² bits are 450 MB)."""


def pack_masks(masks: Mapping[str, Mask]) -> bytes:
    """Return named masks of one shape ``(height, width)`` as the bytes of an ``.npz`` file."""
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) != 1:
        raise DatasetError(f"masks of one study must have one shape, got {sorted(shapes)}")
    packed = {name: np.packbits(mask) for name, mask in sorted(masks.items())}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{_SHAPE: np.array(shapes.pop())}, **packed)
    return file.getvalue()


def read_masks(path: Path) -> dict[str, Mask]:
    """Return the masks in a file written from :func:`pack_masks`; nothing is unpickled.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    with errors_as(DatasetError, f"cannot read the masks in {path}", "prepare the dataset again"):
        with zipfile.ZipFile(path) as archive:  # checked before anything is decompressed
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise ValueError(f"it unpacks to more than {_MOST_BYTES >> 20} MiB")
        with np.load(path, allow_pickle=False) as packed:
            height, width = (int(side) for side in packed[_SHAPE])
            if not 0 < height * width <= _MOST_PIXELS:
                raise ValueError(f"it says {height} × {width} pixels")
            return {
                name: np.unpackbits(packed[name], count=height * width)
                .astype(bool)
                .reshape(height, width)
                for name in packed.files
                if name != _SHAPE
            }


def pool_masks(
    masks: Mapping[str, Mask], names: Sequence[str], side: int = 16
) -> npt.NDArray[np.uint8]:
    """Return maps for a model: the share of each cell that a mask covers, 255 for all of it.

    Args:
        masks: name → ``(height, width)``.
        names: order of the maps; a name that ``masks`` lacks gets an empty map.
        side: cells along each side.

    Returns:
        ``(len(names), side, side)``.

    Raises:
        InputError: ``side`` is not between 1 and the smaller side of a mask.
    """
    smallest = min((min(mask.shape) for mask in masks.values()), default=side)
    if not 1 <= side <= smallest:
        raise InputError(f"side must lie between 1 and {smallest} (the masks' own), got {side}")
    maps = np.zeros((len(names), side, side), np.uint8)
    for number, name in enumerate(names):
        mask = masks.get(name)
        if mask is not None:
            grey = PIL.Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
            maps[number] = np.asarray(grey.resize((side, side), PIL.Image.Resampling.BOX))
    return maps


def observation_places(
    masks: Mapping[str, Mask], observations: Sequence[Observation], side: int
) -> npt.NDArray[np.bool_]:
    """Return the location of each observation in the letterboxed square of a film.

    Args:
        masks: the film's masks by the dataset's names.
        observations: order of the observations; one without a mask gets an empty map.
        side: cells along each side of the square.

    Returns:
        ``(observations, side, side)``, true where a mask covers at least a hundredth of the cell,
        which is all that a catheter or a broken rib fills.
    """
    found: dict[str, Mask] = {}
    for name, mask in masks.items():
        shown = OBSERVED.get(name.removeprefix("left ").removeprefix("right "))
        if shown is not None:
            square = to_square(mask)
            found[shown] = found[shown] | square if shown in found else square
    cells: npt.NDArray[np.bool_] = pool_masks(found, list(observations), side) > 2
    return cells


def to_square(mask: Mask) -> Mask:
    """Return a film's mask padded to the letterboxed square of the film."""
    height, width = mask.shape
    side = max(height, width)
    square = np.zeros((side, side), bool)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = mask
    return square
