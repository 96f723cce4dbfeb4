"""Masks stored small: bits packed eight to a byte, compressed, one file a study."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plainfilm.core import DatasetError

Mask = npt.NDArray[np.bool_]

_SHAPE = "(height, width)"
_UNREADABLE = (
    OSError, EOFError, KeyError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


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
    """Return the masks that :func:`pack_masks` packed.

    Raises:
        DatasetError: the file is missing or damaged. It is never unpickled.
    """
    try:
        with np.load(path, allow_pickle=False) as packed:
            height, width = (int(side) for side in packed[_SHAPE])
            return {
                name: np.unpackbits(packed[name], count=height * width)
                .astype(bool)
                .reshape(height, width)
                for name in packed.files
                if name != _SHAPE
            }
    except _UNREADABLE as error:
        raise DatasetError(f"cannot read the masks in {path}: {error}") from error
