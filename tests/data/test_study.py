"""From files or a folder to a study."""

import numpy as np
import PIL.Image
import pytest

from plainfilm.core import ImageError, Study, View
from plainfilm.data import load_study, write_png


@pytest.fixture
def folder(tmp_path, chest):
    film = (chest * 255).astype(np.uint8)
    place = tmp_path / "study7"
    place.mkdir()
    for name, view in (("a", View.LATERAL), ("b", View.UNKNOWN), ("c", View.AP), ("d", View.PA)):
        write_png(place / f"{name}.png", film, simulated=False, view=view)
    return place


def sources(study):
    return [image.source for image in study.images]


def test_frontal_films_come_first(folder):
    study = load_study(folder / "a.png", folder / "b.png", folder / "c.png", indication="Cough.")
    assert sources(study) == ["c.png", "b.png", "a.png"]
    assert study.frontal == 0
    assert (study.id, study.indication) == ("a", "Cough.")


def test_a_folder_is_one_study(folder):
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes((folder / "a.png").read_bytes())
    study = load_study(folder, table={"crp_mg_per_l": 3.0}, prior=load_study(folder / "d.png"))
    assert sources(study) == ["c.png", "d.png", "b.png", "a.png"]
    assert study.id == "study7"
    assert study.prior.images[0].view is View.PA
    assert isinstance(Study.from_json(study.to_json()), Study)


def test_no_film_is_taken_that_the_gate_refuses(folder, tmp_path):
    rings = np.sin(np.hypot(*np.mgrid[-150:150, -150:150]) / 9) * 100 + 120
    PIL.Image.fromarray(rings.astype(np.uint8)).save(folder / "rings.png")
    with pytest.raises(ImageError, match=r"rings.png: does not look like a chest film; --force"):
        load_study(folder / "rings.png")
    assert load_study(folder / "rings.png", force=True).images[0].refusal
    study = load_study(folder / "rings.png", folder / "b.png", lenient=True)
    assert sources(study) == ["b.png"]
    assert study.unread == (
        "rings.png: does not look like a chest film; --force to draft it all the same",
    )


def test_a_view_can_be_given(folder):
    assert load_study(folder / "b.png", view=View.LATERAL).images[0].view is View.LATERAL


def test_id_can_be_given(folder):
    assert load_study(folder / "a.png", id="x").id == "x"


def test_one_line_for_each_mistake(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ImageError, match=r"^no image was given: give image files"):
        load_study()
    with pytest.raises(ImageError, match=r"empty: is empty; expected a study's DICOM"):
        load_study(empty)
    (empty / "notes.txt").write_text("not an image")
    with pytest.raises(ImageError, match=r"holds 1 file\(s\), none of them an image"):
        load_study(empty)
    with pytest.raises(ImageError, match=r"gone.png: there is no such file"):
        load_study(folder / "a.png", folder / "gone.png")
    with pytest.raises(ImageError, match="is a folder; give either image files or one folder"):
        load_study(folder / "a.png", folder)


def test_films_of_two_studies_are_not_mixed(make_dicom, chest):
    stored = (chest * 255).astype(np.uint8)
    one = make_dicom(stored, "one.dcm", StudyInstanceUID="1.2.3", ViewPosition="PA")
    two = make_dicom(stored, "two.dcm", StudyInstanceUID="1.2.4", ViewPosition="LL")
    three = make_dicom(stored, "three.dcm", StudyInstanceUID="1.2.3", ViewPosition="LL")
    assert sources(load_study(three, one)) == ["one.dcm", "three.dcm"]
    with pytest.raises(ImageError, match="belong to 2 different studies; give the images of one"):
        load_study(one, two)
