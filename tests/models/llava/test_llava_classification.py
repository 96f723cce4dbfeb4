"""The head on the language model's states: what it reads, learns, and leaves alone."""

import json
import math

import pytest
import torch
from conftest_llava import REPORT, Reports, settings, study

from plainfilm.core import InputError, ModelError, Observation, RecipeError, Status
from plainfilm.data.examples import Example
from plainfilm.models.family import whole_loss
from plainfilm.models.llava.classification import ClassificationHead, targets
from plainfilm.models.llava.family import family
from plainfilm.models.llava.settings import LlavaSettings, LlavaStage
from plainfilm.training.gradients import compare_gradients
from plainfilm.training.recipe import parse_recipe

SAID = {
    Observation.EDEMA: Status.PRESENT, Observation.FRACTURE: Status.UNCERTAIN,
    Observation.PNEUMONIA: Status.ABSENT,
}  # fmt: skip
BOTH = LlavaStage(objectives=("report", "observations"))
HEAD = LlavaStage(objectives=("observations",))


def build(*stages, fusion=None, **head):
    given = settings(fusion, classification=head)
    return family.build(given, stages=stages or (BOTH,), views=1, training=Reports(), seed=0)


def taught(built, stage, *numbers):
    told = [Example(study(number), REPORT, torch.zeros(14), None, statuses=SAID)
            for number in numbers]  # fmt: skip
    return family.collate(built, stage)(told)


@pytest.mark.parametrize(("uncertain", "unmentioned", "expected"), [
    ("positive", "negative", [1, 1, 0, 0, 0]),
    ("negative", "left out", [1, 0, 0, math.nan, 0]),
    ("left out", "left out", [1, math.nan, 0, math.nan, 0]),
])  # fmt: skip
def test_uncertain_and_unmentioned_count_as_the_recipe_says(uncertain, unmentioned, expected):
    names = [*SAID, Observation.CARDIOMEGALY, Observation.NO_FINDING]
    found = targets([SAID], names, uncertain, unmentioned)
    torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float), equal_nan=True)


