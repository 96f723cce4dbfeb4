"""Clinical tables in words: units, ranges, what is missing, order, unknown columns."""

import numpy as np
import pytest

from plainfilm.core import Image, InputError, Study, View
from plainfilm.text.clinical_table import (
    TableForm,
    _ranges,
    check_columns,
    flag,
    limits,
    table_text,
)
from plainfilm.text.prompts import study_fields

TABLE = {"temperature_c": 38.5, "white_cells_10e9_per_l": None, "heart_rate_per_min": 112.0,
         "sex": "F", "d_dimer_ng_per_ml": 12345678.0, "hemoglobin_g_per_dl": 11.0}  # fmt: skip


def test_key_value_lines_keep_units_and_ranges_and_name_what_is_missing():
    assert table_text(TABLE, "key-value").splitlines() == [
        "temperature: 38.5 °C (36.1 to 38)", "white cells: not measured",
        "heart rate: 112 /min (51 to 90)", "sex: F", "D-dimer: 12345678 ng/mL (up to 500)",
        "hemoglobin: 11 g/dL (12 to 16)",
    ]  # fmt: skip


def test_markdown_has_a_column_for_each():
    form = TableForm(form="markdown", flags=True)
    lines = table_text(TABLE, form).splitlines()
    assert lines[:4] == [
        "| value | result | unit | reference | flag |", "| --- | --- | --- | --- | --- |",
        "| temperature | 38.5 | °C | 36.1 to 38 | high |",
        "| white cells | not measured | 10^9/L | 4 to 11 |  |",
    ]  # fmt: skip
    assert lines[-1] == "| hemoglobin | 11 | g/dL | 12 to 16 | low |"
    plain = table_text(TABLE, TableForm(ranges=False)).splitlines()
    assert plain[2] == "| temperature | 38.5 | °C |"
    assert "| a/b | c d |" in table_text({"a|b": "c\nd"}, TableForm(ranges=False))


def test_prose_is_a_sentence():
    form = TableForm(form="prose", flags=True, ranges=False)
    assert table_text(TABLE, form) == (
        "Temperature 38.5 °C, high; white cells not measured; heart rate 112 /min, high; sex F; "
        "D-dimer 12345678 ng/mL, high; hemoglobin 11 g/dL, low."
    )
    assert table_text({}, "prose") == table_text({}, "markdown") == ""


def test_the_laboratorys_own_range_goes_first_and_is_no_value():
    table = {"crp_mg_per_l": 9.0, "crp_mg_per_l_reference": "-10", "sodium_meq_per_l": 140.0,
             "sodium_meq_per_l_reference": "133-145"}  # fmt: skip
    assert table_text(table, "key-value").splitlines() == [
        "CRP: 9 mg/L (up to 10)", "sodium: 140 mEq/L (133 to 145)",
    ]  # fmt: skip
    assert flag("crp_mg_per_l", table) is None
    assert flag("crp_mg_per_l", {"crp_mg_per_l": 9.0}) == "high"


def test_ranges_differ_by_sex_and_are_unknown_without_it():
    assert limits("creatinine_mg_per_dl", {"sex": "M"}) == (0.7, 1.3)
    assert limits("creatinine_mg_per_dl", {"sex": "F"}) == (0.5, 1.1)
    assert limits("creatinine_mg_per_dl", {}) is None
    assert flag("spo2_percent", {"spo2_percent": 91.0}) == "low"
    for name, edges in _ranges().items():
        check_columns([name], "ranges")
        for low, high in edges.values() if isinstance(edges, dict) else [edges]:
            assert low is None or high is None or low < high


def test_a_models_columns_decide_what_is_written():
    form = TableForm(form="key-value", columns=("spo2_percent", "sex"), ranges=False)
    assert table_text({"sex": "F"}, form) == "SpO2: not measured\nsex: F"
    assert table_text({}, form) == "SpO2: not measured\nsex: not measured"
    with pytest.raises(InputError, match=r"doesn't read: lactate_mmol_per_l; it reads spo2_perc"):
        table_text({"lactate_mmol_per_l": 2.0}, form)
    ignoring = form.model_copy(update={"other_columns": "ignore"})
    assert "lactate" not in table_text({"lactate_mmol_per_l": 2.0}, ignoring)


def test_the_order_is_drawn_in_training_alone():
    plain = table_text(TABLE, "key-value").splitlines()
    drawn = [
        table_text(TABLE, "key-value", np.random.default_rng(seed)).splitlines() for seed in (0, 1)
    ]
    assert sorted(plain) == sorted(drawn[0]) == sorted(drawn[1])
    assert len({tuple(one) for one in (plain, *drawn)}) == 3
    form = TableForm(form="key-value", shuffled=False)
    assert table_text(TABLE, form, np.random.default_rng(0)).splitlines() == plain
    film = Image(pixels=np.zeros((4, 4), dtype=np.float32), view=View.PA)
    study = Study(images=(film,), table=TABLE)
    fields = study_fields(study, table="key-value", rng=np.random.default_rng(0))
    assert fields["table"].splitlines() == drawn[0]


def test_unknown_columns_are_refused():
    check_columns(["bnp_pg_per_ml", "sex", "weight_kg", "crp_mg_per_l_reference"], "x.csv")
    with pytest.raises(InputError, match=r"x.csv: unknown columns bnp, k_per_x: end each name"):
        check_columns(["bnp", "temperature_c", "k_per_x"], "x.csv")
