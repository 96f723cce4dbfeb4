"""Finding-level F1 on findings given as such: what matches at each level."""

import pytest

from plainfilm.core import Change, Finding, Observation, Severity, Side, Status
from plainfilm.metrics.finding import LEVELS, finding_f1
from plainfilm.metrics.pairs import Pairs

EFFUSION = Finding(
    observation=Observation.PLEURAL_EFFUSION,
    side=Side.LEFT,
    location="base",
    severity=Severity.SMALL,
    change=Change.NEW,
)
DENIED = Finding(observation=Observation.PNEUMOTHORAX, status=Status.ABSENT)


def _values(references, predictions):
    pairs = Pairs(*[tuple(str(i) for i in range(len(references)))] * 3)
    pairs.__dict__["findings"] = (references, predictions)
    found = {level: finding_f1(pairs, level=level) for level in LEVELS}
    return {level: one.value(one.totals).item() for level, one in found.items()}, found


@pytest.mark.parametrize(
    ("changed", "first_level_that_differs"),
    [
        ({"status": Status.UNCERTAIN}, "status"),
        ({"observation": Observation.EDEMA}, "status"),
        ({"side": Side.RIGHT}, "side"),
        ({"side": None}, "side"),
        ({"location": "apex"}, "place"),
        ({"severity": Severity.LARGE}, "severity"),
        ({"change": None}, "change"),
        ({"sentence": "A small one.", "spans": ((0, 1),)}, None),
    ],
)
def test_each_attribute_counts_from_its_level_on(changed, first_level_that_differs):
    values, _ = _values([[EFFUSION]], [[EFFUSION.model_copy(update=changed)]])
    chain = [level for level in LEVELS if level != "detail"]
    index = chain.index(first_level_that_differs) if first_level_that_differs else len(chain)
    assert [values[level] for level in chain] == [float(i < index) for i in range(len(chain))]
    assert values["detail"] == values["status"]


def test_the_finer_term_counts_at_its_own_level_alone():
    line = Finding(observation=Observation.SUPPORT_DEVICES, detail="central line")
    values, _ = _values([[line]], [[line.model_copy(update={"detail": "pacemaker"})]])
    assert {level for level, value in values.items() if value == 0} == {"detail"}


def test_bilateral_is_left_and_right():
    both = EFFUSION.model_copy(update={"side": Side.BILATERAL})
    right = EFFUSION.model_copy(update={"side": Side.RIGHT})
    assert _values([[both]], [[EFFUSION, right]])[0]["change"] == 1
    values, _ = _values([[both]], [[EFFUSION]])
    assert values["status"] == 1
    assert values["side"] == pytest.approx(2 / 3)


def test_other_is_known_by_its_detail():
    emphysema = Finding(observation=Observation.OTHER, detail="emphysema")
    hernia = Finding(observation=Observation.OTHER, detail="hiatal hernia")
    assert _values([[emphysema]], [[hernia]])[0]["status"] == 0


def test_counts_are_summed_over_reports_and_parts_tell_statuses_apart():
    _, found = _values([[EFFUSION, DENIED], [DENIED]], [[DENIED], [DENIED, EFFUSION]])
    parts = found["status"].parts(found["status"].totals)
    assert parts["precision"] == pytest.approx(2 / 3)
    assert parts["recall"] == pytest.approx(2 / 3)
    assert parts["f1 of absent"] == 1
    assert parts["f1 of present"] == 0
    assert parts["f1 of uncertain"] != parts["f1 of uncertain"]  # NaN: nobody was uncertain


def test_saying_a_thing_twice_counts_once():
    assert _values([[EFFUSION]], [[EFFUSION, EFFUSION]])[0]["change"] == 1
