"""What a dataset holds, counted before training on it."""

import json

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from plainfilm.cli.data import data_app
from plainfilm.data import Row
from plainfilm.data.boxes import Box
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.overview import look_over
from plainfilm.data.prepare import prepare

CLEAR = "The lungs are clear. No effusion."
TEXTS = {"a1": CLEAR, "a2": "Small left pleural effusion.", "b1": CLEAR, "c1": ""}


@pytest.fixture
def dataset(tmp_path, chest):
    def build(study_id, text):
        name = f"images/{study_id}.png"
        pixels = (chest * (500 - 3 * ord(study_id[0]) - int(study_id[1]))).astype(np.uint8)
        small = np.asarray(PIL.Image.fromarray(pixels).resize((72, 80)))
        row = Row(
            study_id=study_id,
            patient_id=study_id[0],
            split={"a": "train", "b": "test", "c": "validate"}[study_id[0]],
            images=(name,),
            views=("lateral",) if study_id == "c1" else ("PA",),
            findings=text,
            institution="north <script>",
            table={"crp_mg_per_l": 1.0 if study_id == "a1" else None},
            labels={"chexpert": {"Edema": "present", "Pneumonia": "uncertain"}},
            boxes=(Box(name="heart", left=0.25, top=0.5, right=0.75, bottom=1.0),),
            prior_study_id="a1" if study_id == "a2" else None,
        )
        return row, {name: png_bytes(small, simulated=False)}

    return prepare(
        tmp_path / "d", TEXTS, build, source={"kind": "test"}, description="A test",
        licence="none", skipped={"a film is missing": 3}, progress=False,
    )  # fmt: skip


def test_counts(dataset):
    overview = look_over(dataset)
    tables = {table.title: table for table in overview.tables}
    assert tables["Size"].columns == ("train", "validate", "test")
    assert tables["Size"].rows == {
        "studies": ("2", "1", "1"), "patients": ("1", "1", "1"), "films": ("2", "1", "1"),
    }  # fmt: skip
    assert tables["Films by view"].rows["lateral"] == ("0", "1", "0")
    missing = tables["Missing"].rows
    assert missing["without any text"] == ("0 (0.0 %)", "1 (100.0 %)", "0 (0.0 %)")
    assert missing["without an earlier study"][0] == "1 (50.0 %)"
    assert missing["without a film that is frontal or may be"][1] == "1 (100.0 %)"
    assert tables["The source's labels: chexpert"].rows["Edema"][0] == "2 / 0 / 0"
    assert tables["The source's labels: chexpert"].rows["Pneumonia"][0] == "0 / 2 / 0"
    assert tables["What the reports say"].rows["Pleural Effusion"][0] == "1 (50.0 %)"
    assert tables["Studies with a clinical value"].rows["crp_mg_per_l"][0] == "1 (50.0 %)"
    assert tables["Boxes by name"].rows["heart"] == ("2", "1", "1")
    repeated = tables["Repeated"].rows
    assert repeated["another study's report, word for word"] == (
        "1 (50.0 %)", "0 (0.0 %)", "1 (100.0 %)",
    )  # fmt: skip
    assert repeated["of these, one in the training split"] == ("", "0 (0.0 %)", "1 (100.0 %)")
    assert tables["The commonest reports"].rows == {CLEAR.lower(): ("2",)}
    assert tables["Left out of the source"].rows == {"a film is missing": ("3",)}
    assert tables["Length in words: so many have at most"].rows["findings, test"][-1] == "6"
    assert overview.warnings == (
        "25 % of the studies are without any text",
        "25 % of the studies are without a film that is frontal or may be",
    )


def test_the_command_and_its_page(dataset, tmp_path):
    page = tmp_path / "page.html"
    command = ["check", str(dataset.path), "--page", str(page), "--films", "3"]
    result = CliRunner().invoke(data_app, command)
    assert result.exit_code == 0, result.output
    assert "Studies by institution" in result.output
    html = page.read_text()
    assert "3 of 4 studies, drawn at random" in html
    assert html.count('src="data:image/jpeg;base64,') == 3
    assert "north &lt;script&gt;" in html
    assert '<rect x="0.25" y="0.5" width="0.5" height="0.5">' in html
    assert "Cardiomegaly" in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    as_json = CliRunner().invoke(data_app, ["check", str(dataset.path), "--json"])
    assert json.loads(as_json.output)["description"] == "A test"
    assert not page.with_name("d.html").exists()
