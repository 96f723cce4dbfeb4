"""The image processor: films of every usual kind come out the same, and nothing is guessed."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from plainfilm.core import Image, InputError, Provenance, View
from plainfilm.vision.preparation import FilmImageProcessor, as_films

GREY = np.random.default_rng(0).integers(0, 256, (20, 14), dtype=np.uint8)
PIXELS = GREY.astype(np.float32) / np.float32(255)
DEEP = GREY.astype(np.uint16) * 257
COLOURS = np.repeat(GREY[..., None], 3, axis=2)
PROCESSOR = FilmImageProcessor(size=16, num_channels=1)
FILMS: dict[str, Any] = {
    "floats": PIXELS,
    "doubles": PIXELS.astype(np.float64),
    "uint8": GREY,
    "uint16": DEEP,
    "a list of one": [GREY],
    "a batch": GREY[None],
    "one channel": GREY[..., None],
    "three channels": COLOURS,
    "a batch of three channels": COLOURS[None],
    "channels first": COLOURS.transpose(2, 0, 1)[None],
    "channels first in a list": [COLOURS.transpose(2, 0, 1)],
    "PIL": PIL.Image.fromarray(GREY),
    "PIL of colours": PIL.Image.fromarray(COLOURS),
    "PIL of 16 bits": PIL.Image.fromarray(DEEP),
    "PIL of 32 bits": PIL.Image.fromarray(DEEP.astype(np.int32)),
    "PIL of floats": PIL.Image.fromarray(PIXELS),
    "a tensor": torch.from_numpy(GREY),
    "a tensor of floats": torch.from_numpy(PIXELS),
    "a batch of tensors": torch.from_numpy(GREY)[None, None],
}


@pytest.mark.parametrize("kind", FILMS)
def test_a_film_of_any_kind_is_the_same_film(kind: str) -> None:
    film = Image(pixels=PIXELS, view=View.PA, provenance=Provenance.SIMULATED)
    expected = PROCESSOR(film)["pixel_values"]
    assert expected.shape == (1, 1, 16, 16)
    found = PROCESSOR(FILMS[kind])["pixel_values"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    # A black and a white pixel end where the recipe's mean and deviation say.
    assert -2.0 <= float(found.min()) < float(found.max()) <= 2.0


def test_several_films_of_several_kinds_and_sizes() -> None:
    film = Image(pixels=PIXELS, view=View.PA, provenance=Provenance.SIMULATED)
    given = [film, GREY, np.zeros((9, 30), np.uint8), PIL.Image.fromarray(GREY)]
    found = PROCESSOR(given)["pixel_values"]
    assert found.shape == (4, 1, 16, 16)
    for index in (1, 3):
        torch.testing.assert_close(found[index], found[0], rtol=0, atol=1e-6)
    assert len(as_films(np.zeros((192, 192), np.uint8))) == 1
    assert len(as_films(np.zeros((5, 192, 192), np.uint8))) == 5


def test_colours_become_their_luminance() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    (found,) = as_films(red)
    np.testing.assert_allclose(found, 0.299, atol=1e-6)
    (other,) = as_films(PIL.Image.fromarray(red))
    np.testing.assert_allclose(other, found, atol=1 / 255)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("film.png", r"got str 'film.png': read the file first"),
        (Path("film.png"), r"got PosixPath 'film.png': read the file first"),
        (["film.png"], r"a film must be .* got str 'film.png'"),
        (3, "got int"),
        (None, "got NoneType"),
        ([], "got list without content"),
        ([[0.5, 0.5], [0.5, 0.5]], "a film must be an Image, .* got list"),
        (GREY.astype(np.int16), "int16 have no known scale: give uint8"),
        (PIXELS * 255, r"float pixels must lie in \[0, 1\], got 0 to 255"),
        (np.full((4, 4), np.nan, np.float32), "got nan to nan"),
        ([np.zeros((2, 4, 4, 3), np.uint8)], r"\(height, width\).* got \(2, 4, 4, 3\)"),
        ([np.zeros((4, 4, 2), np.uint8)], r"one or three channels, got shape \(4, 4, 2\)"),
        (np.zeros((0, 4), np.uint8), r"got \(0, 4\)"),
    ],
)  # fmt: skip
def test_what_is_no_film_gets_one_line(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        PROCESSOR(given)
    assert "\n" not in str(caught.value)
