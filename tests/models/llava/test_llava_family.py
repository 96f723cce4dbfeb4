"""LLaVA with a fusion as a family: built, asked, taught, drafted, saved, begun anew."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest_llava import REPORT as REPORTS
from conftest_llava import SETTINGS, Reports, base, examples, settings, study

from plainfilm.core import DatasetError, InputError, ModelError, Report
from plainfilm.core.study import Maps
from plainfilm.data.examples import Example
from plainfilm.models.family import find_family, whole_loss
from plainfilm.models.llava.family import family
from plainfilm.models.llava.parts import SHIPPED
from plainfilm.models.llava.settings import LlavaSettings, LlavaStage
from plainfilm.text.chats import REQUESTS
from plainfilm.text.targets import IGNORED

REPORT, LABELS = LlavaStage(), LlavaStage(objectives=("labels",))
BOTH = LlavaStage(objectives=("labels", "report"))


def build(given, *stages, views=2):
    return family.build(given, stages=stages or (REPORT,), views=views, training=Reports(), seed=0)


@pytest.fixture(scope="module")
def built():
    return build(settings(), BOTH)


@pytest.fixture(scope="module")
def saved(built, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    family.save(folder, built)
    return folder


def test_a_batch_has_a_feature_and_maps_for_each_film(built):
    studies = [study(1, films=2), study(2)]
    batch = family.collate(built, BOTH)(examples(studies))
    assert batch["pixel_values"].shape == (3, 3, 32, 32)
    assert batch["specialist_features"].shape == (3, 5)
    assert batch["segmentation_maps"].shape == (3, 2, 16, 16)
    assert not batch["specialist_features"][1].any()  # the lateral film's
    assert not batch["segmentation_maps"][1].any()
    # By name, not by place: the study has b, a, c, the model reads a, b.
    given = torch.from_numpy(studies[0].maps[0].values[[1, 0]].copy())
    assert torch.equal(batch["segmentation_maps"][0], given)
    placeholders = (batch["input_ids"] == built.model.config.image_token_id).sum(1)
    assert placeholders.tolist() == [2 * (16 + 6), 16 + 6]
    learned = batch["labels"] != IGNORED
    assert (learned.sum(1) == family.counts(batch, BOTH)["report"] / 2).all()
    assert batch["observations"].shape == (3, 14)


@pytest.mark.parametrize("grid", [None, 2])
@pytest.mark.parametrize(("model_type", "more", "leading"), [
    ("clip_vision_model", {"projection_dim": 16}, 1),
    ("vit", {}, 1),
    ("siglip_vision_model", {}, 0),
    ("dinov2_with_registers", {"num_register_tokens": 3, "mlp_ratio": 1}, 4),
])  # fmt: skip
def test_any_tower_has_as_many_tokens_as_placeholders(model_type, more, leading, grid):
    """A class token is left out; registers stay, unless the patches are averaged."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower = {"model_type": model_type, "image_size": 32, "patch_size": 8} | sizes | more
    if model_type != "dinov2_with_registers":
        tower["intermediate_size"] = 16
    built = build(settings(vision=tower, token_grid=grid))
    batch = family.collate(built, REPORT)(examples([study(1), study(2)]))
    placeholders = (batch["input_ids"] == built.model.config.image_token_id).sum(1)
    tokens = 16 + max(leading - 1, 0) if grid is None else grid**2
    assert placeholders.tolist() == [tokens + 6] * 2
    assert torch.isfinite(whole_loss(family.losses(built.model, batch, REPORT)))


def test_every_weight_gets_a_gradient(built):
    batch = family.collate(built, BOTH)(examples([study(1), study(2)]))
    losses = family.losses(built.model, batch, BOTH)
    assert set(losses) == {"labels", "report"} == set(family.counts(batch, BOTH))
    whole_loss(losses).backward()
    assert [n for n, one in built.model.named_parameters() if one.grad is None] == []
    built.model.zero_grad()


def test_labels_alone_do_not_run_the_language_model(built):
    batch = family.collate(built, LABELS)(examples([study(1), study(2)]))
    whole_loss(family.losses(built.model, batch, LABELS)).backward()
    found = {n for n, one in built.model.named_parameters() if one.grad is not None}
    assert found
    assert all(name.startswith(("model.vision_tower", "model.label_head")) for name in found)
    built.model.zero_grad()


