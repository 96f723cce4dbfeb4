"""Every model family works with what people of transformers use: one suite over all of them.

Each is built tiny, by its own recipe settings, through the agreement (plainfilm.models.family).
"""

import sys
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
)

from plainfilm.auto import model_types
from plainfilm.core import Image, Provenance, Report, Study, View
from plainfilm.data.examples import Example
from plainfilm.models.family import Built, family_names, find_family

sys.path.append(str(Path(__file__).parent / "vlm"))
from conftest_vlm import make

REPORTS = [
    Report(findings="The heart is enlarged. Small left effusion.", impression="Cardiomegaly."),
    Report(findings="The lungs are clear.", impression="No acute abnormality."),
    Report(findings="Large right pneumothorax.", impression="Pneumothorax."),
    Report(findings="Patchy opacity in the right lower lobe.", impression="Pneumonia."),
]


@dataclass(frozen=True)
class Case:
    """What a family needs to be tried: its tiny settings, and names of its own."""

    model: dict[str, Any]
    """The ``model`` of a recipe."""
    stage: dict[str, Any] = field(default_factory=dict)
    """Its own keys of a stage that learns reports."""
    auto: tuple[Any, ...] = (AutoModel, AutoModelForSeq2SeqLM, AutoModelForImageTextToText)
    """The Auto classes that open it."""
    adapted: str = ""
    """The layers that get an adapter, a regular expression."""
    task: str = "SEQ_2_SEQ_LM"
    """What PEFT calls its kind of model."""
    checkpoint: str | None = None
    """The tiny checkpoint of transformers' own classes that it starts from, where it does."""


BERT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
VIT = {
    "model_type": "vit", "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 16,
}  # fmt: skip
JOINT = {"backbone": VIT, "encoder": BERT, "image_size": 32, "image_token_grid": 4}
CASES = {
    "radscribe": Case(
        model={
            "channels": 1,
            "config": JOINT | {
                "decoder": {"d_model": 24, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2,
                            "dropout_rate": 0.0},
            },
        },
        stage={"objective": "report"},
        adapted=r".*\.(query|value|q|v)",
    ),
    "medvill": Case(
        model={"channels": 1, "config": JOINT},
        stage={"objective": "report", "mask_share": 0.5},
        adapted=r".*\.(query|value)",
    ),
    "vlm": Case(
        model={"max_report_tokens": 24},
        auto=(AutoModelForImageTextToText,),
        adapted=r".*language_model.*\.(q_proj|v_proj)",
        task="CAUSAL_LM",
        checkpoint="llava",
    ),
    "llava": Case(
        model={
            "max_report_tokens": 24,
            "fusion": {
                "embeddings": 4, "features": {"name": "plainfilm-segmenter", "size": 128},
                "maps": {"source": "plainfilm-segmenter", "classes": "segmenter"},
            },
        },
        auto=(AutoModelForImageTextToText,),
        adapted=r".*language_model.*\.(q_proj|v_proj)",
        task="CAUSAL_LM",
        checkpoint="llava",
    ),
}  # fmt: skip
OWN = [name for name, case in CASES.items() if case.checkpoint is None]
FAMILIES = pytest.mark.parametrize("name", CASES)
FAMILIES_WITH_CLASSES = pytest.mark.parametrize("name", OWN)


def test_every_family_is_tried() -> None:
    assert set(CASES) == set(family_names())
    assert set(OWN) <= set(model_types().values()) <= set(family_names())


def study(index: int) -> Study:
    rng = np.random.default_rng(index)
    film = Image(
        pixels=rng.random((40, 30), dtype=np.float32),
        view=View.PA,
        provenance=Provenance.SIMULATED,
    )
    return Study(images=(film,), indication="Cough." if index % 2 else None)


class Studies(Dataset[Example]):
    """Four studies; what is random about each is the same every time."""

    def __len__(self) -> int:
        return len(REPORTS)

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng([7, index])
        return Example(study(index), REPORTS[index], torch.zeros(14), rng)


_FOLDER = TemporaryDirectory()
_BUILT: dict[str, Built] = {}


