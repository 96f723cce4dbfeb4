"""What is wrong with a checkpoint is told in one line."""

import json
import shutil

import pytest
from conftest_vlm import CHATML
from test_vlm_family import STAGE, build

from plainfilm.core import InputError, ModelError
from plainfilm.models.vlm.family import family
from plainfilm.models.vlm.settings import VlmSettings


@pytest.fixture
def copy(checkpoint, tmp_path):
    """Return a copy of a tiny checkpoint, to be damaged."""

    def make(kind, name="copy"):
        return shutil.copytree(checkpoint(kind), tmp_path / name)

    return make


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refuse(folder, pattern, error=ModelError, **values):
    settings = VlmSettings(family="vlm", checkpoint=folder, **values)
    with pytest.raises(error, match=pattern) as raised:
        family.build(settings, stages=(), views=1, training=None, seed=0)
    assert "\n" not in str(raised.value)


def test_a_missing_template(copy):
    folder = copy("llava")
    (folder / "chat_template.jinja").unlink()
    refuse(folder, "no chat template: give one in chat_template, or 'plain'")


def test_a_missing_pad_token_and_one_that_is_named(copy):
    folder = copy("llava")
    path = folder / "tokenizer_config.json"
    values = json.loads(path.read_text())
    del values["pad_token"]
    path.write_text(json.dumps(values))
    refuse(folder, "no token for padding: name one of its tokens in pad_token")
    refuse(folder, "pad_token '<none>' is no token", pad_token="<none>")  # noqa: S106
    built = build(lambda _: folder, "llava", pad_token="</s>")  # noqa: S106
    assert built.processor.tokenizer.pad_token == "</s>"  # noqa: S105


def test_a_template_of_another_checkpoint(checkpoint, studies):
    built = build(checkpoint, "llava", chat_template=CHATML.replace("IMAGE", "<picture>"))
    with pytest.raises(ModelError, match="writes 0 placeholders <image> for 2 films"):
        built.processor(studies)


def test_a_template_that_fails(checkpoint, studies):
    template = "{% for m in messages %}{{ raise_exception('no system here') }}{% endfor %}"
    built = build(checkpoint, "llava", chat_template=template)
    with pytest.raises(ModelError, match=r"cannot be filled in \(no system here\)"):
        built.processor(studies)


def test_another_number_of_image_tokens_than_features(copy, studies, reports):
    folder = copy("llava")
    change(folder / "processor_config.json", num_additional_image_tokens=2)
    built = build(lambda _: folder, "llava")
    with pytest.raises(InputError, match="image tokens do not fit the model"):
        family.draft(built.model, built.processor, studies)
    with pytest.raises(InputError, match="its patch size"):
        family.losses(built.model, built.processor(studies, reports=reports), STAGE)


def test_a_tokenizer_of_another_checkpoint(copy):
    folder = copy("llava")
    change(folder / "config.json", image_token_id=7, image_token_index=7)
    refuse(folder, "image token is 7, the processor's")


def test_code_in_the_folder(copy):
    folder = copy("llava")
    change(folder / "config.json", auto_map={"AutoModel": "modeling.Model"})
    refuse(folder, "runs no code from a folder")


def test_another_kind_of_model(copy):
    folder = copy("llava")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refuse(folder, "holds a 'bert' model: expected a vision-language model")


def test_a_missing_folder(tmp_path):
    refuse(tmp_path / "none", "cannot load the checkpoint from")


def test_generation_settings_that_do_not_exist(checkpoint):
    refuse(checkpoint("llava"), "knows no beams_count", generation={"beams_count": 2})


def test_a_folder_that_was_not_trained_here_names_the_presets(checkpoint):
    with pytest.raises(ModelError, match=r"name a preset .*unirg-cxr"):
        family.load(checkpoint("llava"))


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({"request": "{age}"}, "unknown field"),
        ({"request": "{prior_frontal}"}, "prior is false"),
        ({"keep": "abc"}, "has no group"),
        ({"drop": "("}, "is no regular expression"),
    ],
)
def test_settings_are_checked_before_anything_loads(values, pattern):
    with pytest.raises(ValueError, match=pattern):
        VlmSettings(family="vlm", checkpoint="x", **values)
