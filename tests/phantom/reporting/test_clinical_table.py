"""The clinical table tells what values tell in life, and agrees with itself over time."""

from dataclasses import replace

import numpy as np
import pytest

from plainfilm.phantom.disease.prevalence import chances_of
from plainfilm.phantom.film.case import draw_case
from plainfilm.phantom.reporting.background import draw_constitution, find_background
from plainfilm.phantom.reporting.table import LABORATORY, VALUES, VITALS, draw_table


@pytest.fixture(scope="module")
def tables():
    """Return (conditions, whether at the bedside, table, table of another day) of patients."""
    chances = chances_of()
    found = []
    for index in range(1500):
        who, how, own, *days = map(
            np.random.default_rng, np.random.SeedSequence([6, index]).spawn(5)
        )
        case = draw_case(who, how, chances)
        constitution = draw_constitution(own, tuple(VALUES))
        known = find_background(case, constitution)
        both = [draw_table(d, case.patient, known, constitution, "dyspnea", 4.0) for d in days]
        found.append((known.conditions, known.signs["bedside"], *both))
    return found


def split(tables, value, condition):
    """Return a value in patients with and without a condition."""
    cells = [(condition in known, table[value]) for known, _, table, _ in tables]
    return tuple(
        np.array([cell for has, cell in cells if has == there and cell is not None])
        for there in (True, False)
    )


@pytest.mark.parametrize(
    ("value", "condition", "limit", "sensitivity", "specificity"),
    [
        ("bnp_pg_per_ml", "heart failure", 100, 0.90, 0.76),  # Maisel et al., 2002
        ("crp_mg_per_l", "lung infection", 20, 0.80, 0.62),  # Ebell et al., 2020: from its
        ("crp_mg_per_l", "lung infection", 100, 0.58, 0.90),  # likelihood ratios
        ("white_cells_10e9_per_l", "lung infection", 10.5, 0.55, 0.83),
        ("troponin_ng_per_l", "coronary syndrome", 14, 0.95, 0.80),  # Reichlin et al., 2009
    ],
)
def test_values_are_as_sensitive_and_specific_as_published(
    tables, value, condition, limit, sensitivity, specificity
):
    ill, well = split(tables, value, condition)
    assert (ill > limit).mean() == pytest.approx(sensitivity, abs=0.1)
    assert (well <= limit).mean() == pytest.approx(specificity, abs=0.13)


@pytest.mark.parametrize(
    ("value", "condition", "confounder"),
    [
        ("bnp_pg_per_ml", "heart failure", "renal failure"),
        ("crp_mg_per_l", "lung infection", "other infection"),
        ("white_cells_10e9_per_l", "lung infection", "other infection"),
        ("d_dimer_ng_per_ml", "embolism", "cancer"),
        ("troponin_ng_per_l", "coronary syndrome", "renal failure"),
    ],
)
def test_values_rise_without_the_disease_too(tables, value, condition, confounder):
    free = [one for one in tables if condition not in one[0]]
    with_it, without = split(free, value, confounder)
    assert np.median(with_it) > 1.3 * np.median(without)


def test_values_of_one_patient_go_together_over_days(tables):
    for value in ("creatinine_mg_per_dl", "hemoglobin_g_per_dl", "bnp_pg_per_ml", "crp_mg_per_l"):
        pairs = np.array([
            (one[value], other[value])
            for _, _, one, other in tables
            if one[value] is not None and other[value] is not None
        ])  # fmt: skip
        assert 0.5 < np.corrcoef(np.log(pairs.T))[0, 1] < 0.98, value


def test_the_sick_have_more_values_and_none_is_made_up():
    chances = chances_of()
    shares: dict[tuple[bool, bool], list[float]] = {}
    for index in range(600):
        who, how, own, day = map(np.random.default_rng, np.random.SeedSequence([7, index]).spawn(4))
        case = draw_case(who, how, chances)
        constitution = draw_constitution(own, tuple(VALUES))
        known = find_background(case, constitution)
        table = draw_table(day, case.patient, known, constitution, "screening")
        there = np.mean([table[name] is not None for name in LABORATORY])
        shares.setdefault((bool(known.signs["bedside"]), bool(known.acute)), []).append(there)
    assert np.mean(shares[False, False]) < np.mean(shares[False, True])
    assert np.mean(shares[False, True]) < np.mean(shares[True, True])
    assert dict(VALUES) == {**VITALS, **LABORATORY}


def test_what_is_asked_decides_what_is_measured():
    case = draw_case(*map(np.random.default_rng, (1, 2)), chances_of())
    constitution = draw_constitution(np.random.default_rng(3), tuple(VALUES))
    known = replace(find_background(case, constitution), chronic=frozenset(), acute=frozenset())

    def measured(value, complaint, tests=0.0):
        return sum(
            draw_table(
                np.random.default_rng(day), case.patient, known, constitution, complaint, tests
            )[value]
            is not None
            for day in range(200)
        )

    assert measured("bnp_pg_per_ml", "dyspnea") > measured("bnp_pg_per_ml", "screening") + 30
    assert measured("troponin_ng_per_l", "chest pain") > measured("troponin_ng_per_l", "cough") + 30
    assert measured("crp_mg_per_l", "cough", 2.0) > measured("crp_mg_per_l", "cough", -2.0) + 60
