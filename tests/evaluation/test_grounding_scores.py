"""Grounding scored against the truth, and the counterfactual test, with models made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.core import Image, InputError, Report, Study, View
from plainfilm.core.study import Maps
from plainfilm.evaluation.grounding import (
    calibration_error,
    change,
    counterfactual,
    score_grounding,
    true_statements,
    wilson,
)
from plainfilm.grounding.maps import choose_maps, ground
from plainfilm.text import read

CLASSES = ("Effusion", "liver", "finding: pathology", "Nodule")
SEGMENTER = "plainfilm-segmenter"


def maps(source, columns, value=1.0, nodule=False):
    values = np.zeros((4, 16, 16), np.float32)
    values[0, 10:14, columns] = values[2, 10:14, columns] = value
    values[1, 14:16, 2:6] = 1
    if nodule:
        values[3, 2, 2] = values[2, 2, 2] = 1
    return Maps(classes=CLASSES, values=values, source=source)


LEFT, RIGHT, NONE = slice(10, 14), slice(2, 6), slice(0, 0)


class Data:
    """As much of a data set as is read."""

    def __init__(self, studies):
        self.studies = studies

    def split(self, name):
        return [
            SimpleNamespace(study_id=id, statements=tuple(read(truth)), views=("PA",),
                            findings=truth, impression="")
            for id, (truth, _) in self.studies.items()
        ]  # fmt: skip

    def study(self, row, derived=()):
        film = Image(pixels=np.zeros((8, 8), np.float32), view=View.PA)
        return Study(id=row.study_id, images=(film,), maps=self.studies[row.study_id][1])


class Model:
    """Drafts by a rule from a study, and stands for a report model."""

    own_maps = SEGMENTER
    card = SimpleNamespace(name="rule", target="findings+impression", language="en")
    processor = None
    family = SimpleNamespace(reads=lambda processor: frozenset({f"maps/{SEGMENTER}"}))

    def __init__(self, rule):
        self.rule = rule

    def reports(self, studies, batch_size=16, ground=None):
        for study in studies:
            text = self.rule(study)
            report = Report(findings=text, statements=tuple(read(text)))
            yield report if ground is None else hold(report, choose_maps(study, ground))


hold = ground


def from_maps(study):
    values = dict(zip(CLASSES, choose_maps(study, SEGMENTER).values, strict=True))["Effusion"]
    if values[:, 8:].any():
        return "There is a left pleural effusion."
    return "There is a right pleural effusion." if values.any() else "No pleural effusion."


def studies():
    left, none = "There is a left pleural effusion.", "No pleural effusion."
    return {
        "a": (left, (maps("truth", LEFT), maps(SEGMENTER, LEFT))),
        "b": (left, (maps("truth", LEFT, nodule=True), maps(SEGMENTER, RIGHT, nodule=True))),
        "c": (none, (maps("truth", NONE), maps(SEGMENTER, NONE))),
        "d": (none, (maps("truth", NONE), maps(SEGMENTER, slice(10, 12)))),
    }


def test_grounding_is_scored_against_the_truth() -> None:
    found = score_grounding(Model(from_maps), Data(studies()), "segmenter").to_dict()
    assert (found["studies"], found["statements"]) == (4, 4)
    # All is said as the maps have it, so all is supported; half of it is so.
    assert found["verdicts"]["supported"] == {"true": 2, "false": 2}
    assert found["true_if"]["supported"] == found["true"] == 0.5
    # Drawn: a's 16 cells where the truth has 16; b's on the other side, where it has none; d's 8.
    assert found["place"] == {"precision": 16 / 40, "recall": 1.0}
    assert found["place_by_class"]["Effusion"]["recall"] == 1.0
    missed = found["possibly_missed"]
    assert (missed["flagged"], missed["flagged and there"], missed["there and unsaid"]) == (1, 1, 1)
    assert found["expected_calibration_error"] == pytest.approx(2 / 3)


def test_a_model_that_writes_from_its_maps_follows_them_and_a_blind_one_does_not() -> None:
    found = counterfactual(Model(from_maps), Data(studies()))["changes"]
    assert {name: one["share"] for name, one in found.items()} == {
        "deleted": 1.0, "moved": 1.0, "control": 1.0,
    }  # fmt: skip
    assert found["moved"]["of"] == 3
    always = Model(lambda study: "There is a left pleural effusion.")
    blind = counterfactual(always, Data(studies()))["changes"]
    assert (blind["deleted"]["share"], blind["moved"]["share"]) == (0.0, 0.0)
    assert blind["control"]["share"] == 1.0
    unread = Model(from_maps)
    unread.own_maps = None
    with pytest.raises(InputError, match="reads no maps"):
        counterfactual(unread, Data(studies()))


def test_a_change_takes_the_map_of_all_findings_along() -> None:
    before = maps("truth", LEFT, nodule=True)
    gone = change(before, ["Effusion"], "delete").values
    assert not gone[0].any()
    assert gone[2].sum() == 1  # the nodule's cell is left
    moved = change(before, ["Effusion"], "mirror").values
    np.testing.assert_array_equal(moved[0], before.values[0][:, ::-1])
    assert moved[2][:, 2:6].sum() == 16 + 1
    assert not moved[2][:, 10:].any()
    np.testing.assert_array_equal(change(before, ["liver"], "delete").values[2], before.values[2])


def test_truth_of_statements() -> None:
    truth = read("There is a left pleural effusion. No pneumothorax.")
    said = read("Right pleural effusion. No pneumothorax. No pleural effusion. A small left "
                "pleural effusion. There is a right pneumothorax.")  # fmt: skip
    assert true_statements(truth, said) == [False, True, False, True, False]


def test_intervals_and_calibration_of_nothing() -> None:
    assert wilson(0, 0) is None
    low, high = wilson(5, 10)
    assert low == pytest.approx(0.2366, abs=1e-3)
    assert high == pytest.approx(0.7634, abs=1e-3)
    assert calibration_error([]) is None
