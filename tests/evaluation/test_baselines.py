"""What can be answered without a film, and what perfect vision answers."""

import random

import numpy as np
import pytest

from plainfilm.core import OBSERVATIONS, Finding, InputError, Observation
from plainfilm.data import Row
from plainfilm.evaluation.baselines import (
    BOTH,
    INDICATION,
    TABLE,
    VISION,
    VISION_ELSEWHERE,
    blind_answers,
    blind_chances,
    report_labels,
    vision_answers,
)
from plainfilm.phantom import simulate
from plainfilm.text import read

NORMAL, EFFUSION, EDEMA = "The lungs are clear.", "Small left pleural effusion.", "Edema."


def row(number: int, findings: str, indication: str | None, bnp: float | None) -> Row:
    name = f"s{number}"
    return Row(
        study_id=name, patient_id=name, split="train", images=("x.png",), views=("PA",),
        findings=findings, indication=indication, table={"bnp_pg_per_ml": bnp, "sex": "F"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """The indication tells effusions, the table edema; each now and then is wrong or missing."""
    rng = random.Random(3)
    made = []
    for number in range(400):
        said = rng.choice([NORMAL, EFFUSION, EDEMA])
        sure = rng.random() < 0.9
        indication = "known effusion" if (said == EFFUSION) == sure else rng.choice(["cough", None])
        bnp = rng.lognormvariate(6 if (said == EDEMA) == sure else 3, 0.8)
        made.append(row(number, said, indication, None if rng.random() < 0.1 else bnp))
    return made


def test_each_blind_row_uses_what_it_may_read_and_copies_training_reports(rows):
    training, tests = rows[:300], rows[300:]
    answers = blind_answers(training, tests, "findings")
    assert set(answers) == {INDICATION, TABLE}
    for name, told, untold in ((INDICATION, EFFUSION, EDEMA), (TABLE, EDEMA, EFFUSION)):
        texts = answers[name]
        assert set(texts) == {one.study_id for one in tests}
        assert set(texts.values()) <= {NORMAL, EFFUSION, EDEMA}
        hits = {
            text: np.mean([texts[one.study_id] == text for one in tests if one.findings == text])
            for text in (told, untold)
        }
        assert hits[told] > 0.5
        assert hits[told] > hits[untold]


def test_both_knows_what_either_knows(rows):
    training, tests = rows[:300], rows[300:]
    texts = blind_answers(training, tests, "findings", names=(BOTH,))[BOTH]
    for told in (EFFUSION, EDEMA):
        hits = [texts[one.study_id] == told for one in tests if one.findings == told]
        assert np.mean(hits) > 0.5


def test_chances_rank_what_the_row_can_know(rows):
    training, tests = rows[:300], rows[300:]
    truth = report_labels([one.findings for one in tests])
    chances = blind_chances(training, tests, "findings")
    for name, known in ((INDICATION, Observation.PLEURAL_EFFUSION), (TABLE, Observation.EDEMA)):
        column = OBSERVATIONS.index(known)
        there, absent = (
            chances[name][truth[:, column] == is_it, column] for is_it in (True, False)
        )
        assert (there[:, None] > absent[None]).mean() > 0.8
        assert chances[name].shape == (len(tests), len(OBSERVATIONS))
        assert ((chances[name] >= 0) & (chances[name] <= 1)).all()


def test_without_indications_or_tables_the_commonest_report_is_left():
    rows = [row(i, EFFUSION if i % 3 else EDEMA, None, None) for i in range(60)]
    answers = blind_answers(rows[:40], rows[40:], "findings")
    for texts in answers.values():
        assert set(texts.values()) == {EFFUSION}


def simulated(index: int, **asked) -> Row:
    phantom = simulate(12, index, 32, **asked)
    report = phantom.study.report
    return Row(
        study_id=phantom.study.id, patient_id=phantom.study.id, split="test", images=("x.png",),
        views=(str(phantom.study.images[0].view),), findings=report.findings,
        impression=report.impression, statements=phantom.findings, truth=phantom.truth,
        measures=phantom.measures, institution=phantom.institution, table=phantom.study.table,
    )  # fmt: skip


def test_perfect_vision_tells_the_truth_in_either_style():
    rows = [simulated(index) for index in range(12)]
    answers = vision_answers(rows, {}, "findings+impression")
    assert vision_answers(rows, {}, "findings+impression") == answers
    assert set(answers) == {VISION, VISION_ELSEWHERE}
    differ = 0
    for one in rows:
        drawn = {(f.observation, f.side) for f in one.truth}
        for texts in answers.values():
            text = texts[one.study_id]
            said = [f for f in read(text) if f.status == "present"]
            told = {(f.observation, f.side) for f in said} - {(Observation.PNEUMONIA, None)}
            lungs = {o for o, _ in drawn} & {"Lung Opacity", "Consolidation", "Edema"}
            assert {o for o, _ in told} <= {o for o, _ in drawn} | (
                {"Pneumonia"} if lungs else set()
            )
        differ += answers[VISION][one.study_id] != answers[VISION_ELSEWHERE][one.study_id]
    assert differ > 8


def test_perfect_vision_needs_the_truth(rows):
    with pytest.raises(InputError, match="s0 is no simulated study: its truth is not known"):
        vision_answers(rows[:1], {}, "findings")


def test_labels_count_what_is_possible():
    told = report_labels(["Possible pneumonia. No effusion.", "Clear lungs."])
    assert told[0, OBSERVATIONS.index(Observation.PNEUMONIA)]
    assert told[0].sum() == 1
    assert Finding(observation=OBSERVATIONS[int(told[1].argmax())]).observation == "No Finding"
