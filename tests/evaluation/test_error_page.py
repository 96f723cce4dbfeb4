"""The page of errors: every cell leads to its reports, nothing is loaded, everything is escaped."""

import re

import pytest

from plainfilm.core import InputError
from plainfilm.evaluation.error_page import Film, error_page
from plainfilm.metrics import align
from plainfilm.metrics.error_table import ROWS, error_table

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def page() -> str:
    truth = {"a": "Small left pleural effusion.", HOSTILE: "Clear lungs. " + HOSTILE, "c": ""}
    systems = {
        "model " + HOSTILE: {"a": "Small right pleural effusion.", HOSTILE: HOSTILE, "c": ""},
        "other": dict.fromkeys(truth, "Large pneumothorax."),
    }
    pairs = {name: align(truth, said) for name, said in systems.items()}
    errors = {name: error_table(one) for name, one in pairs.items()}
    return error_page(pairs, errors, {name: e.scores(pairs[name]) for name, e in errors.items()})


def test_every_cell_leads_to_its_reports(page: str) -> None:
    links = re.findall(r'href="#(cell-\d+-\d+)"[^>]*>(\d+)</a>', page)
    articles = re.findall(r'data-cells="([^"]*)"', page)
    assert len(articles) == 6
    assert links
    for cell, count in links:
        assert sum(cell in article.split() for article in articles) == int(count)
        assert f'id="{cell}"' in page
    wrong_side = f"cell-0-{ROWS.index('wrong side or place')}"
    assert (wrong_side, "1") in links


def test_both_texts_stand_side_by_side_with_their_marks(page: str) -> None:
    assert "Small left pleural effusion" in page
    assert re.search(r'<span class="sentence differs">Small right pleural effusion\.</span>', page)
    assert "The report is empty." in page
    assert "Pleural Effusion: small right for small left" in page


def test_nothing_is_loaded_and_everything_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_a_page_needs_a_system() -> None:
    with pytest.raises(InputError, match="at least one system"):
        error_page({}, {}, {})


def test_a_sentence_knows_what_the_other_report_says_of_it() -> None:
    truth = {"a": "No pneumothorax. Small left pleural effusion."}
    said = {"a": "Heart is normal. Small right pleural effusion. No pneumothorax."}
    pairs = {"model": align(truth, said)}
    errors = {"model": error_table(pairs["model"])}
    shares = {"model": errors["model"].scores(pairs["model"])}
    made = error_page(pairs, errors, shares, films={"a": Film("data:image/png;base64,AA", True)})
    found = re.findall(r'data-own="([^"]*)" data-others="([^"]*)"><span[^>]*>([^<]*)<', made)
    links = {text: (own, others) for own, others, text in found}
    assert links["Small left pleural effusion."] == ("r1", "p1")
    assert links["Small right pleural effusion."] == ("p1", "r1")
    assert links["No pneumothorax."] == ("p2", "r0")
    assert links["Heart is normal."] == ("p0", "")
    assert "data:image/png" in made
    assert "Simulated film" in made


def test_page_and_table_tell_the_same_errors() -> None:
    """Every report with an error of findings has a statement that is marked, and none without."""
    truth = {
        "bilateral": "Small bilateral pleural effusions.",
        "place": "Right lower lobe opacity. Left upper lobe opacity.",
        "grade": "Large left pleural effusion.",
        "size": "5 mm nodule in the left lung.",
        "change": "Edema has improved.",
        "device": "Left chest tube.",
        "hedge": "Pneumonia.",
        "less": "Small left pleural effusion.",
        "same": "Cardiomegaly. No effusion.",
    }
    said = {
        "bilateral": "Small left pleural effusion.",
        "place": "Right lower lobe opacity.",
        "grade": "Small left pleural effusion.",
        "size": "5 cm nodule in the left lung.",
        "change": "Edema has worsened.",
        "device": "Right port.",
        "hedge": "Possible pneumonia.",
        "less": "Pleural effusion.",
        "same": "The heart is enlarged. No effusion.",
    }
    pairs = align(truth, said)
    table = error_table(pairs)
    for key, matching in zip(pairs.ids, pairs.matchings, strict=True):
        marks = [mark for side in matching.marks() for mark in side if mark is not None]
        marked = any(mark.word != "agrees" for mark in marks)
        assert marked == bool(table.errors[key]), key
