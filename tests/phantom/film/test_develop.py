"""What the processing makes of attenuation: markers, shutters, grey levels like a film's."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from plainfilm.phantom import PREVALENCE, simulate
from plainfilm.phantom.film.case import Case
from plainfilm.phantom.film.develop import _broad
from plainfilm.phantom.film.exposure import Exposure
from plainfilm.phantom.simulate import drawn_case, render

SIZE = 160
HEALTHY = {**dict.fromkeys(PREVALENCE, 0.0), "normal": 1.0}


def healthy(**changes) -> Case:
    case = drawn_case(4, 1, prevalence=HEALTHY)
    plain = replace(case.exposure, marker=None, shutters=(0.0, 0.0, 0.0, 0.0))
    return replace(case, exposure=replace(plain, **changes))


def pixels(case: Case, seed: int = 1) -> np.ndarray:
    phantom = render(case, SIZE, np.random.default_rng(seed), np.random.default_rng(2), "film")
    return phantom.study.images[0].pixels


@pytest.mark.parametrize(("letter", "x"), [("L", 0.92), ("R", 0.06)])
def test_a_marker_is_laid_on_its_side(letter, x):
    added = pixels(healthy(marker=(letter, x, 0.05), plated=False)) != pixels(healthy())
    columns = np.nonzero(added.any(axis=0))[0] / SIZE
    assert columns.size
    assert (columns.mean() > 0.5) == (letter == "L")
    assert pixels(healthy(marker=(letter, x, 0.05), plated=False))[added].min() > 0.9


def test_shutters_are_black():
    film = pixels(healthy(shutters=(0.05, 0.0, 0.0, 0.1)))
    assert film[:, : round(0.05 * SIZE)].max() <= 0.011
    assert film[-round(0.1 * SIZE) :].max() <= 0.011


def test_lungs_are_dark_and_the_heart_and_belly_bright():
    for index in range(6):
        phantom = simulate(4, index, SIZE, prevalence=HEALTHY)
        film, masks = phantom.study.images[0].pixels, phantom.masks
        lungs = masks["left lung"] | masks["right lung"]
        assert np.median(film[lungs]) < np.median(film[masks["heart"]]) - 0.1
        assert np.percentile(film[~masks["body"]], 20) < 0.05
        assert 0.45 < np.median(film) < 0.78  # real normal PA films: .54 ± .11


def test_noise_is_drawn_from_its_own_stream():
    case = healthy(noise=0.02)
    difference = pixels(case, 1) - pixels(case, 2)
    assert 0.001 < difference.std() < 0.03
    assert abs(difference.mean()) < 0.005  # it may move the tone curve a little
    calm: Exposure = replace(case.exposure, noise=0.0)
    quiet = replace(case, exposure=calm)
    assert np.array_equal(pixels(quiet, 1), pixels(quiet, 2))


@pytest.mark.parametrize("sigma", [2.0, 7.3, 20.0])
def test_a_coarse_blur_is_close_to_the_exact_one(sigma):
    image = np.random.default_rng(0).random((120, 131), dtype=np.float32)
    image = ndimage.gaussian_filter(image, 3)
    exact = ndimage.gaussian_filter(image, sigma)
    blurred = _broad(image, sigma)
    assert blurred.shape == image.shape
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(blurred - exact)[inner].max() < 0.02
