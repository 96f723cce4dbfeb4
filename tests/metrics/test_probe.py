"""The edits of the probe: each changes what it says it does."""

import math
import random

import pytest

from plainfilm.core import Change, Finding, Observation, Status
from plainfilm.metrics import probe as probing
from plainfilm.metrics import score
from plainfilm.text import read

TEXT = "There is a small left effusion. No pneumothorax. The heart is normal."
FINDINGS = [
    Finding(observation=Observation.PLEURAL_EFFUSION, sentence="There is a small left effusion."),
    Finding(
        observation=Observation.PNEUMOTHORAX, status=Status.ABSENT, sentence="No pneumothorax."
    ),
]


def _edit(name, text=TEXT, findings=FINDINGS, seed=0):
    return probing.EDITS[name](text, findings, random.Random(seed))


@pytest.mark.parametrize(
    ("name", "edited"),
    [
        ("negation removed", "There is a small left effusion. Pneumothorax. The heart is normal."),
        ("negation added", "No small left effusion. No pneumothorax. The heart is normal."),
        ("side swapped", "There is a small right effusion. No pneumothorax. The heart is normal."),
        ("severity changed", TEXT.replace("small", "large")),
        ("finding removed", "No pneumothorax. The heart is normal."),
        (
            "comparison invented",
            "There is a small left effusion, increased since the prior examination. "
            "No pneumothorax. The heart is normal.",
        ),
    ],
)
def test_edits(name, edited):
    assert _edit(name) == edited


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("There is no effusion.", "There is effusion."),
        ("There are no effusions.", "There are effusions."),
        ("Lungs without edema.", "Lungs with edema."),
    ],
)
def test_negations_are_removed(text, edited):
    assert _edit("negation removed", text) == edited


def test_a_hallucinated_finding_is_a_new_one():
    for seed in range(8):
        said = [Finding(observation=observation) for observation, _ in probing._INVENTED[1:]]
        added = _edit("finding hallucinated", TEXT, said, seed).removeprefix(TEXT)
        assert added == " There is a large right apical pneumothorax."


def test_shuffling_keeps_every_sentence():
    shuffled = _edit("sentences shuffled")
    assert shuffled != TEXT
    assert sorted(shuffled.split()) == sorted(TEXT.split())


@pytest.mark.parametrize("name", sorted(set(probing.EDITS) - {"finding hallucinated"}))
def test_a_report_without_a_place_for_an_edit_is_left_out(name):
    assert _edit(name, "Clear.", []) is None


def test_a_finding_with_a_comparison_gets_no_second_one():
    changed = [FINDINGS[0].model_copy(update={"change": Change.STABLE})]
    assert _edit("comparison invented", TEXT, changed) is None


def test_reactions():
    reports = [TEXT, "Clear lungs. Moderate cardiomegaly. No effusion.", "Normal chest."]
    reactions = probing.probe(reports, ["rouge-l", "micro-f1-14"])
    assert set(reactions) == set(probing.EDITS)
    shuffled, hallucinated = reactions["sentences shuffled"], reactions["finding hallucinated"]
    assert (shuffled.applied, hallucinated.applied) == (2, 3)
    assert shuffled.drop("micro-f1-14") == 0
    assert shuffled.drop("rouge-l") > 0
    assert hallucinated.drop("micro-f1-14") > hallucinated.drop("rouge-l") > 0
    swapped = reactions["side swapped"]
    assert swapped.applied == 1
    assert swapped.drop("micro-f1-14") == 0
    assert hallucinated.signatures["rouge-l"].count == 3


def test_an_edit_without_any_place_is_undefined():
    reaction = probing.probe(["Clear."], ["rouge-l"])["side swapped"]
    assert reaction.applied == 0
    assert reaction.to_dict()["after"] == {"rouge-l": None}
    assert math.isnan(reaction.drop("rouge-l"))


def test_values_are_those_of_score():
    reports = [TEXT, "Clear lungs. Moderate cardiomegaly. No effusion.", "Normal chest."]
    reaction = probing.probe(reports, ["cider-d", "bleu-2"])["finding hallucinated"]
    chance = random.Random(0)
    edited = [probing.hallucinate(text, read(text), chance) for text in reports]
    expected = score(reports, edited, ["cider-d", "bleu-2"])
    assert reaction.after == pytest.approx({name: one.value for name, one in expected.items()})