def build(name: str) -> Built:
    """Return a family's tiny model with its processor; a copy that may be changed."""
    if name not in _BUILT:
        family, case = find_family(name), CASES[name]
        training = SimpleNamespace(reports=REPORTS * 3, rows=[])
        model = dict(case.model)
        if case.checkpoint is not None:
            model["checkpoint"] = make(case.checkpoint, Path(_FOLDER.name) / case.checkpoint)
        _BUILT[name] = family.build(
            family.settings(family=name, **model),
            stages=[family.stage(**case.stage)],
            views=1,
            training=training,  # type: ignore[arg-type] - no more is read of it
            seed=0,
        )
    model, processor = _BUILT[name]
    return Built(deepcopy(model).eval(), processor)


def collate(name: str, built: Built) -> Any:
    family = find_family(name)
    return family.collate(built, family.stage(**CASES[name].stage))


def batch(name: str, built: Built) -> dict[str, Any]:
    return dict(collate(name, built)([Studies()[index] for index in range(4)]))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A saved model of each family."""
    found = {}
    for name in CASES:
        found[name] = tmp_path_factory.mktemp(name) / "model"
        find_family(name).save(found[name], build(name))
    return found


@FAMILIES_WITH_CLASSES
def test_the_auto_classes_open_what_the_family_saved(name: str, folders: dict[str, Path]) -> None:
    built, folder = build(name), folders[name]
    assert type(AutoConfig.from_pretrained(folder)) is type(built.model.config)
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor) is type(built.processor)
    given, again = batch(name, built), batch(name, Built(built.model, processor))
    assert all(torch.equal(again[key], given[key]) for key in given)
    assert type(AutoImageProcessor.from_pretrained(folder)) is type(processor.image_processor)
    words = AutoTokenizer.from_pretrained(folder)
    assert words("the heart")["input_ids"] == processor.tokenizer("the heart")["input_ids"]
    with torch.no_grad():
        expected = built.model(**given).logits
        for auto in CASES[name].auto:
            model = auto.from_pretrained(folder).eval()
            assert type(model) is type(built.model)
            assert torch.equal(model(**given).logits, expected)


@FAMILIES
def test_what_was_saved_drafts_the_same(name: str, folders: dict[str, Path]) -> None:
    family, built = find_family(name), build(name)
    studies = [study(index) for index in range(2)]
    drafts = [
        family.draft(one.model.eval(), one.processor, studies, max_new_tokens=8, num_beams=2)
        for one in (built, family.load(folders[name]))
    ]
    assert [draft.report for draft in drafts[0]] == [draft.report for draft in drafts[1]]


@FAMILIES
def test_a_plain_trainer_learns_the_same_in_pieces(name: str, tmp_path: Path) -> None:
    """Pieces of unequal length: each token of the batch counts the same."""
    found = []
    for size, pieces in ((4, 1), (1, 4)):
        built = build(name)
        arguments = TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=size,
            gradient_accumulation_steps=pieces, max_steps=2, learning_rate=0.1, optim="sgd",
            lr_scheduler_type="constant", report_to="none", use_cpu=True, logging_steps=1,
            save_strategy="no", remove_unused_columns=False, seed=3, max_grad_norm=1e9,
            disable_tqdm=True, label_names=["labels"],
        )  # fmt: skip
        trainer = Trainer(
            built.model, arguments, data_collator=collate(name, built), train_dataset=Studies()
        )
        trainer.train()
        logs = [entry for entry in trainer.state.log_history if "loss" in entry]
        found.append(([(log["loss"], log["grad_norm"]) for log in logs], built.model.state_dict()))
    (whole, weights), (parts, others) = found
    np.testing.assert_allclose(parts, whole, rtol=2e-3)
    for key, value in weights.items():
        torch.testing.assert_close(others[key], value, rtol=1e-3, atol=1e-5)


@FAMILIES
def test_an_adapter_is_trained_and_saved_beside_its_base(name: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    built = build(name)
    given = batch(name, built)
    case = CASES[name]
    config = peft.LoraConfig(r=2, target_modules=case.adapted, task_type=case.task)
    model = peft.get_peft_model(built.model, config)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for _ in range(2):  # the first step moves B, which starts at 0, the second A as well
        model(**given).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = model.state_dict()
    moved = {key for key in after if not torch.equal(after[key], before[key])}
    assert moved == {key for key in before if "lora_" in key}
    model.eval().save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(build(name).model, tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**given).logits, model(**given).logits)
        inputs = built.processor([study(0)])
        written = [one.generate(**inputs, max_new_tokens=6) for one in (model, again)]
    assert torch.equal(*written)


@FAMILIES
def test_gradient_checkpointing_changes_no_gradient(name: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        built = build(name)
        model = built.model.train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            assert model.is_gradient_checkpointing
        model(**batch(name, built)).loss.backward()
        gradients.append({key: p.grad for key, p in model.named_parameters()})
    for key, slope in gradients[0].items():
        assert (slope is None) == (gradients[1][key] is None)
        if slope is not None:
            torch.testing.assert_close(gradients[1][key], slope)


@FAMILIES
def test_the_attention_that_is_asked_for_reaches_every_part(
    name: str, folders: dict[str, Path]
) -> None:
    built = build(name)
    given = batch(name, built)
    found = {}
    for wanted in ("eager", "sdpa"):
        model = CASES[name].auto[0].from_pretrained(folders[name], attn_implementation=wanted)
        parts = {
            type(part).__name__: part.config._attn_implementation
            for part in model.modules()
            if hasattr(part, "config") and hasattr(part, "set_attn_implementation")
        }
        assert len(parts) > 2
        assert set(parts.values()) == {wanted}, parts
        with torch.no_grad():
            found[wanted] = model.eval()(**given).logits
    torch.testing.assert_close(found["eager"], found["sdpa"], rtol=1e-4, atol=1e-5)


@FAMILIES
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_reads_what_the_processor_gives(
    name: str, dtype: torch.dtype, folders: dict[str, Path]
) -> None:
    family, built = find_family(name), build(name)
    given = batch(name, built)
    half = family.load(folders[name], dtype=dtype)
    kept = {name for name, value in half.model.named_parameters() if value.dtype != dtype}
    assert all(".wo." in name for name in kept), kept  # T5's own exception, for float16
    assert given["pixel_values"].dtype == torch.float32
    with torch.no_grad():
        expected, found = built.model(**given), half.model.eval()(**given)
    assert found.logits.dtype == dtype
    torch.testing.assert_close(found.loss.float(), expected.loss, rtol=0.02, atol=0.02)
    (draft,) = family.draft(half.model, half.processor, [study(0)], max_new_tokens=4)
    assert isinstance(draft.report, Report)


@FAMILIES_WITH_CLASSES
def test_it_compiles(name: str) -> None:
    """As dynamo traces it; what a backend makes of the graph is the backend's matter."""
    built = build(name)
    given = batch(name, built)
    torch._dynamo.reset()
    compiled = torch.compile(built.model, backend="eager")
    with torch.no_grad():
        found, expected = compiled(**given), built.model(**given)
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.logits, expected.logits)


