"""Reports agree with themselves and are read as they were meant; the checks see what is wrong.

``benchmarks/phantom_reports.py`` does the same over 4,000 reports.
"""

from collections import Counter

import numpy as np
import pytest

from plainfilm.core import Report
from plainfilm.phantom import INSTITUTIONS, simulate
from plainfilm.phantom.reporting.agreement import disagreements, misread
from plainfilm.phantom.reporting.mention import Earlier
from plainfilm.phantom.reporting.tell import tell

STUDIES, PLACES = 12, 11


@pytest.fixture(scope="module")
def reports():
    """Reports of the same studies by many institutions, half of them with an earlier film."""
    names = sorted(INSTITUTIONS)
    made = []
    for index in range(STUDIES):
        phantom = simulate(1311, index, 32, prior=index % 2 == 0)
        for step in range(PLACES):
            place = INSTITUTIONS[names[(index * PLACES + step) % len(names)]]
            rng, earlier = np.random.default_rng([index, step]), None
            if before := phantom.prior:
                then = tell(rng, before.seen, before.study.table, place)
                earlier = Earlier(before.seen, then.statements)
            made.append(tell(rng, phantom.seen, phantom.study.table, place, before=earlier))
    return made


def test_no_report_contradicts_itself(reports):
    assert Counter(kind for one in reports for kind, _ in disagreements(one)) == {}, [
        (problem, one.text) for one in reports for problem in disagreements(one)
    ]


def test_reports_are_read_as_they_were_meant(reports):
    assert [(problem, one.text) for one in reports for problem in misread(one)] == []


@pytest.mark.parametrize(
    ("findings", "impression", "kind"),
    [
        ("Mediastinal shift. The mediastinum is normal.", "Mediastinal shift.",
         "mediastinum normal beside a shift or a widening"),
        ("Large left pneumothorax. No pneumothorax.", "Large left pneumothorax.",
         "denied and stated"),
        ("Endotracheal tube with tip in the right main bronchus.", "Clear lungs.",
         "impression leaves out what is urgent"),
        ("PICC with tip in the right atrium.", "No acute abnormality.",
         "'no acute abnormality' beside one"),
        ("Right lower lobe opacity. No pneumonia.", "Right lower lobe opacity.",
         "opacity beside 'no pneumonia'"),
        ("The lungs are clear. Left upper lobe nodule.", "Left upper lobe nodule.",
         "lungs clear beside a finding in them"),
        ("Right lower lobe pneumonia. The right lower lobe pneumonia has resolved.", "",
         "resolved and stated"),
        ("Small left effusion.", "Small right effusion.",
         "impression says what the findings do not"),
        ("There is a opacity at the right base.", "", "grammar"),
        ("There is no effusions.", "", "grammar"),
        ("No pleural effusion. no pneumothorax.", "", "grammar"),
    ],
)  # fmt: skip
def test_the_checks_see_what_is_wrong(findings, impression, kind):
    report = Report(findings=findings, impression=impression)
    assert kind in {found for found, _ in disagreements(report)}
