"""Published checkpoints: each preset opens its class, or says why it can't."""

import pytest
from conftest_vlm import film

from plainfilm.core import InputError, ModelError, Study
from plainfilm.models.vlm.family import family
from plainfilm.models.vlm.presets import load_preset

OPEN = [name for name in family.presets() if load_preset(name).needs_code is None]
REFUSED = [name for name in family.presets() if load_preset(name).needs_code is not None]


@pytest.mark.parametrize("name", family.presets())
def test_a_preset_says_where_each_value_comes_from(name):
    preset = load_preset(name)
    assert preset.where.startswith("https://")
    assert "licence" in preset.sources or any("terms" in what for what in preset.unconfirmed)
    chosen = preset.context.model_dump(exclude_defaults=True)
    told = {key.removeprefix("context.") for key in preset.sources}
    assert {"request"} <= told
    assert told - set(type(preset.context).model_fields) <= set(type(preset).model_fields)
    assert {key for key in chosen if key in ("system", "image_size", "drop", "keep")} <= told


@pytest.mark.parametrize("name", OPEN)
def test_a_preset_opens_a_checkpoint_of_its_class(name, checkpoint):
    preset = load_preset(name)
    built, card = family.open_published(checkpoint(preset.model_types[0]), name)
    assert card["domain"] == "real"
    assert card["target"] == preset.target
    assert preset.licence in card["warnings"][0]
    study = Study(images=(film(1),), indication="cough")
    (draft,) = family.draft(built.model.eval(), built.processor, [study], max_new_tokens=8)
    assert draft.images == (0,)


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_code_is_refused_with_the_reason(name, checkpoint):
    with pytest.raises(ModelError, match=r"can't be opened here: .*runs no code"):
        family.open_published(checkpoint("llava"), name)


def test_a_checkpoint_of_another_class_is_refused(checkpoint):
    with pytest.raises(
        ModelError, match="holds a 'llava' model: the preset unirg-cxr is for qwen3_vl"
    ):
        family.open_published(checkpoint("llava"), "unirg-cxr")


def test_an_unknown_preset_lists_those_that_there_are():
    with pytest.raises(InputError, match=r"no preset 'x': expected one of .*medgemma-1.5"):
        load_preset("x")
