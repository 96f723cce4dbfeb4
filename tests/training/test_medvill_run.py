"""The baseline through the same training, evaluation and pipeline as RadScribe."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import plainfilm
from plainfilm.data import Dataset
from plainfilm.data.examples import Examples, Films
from plainfilm.evaluation.evaluate import evaluate
from plainfilm.evaluation.references import NAMES
from plainfilm.models.family import Built
from plainfilm.training import supervised
from plainfilm.training.recipe import Recipe, parse_recipe
from plainfilm.training.run import train

TINY = Path(__file__).parents[2] / "recipes" / "radscribe" / "medvill-tiny.yaml"


@pytest.fixture(scope="module")
def dataset(sixty: Dataset) -> Dataset:
    return sixty


@pytest.fixture(scope="module")
def recipe(dataset: Dataset) -> Recipe:
    values = yaml.safe_load(TINY.read_text())
    values["data"] = {"dataset": str(dataset.path)}
    values["model"]["tokenizers"]["max_report_tokens"] = 24
    return parse_recipe(values)


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "tiny"
    train(recipe, folder, progress=False, say=lambda _: None)
    return folder


def test_it_trains_writes_and_is_scored(run: Path, dataset: Dataset) -> None:
    before = load_file(run / "start" / "model.safetensors")
    after = load_file(run / "model" / "model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    model = plainfilm.load_model(run)
    result = evaluate(model, dataset, metrics=["bleu-1"], progress=False)
    assert list(result.scores) == ["medvill-tiny", *NAMES]
    report = model.report(dataset.study(dataset.rows[0]))
    assert report.model == "medvill-tiny"
    assert report.evidence == ()


def test_what_is_hidden_depends_on_seed_epoch_and_place_alone(
    run: Path, recipe: Recipe, dataset: Dataset
) -> None:
    """So an interrupted run, and one in other batches or on more processes, meets the same."""
    model = plainfilm.load_model(run)
    built = Built(model.model, model.processor)
    rows = dataset.split("train")

    def hidden(seed: int, epoch: int, places: list[int]) -> list[list[int]]:
        examples = Examples(dataset, rows, "findings+impression", Films(dataset, 64), seed)
        examples.set_epoch(epoch)
        collate = model.family.collate(built, recipe.stages[0])
        batch = collate([examples[place] for place in places])
        return [
            row[seen.bool()].tolist()
            for row, seen in zip(batch["text_ids"], batch["text_attention_mask"], strict=True)
        ]

    whole = hidden(0, 0, [0, 1, 2, 3])
    assert hidden(0, 0, [2, 3]) + hidden(0, 0, [0, 1]) == whole[2:] + whole[:2]
    assert hidden(0, 1, [0, 1, 2, 3]) != whole != hidden(1, 0, [0, 1, 2, 3])


def test_an_interrupted_run_ends_in_the_same_weights(
    run: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the first epoch's second checkpoint, the next start goes on from there."""

    def stop(self: supervised.CompleteMark, args: object, state: object, *_: object, **__: object):
        mark(self, args, state, *_, **__)
        raise KeyboardInterrupt

    mark = supervised.CompleteMark.on_save
    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(supervised.CompleteMark, "on_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, stopped, progress=False, say=lambda _: None)
    assert not (stopped / "model").exists()
    train(recipe, stopped, progress=False, say=lambda _: None)
    ours, theirs = (load_file(one / "model" / "model.safetensors") for one in (stopped, run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
