"""The error table on findings given as such: one error, one row."""

import pytest

from plainfilm.core import Change, Finding, Observation, Severity, Side, Status
from plainfilm.metrics.error_table import ACCURATE, ErrorKind, error_table
from plainfilm.metrics.pairs import Pairs
from plainfilm.metrics.scoring import align


def _finding(observation, **attributes):
    return Finding(observation=observation, **attributes)


EFFUSION = _finding(
    Observation.PLEURAL_EFFUSION, side=Side.LEFT, location="base", severity=Severity.MODERATE
)
ATELECTASIS = _finding(Observation.ATELECTASIS)
NO_EFFUSION = _finding(Observation.PLEURAL_EFFUSION, status=Status.ABSENT)


def _table(*pairs):
    ids = tuple(f"r{i}" for i in range(1, len(pairs) + 1))
    made = Pairs(ids, ids, ids)
    made.__dict__["findings"] = tuple(map(list, zip(*pairs, strict=True)))
    return error_table(made)


def _kinds(reference, prediction):
    return [error.kind for error in _table((reference, prediction)).errors["r1"]]


def _but(finding, **attributes):
    return [finding.model_copy(update=attributes)]


@pytest.mark.parametrize(
    ("reference", "prediction", "kinds"),
    [
        ([EFFUSION], [EFFUSION], []),
        ([NO_EFFUSION], [], []),
        ([EFFUSION], _but(EFFUSION, status=Status.UNCERTAIN), [ErrorKind.WRONG_CERTAINTY]),
        ([], [EFFUSION], [ErrorKind.HALLUCINATED_MAJOR]),
        ([], _but(EFFUSION, severity=Severity.TRACE), [ErrorKind.HALLUCINATED_MINOR]),
        ([], [ATELECTASIS], [ErrorKind.HALLUCINATED_MINOR]),
        (
            [],
            [_finding(Observation.PNEUMOTHORAX, severity=Severity.TRACE)],
            [ErrorKind.HALLUCINATED_MAJOR],
        ),
        ([EFFUSION], [NO_EFFUSION], [ErrorKind.OMITTED_CRITICAL]),
        ([ATELECTASIS], [], [ErrorKind.OMITTED_MINOR]),
        ([EFFUSION], _but(EFFUSION, side=Side.RIGHT), [ErrorKind.WRONG_PLACE]),
        ([EFFUSION], _but(EFFUSION, side=Side.BILATERAL), [ErrorKind.WRONG_PLACE]),
        (_but(EFFUSION, side=Side.BILATERAL), [EFFUSION], [ErrorKind.WRONG_PLACE]),
        ([EFFUSION], _but(EFFUSION, side=None, location=None, severity=None), []),
        ([EFFUSION], _but(EFFUSION, location="apex"), [ErrorKind.WRONG_PLACE]),
        ([EFFUSION], _but(EFFUSION, severity=Severity.LARGE), [ErrorKind.WRONG_SEVERITY]),
        (
            _but(EFFUSION, severity=Severity.SMALL),
            _but(EFFUSION, severity=Severity.MILD),
            [],
        ),
        ([EFFUSION], _but(EFFUSION, change=Change.NEW), [ErrorKind.WRONG_COMPARISON]),
        (
            _but(EFFUSION, change=Change.WORSE),
            _but(EFFUSION, change=Change.IMPROVED),
            [ErrorKind.WRONG_COMPARISON],
        ),
        ([NO_EFFUSION], _but(NO_EFFUSION, change=Change.RESOLVED), [ErrorKind.WRONG_COMPARISON]),
        ([EFFUSION], [EFFUSION, NO_EFFUSION], [ErrorKind.CONTRADICTION]),
        ([EFFUSION], [EFFUSION, *_but(NO_EFFUSION, side=Side.RIGHT)], []),
        (
            [_finding(Observation.OTHER, detail="emphysema")],
            [_finding(Observation.OTHER, detail="hiatal hernia")],
            [ErrorKind.HALLUCINATED_MINOR, ErrorKind.OMITTED_MINOR],
        ),
        ([], [_finding(Observation.NO_FINDING)], []),
    ],
)
def test_one_error_one_row(reference, prediction, kinds):
    assert _kinds(reference, prediction) == kinds


def test_an_error_says_what_was_said_for_what():
    table = _table(([EFFUSION], _but(EFFUSION, side=Side.RIGHT, location=None)))
    assert table.errors["r1"][0].what == ("Pleural Effusion: moderate right for moderate left base")


def test_shares_have_intervals_and_a_signature():
    pairs = align(["Small left pleural effusion.", "Clear lungs."] * 20, ["Clear lungs."] * 40)
    table = error_table(pairs)
    share = table.scores(pairs, split="test")[ACCURATE]
    assert share.value == 0.5
    assert 0.3 < share.interval[0] < 0.5 < share.interval[1] < 0.7
    assert str(share.signature).startswith("share of reports: fully accurate|version:plainfilm-")
    assert (share.signature.split, share.signature.count) == ("test", 40)


def test_shares_count_reports_and_name_them():
    table = _table(
        ([EFFUSION], [EFFUSION]),
        ([], [EFFUSION, ATELECTASIS]),
        ([EFFUSION], []),
        ([], [EFFUSION, NO_EFFUSION]),
    )
    shares = table.shares()
    assert shares[ACCURATE] == 0.25
    assert shares[ErrorKind.HALLUCINATED_MAJOR] == 0.5
    assert table.reports(ErrorKind.HALLUCINATED_MAJOR) == ["r2", "r4"]
    assert table.reports(ACCURATE) == ["r1"]
    assert set(shares) == {ACCURATE, *ErrorKind}