@FAMILIES
def test_it_is_placed_by_a_device_map(name: str, folders: dict[str, Path]) -> None:
    built = build(name)
    given = batch(name, built)
    placed = find_family(name).load(folders[name], device_map="auto").model.eval()
    assert placed._no_split_modules
    with torch.no_grad():
        assert torch.equal(placed(**given).logits, built.model(**given).logits)


@FAMILIES
def test_a_sharded_folder_loads(name: str, tmp_path: Path) -> None:
    built = build(name)
    given = batch(name, built)
    built.model.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    again = CASES[name].auto[0].from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**given).logits, built.model(**given).logits)


@FAMILIES
def test_outputs_come_as_tuples_on_demand(name: str) -> None:
    built = build(name)
    given = batch(name, built)
    with torch.no_grad():
        named, plain = built.model(**given), built.model(**given, return_dict=False)
    assert isinstance(plain, tuple)
    assert torch.equal(plain[0], named.loss)
    assert torch.equal(plain[1], named.logits)


@FAMILIES_WITH_CLASSES
def test_more_words_are_saved_and_loaded(name: str, tmp_path: Path) -> None:
    built = build(name)
    given = batch(name, built)
    words = built.model.get_input_embeddings().num_embeddings
    with torch.no_grad():
        before = built.model(**given).logits
        built.model.resize_token_embeddings(words + 5)
        after = built.model(**given).logits
    assert after.shape[-1] == words + 5
    torch.testing.assert_close(after[..., :words], before)
    built.model.save_pretrained(tmp_path)
    again = CASES[name].auto[0].from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**given).logits, after)
