"""A family that the package has never heard of trains, resumes, drafts and is evaluated."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import plainfilm
import plainfilm.models
from plainfilm.core import RecipeError
from plainfilm.data import Dataset
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.evaluation.evaluate import evaluate
from plainfilm.training import supervised
from plainfilm.training.recipe import parse_recipe
from plainfilm.training.run import train


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tests' folder beside the package's families."""
    monkeypatch.setattr(
        plainfilm.models, "__path__", [*plainfilm.models.__path__, str(Path(__file__).parent)]
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    return prepare_phantom(40, folder, seed=2, size=32, progress=False)


def recipe(dataset: Dataset, **model: object):
    return parse_recipe(
        {
            "name": "toy-run",
            "model": {"family": "toy", "reports": 12} | model,
            "data": {"dataset": str(dataset.path)},
            "stages": [
                {"name": "only", "learning_rate": {"all": 0.05}, "epochs": 3, "batch_size": 4,
                 "check_every": 4}
            ],
        }
    )  # fmt: skip


def test_it_trains_resumes_drafts_and_is_scored(
    toy: None, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe(dataset), whole, progress=False, say=lambda _: None)

    def stop(self: supervised.CompleteMark, *args: object, **kwargs: object):
        mark(self, *args, **kwargs)
        raise KeyboardInterrupt

    mark = supervised.CompleteMark.on_save
    with monkeypatch.context() as patch:
        patch.setattr(supervised.CompleteMark, "on_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(dataset), stopped, progress=False, say=lambda _: None)
    train(recipe(dataset), stopped, progress=False, say=lambda _: None)
    before, ours, theirs = (
        load_file(folder / "model.safetensors")
        for folder in (whole / "start", whole / "model", stopped / "model")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(before["pick.weight"], ours["pick.weight"])
    model = plainfilm.load_model(whole)
    report = model.report(dataset.study(dataset.split("test")[0]))
    assert report.model == "toy-run"
    assert report.text
    result = evaluate(model, dataset, metrics=["bleu-1"], progress=False)
    assert set(result.predictions["toy-run"].values()) <= {
        f"{findings}\n{impression}".strip() for findings, impression in model.processor.texts
    }


def test_its_settings_are_checked(toy: None, dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match=r"model\.reports: .*integer.*'many'"):
        recipe(dataset, reports="many")
    with pytest.raises(RecipeError, match=r"model\.beams: Extra inputs"):
        recipe(dataset, beams=3)
