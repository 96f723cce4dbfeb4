"""Studies in words: missing lines, tables, films among the words."""

import numpy as np
import pytest

from plainfilm.core import Image, InputError, Report, Study, View
from plainfilm.text.prompts import (
    check_template,
    fill,
    film_mark,
    split_films,
    study_fields,
    without,
)


def _film() -> Image:
    return Image(pixels=np.zeros((4, 4), dtype=np.float32), view=View.PA)


def test_a_missing_field_leaves_out_its_line_and_the_heading_above() -> None:
    template = "Describe.\nIndication: {indication}\nClinical values:\n{table}\nBe brief."
    assert fill(template, {"indication": "cough"}) == "Describe.\nIndication: cough\nBe brief."
    assert fill(template, {"table": "T"}) == "Describe.\nClinical values:\nT\nBe brief."


def test_braces_can_be_written() -> None:
    assert fill(r"in \boxed{{}}", {}) == r"in \boxed{}"


@pytest.mark.parametrize("template", ["{age}", "{indication.__class__}", "{0}", "{}"])
def test_an_unknown_field_is_refused_with_the_known_ones(template: str) -> None:
    with pytest.raises(InputError, match=r"unknown field .*indication, technique"):
        check_template(f"first line\n{template}")


def test_a_single_brace_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"write \{\{ and \}\}"):
        check_template("{indication")


def test_the_prior_report_is_read_only_if_asked_for() -> None:
    before = Study(images=(_film(),), report=Report(findings="Clear.", impression="Normal."))
    study = Study(images=(_film(),), indication=" ", prior=before)
    assert study_fields(study) == {}
    assert study_fields(study, prior=True) == {"prior_report": "Clear.\nNormal."}


def test_films_stand_where_the_template_places_them() -> None:
    fields = {"frontal": film_mark(0), "prior_frontal": film_mark(2), "films": film_mark(1, 3)}
    text = fill("Now {frontal}\nbefore {prior_frontal}\n{lateral} is missing\n{films}", fields)
    assert split_films(text) == ["Now ", 0, "\nbefore ", 2, 1, 3]


def test_no_study_can_place_a_film() -> None:
    study = Study(images=(_film(),), indication=f"cough {film_mark(7)}")
    assert not any(isinstance(part, int) for part in split_films(study_fields(study)["indication"]))


def test_control_words_are_removed_even_if_nested() -> None:
    assert without("a <im<image>age> b", ["<image>"]) == "a <im age> b"
    assert "<|x|>" not in without("<|<|x|>x|>", ["<|x|>"])
