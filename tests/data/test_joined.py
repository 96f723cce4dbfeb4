"""Several datasets as one: owners, splits, labels, weights; studies of one id are refused."""

from pathlib import Path

import pytest

from plainfilm.core import DatasetError
from plainfilm.data import Dataset
from plainfilm.data.examples import Examples, Films
from plainfilm.data.joined import Joined, weights_of
from plainfilm.data.labels import observation_statuses
from plainfilm.data.sources.phantom import prepare_phantom


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    folder = tmp_path_factory.mktemp("joined")
    return [
        prepare_phantom(3, folder / place, seed=seed, size=32, institution=place, split="train",
                        progress=False)
        for seed, place in enumerate(("teaching", "emergency"))
    ]  # fmt: skip


def test_each_study_stays_its_own(pair: list[Dataset]) -> None:
    both = Joined(pair)
    rows = both.split("train")
    assert [row.institution for row in rows] == ["teaching"] * 3 + ["emergency"] * 3
    assert (both.card.studies["train"], both.card.simulated) == (6, True)
    for row, owner in zip(rows, [pair[0]] * 3 + [pair[1]] * 3, strict=True):
        assert (both.image(row).pixels == owner.image(row).pixels).all()
        assert both.study(row).id == row.study_id
        assert both.masks(row).keys() == owner.masks(row).keys()
    some = [rows[4], rows[0]]
    apart = [observation_statuses(one, [row], "findings")[0]
             for one, row in zip(reversed(pair), some, strict=True)]  # fmt: skip
    assert observation_statuses(both, some, "findings") == apart
    assert both.fingerprint != Joined(pair[::-1]).fingerprint


def test_weights_go_with_the_dataset(pair: list[Dataset]) -> None:
    both = Joined(pair)
    rows = both.split("train")
    weights = weights_of(both, rows, dict(zip(pair, (0.5, 2.0), strict=True)))
    assert weights == [0.5] * 3 + [2.0] * 3
    examples = Examples(both, rows, "findings", Films(both, None), weights=weights)
    assert examples.weights.tolist() == weights
    assert examples[5].study.images[0].pixels.shape == (32, 32)


def test_two_studies_of_one_id_are_refused(pair: list[Dataset], tmp_path: Path) -> None:
    again = prepare_phantom(1, tmp_path / "again", seed=0, size=32, progress=False)
    with pytest.raises(DatasetError, match="both have a study 'phantom-0-0'"):
        Joined([pair[0], again])
    spanish = prepare_phantom(
        1, tmp_path / "es", seed=5, size=32, language="es", institution="teaching", progress=False
    )
    with pytest.raises(DatasetError, match="reports are in en, es"):
        Joined([pair[0], spanish])
