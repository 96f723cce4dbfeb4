"""The words: immutable, validated, JSON in and out."""

import math
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from plainfilm.core import (
    FIVE_OBSERVATIONS,
    OBSERVATIONS,
    Evidence,
    Finding,
    Image,
    InputError,
    Observation,
    Report,
    Score,
    Severity,
    Side,
    Signature,
    Status,
    Study,
    UncertaintyPolicy,
    View,
    binarize,
)


def film(**changes: object) -> Image:
    pixels = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    return Image.model_validate({"pixels": pixels, "view": View.PA, **changes})


def study() -> Study:
    finding = Finding(
        observation=Observation.PLEURAL_EFFUSION,
        side=Side.LEFT,
        severity=Severity.SMALL,
        sentence="Small left effusion.",
        spans=((0, 19),),
        evidence=(Evidence(observation=Observation.PLEURAL_EFFUSION, probability=0.9),),
    )
    report = Report(findings="Small left effusion.", statements=(finding,))
    prior = Study(id="before", images=(film(),))
    table = {"age_years": 61.0, "sex": "F", "crp_mg_per_l": None}
    return Study(id="now", images=(film(),), table=table, prior=prior, report=report)


def test_fourteen_observations_in_chexpert_order() -> None:
    assert len(OBSERVATIONS) == 14
    assert OBSERVATIONS[0] == "Enlarged Cardiomediastinum"
    assert OBSERVATIONS[-1] == "No Finding"
    assert Observation.OTHER not in OBSERVATIONS
    assert set(FIVE_OBSERVATIONS) < set(OBSERVATIONS)


@pytest.mark.parametrize("word", [film(), study(), study().report, Observation.EDEMA])
def test_hashable(word: object) -> None:
    if not isinstance(word, Study):  # its table is a dictionary
        assert hash(word) == hash(word)


def test_json_round_trip() -> None:
    before = study()
    after = Study.from_json(before.to_json())
    assert after == before
    assert after.images[0].pixels.dtype == np.float32


def test_words_are_immutable() -> None:
    image = film()
    with pytest.raises(ValidationError):
        image.view = View.AP  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 0.5


def test_an_image_owns_its_pixels() -> None:
    pixels = np.zeros((2, 2), dtype=np.float32)
    image = film(pixels=pixels)
    pixels[0, 0] = 1
    assert image.pixels[0, 0] == 0


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 2, 3)), "shape"),
        (np.full((2, 2), 2.0), "must lie in"),
        (np.full((2, 2), np.nan), "finite"),
        ([[0.0]], "numpy array"),
    ],
)
def test_wrong_pixels_are_refused(pixels: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        film(pixels=pixels)


def test_a_wrong_word_is_one_line_with_every_problem() -> None:
    with pytest.raises(InputError) as caught:
        Finding.from_dict({"observation": "Cough", "side": "up", "sides": "left"})
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("observation", "Cough", "side:", "sides:"))


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match="not a Report"):
        Report.from_json("{")


def test_a_span_runs_forward() -> None:
    with pytest.raises(ValidationError, match="end after it starts"):
        Finding(observation=Observation.EDEMA, spans=((4, 4),))


def test_report_text_joins_the_sections() -> None:
    assert Report(findings="A.", impression="B.").text == "A.\nB."
    assert Report(impression="B.").text == "B."


def test_the_frontal_film_is_found() -> None:
    lateral, frontal, unknown = film(view=View.LATERAL), film(view=View.AP), film(view=View.UNKNOWN)
    assert Study(images=(lateral, unknown, frontal)).frontal == 2
    assert Study(images=(lateral, unknown)).frontal == 1
    assert Study(images=(lateral,)).frontal is None


def test_binarize_follows_the_policy() -> None:
    labels = {Observation.EDEMA: Status.UNCERTAIN, Observation.FRACTURE: Status.PRESENT}
    asked = (Observation.EDEMA, Observation.FRACTURE, Observation.PNEUMONIA)
    assert binarize(labels, UncertaintyPolicy.POSITIVE, asked) == (True, True, False)
    assert binarize(labels, UncertaintyPolicy.NEGATIVE, asked) == (False, True, False)


def test_an_undefined_score_survives_json() -> None:
    signature = Signature(metric="macro-f1-14", version="1", count=2)
    score = Score.from_json(Score(value=math.nan, undefined=3, signature=signature).to_json())
    assert math.isnan(score.value)
    assert score.undefined == 3


def test_signatures_name_their_differences() -> None:
    ours = Signature(metric="bleu-4", version="1", tokenizer="ptb", count=10)
    theirs = ours.model_copy(update={"tokenizer": "13a", "count": 9})
    assert ours.differences(theirs) == ("tokenizer: ptb ≠ 13a", "count: 10 ≠ 9")
    assert ours.differences(ours) == ()
    assert str(ours).startswith("bleu-4|version:1|tokenizer:ptb")


def test_importing_the_package_is_light() -> None:
    heavy = ("torch", "numpy", "pydantic")
    code = f"import sys, plainfilm; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_unknown_name_is_an_attribute_error() -> None:
    import plainfilm

    with pytest.raises(AttributeError, match="no attribute 'raed'"):
        plainfilm.raed  # noqa: B018
    assert "read" in dir(plainfilm)


def test_an_undefined_score_counts_what_is_undefined():
    signature = Signature(metric="micro-f1-14", version="1", count=1)
    with pytest.raises(ValidationError, match="must count at least 1 undefined, got 0"):
        Score(value=math.nan, signature=signature)
    assert Score(value=math.nan, undefined=1, signature=signature).undefined == 1
