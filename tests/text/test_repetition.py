import pytest

from plainfilm.text.languages import foreign
from plainfilm.text.repetition import LOOPING, repetition


@pytest.mark.parametrize(
    "text",
    [
        "Lungs are clear. " * 3,
        "; " * 40,
        "small effusion small effusion small effusion small effusion",
        "The heart is normal. " + "No edema. " * 6,
        "Heart normal. Lungs clear. No acute disease is seen in the chest. " * 4,
        "No effusion. Lungs are clear. " + "No effusion. Heart is normal. " * 6,
    ],
)
def test_loops_loop(text):
    assert repetition(text) >= LOOPING


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No no no.",
        "Heart: Normal. Lungs: Normal. Pleura: Normal. Bones: Normal.",
        "Small left effusion. No pneumothorax. Impression: Small left effusion.",
        "No pneumothorax, no effusion, no edema, no consolidation.",
        "Lines ... tubes ... none",
    ],
)
def test_reports_do_not(text):
    assert repetition(text) < LOOPING


def test_a_long_loop_ends():
    assert repetition("left right " * 50_000) == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Kein Pneumothorax.", "de"),
        ("Absence de pneumothorax.", "fr"),
        ("Sem pneumotórax.", "pt"),
        ("Sin derrame pleural.", "es"),
        ("Versamento a destra.", "it"),
        ("Geen pneumothorax.", "nl"),
    ],
)
def test_another_language_is_noticed(text, language):
    assert foreign(text, "en") == language


@pytest.mark.parametrize("text", ["", "Lungs clear.", "No effusion or pneumothorax.", "T8-T9, L1",
                                  "The heart is normal in size."])  # fmt: skip
def test_english_is_english(text):
    assert foreign(text, "en") is None
    assert foreign("Pulmones claros. Sin derrame.", "es") is None
