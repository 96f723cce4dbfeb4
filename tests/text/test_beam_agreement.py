"""How well a text agrees with a classifier, and the draft that is chosen by it."""

import math

import pytest

from plainfilm.core import Observation, Report, Status
from plainfilm.models.family import Candidate, Draft
from plainfilm.text.agreement import agreement

EDEMA, FRACTURE = Observation.EDEMA, Observation.FRACTURE
CHANCES = {EDEMA: 0.9, FRACTURE: 0.2}


@pytest.mark.parametrize(("said", "chance"), [
    ({EDEMA: Status.PRESENT}, 0.9 * 0.8),
    ({EDEMA: Status.UNCERTAIN, FRACTURE: Status.PRESENT}, 0.9 * 0.2),
    ({EDEMA: Status.ABSENT}, 0.1 * 0.8),
    ({}, 0.1 * 0.8),
])  # fmt: skip
def test_it_is_the_mean_log_chance_of_what_the_text_says(said, chance):
    assert agreement(said, CHANCES) == pytest.approx(math.log(chance) / 2)


def test_one_impossible_label_stays_finite():
    assert math.isfinite(agreement({EDEMA: Status.PRESENT}, {EDEMA: 0.0}))


def test_the_candidate_that_agrees_is_chosen():
    pytest.importorskip("torch")
    from plainfilm.pipeline import _chosen

    first = Report(findings="No pulmonary edema.")
    second = Report(findings="There is pulmonary edema.")
    texts = (Candidate(first, -0.5), Candidate(second, -0.6, ("w",)))
    for weight, report in ((0.01, first), (1.0, second)):
        draft = Draft(first, (0,), probabilities={EDEMA: 0.9}, candidates=texts, agreement=weight)
        assert _chosen(draft, "en").report == report
    assert _chosen(draft, "en").warnings == ("w",)
    alone = Draft(first, (0,), probabilities={EDEMA: 0.9})
    assert _chosen(alone, "en") is alone
