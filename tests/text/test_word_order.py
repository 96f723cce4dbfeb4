import random

import pytest

from plainfilm.text.word_order import disordered

REPORT = (
    "The heart is normal in size. The lungs are clear of focal airspace disease. There is no "
    "pleural effusion or pneumothorax. The mediastinal contours are within normal limits. No acute "
    "abnormality of the osseous structures is seen."
)
SPANISH = (
    "El tamaño del corazón es normal. No se observa derrame pleural ni neumotórax en los campos "
    "pulmonares. Las estructuras óseas de la caja torácica están conservadas, sin fracturas."
)


@pytest.mark.parametrize(("text", "language"), [(REPORT, "en"), (SPANISH, "es")])
def test_words_in_another_order(text, language):
    assert not disordered(text, language)
    assert not disordered(text.lower().replace(".", " ."), language)
    words = text.split()
    found = sum(
        disordered(" ".join(random.Random(seed).sample(words, len(words))), language)
        for seed in range(100)
    )
    assert found >= 70


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Heart: Normal. Lungs: Clear. Pleura: No effusion.",
        "NO ACUTE DISEASE",
        "There is a no pneumothorax.",
        "No pleural effusion. There is no",
        "Atelectasis and/or scarring in the the left base. Stable.",
        "heart size normal lungs clear no pleural effusion no pneumothorax",
        "1. No change. 2. Of note, the tube is in the stomach.",
    ],
)
def test_slips_and_fragments_are_not_disorder(text):
    assert not disordered(text)