def test_language_is_learned_without_the_film(built):
    stage = LlavaStage(objectives=("language",))
    first, second = (
        family.losses(built.model, family.collate(built, stage)(examples([one])), stage)
        for one in (study(2), study(4))
    )
    assert torch.equal(first["report"].total, second["report"].total)


def test_it_drafts_the_same_after_saving(built, saved):
    studies = [study(1, films=2), study(2)]
    built.model.eval()
    before = family.draft(built.model, built.processor, studies)
    again = family.load(saved)
    after = family.draft(again.model.eval(), again.processor, studies)
    assert [one.report for one in before] == [one.report for one in after]
    assert family.reads(again.processor) == {"features/specialist", "maps/truth"}
    alone = family.draft(again.model, again.processor, studies[1:])
    assert alone[0].report == after[1].report


def test_a_checkpoint_gets_other_parts(saved):
    again = build(
        LlavaSettings(family="llava", checkpoint=saved, fusion=SETTINGS | {"kind": "mixing"})
    )
    names = {name for name, _ in again.model.named_parameters()}
    assert "model.fusion.mix_tower.weight" in names
    assert "model.label_head.weight" in names
    old = family.load(saved).model
    assert torch.equal(again.model.lm_head.weight, old.lm_head.weight)
    plain = build(LlavaSettings(family="llava", checkpoint=saved))
    assert plain.model.model.fusion is None
    batch = family.collate(plain, REPORT)(examples([study(1)]))
    assert "segmentation_maps" not in batch


class Some:
    """As much of training examples as the tower's outputs are computed of."""

    def __init__(self, studies, fingerprint="f" * 64):
        self.studies = {one.id: one for one in studies}
        self.rows = [SimpleNamespace(study_id=one.id) for one in studies]
        self.dataset = SimpleNamespace(fingerprint=fingerprint, study=self._study)
        self.views, self.reads = 2, ()
        self.films = SimpleNamespace(size=None)

    def __len__(self):
        return len(self.rows)

    def _study(self, row, **_):
        return self.studies[row.study_id]


def frozen_stage(**more):
    rates = {"projector": 1e-3}
    more = {
        "learning_rate": rates, "objectives": ("report", "labels"), "frozen_gib": 1.0,
        "observation_weight": 1.0,
    } | more  # fmt: skip
    return SimpleNamespace(**more)


def test_what_a_frozen_tower_gives_is_computed_once(saved, tmp_path, monkeypatch):
    built, studies = family.load(saved), [study(1, films=2), study(2), study(3)]
    stage, frozen = frozen_stage(), tmp_path / "frozen"
    built.model.eval()
    whole_batch = family.collate(built, stage)(examples(studies))
    whole = family.losses(built.model, whole_batch, stage)
    drafts = family.draft(built.model, built.processor, studies)
    family.keep_frozen(built, stage, [Some(studies[:2]), Some(studies[2:])], frozen)
    monkeypatch.setattr(type(built.model.model), "see", lambda *_: pytest.fail("it looks again"))
    batch = family.collate(built, stage)(examples(studies))
    assert "pixel_values" not in batch
    assert torch.equal(batch["input_ids"], whole_batch["input_ids"])
    kept = family.losses(built.model, batch, stage)
    for name in whole:
        torch.testing.assert_close(kept[name].total, whole[name].total, rtol=1e-3, atol=1e-3)
    again = family.draft(built.model, built.processor, studies)
    assert [one.report for one in again] == [one.report for one in drafts]
    files = list(frozen.rglob("*.safetensors"))
    family.keep_frozen(family.load(saved), stage, [Some(studies[:2])], frozen)
    assert list(frozen.rglob("*.safetensors")) == files


