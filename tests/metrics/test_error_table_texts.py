"""The error table on texts: what a radiologist would call an error is one."""

import pytest

from plainfilm.metrics import align
from plainfilm.metrics.error_table import ACCURATE, ErrorKind, error_table

UNREADABLE, CONTRADICTION = ErrorKind.UNREADABLE, ErrorKind.CONTRADICTION
PLACE, SEVERITY, CERTAINTY = (
    ErrorKind.WRONG_PLACE, ErrorKind.WRONG_SEVERITY, ErrorKind.WRONG_CERTAINTY,
)  # fmt: skip
MAJOR, MINOR = ErrorKind.HALLUCINATED_MAJOR, ErrorKind.HALLUCINATED_MINOR
CRITICAL, SLIGHT = ErrorKind.OMITTED_CRITICAL, ErrorKind.OMITTED_MINOR


def kinds(reference, prediction, language="en"):
    pairs = align([reference], [prediction], language=language)
    return [error.kind for error in error_table(pairs).errors["1"]]


@pytest.mark.parametrize(
    "reference",
    ["Lungs are clear.", "Small left pleural effusion. No pneumothorax.", "Normal chest.", "",
     "Surgical changes."],
)  # fmt: skip
@pytest.mark.parametrize(
    "prediction",
    ["", " \n ", "...", "the the of xxxx", "lorem ipsum dolor sit amet", "Pulmones claros.",
     "Les poumons sont clairs.", "Die Lunge ist frei. Kein Pneumothorax.",
     "Sem derrame pleural. Pulmões limpos.", "Lungs are clear. " * 12, "; " * 40,
     "no effusion no effusion no effusion no effusion", "Follow up in six weeks.",
     "of the is no pleural in no pneumothorax the effusion. are clear lungs The or"],
)  # fmt: skip
def test_what_cannot_be_read_is_never_accurate(reference, prediction):
    assert UNREADABLE in kinds(reference, prediction)


