"""Films to tensors: letterbox to a square, resize, normalise.

A film keeps its aspect ratio (the short side is padded with black on both ends), because the ratio
of heart and chest width is read from it. Films are never mirrored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch
from transformers import BaseImageProcessor, BatchFeature

from plainfilm.core import Image, InputError, Pixels, Study

_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601), as in Pillow."""


def letterbox(pixels: Pixels, size: int) -> Pixels:
    """Return ``pixels`` scaled to fit ``(size, size)``, aspect ratio kept, padded with black."""
    height, width = pixels.shape
    scale = size / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    if (new_height, new_width) != (height, width):
        film = PIL.Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
        film = film.resize((new_width, new_height), PIL.Image.Resampling.BILINEAR)
        pixels = np.asarray(film, dtype=np.float32)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    square = np.zeros((size, size), dtype=np.float32)
    square[top : top + new_height, left : left + new_width] = pixels
    return square


def maps_on_film(maps: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Crop maps of a letterboxed square to the film, without its padding.

    Args:
        maps: ``(maps, grid, grid)`` over the square.
        shape: (height, width) of the film.

    Returns:
        ``(maps, rows, columns)`` over the film, in cells about as large as the square's
        (interpolated, since the film's edges fall between cells).
    """
    grid, longest = maps.shape[-1], max(shape)

    def centres(length: int) -> torch.Tensor:
        """Return the centres of the film's cells, in [-1, 1] over the square."""
        count = max(1, round(length / longest * grid))
        return (2 * torch.arange(count, device=maps.device) + 1 - count) / count * length / longest

    rows, columns = torch.meshgrid(*map(centres, shape), indexing="ij")
    places = torch.stack([columns, rows], dim=-1)[None]
    return torch.nn.functional.grid_sample(
        maps[None], places, mode="bilinear", padding_mode="border", align_corners=False
    )[0]


def read_images(study: Study, count: int) -> list[Image]:
    """Return the images of a study that a model reads, at most ``count``, the frontal one first.

    Raises:
        InputError: no image is or may be frontal.
    """
    chosen = study.films_to_read(count)
    if not chosen:
        views = ", ".join(image.view for image in study.images)
        raise InputError(
            f"study {study.id!r} has no frontal film (views: {views}); this model reads one"
        )
    return [study.images[index] for index in chosen]


class FilmImageProcessor(BaseImageProcessor):
    """A transformers image processor that prepares films for plainfilm's models.

    Args:
        size: side of the network's square input, in pixels.
        image_mean: mean to subtract from pixels in [0, 1]; one number, or one for each channel.
        image_std: standard deviation to divide by; likewise.
        num_channels: 1, or 3 for backbones pre-trained on colour pictures (the film is repeated).
    """

    model_input_names = ("pixel_values",)

    def __init__(
        self,
        *,
        size: int = 512,
        image_mean: float | Sequence[float] = 0.5,
        image_std: float | Sequence[float] = 0.25,
        num_channels: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.image_mean = image_mean
        self.image_std = image_std
        self.num_channels = num_channels

    def preprocess(self, images: Any, **kwargs: Any) -> BatchFeature:
        """Return ``pixel_values``, float32 ``(batch, num_channels, size, size)``.

        Args:
            images: one or several films (see :func:`as_films`).
            kwargs: accepted for compatibility with transformers, and unused.

        Raises:
            InputError: an image is not a film, or its values have no known scale.
        """
        films = np.stack([letterbox(film, self.size) for film in as_films(images)])
        mean, std = (
            np.reshape(np.asarray(value, dtype=np.float32), (-1, 1, 1))
            for value in (self.image_mean, self.image_std)
        )
        tensor = torch.from_numpy((films[:, None] - mean) / std)
        tensor = tensor.expand(-1, self.num_channels, -1, -1).contiguous()
        return BatchFeature({"pixel_values": tensor})


def as_films(images: Any) -> list[Pixels]:
    """Return films of any common type as pixels in [0, 1], ``(height, width)`` each.

    Args:
        images: one film or a sequence of them. A film is an :class:`Image`, a PIL picture, or an
            array or tensor ``(height, width)``, ``(height, width, 3)`` or, in a sequence,
            ``(3, height, width)``; one channel instead of three is allowed. An array
            ``(batch, height, width)`` or with four dimensions is a batch. Floats must be in [0, 1];
            unsigned integers of 8 or 16 bits are scaled to it; colours become their luminance.

    Raises:
        InputError: something else was given.
    """
    if isinstance(images, Image | PIL.Image.Image):
        return [_as_film(images)]
    if isinstance(images, torch.Tensor | np.ndarray):
        array = _as_array(images)
        batch = array.ndim == 4 or (array.ndim == 3 and array.shape[2] not in (1, 3))
        return [_as_film(one) for one in array] if batch else [_as_film(array)]
    if isinstance(images, Sequence) and not isinstance(images, str | bytes) and len(images):
        return [_as_film(one) for one in images]
    raise InputError(
        f"expected a film or several (Image, PIL picture, array or tensor), got {_named(images)}"
    )


def _as_film(one: Any) -> Pixels:
    """Return the pixels of one film in [0, 1], ``(height, width)``."""
    if isinstance(one, Image):
        return one.pixels
    if isinstance(one, PIL.Image.Image):
        deep = one.mode.startswith("I") or one.mode == "F"
        array = np.asarray(one if deep else one.convert("L"))
        if one.mode == "I":  # Pillow's name for a PNG of 16 bits, among others
            array = array.astype(np.uint16 if 0 <= array.min() <= array.max() < 2**16 else np.int32)
    elif isinstance(one, np.ndarray | torch.Tensor):
        array = _as_array(one)
    else:
        raise InputError(
            f"a film must be an Image, a PIL picture, an array or a tensor, got {_named(one)}"
        )
    if array.ndim not in (2, 3) or min(array.shape) < 1:
        raise InputError(
            f"a film has shape (height, width), with one or three channels at most, got "
            f"{tuple(array.shape)}"
        )
    pixels = _scaled(array)
    if pixels.ndim == 3:
        first = pixels.shape[2] not in (1, 3)
        if first and pixels.shape[0] not in (1, 3):
            raise InputError(f"a film has one or three channels, got shape {tuple(array.shape)}")
        channels = np.moveaxis(pixels, 0, 2) if first else pixels
        pixels = channels[..., 0]
        if not (channels == channels[..., :1]).all():  # a grey film has equal channels
            pixels = channels @ np.asarray(_LUMINANCE, dtype=np.float32)
    return pixels


def _scaled(array: npt.NDArray[Any]) -> Pixels:
    """Return unsigned integers divided by their maximum, and floats in [0, 1] unchanged."""
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"pixels of type {array.dtype} have no known scale: give uint8, uint16, or floats in "
            "[0, 1]"
        )
    pixels = array.astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"float pixels must lie in [0, 1], got {low:g} to {high:g}: scale them, or give uint8 "
            "or uint16"
        )
    return pixels


def _as_array(one: npt.NDArray[Any] | torch.Tensor) -> npt.NDArray[Any]:
    if isinstance(one, np.ndarray):
        return one
    tensor = one.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _named(value: Any) -> str:
    """Return a short description of a value, for messages."""
    if isinstance(value, str | Path):
        return f"{type(value).__name__} {str(value)!r}: read the file first (plainfilm.load_study)"
    return type(value).__name__ + (" without content" if value in ([], ()) else "")
