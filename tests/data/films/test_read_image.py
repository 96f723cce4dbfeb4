"""Any file in: what is read, what is refused, and the one line that says why."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from plainfilm.core import ImageError, InputError, PlainfilmError, Provenance, View
from plainfilm.data import read_image, write_png


def to8(film: np.ndarray) -> np.ndarray:
    return np.round(film * 255).astype(np.uint8)


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(("kind", "closeness"), [("PNG", 0), ("TIFF", 0), ("JPEG", 0.05)])
def test_eight_bit_files_are_taken_as_they_are(tmp_path, chest, kind, closeness):
    path = tmp_path / "film.bin"  # the suffix says nothing
    PIL.Image.fromarray(to8(chest)).save(
        path, format=kind, **({"quality": 95} if closeness else {})
    )
    image = read_image(path)
    assert np.abs(image.pixels - to8(chest) / np.float32(255)).max() <= closeness
    assert image.view is View.UNKNOWN
    assert image.spacing_mm is None
    assert image.provenance is Provenance.REAL
    assert image.source == "film.bin"
    assert image.warnings == ()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_deep_files_are_stretched_over_the_bits_they_use(tmp_path, chest, kind):
    path = tmp_path / "film"
    PIL.Image.fromarray((chest * 4000 + 100).astype(np.uint16)).save(path, format=kind)
    pixels = read_image(path).pixels
    assert pixels.min() == 0
    assert pixels.max() == 1
    assert np.corrcoef(pixels.ravel(), chest.ravel())[0, 1] > 0.999


def test_white_is_zero_tiff_is_not_inverted(tmp_path, chest):
    path = tmp_path / "film.tif"
    PIL.Image.fromarray(255 - to8(chest)).save(path, tiffinfo={262: 0})
    image = read_image(path)
    assert np.corrcoef(image.pixels.ravel(), chest.ravel())[0, 1] > 0.999


def test_grey_in_colour_files(tmp_path, chest):
    grey = PIL.Image.fromarray(to8(chest))
    alpha = PIL.Image.new("L", grey.size, 255)
    versions = {
        "rgb.png": PIL.Image.merge("RGB", [grey] * 3),
        "rgba.png": PIL.Image.merge("RGBA", [grey] * 3 + [alpha]),
        "la.png": PIL.Image.merge("LA", [grey, alpha]),
        "palette.png": grey.convert("RGB").quantize(256),
        "cmyk.jpg": PIL.Image.merge("RGB", [grey] * 3).convert("CMYK"),
    }
    for name, picture in versions.items():
        picture.save(tmp_path / name)
        image = read_image(tmp_path / name)
        assert np.abs(image.pixels - to8(chest) / 255).max() < 0.06, name
        assert image.warnings == (), name


def test_transparent_is_black(tmp_path, chest):
    grey = PIL.Image.fromarray(to8(chest))
    alpha = np.full(chest.shape, 255, dtype=np.uint8)
    alpha[:20] = 0
    PIL.Image.merge("LA", [grey, PIL.Image.fromarray(alpha)]).save(tmp_path / "film.png")
    assert (read_image(tmp_path / "film.png").pixels[:20] == 0).all()


def test_tint_is_grey_and_a_drawn_mark_is_flagged(tmp_path, chest):
    tone = chest[..., None] ** np.array([0.9, 1.0, 1.15])  # a toned print
    PIL.Image.fromarray(to8(tone)).save(tmp_path / "tone.png")
    assert read_image(tmp_path / "tone.png").warnings == ()
    rgb = np.repeat(to8(chest)[..., None], 3, axis=2)
    rgb[100:120, 100:130] = (255, 0, 0)
    PIL.Image.fromarray(rgb).save(tmp_path / "mark.png")
    assert read_image(tmp_path / "mark.png").warnings[0].startswith("coloured marks on")


def test_exif_orientation_is_followed_and_said(tmp_path, chest):
    exif = PIL.Image.Exif()
    exif[274] = 6  # turn clockwise to show
    PIL.Image.fromarray(np.rot90(to8(chest))).save(tmp_path / "film.png", exif=exif)
    image = read_image(tmp_path / "film.png")
    assert np.array_equal(image.pixels, to8(chest) / np.float32(255))
    assert image.warnings == ("turned as the file's EXIF orientation says",)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_write_png_reads_back_exactly(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (40, 30)).astype(kind)
    path = tmp_path / "film.png"
    write_png(
        path, values, simulated=True, spacing_mm=(1.4, 1.5), view=View.LATERAL, laterality="L",
        warnings=("doubtful",),
    )  # fmt: skip
    image = read_image(path, provenance=Provenance.SIMULATED)
    assert np.array_equal(image.pixels, values / np.float32(np.iinfo(kind).max))
    assert (image.view, image.laterality, image.spacing_mm) == (View.LATERAL, "L", (1.4, 1.5))
    assert image.provenance is Provenance.SIMULATED
    assert image.warnings == ("doubtful",)
    assert [file.name for file in tmp_path.iterdir()] == ["film.png"]


def test_a_text_chunk_makes_no_film_simulated(tmp_path, chest):
    film = tmp_path / "dataset" / "images" / "film.png"
    film.parent.mkdir(parents=True)
    write_png(film, (chest * 255).astype(np.uint8), simulated=True)
    image = read_image(film)
    assert image.provenance is Provenance.REAL
    assert "the file says that it is simulated, but lies in no dataset" in image.warnings[0]
    card = tmp_path / "dataset" / "card.json"
    for text, found in (
        ("[1", Provenance.REAL),
        ('{"simulated": false}', Provenance.REAL),
        ('{"simulated": true}', Provenance.SIMULATED),
    ):
        card.write_text(text)
        assert read_image(film).provenance is found
    write_png(film, (chest * 255).astype(np.uint8), simulated=False)
    assert read_image(film).provenance is Provenance.REAL


def test_write_png_refuses_floats(tmp_path):
    with pytest.raises(InputError, match=r"must be uint8 or uint16 .* got float64 of shape"):
        write_png(tmp_path / "film.png", np.zeros((4, 4)), simulated=False)
    assert not list(tmp_path.iterdir())


def test_refused_files(tmp_path, chest):
    path = tmp_path / "film.dcm"
    assert refusal(path) == "there is no such file; check the path"
    path.write_bytes(b"")
    assert refusal(path).startswith("is empty; expected a DICOM, PNG")
    path.write_text("Findings: no DICOM at all.\n" * 9)
    assert refusal(path).startswith("is a text file; expected a DICOM, PNG")
    path.write_bytes(b"%PDF-1.7\n" + bytes(200))
    assert refusal(path).startswith("is a PDF file")
    path.write_bytes(bytes(range(256)))
    assert refusal(path).startswith("is no image that plainfilm knows")
    assert "cannot be opened (Is a directory)" in refusal(tmp_path)
    PIL.Image.fromarray(to8(chest)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:4000])
    assert refusal(path).startswith("is truncated or damaged and cannot be decoded (")
    PIL.Image.fromarray(np.zeros((300, 300), np.uint8)).save(path, format="PNG")
    assert refusal(path) == "is blank (1 grey level); give a film with content"
    page = PIL.Image.fromarray(to8(chest))
    page.save(path, format="TIFF", save_all=True, append_images=[page])
    assert refusal(path).startswith("holds 2 frames; a film is one image")


def test_colour_photograph_is_refused(tmp_path):
    coarse = np.random.default_rng(1).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    PIL.Image.fromarray(coarse).resize((400, 300)).save(tmp_path / "photo.jpg")
    assert refusal(tmp_path / "photo.jpg").startswith("is a colour picture, not a film")


def test_a_picture_of_something_else_is_kept_from_models(tmp_path):
    coarse = np.random.default_rng(2).integers(0, 255, (7, 7)).astype(np.uint8)
    PIL.Image.fromarray(coarse).resize((300, 300)).save(tmp_path / "other.png")
    assert str(read_image(tmp_path / "other.png").refusal).startswith(
        "does not look like a chest film; --force"
    )


def test_inverted_film_is_turned_round_and_said(tmp_path, chest):
    PIL.Image.fromarray(255 - to8(chest)).save(tmp_path / "film.png")
    image = read_image(tmp_path / "film.png")
    assert np.abs(image.pixels - chest).max() < 0.01
    assert image.warnings == ("was stored inverted (lungs bright): turned to bright = dense",)


def test_the_black_frame_of_an_inverted_film_stays_black(tmp_path, chest):
    stored = np.pad(255 - to8(chest), ((30, 30), (0, 0)))
    PIL.Image.fromarray(stored).save(tmp_path / "film.png")
    image = read_image(tmp_path / "film.png")
    assert (image.pixels[:30] == 0).all()
    assert (image.pixels[-30:] == 0).all()
    assert np.abs(image.pixels[33:-33] - chest[3:-3]).max() < 0.01


@pytest.mark.parametrize(("turns", "words"), [(1, "on its side"), (2, "upside down")])
def test_turned_film_is_left_and_flagged(tmp_path, chest, turns, words):
    PIL.Image.fromarray(np.rot90(to8(chest), turns)).save(tmp_path / "film.png")
    image = read_image(tmp_path / "film.png")
    assert image.shape == np.rot90(chest, turns).shape
    assert image.warnings == (f"seems to lie {words}: turn it before use",)


def test_small_and_narrow_films_are_flagged(tmp_path, chest):
    PIL.Image.fromarray(to8(chest)[::2, ::2]).save(tmp_path / "small.png")
    assert read_image(tmp_path / "small.png").warnings[0].startswith("only 144 × 160 pixels")
    PIL.Image.fromarray(np.tile(to8(chest), 3)).save(tmp_path / "wide.png")
    assert "is an unusual shape" in " ".join(read_image(tmp_path / "wide.png").warnings)


def test_damaged_own_chunks(tmp_path, chest):
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("plainfilm-view", "PA")
    PIL.Image.fromarray(to8(chest)).save(tmp_path / "film.png", pnginfo=info)
    assert refusal(tmp_path / "film.png").startswith("its plainfilm text chunks are damaged")
    assert issubclass(ImageError, PlainfilmError)
