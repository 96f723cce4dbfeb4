"""LLaVA with a fusion as a family: built, asked, taught, drafted, saved, begun anew."""

from types import SimpleNamespace

import pytest
import torch
from conftest_llava import SETTINGS, Reports, base, examples, settings, study

from plainfilm.core import InputError, ModelError
from plainfilm.core.study import Maps
from plainfilm.models.family import whole_loss
from plainfilm.models.llava.family import family
from plainfilm.models.llava.settings import LlavaSettings, LlavaStage
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


@pytest.mark.parametrize(("model_type", "more", "leading"), [
    ("clip_vision_model", {"projection_dim": 16}, 1),
    ("vit", {}, 1),
    ("siglip_vision_model", {}, 0),
    ("dinov2_with_registers", {"num_register_tokens": 3, "mlp_ratio": 1}, 4),
])  # fmt: skip
def test_any_tower_has_as_many_tokens_as_placeholders(model_type, more, leading):
    """A class token is left out; registers stay, with placeholders of their own."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower = {"model_type": model_type, "image_size": 32, "patch_size": 8} | sizes | more
    if model_type != "dinov2_with_registers":
        tower["intermediate_size"] = 16
    built = build(settings(vision=tower))
    batch = family.collate(built, REPORT)(examples([study(1), study(2)]))
    placeholders = (batch["input_ids"] == built.model.config.image_token_id).sum(1)
    assert placeholders.tolist() == [16 + max(leading - 1, 0) + 6] * 2
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

    def __init__(self, studies):
        self.studies = studies
        self.rows = [SimpleNamespace(study_id=one.id) for one in studies]

    def __len__(self):
        return len(self.studies)

    def study(self, index):
        return self.studies[index]


def test_what_a_frozen_tower_gives_is_computed_once(saved, tmp_path, monkeypatch):
    built, studies = family.load(saved), [study(1, films=2), study(2), study(3)]
    stage = SimpleNamespace(learning_rate={"projector": 1e-3}, objectives=("report", "labels"))
    built.model.eval()
    whole = family.losses(built.model, family.collate(built, stage)(examples(studies)), stage)
    family.keep_frozen(built, stage, [Some(studies)], tmp_path / "frozen")
    batch = family.collate(built, stage)(examples(studies))
    assert "pixel_values" not in batch
    monkeypatch.setattr(type(built.model.model), "see", lambda *_: pytest.fail("it looks again"))
    kept = family.losses(built.model, batch, stage)
    for name in whole:
        torch.testing.assert_close(kept[name].total, whole[name].total, rtol=1e-3, atol=1e-3)
    family.keep_frozen(built, stage, [Some(studies[:2])], tmp_path / "frozen")
    assert len(list((tmp_path / "frozen").iterdir())) == 2
    trained = SimpleNamespace(learning_rate={"vision": 1e-3})
    with pytest.raises(InputError, match="the tower trains"):
        family.keep_frozen(built, trained, [Some(studies)], tmp_path / "frozen")


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