def test_frozen_outputs_are_of_their_tower_and_films_and_bounded(saved, tmp_path):
    stage, folder, studies = frozen_stage(), tmp_path / "frozen", [study(1)]

    def keep(stage=stage, fingerprint="f" * 64, change=0.0, studies=studies):
        built = family.load(saved)
        with torch.no_grad():
            next(built.model.model.vision_tower.parameters()).add_(change)
        family.keep_frozen(built, stage, [Some(studies, fingerprint)], folder)
        return len(list(folder.rglob("*.safetensors")))

    assert keep() == keep() == 1
    assert keep(fingerprint="e" * 64) == 2  # another series, whose studies have the same names
    assert keep(change=0.1) == 3  # another tower
    assert keep(studies=[*studies, study(2)]) == 4  # a study more
    # 16 tokens of 16 numbers: half a KiB a film, beside which a file has a header.
    small = frozen_stage(frozen_gib=1500 / 2**30)
    assert keep(small, change=0.2) == 1  # what was not used for longest went
    with pytest.raises(InputError, match="raise the stage's frozen_gib"):
        keep(frozen_stage(frozen_gib=100 / 2**30), change=0.3)
    with pytest.raises(InputError, match="the tower trains"):
        keep(frozen_stage(learning_rate={"vision": 1e-3}))
    (damaged,) = folder.rglob("*.safetensors")
    damaged.write_bytes(b"no")
    with pytest.raises(DatasetError, match="is damaged: remove it"):
        keep(small, change=0.2)


def test_the_shipped_models_backbone_can_be_the_tower():
    built = build(settings(vision=Path("plainfilm-small"), fusion=None))
    shipped = find_family("radscribe").load(SHIPPED / "plainfilm-small")
    film = study(1).images[0]
    pixels = built.processor.pixels([study(1)])
    assert pixels.shape == (1, 3, 192, 192)
    with torch.no_grad():
        seen = built.model.eval().model.see(pixels)
        theirs = shipped.model.eval().image_backbone(
            **shipped.processor.image_processor([film])
        ).last_hidden_state.flatten(2).transpose(1, 2)  # fmt: skip
    assert seen.shape == (1, 144, 160)
    torch.testing.assert_close(seen, theirs, rtol=0.05, atol=0.05)  # 8-bit pictures


def test_a_token_grid_must_fit_the_film():
    for grid in (3, 5, 32):
        with pytest.raises(InputError, match="give a number that divides the film's 32 pixels"):
            build(settings(token_grid=grid))


def test_a_folder_without_a_tower_is_told(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="a bert cannot be a tower"):
        build(settings(vision=tmp_path))


def test_a_checkpoints_maps_keep_their_names(saved):
    for change in ({"classes": ["b", "a"]}, {"classes": ["a", "b", "c"]}):
        given = SETTINGS | {"maps": SETTINGS["maps"] | change}
        with pytest.raises(ModelError, match="other map_classes than the recipe"):
            build(LlavaSettings(family="llava", checkpoint=saved, fusion=given))


def test_a_seed_decides_fresh_parts(saved):
    given = LlavaSettings(family="llava", checkpoint=saved, fusion=SETTINGS | {"kind": "mixing"})
    weights = [
        family.build(given, stages=(REPORT,), views=1, training=None, seed=seed)
        .model.model.fusion.mix_tower.weight
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_shuffled_maps_change_drafts_inputs_alone():
    given = SETTINGS | {"maps": SETTINGS["maps"] | {"shuffled": True, "classes": ["a", "b", "c"]}}
    built = build(settings(given))
    learned = built.processor([study(1)], [examples([study(1)])[0].report])["segmentation_maps"]
    drafted = built.processor([study(1)])["segmentation_maps"]
    assert not torch.equal(learned, drafted)
    assert torch.equal(learned[0].sum((1, 2)).sort()[0], drafted[0].sum((1, 2)).sort()[0])


def other(**change):
    return study(1).model_copy(update=change)


SMALL = Maps(classes=("a", "b"), values=torch.zeros(2, 8, 8).numpy(), source="truth")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (other(features={}), "has no feature 'specialist' .it has: none.: make it with"),
        (other(features={"specialist": torch.zeros(7).numpy()}), r"shape \(7,\), the model reads"),
        (other(maps=()), "no maps from 'truth'"),
        (other(maps=(SMALL,)), "8 × 8 cells, the model reads 16 × 16"),
        (other(maps=(SMALL.model_copy(update={"classes": ("a", "c")}),)), r"lack 1 of the 2 .*b"),
        (other(maps=(SMALL.model_copy(update={"source": "cxas"}),)), "it has: cxas"),
        (
            other(maps=(study(2).maps[0].model_copy(update={"study": "s2"}),)),
            "are of another study, 's2'",
        ),
    ],
)
def test_what_a_study_lacks_is_told(built, given, told):
    with pytest.raises(InputError, match=told):
        built.processor([given])


