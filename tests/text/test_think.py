"""A report as what is thought, with the observations as the answer."""

from plainfilm.core import Observation
from plainfilm.text.think import positive, split_thought, thought

TEXT = "Small left pleural effusion. Possible pneumonia. No pneumothorax."


def test_there_and_back() -> None:
    whole = thought(TEXT)
    assert whole.startswith(f"<think>{TEXT}</think><answer>")
    assert split_thought(f" {whole}\n") == (TEXT, positive(TEXT))
    assert positive(TEXT) >= {Observation.PLEURAL_EFFUSION, Observation.PNEUMONIA}
    assert Observation.PNEUMOTHORAX not in positive(TEXT)


def test_another_form_is_no_answer() -> None:
    assert split_thought("<think>Clear lungs.</think><answer>Edema") == (
        "Clear lungs.  Edema",
        None,
    )
    assert split_thought("Clear lungs.") == ("Clear lungs.", None)
    assert split_thought("<think>Clear.</think><answer>Gout</answer>") == ("Clear.", None)
    assert split_thought("<think>A.</think><answer></answer>") == ("A.", frozenset())
