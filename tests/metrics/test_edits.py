"""Edits of the perturbation test change what they say they change, on reports as they are read."""

import random

import pytest

from plainfilm.metrics.edits import EDITS
from plainfilm.metrics.error_table import ACCURATE
from plainfilm.metrics.probe import probe
from plainfilm.text import explain, read
from plainfilm.text.matching import Kind, match


def edited(name, text, seed=0):
    mentions = [fired.finding for fired in explain(text)]
    return EDITS[name](text, mentions, random.Random(seed))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("negation removed", "No acute process."),
        ("negation removed", "No acute cardiopulmonary abnormality."),
        ("negation removed", "No significant change since the prior study."),
        ("severity changed", "No large effusion."),
        ("severity changed", "No pneumothorax or large effusion. Scoliosis."),
        ("severity changed", "Dilated loops of small bowel."),
        ("side swapped", "No left effusion."),
        ("side swapped", "Bilateral effusions, right greater than left."),
        ("side swapped", "Pacemaker lead in the right ventricle."),
        ("negation added", "Although rotated, cardiomegaly."),
        ("measurement changed", "Endotracheal tube 4 cm above the carina."),
        ("tip misplaced", "Pacemaker leads in the right atrium."),
        ("certainty changed", "No effusion."),
        ("lobe changed", "No lower lobe opacity."),
        ("comparison invented", "Stable cardiomegaly."),
        ("report emptied", "Follow up."),
        ("report looped", ""),
    ],
)
def test_what_an_edit_leaves_alone(name, text):
    assert edited(name, text) is None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("negation removed", "No acute disease. No effusion.", "No acute disease. Effusion."),
        ("negation added", "1. Stable cardiomegaly.", "1. No stable cardiomegaly."),
        ("negation added", "The aorta is tortuous.", "The aorta is not tortuous."),
        ("certainty changed", "There is edema.", "There may be edema."),
        ("certainty changed", "The heart is enlarged.", "The heart may be enlarged."),
        ("certainty changed", "Small effusion.", "Possible small effusion."),
        ("measurement changed", "A 1.5 cm nodule.", "A 15 cm nodule."),
        ("measurement changed", "6-mm nodule in the lingula.", "60-mm nodule in the lingula."),
        ("measurement changed", "A 1.9 x 2.1 cm nodule.", "A 19 x 21 cm nodule."),
        ("negation removed", "Clear without effusion.", "Clear with effusion."),
        ("lobe changed", "Left lower lobe pneumonia.", "Left upper lobe pneumonia."),
        ("lobe changed", "Bibasilar atelectasis.", "Biapical atelectasis."),
        ("tip misplaced", "Right PICC tip in the SVC.", "Right PICC tip in the right ventricle."),
        (
            "tip misplaced",
            "Nasogastric tube tip in the stomach.",
            "Nasogastric tube tip in the esophagus.",
        ),
        ("report emptied", "No effusion.", ""),
    ],
)
def test_edits(name, text, expected):
    assert edited(name, text) == expected


@pytest.mark.parametrize("name", ["side swapped", "severity changed", "finding removed"])
def test_a_finding_that_is_told_twice_is_changed_twice(name):
    text = "Small left effusion. Heart is normal. Impression: Small left effusion."
    changed = edited(name, text)
    assert "Small left effusion" not in changed
    assert "Heart is normal." in changed


REPORTS = [
    "Small left pleural effusion. The heart is normal in size. No pneumothorax.",
    "There is mild cardiomegaly. Left lower lobe opacity. No effusion or pneumothorax.",
    "8 mm nodule in the right upper lobe. Lungs otherwise clear.",
    "Right PICC with tip in the SVC. Moderate right pneumothorax. No effusion.",
    "Endotracheal tube tip 4 cm above the carina. Severe pulmonary edema.",
]
CHANGES = {
    "negation removed": Kind.HALLUCINATED,
    "negation added": Kind.OMITTED,
    "side swapped": Kind.PLACE,
    "lobe changed": Kind.PLACE,
    "severity changed": Kind.SEVERITY,
    "measurement changed": Kind.SEVERITY,
    "certainty changed": Kind.CERTAINTY,
    "finding hallucinated": Kind.HALLUCINATED,
    "finding removed": Kind.OMITTED,
    "comparison invented": Kind.COMPARISON,
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_edit_is_the_difference_that_it_says(name):
    applied = 0
    for text in REPORTS:
        for seed in range(3):
            changed = edited(name, text, seed)
            if changed is not None:
                applied += 1
                kinds = {one.kind for one in match(read(text), read(changed)).differences}
                assert kinds == {CHANGES[name]}, (text, changed)
    assert applied


def test_no_wrong_report_is_fully_accurate():
    reactions = probe(REPORTS, ["rouge-l"])
    for name, reaction in reactions.items():
        assert reaction.applied, name
        assert reaction.accurate[0] == 1
        expected = 1 if name == "sentences shuffled" else 0
        assert reaction.accurate[1] == expected, name
        assert reaction.drop(ACCURATE) == 1 - expected
        assert reaction.to_dict()["fully_accurate"] == [1, expected]
