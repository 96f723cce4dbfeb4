import numpy as np
import pytest

from plainfilm.core import Image, InputError
from plainfilm.grounding.overlay import overlay, tint, upsample


def film(height: int, width: int, grey: float = 0.5) -> Image:
    return Image(pixels=np.full((height, width), grey, dtype=np.float32))


def luminance(colours: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB (IEC 61966-2-1)."""
    part = colours[..., :3] / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_overlay_is_rgb_of_the_films_shape() -> None:
    result = overlay(film(30, 40), [[0, 0.5], [0.25, 1]])
    assert result.shape == (30, 40, 3)
    assert result.dtype == np.uint8


def test_zero_weights_leave_the_film_as_it_is() -> None:
    image = Image(pixels=np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8))
    expected = np.repeat(np.rint(image.pixels * 255).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(overlay(image, [[0.0]]), expected)


def test_anatomy_stays_visible_under_the_greatest_weight() -> None:
    dark, bright = (overlay(film(4, 4, grey), [[1.0]]).astype(int) for grey in (0.2, 0.8))
    assert (bright - dark > 50).all()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (2, 0), (2, 3), (1, 2)])
def test_a_cell_covers_its_share_of_the_whole_film(row: int, column: int) -> None:
    heatmap = np.zeros((3, 4))
    heatmap[row, column] = 1
    weights = upsample(heatmap, (90, 200))
    peak = np.unravel_index(weights.argmax(), weights.shape)
    assert (peak[0] // 30, peak[1] // 50) == (row, column)
    inside = weights[30 * row : 30 * row + 30, 50 * column : 50 * column + 50].sum()
    assert inside > 0.6 * weights.sum()


def test_upsampling_does_not_overshoot() -> None:
    weights = upsample([[0, 1, 0, 1], [1, 0, 1, 0]], (50, 50))  # bicubic alone leaves [0, 1]
    assert weights.min() >= 0
    assert weights.max() <= 1


def test_opacity_and_lightness_rise_with_the_weight() -> None:
    colours = tint(np.linspace(0, 1, 50, dtype=np.float32))
    assert colours[0, 3] == 0
    assert (np.diff(colours[:, 3].astype(int)) >= 0).all()
    assert (np.diff(luminance(colours)) > 0).all()


@pytest.mark.parametrize(
    ("heatmap", "message"),
    [
        ([], r"rows of one length, got lengths \[\]"),
        ([[]], r"rows of one length, got lengths \[0\]"),
        ([[0.1, 0.2], [0.3]], r"rows of one length, got lengths \[1, 2\]"),
        ([[0.0, 2.0]], r"lie in \[0, 1\], got \[0, 2\]: divide by the greatest"),
        ([[float("nan")]], r"lie in \[0, 1\], got \[nan, nan\]"),
    ],
)
def test_what_is_no_heatmap_is_refused(heatmap: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        overlay(film(4, 4), heatmap)
