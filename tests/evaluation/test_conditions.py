"""What is changed of a study to see whether a model uses it, and what then is written otherwise."""

import numpy as np
import pytest

from plainfilm.core import Evidence, Image, Observation, Report, Study, View
from plainfilm.evaluation.conditions import (
    CONDITIONS,
    Move,
    Mover,
    by_value,
    changed_study,
    changes,
    largest_changes,
)

TABLES = [
    {"bnp_pg_per_ml": 40.0, "spo2_percent": 98.0, "age_years": 60.0, "sex": "F"},
    {"bnp_pg_per_ml": 900.0, "spo2_percent": 88.0, "age_years": 70.0, "sex": "M"},
    {"bnp_pg_per_ml": 500.0, "spo2_percent": None, "age_years": 70.0, "sex": "M"},
]


def study(name="a", table=None, indication=None):
    film = Image(pixels=np.full((4, 4), 0.5, dtype=np.float32), view=View.PA)
    return Study(id=name, images=(film,), table=table or {}, indication=indication)


def test_one_value_crosses_its_range_and_the_rest_stays():
    mover = Mover(TABLES)
    seen = set()
    for number in range(40):
        for table in TABLES:
            changed, move = mover.move(f"s{number}", table)
            assert {name for name in table if changed[name] != table[name]} == {move.column}
            assert (table[move.column], changed[move.column]) == (move.before, move.after)
            seen.add(move)
    assert seen == {
        Move("bnp_pg_per_ml", 40.0, 700.0, "high"), Move("bnp_pg_per_ml", 900.0, 40.0, "normal"),
        Move("bnp_pg_per_ml", 500.0, 40.0, "normal"), Move("spo2_percent", 98.0, 88.0, "low"),
        Move("spo2_percent", 88.0, 98.0, "normal"),
    }  # fmt: skip
    assert mover.move("s", {"bnp_pg_per_ml": None, "sex": "F", "age_years": 3.0}) is None
    assert mover.move("s1", TABLES[0]) == mover.move("s1", TABLES[0])


def test_each_condition_changes_what_it_says():
    mover = Mover(TABLES)
    one, other = study("a", TABLES[0], "cough"), study("b", TABLES[1], "fever")
    found = {name: changed_study(name, one, other, mover) for name in CONDITIONS}
    assert found["no-table"].table == dict.fromkeys(TABLES[0])
    assert found["no-table"].indication == "cough"
    assert found["other-table"].table == other.table
    assert found["other-table"].indication == "cough"
    assert found["other-context"].indication == "fever"
    assert found["other-context"].images == one.images
    assert not found["table-only"].images[0].pixels.any()
    assert found["table-only"].table == one.table
    moved = found["moved-value"]
    assert sum(moved.table[name] != one.table[name] for name in one.table) == 1
    assert found["agreement"] == one


def report(text, chance):
    evidence = Evidence(observation=Observation.EDEMA, probability=chance)
    return Report(findings=text, evidence=(evidence,))


@pytest.fixture
def drafts():
    before = {"a": report("No pulmonary edema.", 0.2), "b": report("Pulmonary edema.", 0.8),
              "c": report("The lungs are clear.", 0.2)}  # fmt: skip
    after = {"a": report("Pulmonary edema.", 0.6), "b": report("Pulmonary edema.", 0.7),
             "c": report("The lungs are clear.", 0.2)}  # fmt: skip
    return before, after


def test_changes_are_told_by_observation(drafts):
    found = changes(*drafts)
    assert found["Edema"] == pytest.approx(
        {"before": 1 / 3, "after": 2 / 3, "added": 1 / 3, "removed": 0, "chance": 0.1}
    )
    assert found["Fracture"]["chance"] is None
    edema, normal = largest_changes(found)
    assert edema == ("Edema", pytest.approx(1 / 3))
    assert normal == ("No Finding", pytest.approx(-1 / 3))


def test_moved_values_are_told_apart(drafts):
    high = Move("bnp_pg_per_ml", 40, 700, "high")
    moves = {"a": high, "b": high, "c": Move("spo2_percent", 90, 98, "normal")}
    rows = by_value(moves, *drafts)
    assert [(row["value"], row["to"], row["studies"]) for row in rows] == [
        ("bnp_pg_per_ml", "high", 2), ("spo2_percent", "normal", 1),
    ]  # fmt: skip
    assert rows[0]["observations"]["Edema"]["added"] == 0.5
    assert not largest_changes(rows[1]["observations"])
