"""Films to tensors: letterbox to a square, resize, normalise.

A film keeps its aspect (the short side is padded with black, evenly), because the heart's width
against the chest's is read from it. Nothing is ever mirrored.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import torch
from transformers import BaseImageProcessor, BatchFeature

from plainfilm.core import Image, InputError, Pixels, Study


def letterbox(pixels: Pixels, size: int) -> Pixels:
    """Return ``pixels`` scaled to fit ``(size, size)`` with its aspect kept, padded with black."""
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
    """Return maps of a letterboxed square as maps of the film alone, its padding left out.

    Args:
        maps: ``(maps, grid, grid)`` over the square.
        shape: (height, width) of the film.

    Returns:
        ``(maps, rows, columns)`` over the film, in cells about as large as the square's
        (interpolated, since the film's edges fall between these).
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
    """Return the images that a model reads of a study, at most ``count``, the frontal one first.

    Raises:
        InputError: none is, or may be, a frontal one.
    """
    chosen = study.films_to_read(count)
    if not chosen:
        views = ", ".join(image.view for image in study.images)
        raise InputError(
            f"study {study.id!r} has no frontal film (views: {views}); this model reads one"
        )
    return [study.images[index] for index in chosen]


class FilmImageProcessor(BaseImageProcessor):
    """Prepares films for any of the models, as an image processor of transformers.

    Args:
        size: side of the square that the network sees, in pixels.
        image_mean: subtracted from pixels in [0, 1]; one number, or one for each channel.
        image_std: divides the rest; likewise.
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

    def preprocess(
        self, images: Image | Pixels | Sequence[Image | Pixels], **kwargs: Any
    ) -> BatchFeature:
        """Return ``pixel_values``, float32 ``(batch, num_channels, size, size)``.

        Args:
            images: one or several films: Image, or pixels in [0, 1] of shape (height, width).
            kwargs: accepted for transformers' sake and unused.
        """
        if isinstance(images, Image | np.ndarray):
            images = [images]
        films = np.stack(
            [
                letterbox(film.pixels if isinstance(film, Image) else film, self.size)
                for film in images
            ]
        )
        mean, std = (
            np.reshape(np.asarray(value, dtype=np.float32), (-1, 1, 1))
            for value in (self.image_mean, self.image_std)
        )
        tensor = torch.from_numpy((films[:, None] - mean) / std)
        tensor = tensor.expand(-1, self.num_channels, -1, -1).contiguous()
        return BatchFeature({"pixel_values": tensor})