def test_a_plain_folder_is_refused(tmp_path):
    base(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="expected LLaVA"):
        build(LlavaSettings(family="llava", checkpoint=tmp_path))


def test_mistakes_in_a_recipe_are_told():
    stage = {"name": "one", "learning_rate": {"fusion": 1e-3, "label_head": 1e-3, "heart": 1e-3}}
    found = family.problems({"model": {"family": "llava"}, "stages": [stage]})
    assert any("needs model.fusion" in one for one in found)
    assert any("needs labels" in one for one in found)
    assert any("no part 'heart'" in one for one in found)
    with pytest.raises(ValueError, match="either checkpoint, or both"):
        LlavaSettings(family="llava")
    with pytest.raises(ValueError, match="features, maps, or both"):
        LlavaSettings(family="llava", checkpoint="x", fusion={})
    with pytest.raises(ValueError, match="either report or language"):
        LlavaStage(objectives=("report", "language"))


def test_chats_are_learned_by_their_answers_alone(built):
    report = Report(findings="There is a small left pleural effusion. No pneumothorax.")
    given = [Example(study(n), report, torch.zeros(14), np.random.default_rng(n)) for n in (1, 2)]
    stage = LlavaStage(chat_share=1.0)
    batch = family.collate(built, stage)(given)
    tokenizer = built.processor.tokenizer
    image = built.model.config.image_token_id
    assert (batch["input_ids"] == image).sum() == 2 * (16 + 6)  # the film once in each
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learned = labels != IGNORED
        assert (ids[learned] == labels[learned]).all()
        text, said = tokenizer.decode(ids[ids != image]), tokenizer.decode(labels[learned])
        assert text.count("USER:") == text.count("ASSISTANT:") == said.count("</s>") > 1
        assert "?" not in said
        assert "USER" not in said
        assert "effusion" in said
    assert torch.isfinite(whole_loss(family.losses(built.model, batch, stage)))
    plain = family.collate(built, LlavaStage())(given)
    assert "Small" not in tokenizer.decode(plain["labels"][0][plain["labels"][0] != IGNORED])


def test_a_request_has_many_wordings_in_training_and_one_in_drafting():
    asking = {"request": "{ask}\nReason: {indication}"}
    built = build(settings(fusion=None).model_copy(update=asking))
    given = [Example(study(2), REPORTS, torch.zeros(14), np.random.default_rng(n))
             for n in range(8)]  # fmt: skip
    asked = family.collate(built, REPORT)(given)["input_ids"]
    texts = {built.processor.tokenizer.decode(row[:40]) for row in asked}
    assert len(texts) > 2
    (drafted,) = built.processor.texts(built.processor([study(2)])["input_ids"])
    assert REQUESTS[0] in drafted


def test_what_a_film_has_beside_its_pixels_reaches_sampling_and_update(saved):
    """TRL's GRPO passes on only inputs that it knows by name; here all reach rollout and loss."""
    built, studies = family.load(saved, trainable=True), [study(1), study(2)]
    built.model.eval()
    with torch.no_grad():
        _, batch = family.rollout(built.model, built.processor, studies, max_new_tokens=4)
    assert {"specialist_features", "segmentation_maps"} <= set(batch)
    found, written = family.log_probabilities(built.model, batch)
    found.sum().backward()
    gradients = [one.grad for one in built.model.model.fusion.parameters()]
    assert any(one is not None and one.abs().sum() > 0 for one in gradients)
    for name in ("specialist_features", "segmentation_maps"):
        with torch.no_grad():
            other, _ = family.log_probabilities(built.model, {**batch, name: batch[name] + 1})
        assert not torch.equal(other[written], found[written].detach())
