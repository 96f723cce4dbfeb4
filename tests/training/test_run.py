"""A recipe, run whole: the folder, the resume after kill -9, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import plainfilm
from plainfilm.cli.pages import write_pages
from plainfilm.core import (
    InputError,
    MetricError,
    ModelError,
    Observation,
    Provenance,
    TrainingError,
)
from plainfilm.data import Dataset
from plainfilm.data.examples import Examples, Films, target_report
from plainfilm.evaluation.evaluate import MOST_COMMON, NEAREST, evaluate
from plainfilm.evaluation.references import NAMES
from plainfilm.metrics.files import read_run
from plainfilm.models.family import Loss
from plainfilm.models.radscribe import RadScribeForConditionalGeneration
from plainfilm.training.recipe import Recipe, load_recipe, parse_recipe
from plainfilm.training.run import train
from plainfilm.training.supervised import latest_checkpoint

TINY = Path(__file__).parents[2] / "recipes" / "radscribe" / "tiny.yaml"


@pytest.fixture(scope="module")
def dataset(sixty: Dataset) -> Dataset:
    return sixty


@pytest.fixture(scope="module")
def recipe(dataset: Dataset) -> Recipe:
    values = yaml.safe_load(TINY.read_text())
    values["data"] = {"dataset": str(dataset.path)}
    return parse_recipe(values)


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "tiny"
    train(recipe, folder, progress=False, say=lambda _: None)
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(run / "model" / "model.safetensors"))


def test_the_run_folder(run: Path, recipe: Recipe, dataset: Dataset) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["data_fingerprint"] == dataset.fingerprint
    assert manifest["packages"]["torch"] == torch.__version__
    assert parse_recipe(yaml.safe_load((run / "recipe.yaml").read_text())) == recipe
    card = json.loads((run / "model" / "card.json").read_text())
    assert card["domain"] == "simulated"
    assert (run / "stages" / "1-decoder" / "history.json").exists()


def test_a_frozen_encoder_stays_as_it_was(run: Path) -> None:
    """Stage 1 trains the decoder and the label cross-attention, nothing else (Table III)."""
    before = load_file(run / "start" / "model.safetensors")
    after = load_file(run / "stages" / "1-decoder" / "model" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    parts = RadScribeForConditionalGeneration.parts
    assert all(name.startswith(parts["decoder"] + parts["label_attention"]) for name in changed)
    last = weights(run)
    assert not torch.equal(
        after["encoder.image_projection.weight"], last["encoder.image_projection.weight"]
    )


def test_kill_9_and_resume_ends_in_the_same_weights(
    run: Path, dataset: Dataset, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    command = [
        sys.executable, "-m", "plainfilm", "train", str(TINY),
        "--output", str(killed), "--quiet", "--set", f"data={{dataset: {dataset.path}}}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    second = killed / "stages" / "2-end-to-end"
    deadline = time.monotonic() + 240
    while not list(second.glob("checkpoint-*/complete")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(second.glob("checkpoint-*/complete")), "it was killed before it had a checkpoint"
    assert not (killed / "model").exists(), "it was killed too late to show anything"
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ours, theirs = weights(killed), weights(run)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_half_a_checkpoint_is_not_resumed_from(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-4").mkdir()
    (tmp_path / "checkpoint-4" / "complete").touch()
    (tmp_path / "checkpoint-8").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    assert not (tmp_path / "checkpoint-8").exists()


def test_a_finished_run_is_not_trained_again(run: Path, recipe: Recipe) -> None:
    said: list[str] = []
    assert train(recipe, run, progress=False, say=said.append) == run / "model"
    assert said == [f"{run} is trained already: {run / 'model'}"]


def test_a_run_belongs_to_one_recipe(run: Path, recipe: Recipe, tmp_path: Path) -> None:
    other = recipe.model_copy(update={"seed": 9})
    with pytest.raises(TrainingError, match=r"another recipe \(they differ in seed\)"):
        train(other, run)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(TrainingError, match="not empty and no run folder"):
        train(recipe, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(recipe: Recipe, tmp_path: Path) -> None:
    stage = recipe.stages[0].model_copy(
        update={"learning_rate": {"decoder": 0.9, "encoder": 0.9}, "epochs": 30, "warmup": 0.0}
    )
    broken = recipe.model_copy(update={"stages": (stage,)})
    losses = "plainfilm.models.joint_bert.base.JointBertFamily.losses"

    def undefined(self: object, model: torch.nn.Module, batch: dict, stage: object) -> dict:
        return {"report": Loss(model(**batch).loss * torch.nan, torch.tensor(1))}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, undefined)
        with pytest.raises(TrainingError, match="lower the learning rate"):
            train(broken, tmp_path / "run", progress=False, say=lambda _: None)
    assert not (tmp_path / "run" / "model").exists()


def test_accumulation_does_not_change_the_gradient(recipe: Recipe, run: Path) -> None:
    """One batch of 8 and four of 2 lead to the same weights after a step."""
    from transformers import TrainingArguments

    from plainfilm.training.supervised import StageTrainer

    assert recipe.data.dataset is not None
    opened = Dataset(recipe.data.dataset)
    examples = Examples(opened, opened.split("train")[:8], "findings+impression", Films(opened, 64))
    after = []
    for size, accumulation in ((8, 1), (2, 4)):
        built = recipe.family.load(run / "model")
        model = built.model
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()  # batch statistics do differ between 8 and 2
                module.requires_grad_(False)
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        stage = recipe.stages[1].model_copy(
            update={"learning_rate": {"decoder": 1e-2, "label_attention": 1e-2, "classifier": 1e-2}}
        )
        trainer = StageTrainer(
            family=recipe.family,
            built=built,
            stage=stage,
            args=TrainingArguments(
                output_dir=str(run.parent / "unused"), max_steps=1, use_cpu=True,
                per_device_train_batch_size=size, gradient_accumulation_steps=accumulation,
                remove_unused_columns=False, save_strategy="no", disable_tqdm=True,
                label_names=["labels", "observation_labels"], lr_scheduler_type="constant",
            ),
            train_dataset=examples,
            data_collator=recipe.family.collate(built, stage),
        )  # fmt: skip
        model.config.label_loss_weight = 1.0
        for module in model.modules():
            if hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0
        trainer.train()
        after.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    for name in after[0]:
        torch.testing.assert_close(after[0][name], after[1][name], rtol=0, atol=2e-3, msg=name)


def test_evaluate_has_the_template_rows(run: Path, dataset: Dataset, tmp_path: Path) -> None:
    model = plainfilm.load_model(run)
    result = evaluate(model, dataset, split="test", metrics=["bleu-1"], progress=False)
    assert list(result.scores) == ["radscribe-tiny", *NAMES]
    test = {row.study_id for row in dataset.split("test")}
    assert set(result.references) == test
    signature = result.scores[NEAREST]["bleu-1"].signature
    assert (signature.split, signature.section) == ("test", "findings+impression")
    result.save(tmp_path / "out")
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert {json.loads(line)["study_id"] for line in lines} == test
    training = {target_report(row, "findings+impression").text for row in dataset.split("train")}
    assert {json.loads(line)[NEAREST] for line in lines} <= training
    assert set(result.errors) == set(result.error_shares) == set(result.outputs)
    assert json.loads((tmp_path / "out" / "outputs.json").read_text())[MOST_COMMON]["duplicates"]
    errors = json.loads((tmp_path / "out" / "errors.json").read_text())[NEAREST]
    assert set(errors["reports"]) == test
    values = [json.loads(x) for x in (tmp_path / "out" / "per_report.jsonl").open()]
    assert len(values) == (1 + len(NAMES)) * len(test)
    assert values[0]["reference_words"] > 3
    pages = write_pages(tmp_path / "out")
    assert [path.name for path in pages] == ["errors.svg", "length.svg", "errors.html"]


def test_nothing_is_drafted_for_a_metric_that_cannot_be_computed(
    run: Path, dataset: Dataset, tmp_path: Path
) -> None:
    for name in ("blue-4", "sembscore"):
        with pytest.raises(MetricError, match=name):
            evaluate(
                plainfilm.load_model(run), dataset, metrics=[name], output=tmp_path, progress=False
            )
    assert not list(tmp_path.iterdir())


def test_an_external_test_set_needs_no_training_split(
    run: Path, dataset: Dataset, tmp_path: Path
) -> None:
    external = Dataset(dataset.path)
    external.rows = dataset.split("test")
    model = plainfilm.load_model(run)
    alone = evaluate(model, external, metrics=["bleu-1"], limit=1, progress=False)
    assert list(alone.scores) == ["radscribe-tiny"]
    assert "no rows 'most common report' and 'nearest training report'" in alone.notes[0]
    beside = evaluate(
        model, external, metrics=["bleu-1"], limit=1, training=dataset, progress=False
    )
    assert list(beside.scores) == ["radscribe-tiny", *NAMES]
    with pytest.raises(InputError, match="no studies in its train split"):
        evaluate(model, external, metrics=["bleu-1"], limit=1, training=external, progress=False)


def test_drafts_are_kept_when_scoring_fails(
    run: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MetricError("the model of a metric is gone")

    monkeypatch.setattr("plainfilm.evaluation.evaluate._scored", fail)
    with pytest.raises(MetricError, match="is gone"):
        evaluate(
            plainfilm.load_model(run),
            dataset,
            metrics=["bleu-1"],
            limit=1,
            output=tmp_path,
            progress=False,
        )
    references, drafts = read_run(tmp_path)
    assert list(references) == list(drafts) == [r.study_id for r in dataset.split("test")[:1]]


@pytest.mark.parametrize("name", ["reference", "study_id", MOST_COMMON])
def test_a_models_name_is_no_other_column(name: str, run: Path, dataset: Dataset) -> None:
    model = plainfilm.load_model(run)
    model.card = model.card.model_copy(update={"name": name})
    with pytest.raises(InputError, match="names another column"):
        evaluate(model, dataset, metrics=["bleu-1"], limit=1, progress=False)


def test_a_model_drafts_a_report(run: Path, dataset: Dataset) -> None:
    model = plainfilm.load_model(run)
    row = dataset.rows[0]
    study = dataset.study(row)
    report = model.report(study)
    assert report.model == "radscribe-tiny"
    assert {item.observation for item in report.evidence} >= {Observation.EDEMA}
    assert not [warning for warning in report.warnings if "domain" in warning]
    real = study.model_copy(
        update={"images": (study.images[0].model_copy(update={"provenance": Provenance.REAL}),)}
    )
    assert "outside this model's domain" in model.report(real).warnings[0]
    both = list(model.reports([study, real], batch_size=2))
    assert [each.text for each in both] == [report.text, report.text]


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'nothing'"):
        plainfilm.load_model("nothing")
    (tmp_path / "config.json").write_text('{"model_type": "radscribe"}')
    with pytest.raises(ModelError, match=r"card\.json is missing"):
        plainfilm.load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    card = {"name": "x", "domain": "real", "target": "findings"}
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(
        ModelError, match=r"holds a 'bert' model; expected one of .*medvill, .*radscribe"
    ):
        plainfilm.load_model(tmp_path)
    (tmp_path / "card.json").write_text(json.dumps(card | {"family": "none-such"}))
    with pytest.raises(ModelError, match=r"card\.json: no model family 'none-such'"):
        plainfilm.load_model(tmp_path)


def test_a_checkpoint_of_another_shape_is_refused(
    recipe: Recipe, run: Path, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertModel

    bert = BertModel(
        BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            vocab_size=500,
        )
    )  # fmt: skip
    bert.save_pretrained(tmp_path)
    initial = recipe.model.initial.model_copy(update={"encoder": tmp_path})
    model = recipe.model.model_copy(update={"initial": initial})
    processor = recipe.family.load(run / "model").processor
    with pytest.raises(ModelError, match=r"another shape .*: make model\.config"):
        recipe.family.build_model(model, recipe.stages, 1, processor, 0)


def test_a_backbone_starts_from_its_checkpoint(recipe: Recipe, run: Path, tmp_path: Path) -> None:
    theirs = RadScribeForConditionalGeneration.from_pretrained(run / "model").encoder.backbone
    theirs.save_pretrained(tmp_path / "backbone")
    initial = recipe.model.initial.model_copy(update={"backbone": tmp_path / "backbone"})
    processor = recipe.family.load(run / "model").processor
    recipe = recipe.model_copy(
        update={"model": recipe.model.model_copy(update={"initial": initial})}
    )
    built = recipe.family.build_model(recipe.model, recipe.stages, 1, processor, 0)
    ours = built.encoder.backbone.state_dict()
    counts = {name for name in ours if name.endswith("num_batches_tracked")}
    assert counts
    for name, value in theirs.state_dict().items():
        assert name in counts or torch.equal(ours[name], value)


def test_the_shipped_recipe_loads() -> None:
    assert load_recipe(TINY).name == "radscribe-tiny"
