"""Preparing a study's films for a dataset directory."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from plainfilm.core import Image, View
from plainfilm.data.films.own_png import image_png
from plainfilm.data.films.reader import read_image
from plainfilm.data.study import frontal_first

LONGEST_SIDE = 512
"""Longest side of a prepared film in pixels, by default: the field's largest model input."""


def prepared_films(
    study_id: str, paths: Sequence[Path], views: Sequence[View | None], longest_side: int
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, bytes]]:
    """Return the names, the views and the files (name → PNG) of a study's films, frontal first.

    Args:
        study_id: id of the study, used for file names.
        paths: the source's films.
        views: the source's view of each film; None to take it from the film's header.
        longest_side: larger films are scaled down to it.

    Raises:
        ImageError: a film cannot be read.
    """
    images = frontal_first(
        _with_view(read_image(path), view) for path, view in zip(paths, views, strict=True)
    )
    names = tuple(f"images/{study_id}-{index}.png" for index in range(len(images)))
    files = {
        name: image_png(image, longest_side) for name, image in zip(names, images, strict=True)
    }
    return names, tuple(str(image.view) for image in images), files


def _with_view(image: Image, view: View | None) -> Image:
    return image if view is None else image.model_copy(update={"view": view})


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
