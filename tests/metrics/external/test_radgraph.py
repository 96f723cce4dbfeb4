"""RadGraph F1 on annotations made by hand, and on the published example's."""

import math

import pytest

from plainfilm.core import MetricError
from plainfilm.metrics import score
from plainfilm.metrics.external.radgraph import annotation_f1, entity_relation_f1
from plainfilm.metrics.pairs import Pairs

PRESENT, ABSENT = "Observation::definitely present", "Observation::definitely absent"
PLACE, MEASURE = "Anatomy::definitely present", "Anatomy::measurement::definitely present"
UNCERTAIN = "Observation::uncertain"


def annotation(*entities):
    """Each of ``entities`` is (words, label, (kind, number of an entity from 1)…)."""
    return {
        str(number): {
            "tokens": words,
            "label": label,
            "relations": [[kind, str(other)] for kind, other in relations],
        }
        for number, (words, label, *relations) in enumerate(entities, start=1)
    }


# What Example.ipynb of https://github.com/Stanford-AIMI/radgraph prints for the second pair of its
# example, by radgraph-xl.
TUBE = annotation(
    ("et tube", PRESENT, ("located_at", 2)),
    ("2 cm above", MEASURE, ("modify", 3)),
    ("carina", PLACE),
    ("retraction", PRESENT),
    ("bibasilar", PLACE),
    ("consolidations", PRESENT, ("located_at", 5)),
)
TUBE_AGAIN = annotation(
    ("endotracheal", PRESENT, ("modify", 2)),
    ("tube", PRESENT, ("located_at", 4)),
    ("2 5 cm above", MEASURE, ("modify", 4)),
    ("carina", PLACE),
    ("bibasilar", PLACE),
    ("opacities", PRESENT, ("located_at", 5), ("suggestive_of", 7), ("suggestive_of", 8)),
    ("atelectasis", UNCERTAIN),
    ("aspiration", UNCERTAIN),
)
NORMAL = annotation(
    ("acute", ABSENT), ("cardiopulmonary", PLACE), ("abnormality", ABSENT, ("located_at", 2))
)
LEVELS = ("simple", "partial", "complete")


class StandIn:
    name = "radgraph-0.1.18,radgraph-xl"
    annotations = {"tube": TUBE, "tube again": TUBE_AGAIN, "normal": NORMAL, "nothing": {}}  # noqa: RUF012

    def ask(self, items):
        return [self.annotations[item["text"]] for item in items]


@pytest.mark.parametrize(
    ("level", "expected"), list(zip(LEVELS, (2 / 7, 2 / 7, 1 / 4), strict=True))
)
def test_the_published_example(level, expected):
    name = f"radgraph-f1-{level}"
    found = score(
        ["normal", "tube"],
        ["normal", "tube again"],
        [name],
        models={"radgraph": StandIn()},
        per_report=True,
    )[name]
    assert found.reports == pytest.approx((1, expected))
    assert found.signature.checkpoint == "radgraph-0.1.18,radgraph-xl"


def test_levels_ask_for_more_and_more():
    one = annotation(("effusion", PRESENT, ("located_at", 2)), ("left", PLACE))
    other_kind = annotation(("effusion", PRESENT, ("modify", 2)), ("left", PLACE))
    no_relation = annotation(("effusion", PRESENT), ("left", PLACE))
    absent = annotation(("effusion", ABSENT, ("located_at", 2)), ("left", PLACE))
    table = {
        level: [
            annotation_f1(one, other, level) for other in (one, other_kind, no_relation, absent)
        ]
        for level in LEVELS
    }
    assert table == {
        "simple": [1, 1, 1, 0.5],
        "partial": [1, 1, 0.5, 0.5],
        "complete": [1, 0.5, 0.5, 0.5],
    }


def test_case_counts_outside_relations_only():
    lower = annotation(("effusion", PRESENT, ("located_at", 2)), ("left", PLACE))
    upper = annotation(("Effusion", PRESENT, ("located_at", 2)), ("Left", PLACE))
    assert annotation_f1(lower, upper, "simple") == 0
    assert annotation_f1(lower, upper, "complete") == 0.5


def test_repeated_entities_count_once():
    once = annotation(("effusion", PRESENT), ("edema", PRESENT))
    twice = annotation(("effusion", PRESENT), ("effusion", PRESENT))
    assert annotation_f1(once, twice, "simple") == pytest.approx(2 / 3)


def test_empty_sides():
    models = {"radgraph": StandIn()}
    references, predictions = ["normal", "nothing", "", "normal"], ["", "normal", " ", "nothing"]
    found = score(references, predictions, ["radgraph-f1-partial"], models=models, per_report=True)[
        "radgraph-f1-partial"
    ]
    assert (found.reports[0], found.reports[1], found.reports[3]) == (0, 0, 0)
    assert math.isnan(found.reports[2])
    assert found.undefined == 1


def test_radcliqs_value_is_the_mean_of_entity_and_relation_f1():
    """Entities: 1 of 3 shared, each label's words; relations: both ends with their labels."""
    pairs = Pairs(ids=("1", "2", "3"), references=("normal", "tube", "normal"),
                  predictions=("normal", "tube again", "tube"))  # fmt: skip
    values = entity_relation_f1(pairs, StandIn())
    assert values == pytest.approx([1, (2 / 7 + 0) / 2, 0])


@pytest.mark.parametrize(
    "answer", [None, [1], {"1": {"tokens": "a"}}, annotation(("a", PRESENT, ("modify", 9)))]
)
def test_another_answer_is_refused(answer):
    worker = StandIn()
    worker.annotations = {"a": answer}
    with pytest.raises(MetricError, match="expected entities by number with tokens"):
        score(["a"], ["a"], ["radgraph-f1-simple"], models={"radgraph": worker})
