import pytest

from plainfilm.core import Finding, Observation
from plainfilm.text.matching import Mark, compare


def edema(**attributes: str) -> Finding:
    return Finding(observation=Observation.EDEMA, **attributes)


def other(detail: str) -> Finding:
    return Finding(observation=Observation.OTHER, detail=detail)


AGREES, CONTRADICTED = Mark("agrees"), Mark("contradicted")
NORMAL = Finding(observation=Observation.NO_FINDING)
ABSENT = edema(status="absent")


@pytest.mark.parametrize(
    ("drafted", "truth", "mark_of_draft", "mark_of_truth"),
    [
        (edema(), edema(), AGREES, AGREES),
        (edema(side="left"), edema(), AGREES, AGREES),
        (
            edema(side="left"),
            edema(side="right"),
            Mark("differs", "right"),
            Mark("differs", "left"),
        ),
        (
            edema(status="uncertain", severity="mild"),
            edema(severity="severe"),
            Mark("differs", "present, severe"),
            Mark("differs", "uncertain, mild"),
        ),
        (ABSENT, ABSENT, AGREES, AGREES),
        (ABSENT, edema(), CONTRADICTED, Mark("omitted")),
        (edema(), ABSENT, Mark("hallucinated"), CONTRADICTED),
        (edema(status="absent", side="left"), edema(side="right"), None, Mark("omitted")),
        (NORMAL, NORMAL, AGREES, AGREES),
        (NORMAL, edema(), CONTRADICTED, Mark("omitted")),
        (edema(), NORMAL, Mark("hallucinated"), CONTRADICTED),
        (other("hiatal hernia"), other("scoliosis"), Mark("hallucinated"), Mark("omitted")),
    ],
)
def test_a_pair(
    drafted: Finding, truth: Finding, mark_of_draft: Mark | None, mark_of_truth: Mark | None
) -> None:
    assert compare([drafted], [truth]) == ((mark_of_draft,), (mark_of_truth,))


def test_what_only_one_report_mentions() -> None:
    assert compare([edema()], []) == ((Mark("hallucinated"),), ())
    assert compare([], [edema()]) == ((), (Mark("omitted"),))
    assert compare([ABSENT, NORMAL], []) == ((None, None), ())


def test_a_statement_is_held_against_the_closest() -> None:
    truth = [edema(side="left", severity="mild"), edema(side="right", severity="severe")]
    assert compare([edema(side="right", severity="mild")], truth[1:])[0] == (
        Mark("differs", "severe"),
    )
    assert compare([edema(side="right", severity="severe")], truth)[0] == (AGREES,)