@pytest.mark.parametrize(
    ("reference", "prediction"),
    [
        ("Normal chest.", "Normal chest."),
        ("No acute cardiopulmonary abnormality.", "The lungs are clear. Heart size is normal."),
        ("The lungs are clear.", "No acute cardiopulmonary process."),
        ("Small bilateral pleural effusions.", "Small left and small right pleural effusion."),
        ("Left basilar atelectasis.", "Atelectasis in the left lower lobe."),
        ("Right PICC with tip in the SVC.", "Right central venous catheter with tip in the SVC."),
        ("Small left pleural effusion.", "Pleural effusion."),
        ("Right PICC. Left chest tube.", "Support lines and tubes are in place."),
        ("Lungs are clear.", "No new pleural effusion."),
        ("Heart size is normal. Lungs are clear.", "Heart size is normal. Lungs are clear."),
        ("6 mm nodule in the right lung.", "7 mm nodule in the right lung."),
        ("Endotracheal tube tip 4 cm above the carina.",
         "Endotracheal tube tip 3 cm above the carina."),
        ("Endotracheal tube tip is above the carina by 45 mm.",
         "Endotracheal tube in satisfactory position."),
        ("Findings: Small left effusion. Impression: Small effusion.", "Small left effusion."),
        ("Unremarkable postoperative film.", "Unremarkable postoperative film."),
    ],
)  # fmt: skip
def test_what_says_the_same_is_accurate(reference, prediction):
    assert kinds(reference, prediction) == []


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        # one side of two, one place of two
        ("Small bilateral pleural effusions.", "Small left pleural effusion.", [PLACE]),
        ("Small right pleural effusion.", "Small bilateral pleural effusions.", [PLACE]),
        ("Bibasilar atelectasis.", "Right basilar atelectasis.", [PLACE]),
        ("Right apical pneumothorax.", "Left apical pneumothorax.", [PLACE]),
        ("Left upper lobe consolidation.", "Left lower lobe consolidation.", [PLACE]),
        ("Right lower lobe opacity. Left upper lobe opacity.", "Right lower lobe opacity.",
         [SLIGHT]),
        ("Right lower lobe consolidation and left upper lobe consolidation.",
         "Consolidation in the right lower lobe.", [CRITICAL]),
        ("Left upper lobe nodule.", "Left upper lobe nodule. Right lower lobe nodule.", [MAJOR]),
        # devices
        ("Endotracheal tube in the right mainstem bronchus.",
         "Endotracheal tube in satisfactory position.", [CRITICAL]),
        ("Endotracheal tube in good position.", "Endotracheal tube in the right main bronchus.",
         [MAJOR]),
        ("Nasogastric tube tip in the stomach.", "Nasogastric tube is coiled in the esophagus.",
         [MAJOR, PLACE]),
        ("Left PICC tip in the SVC.", "Left PICC tip in the right atrium.", [PLACE]),
        ("Right pacemaker and left chest tube.", "Right port.", [MINOR, SLIGHT, SLIGHT]),
        ("Left chest tube.", "Tracheostomy tube.", [MINOR, SLIGHT]),
        ("Right PICC and right port.", "Right central line.", [SLIGHT]),
        ("Enteric tube in the right main bronchus.", "Lungs are clear.", [CRITICAL]),
        ("Right mainstem intubation.", "Lungs are clear.", [CRITICAL]),
        ("Endotracheal tube tip 4 cm above the carina.", "Lungs are clear.", [SLIGHT]),
        ("Endotracheal tube tip 4 cm above the carina.", "Endotracheal tube tip at the carina.",
         [MAJOR]),
        ("Endotracheal tube tip 5.2 cm above the level of the carina.",
         "Endotracheal tube tip 4 mm above the level of the carina.", [MAJOR]),
        ("Endotracheal tube is low lying.", "Endotracheal tube in good position.", [CRITICAL]),
        ("Left PICC crosses the midline.", "Left PICC in good position.", [CRITICAL]),
        # what lies outside the fourteen
        ("Air beneath the right hemidiaphragm.", "Lungs are clear.", [CRITICAL]),
        ("Free air under the right hemidiaphragm.", "No free air.", [CRITICAL]),
        ("Free air under the diaphragm.", "Lungs are clear.", [CRITICAL]),
        ("Aneurysm of the thoracic aorta.", "Lungs are clear.", [CRITICAL]),
        ("Lungs are clear.", "Pneumomediastinum.", [MAJOR]),
        ("Hiatal hernia.", "Lungs are clear.", [SLIGHT]),
        # what is old or slight
        ("Calcified granuloma in the left apex.", "Lungs are clear.", [SLIGHT]),
        ("Healed left rib fractures.", "Lungs are clear.", [SLIGHT]),
        ("Acute left rib fracture.", "Lungs are clear.", [CRITICAL]),
        ("Mass in the right upper lobe.", "Calcified granuloma in the right upper lobe.",
         [MINOR, CRITICAL]),
        # certainty
        ("Right lower lobe pneumonia.", "Possible right lower lobe pneumonia.", [CERTAINTY]),
        ("Possible small left effusion.", "Small left effusion.", [CERTAINTY]),
        ("Lungs are clear.", "Possible pneumonia.", [MINOR]),
        ("Possible pneumonia.", "Lungs are clear.", [SLIGHT]),
        # size
        ("5 mm nodule in the left upper lobe.", "5 cm nodule in the left upper lobe.", [SEVERITY]),
        ("3 cm mass in the right hilum.", "3 mm mass in the right hilum.", [SEVERITY]),
        ("A 2.5 x 1.5 cm nodule in the lingula.", "A 9 mm nodule in the lingula.", [SEVERITY]),
        ("1 cm right apical pneumothorax.", "10 cm right apical pneumothorax.", [SEVERITY]),
        ("Large right effusion and small left effusion.",
         "Small right effusion and large left effusion.", [SEVERITY, SEVERITY]),
        # contradictions
        ("Cardiomegaly.", "Cardiomegaly. The heart is normal in size.", [CONTRADICTION]),
        ("Cardiomegaly.", "The heart is not enlarged. Moderate cardiomegaly.", [CONTRADICTION]),
        ("Left pneumothorax.", "Left pneumothorax. No pneumothorax is seen.", [CONTRADICTION]),
        ("Right lower lobe consolidation.", "The lungs are clear. Right lower lobe consolidation.",
         [CONTRADICTION]),
        ("Large left pneumothorax.", "Large left pneumothorax. Normal chest radiograph.",
         [CONTRADICTION]),
        ("Left pneumothorax.", "There is a left pneumothorax, and there is no pneumothorax.",
         [CONTRADICTION]),
        ("Left effusion.", "Left pleural effusion. Both costophrenic angles are sharp.",
         [CONTRADICTION]),
        ("Small left effusion.", "Small left pleural effusion. The left effusion is large.",
         [CONTRADICTION]),
    ],
)  # fmt: skip
def test_errors(reference, prediction, expected):
    assert sorted(kinds(reference, prediction)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        "No large pleural effusion. Small left pleural effusion.",
        "No focal consolidation. Patchy right basilar opacity.",
        "Right basilar opacity. The lungs are otherwise clear.",
        "The left lung is clear. Right lower lobe consolidation.",
        "No left pneumothorax. Small right pneumothorax.",
        "No nodules. Calcified granuloma in the left lung.",
        "The right effusion has resolved. Small left effusion.",
        "Small left pleural effusion. The costophrenic angles are sharp.",
        "Left pleural effusion. The right costophrenic angle is sharp.",
        "There was no pneumothorax then; there is now a left pneumothorax.",
        "There is a left pneumothorax, and there is no right pneumothorax.",
        "Stable 5 mm nodule. No acute cardiopulmonary abnormality.",
    ],
)
def test_what_only_looks_like_a_contradiction(text):
    assert kinds(text, text) == []


def test_a_critical_finding_is_critical_whatever_else_is_right():
    reference = "Heart size is normal. Lungs are clear. Free air under the diaphragm."
    assert kinds(reference, "Heart size is normal. Lungs are clear.") == [CRITICAL]


def test_spanish_is_read_by_its_own_rules():
    assert kinds("Pulmones claros.", "Pulmones claros.", "es") == []
    assert UNREADABLE in kinds("Pulmones claros.", "The lungs are clear.", "es")


def test_empty_reports_have_no_accurate_share():
    references = ["Lungs are clear.", "No acute disease.", "Small effusion."] * 10
    table = error_table(align(references, [""] * 30))
    assert table.shares()[ACCURATE] == 0
    assert table.shares()[UNREADABLE] == 1
