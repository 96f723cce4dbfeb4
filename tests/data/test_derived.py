"""Maps and features that are kept beside a dataset."""

import numpy as np
import pytest

from plainfilm.core import DatasetError, InputError
from plainfilm.core.classes import SUPERCLASSES
from plainfilm.data import Dataset
from plainfilm.data.dataset import Row
from plainfilm.data.derived import ALL, make_features, make_maps, make_table
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.masks import pack_masks
from plainfilm.data.prepare import prepare
from plainfilm.vision.segmenter import SHIPPED

SPLITS = ("train", "validate", "test")


def _study(study_id, number):
    pixels = np.random.default_rng(number).integers(0, 255, (32, 24), dtype=np.uint8)
    heart = np.zeros((32, 24), bool)
    heart[16:, :12] = True
    files = {f"images/{study_id}.png": png_bytes(pixels, simulated=False)}
    if number < 3:
        files[f"structures/{study_id}.npz"] = pack_masks({"heart": heart, "Effusion": ~heart})
    row = Row(
        study_id=study_id, patient_id=study_id, split=SPLITS[number % 3],
        images=(f"images/{study_id}.png",), views=("PA",), findings="Clear.",
        structures=f"structures/{study_id}.npz" if number < 3 else None,
    )  # fmt: skip
    return row, files


def _dataset(folder, count):
    return prepare(
        folder, {f"s{n}": n for n in range(count)}, _study, source={"kind": "test"},
        description="made for a test", licence="none", progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return _dataset(tmp_path_factory.mktemp("derived") / "set", 3)


def test_true_maps_lie_on_the_square_under_their_names(dataset):
    assert make_maps(dataset, "truth") == "truth"
    (maps,) = dataset.study(dataset.rows[0], derived=["maps/truth", "prior"]).maps
    assert (maps.classes, maps.source, maps.image) == (ALL, "truth", 0)
    heart = maps.values[ALL.index("heart")]
    expected = np.zeros((16, 16))
    expected[8:, 2:8] = 1  # 24 columns in the middle of 32
    np.testing.assert_array_equal(heart, expected)
    assert not maps.values[ALL.index("spine")].any()
    size = (dataset.path / "maps" / "truth.arrow").stat().st_size
    assert size < 3 * 10_000


def test_superclasses_are_unions(dataset):
    assert make_maps(dataset, "truth", superclasses=True) == "truth-superclasses"
    (maps,) = dataset.study(dataset.rows[1], derived=["maps/truth-superclasses"]).maps
    assert maps.classes == SUPERCLASSES
    assert maps.values[SUPERCLASSES.index("finding: pathology"), 0, 4] == 1


def test_what_the_segmenter_gives_is_kept(dataset):
    name = make_features(dataset, "segmenter")
    assert make_maps(dataset, "segmenter") == name == SHIPPED.name
    study = dataset.study(dataset.rows[2], derived=[f"features/{name}", f"maps/{name}"])
    from plainfilm.vision.segmenter import shipped

    film = dataset.image(dataset.rows[2])
    np.testing.assert_allclose(study.features[name], shipped().features(film), rtol=1e-6)
    np.testing.assert_allclose(study.maps[0].values, shipped().maps(film), atol=1 / 255)
    assert dataset.study(dataset.rows[2]).maps == ()


def test_what_is_missing_is_told(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"no maps from 'cxas' .it has: .*plainfilm maps"):
        dataset.study(dataset.rows[0], derived=["maps/cxas"])
    with pytest.raises(InputError, match="leave --superclasses out"):
        make_maps(dataset, "segmenter", superclasses=True)
    lacking = _dataset(tmp_path / "set", 4)
    with pytest.raises(DatasetError, match="study s3 has no masks of classes"):
        make_maps(lacking, "truth")
    assert not (lacking.path / "maps" / "truth.arrow").exists()
    (lacking.path / "maps" / "truth.arrow").write_bytes(b"ARROW1")
    with pytest.raises(DatasetError, match="make it again"):
        Dataset(lacking.path).study(lacking.rows[0], derived=["maps/truth"])


def _csv(folder, text):
    path = folder / "labs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_ones_own_stands_in_place_of_the_studies(dataset, tmp_path):
    file = _csv(tmp_path, "study_id,bnp_pg_per_ml,sex\ns1,812.5,F\ns0,,M\n")
    assert make_table(dataset, file) == ("labs", 2)
    first, second, third = (
        dataset.study(row, derived=["tables/labs", "prior"]).table for row in dataset.rows
    )
    assert first == {"bnp_pg_per_ml": None, "sex": "M"}
    assert second == {"bnp_pg_per_ml": 812.5, "sex": "F"}
    assert third == {"bnp_pg_per_ml": None, "sex": None}  # has no row
    assert dataset.study(dataset.rows[1]).table == {}
    with pytest.raises(DatasetError, match=r"no tables from 'vitals' .it has: labs.: .*values"):
        dataset.study(dataset.rows[0], derived=["tables/vitals"])


@pytest.mark.parametrize(("text", "told"), [
    ("study_id,bnp\ns0,1\n", "unknown columns bnp: end each name in its unit"),
    ("study_id,sex\ns9,F\n", "line 2: study 's9' is no study of"),
    ("study_id,sex\ns0,F\ns0,F\n", "line 3: study 's0' comes twice"),
    ("study_id,sex\ns0\n", "line 2: expected 2 cells"),
    ("study_id,sex,sex\ns0,F,F\n", "a column comes twice"),
    ("id,sex\ns0,F\n", "expected the column study_id"),
    ("study_id,sex\n", "expected the column study_id, one for each value, and rows"),
])  # fmt: skip
def test_a_wrong_table_is_told_in_one_line(text, told, dataset, tmp_path):
    with pytest.raises(InputError, match=told):
        make_table(dataset, _csv(tmp_path, text), "wrong")
    assert not (dataset.path / "tables" / "wrong.arrow").exists()


def test_maps_of_other_films_are_refused(dataset, tmp_path):
    make_maps(dataset, "truth")
    other = _dataset(tmp_path / "other", 2)
    (other.path / "maps").mkdir()
    copy = other.path / "maps" / "truth.arrow"
    copy.write_bytes((dataset.path / "maps" / "truth.arrow").read_bytes())
    with pytest.raises(DatasetError, match="is of other films: it was made of a dataset with the"):
        other.study(other.rows[0], derived=["maps/truth"])
