"""The film gate: chest films pass, whatever else is refused, and it runs as it was trained."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from pydicom.data import get_testdata_file

from plainfilm.core import View
from plainfilm.data import load_study, read_image
from plainfilm.data.films import gate
from plainfilm.data.films.gate import judge
from plainfilm.phantom import simulate


@pytest.fixture(scope="module")
def films():
    return simulate(70_001, 0, 192, views=("frontal", "lateral")).study.images


def test_simulated_films_pass_and_their_views_are_told(films):
    frontal, lateral = (judge(film.pixels) for film in films)
    assert frontal.passes
    assert frontal.frontal > 0.9
    assert lateral.passes
    assert lateral.lateral > 0.9


def test_a_real_film_passes(real_film):
    pixels = real_film.pixel_array.astype(np.float32)
    verdict = judge(1 - pixels / pixels.max())
    assert verdict.passes
    assert verdict.frontal > 0.9


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_film_is_told(films, turns):
    verdict = judge(np.rot90(films[0].pixels, -turns))
    assert verdict.chest > 0.5
    assert int(np.argmax(verdict.turns)) == turns


def test_an_inverted_film_is_told(films):
    assert judge(films[0].pixels).inverted < 0.1
    assert judge(1 - films[0].pixels).inverted > 0.9


def page() -> np.ndarray:
    sheet = PIL.Image.new("L", (400, 520), 250)
    draw = PIL.ImageDraw.Draw(sheet)
    for line in range(24):
        draw.text((30, 20 + 20 * line), "The lungs are clear and the heart is normal.", 20)
    return np.asarray(sheet, np.float32) / 255


def noise() -> np.ndarray:
    return np.random.default_rng(0).random((300, 300)).astype(np.float32)


def ramp() -> np.ndarray:
    return np.add.outer(np.linspace(0, 0.6, 300), np.linspace(0, 0.4, 250)).astype(np.float32)


def piece_of_a_lung(films) -> np.ndarray:
    return films[0].pixels[60:110, 30:70]


def test_what_is_no_film_is_refused(films):
    for picture in (page(), noise(), ramp(), piece_of_a_lung(films)):
        assert not judge(picture).passes


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_slices_are_refused(name):
    import pydicom

    pixels = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype(np.float32)
    low, high = np.quantile(pixels, (0.01, 0.99))
    assert not judge(np.clip((pixels - low) / (high - low), 0, 1)).passes


def test_a_lateral_film_without_a_header_is_a_lateral_film(tmp_path, films):
    PIL.Image.fromarray((films[1].pixels * 255).astype(np.uint8)).save(tmp_path / "side.png")
    image = read_image(tmp_path / "side.png")
    assert image.view is View.LATERAL
    assert "taken as a lateral film by its picture: nothing else says the view" in image.warnings
    assert read_image(tmp_path / "side.png", view=View.PA).view is View.PA


def test_a_lateral_film_that_its_header_calls_pa_is_a_lateral_film_and_says_so(make_dicom, films):
    stored = (films[1].pixels * 4095).astype(np.uint16)
    path = make_dicom(stored, BitsStored=12, HighBit=11, ViewPosition="PA")
    study = load_study(path)
    assert study.images[0].view is View.LATERAL
    assert study.frontal is None  # so that no model drafts from it
    assert (
        "the header says PA, the picture looks like a lateral chest film and is taken as one; "
        "--view PA if it is not"
    ) in study.images[0].warnings
    assert read_image(path, view=View.PA).view is View.PA


def test_convolutions_are_torchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for size, stride in ((5, 2), (3, 2), (3, 1)):
        maps = rng.normal(size=(2, 3, 16, 16)).astype(np.float32)
        weights = rng.normal(size=(4, 3, size, size)).astype(np.float32)
        theirs = torch.nn.functional.conv2d(
            torch.from_numpy(maps), torch.from_numpy(weights), stride=stride, padding=size // 2
        )
        assert np.allclose(gate._convolve(maps, weights, stride), theirs.numpy(), atol=1e-4)


def test_ranks_know_no_exposure(films):
    pixels = films[0].pixels
    same = gate.prepared(np.float32(0.2) + np.float32(0.5) * pixels) - gate.prepared(pixels)
    assert np.abs(same).mean() < 0.03