@pytest.mark.parametrize("pooling", ["last", "mean", "films", "attention"])
def test_pooling_reads_the_tokens_that_it_says(pooling):
    head = ClassificationHead(6, 3, pooling)
    torch.manual_seed(0)
    for one in head.parameters():
        torch.nn.init.normal_(one)
    states = torch.randn(2, 5, 6, requires_grad=True)
    prompt = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0]]).bool()
    films = torch.tensor([[0, 1, 0, 0, 0], [0, 1, 1, 0, 0]]).bool()
    logits, _ = head(states, prompt, films)
    logits.sum().backward()
    read = states.grad.abs().sum(dim=2) > 0
    last = torch.tensor([[0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]).bool()
    expected = {"last": last, "films": films}.get(pooling, prompt)
    assert torch.equal(read, expected)
    if pooling == "films":
        mean = states[0, 1] @ head.weight.T + head.bias
        torch.testing.assert_close(logits[0], mean)


@pytest.mark.parametrize("pooling", ["last", "mean", "films", "attention"])
def test_the_head_never_reads_the_report(pooling):
    built = build(pooling=pooling, layer=1)
    torch.nn.init.normal_(built.model.model.classification_head.weight)
    batch = taught(built, BOTH, 1, 2)
    other = dict(batch)
    answer = batch["labels"] != -100
    other["input_ids"] = torch.where(answer, 7, batch["input_ids"])
    found = [family.losses(built.model, one, BOTH) for one in (batch, other)]
    assert found[0]["report"].total != found[1]["report"].total
    assert torch.equal(found[0]["observations"].total, found[1]["observations"].total)
    # Nor where some of what follows the prompt is not learned, as a chat's second question.
    hole = {**other, "labels": batch["labels"].clone()}
    hole["labels"][:, int(answer.nonzero()[:, 1].max()) - 3] = -100
    holed = family.losses(built.model, hole, BOTH)["observations"]
    assert torch.equal(holed.total, found[0]["observations"].total)
    # The prompts alone give the same.
    alone = family.losses(built.model, batch, HEAD)["observations"]
    torch.testing.assert_close(alone.total, found[0]["observations"].total)
    assert alone.items == 2 * 14


def test_a_model_with_a_head_begins_as_the_same_without():
    plain = family.build(settings(None), stages=(LlavaStage(),), views=1, training=Reports(),
                         seed=0).model.state_dict()  # fmt: skip
    with_head = build().model.state_dict()
    assert set(with_head) - set(plain) == {
        f"model.classification_head.{name}" for name in ("weight", "bias", "log_variances")
    }
    assert all(torch.equal(with_head[name], value) for name, value in plain.items())


def steps(built, stage, count=3):
    batch = taught(built, stage, 1, 2)
    weights = [one for name, one in built.model.named_parameters()
               if not name.startswith("model.vision_tower")]  # fmt: skip
    optimizer = torch.optim.AdamW(weights, lr=1e-2)
    for _ in range(count):
        optimizer.zero_grad()
        losses = family.losses(built.model, batch, stage)
        assert set(losses) == set(family.counts(batch, stage))
        whole_loss(losses).backward()
        torch.nn.utils.clip_grad_norm_(built.model.parameters(), 1.0)
        optimizer.step()
    return built.model.state_dict()


def test_without_weight_it_is_the_single_task_model_to_the_bit():
    plain = family.build(
        settings(None), stages=(LlavaStage(),), views=1, training=Reports(), seed=0
    )
    single = steps(plain, LlavaStage())
    none = steps(build(), LlavaStage(objectives=BOTH.objectives, observation_weight=0))
    some = steps(build(), LlavaStage(objectives=BOTH.objectives, observation_weight=0.1))
    assert all(torch.equal(none[name], value) for name, value in single.items())
    assert not all(torch.equal(some[name], value) for name, value in single.items())


def test_a_learned_balance_goes_where_its_formula_says():
    """At the optimum exp(-s) = 1 / (2 L): the larger loss counts less."""
    built, stage = build(), LlavaStage(objectives=BOTH.objectives, observation_weight="learned")
    head = built.model.model.classification_head
    batch = taught(built, stage, 1, 2)
    optimizer = torch.optim.Adam([head.log_variances], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        losses = family.losses(built.model, batch, stage)
        whole_loss(losses).backward()
        optimizer.step()
    means = [
        losses[name].total.item() / losses[name].items.item() for name in ("report", "observations")
    ]
    assert (
        2 * (-head.log_variances).exp() * torch.tensor(means)
    ).detach().tolist() == pytest.approx([1, 1], rel=1e-3)


def test_gradients_are_compared_over_shared_weights():
    built = build()
    torch.nn.init.normal_(built.model.model.classification_head.weight)
    losses = family.losses(built.model, taught(built, BOTH, 1, 2), BOTH)
    weights = list(built.model.parameters())
    found = compare_gradients(losses, weights)
    assert -1 <= found["gradient_cosine_observations_report"] <= 1
    assert all(one.grad is None for one in weights)
    twice = {"first": losses["report"], "second": losses["report"]._replace(weight=3.0)}
    assert compare_gradients(twice, weights)["gradient_cosine_first_second"] == pytest.approx(1)
    opposed = twice | {"second": losses["report"]._replace(total=-losses["report"].total)}
    assert compare_gradients(opposed, weights)["gradient_cosine_first_second"] == pytest.approx(-1)


def test_a_head_comes_back_and_a_checkpoint_keeps_it(tmp_path):
    names = ["Edema", "Pleural Effusion"]
    built = build(observations=names, pooling="mean", uncertain="negative")
    torch.nn.init.normal_(built.model.model.classification_head.weight)
    family.save(tmp_path / "model", built)
    again = family.load(tmp_path / "model")
    assert again.processor.classification == built.processor.classification
    before, after = (family.losses(one.model.eval(), taught(one, HEAD, 1), HEAD)["observations"]
                     for one in (built, again))  # fmt: skip
    assert torch.equal(before.total, after.total)
    assert before.items == 2
    kept = family.build(LlavaSettings(family="llava", checkpoint=tmp_path / "model"),
                        stages=(HEAD,), views=1, training=None, seed=0)  # fmt: skip
    assert kept.model.config.classification["observations"] == names
    weights = (one.model.model.classification_head.weight for one in (kept, again))
    assert torch.equal(*weights)


def test_what_makes_no_head_is_told(tmp_path):
    with pytest.raises(InputError, match=r"layer: 9 is no hidden state .* of 2 layers"):
        build(layer=9)
    plain = family.build(
        settings(None), stages=(LlavaStage(),), views=1, training=Reports(), seed=0
    )
    family.save(tmp_path / "model", plain)
    with pytest.raises(ModelError, match="needs a classification head"):
        family.build(LlavaSettings(family="llava", checkpoint=tmp_path / "model"),
                     stages=(HEAD,), views=1, training=None, seed=0)  # fmt: skip
    small = settings(None).to_dict()
    recipe = {
        "name": "r", "data": {"phantom": {"studies": 20}},
        "model": {name: small[name] for name in ("family", "vision", "text")},
        "stages": [{"name": "one", "objectives": ["report", "observations"],
                    "learning_rate": {"balance": 1e-3}}],
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"needs model.classification; .*balance needs"):
        parse_recipe(recipe)
    head = {"observations": ["Edema", "Edema"]}
    with pytest.raises(RecipeError, match="name each of the 14 once at most, got Edema"):
        parse_recipe(json.loads(json.dumps(recipe | {
            "model": recipe["model"] | {"classification": head},
        })))  # fmt: skip
