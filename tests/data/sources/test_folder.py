"""Films of one's own: a CSV file becomes a dataset, or all its mistakes are shown."""

import csv

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from plainfilm.cli.data import data_app
from plainfilm.core import DatasetError
from plainfilm.data.sources.folder import COLUMNS, prepare_folder, read_table
from plainfilm.data.splits import split_of


@pytest.fixture
def write(tmp_path, chest):
    """Return a function that writes films and a CSV that names them."""
    (tmp_path / "films").mkdir()
    for number, name in enumerate("abcd"):
        film = PIL.Image.fromarray((chest * (255 - number)).astype(np.uint8))
        film.save(tmp_path / "films" / f"{name}.png")
    (tmp_path / "films" / "notes.txt").write_text("no film")

    def table(*rows, columns=None):
        path = tmp_path / "films.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(
                file, columns or list(dict.fromkeys(k for r in rows for k in r))
            )
            writer.writeheader()
            writer.writerows(rows)
        return path

    return table


def row(name="a", **values):
    return {"image": f"films/{name}.png", "patient_id": "p1", "findings": "Clear lungs."} | values


def mistakes(path):
    with pytest.raises(DatasetError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ").split("; ")


def test_the_least_that_a_table_needs(tmp_path, write):
    dataset = prepare_folder(write(row()), tmp_path / "out", progress=False)
    (study,) = dataset.rows
    assert (study.study_id, study.patient_id, study.split) == ("a", "p1", split_of("p1"))
    assert (study.findings, study.impression, study.views) == ("Clear lungs.", "", ("unknown",))
    assert study.table == {}
    assert dataset.card.description == "1 studies from films.csv"


def test_every_column(tmp_path, write):
    study = {
        "study_id": "s2", "split": "test", "impression": "Normal.", "indication": "Cough",
        "comparison": "Last year", "technique": "Two views", "institution": "north",
        "prior_study_id": "s1", "table.crp_mg_per_l": "3.5", "table.sex": "f", "table.ldh": "",
    }  # fmt: skip
    prior = row("c", study_id="s1", split="test")
    lateral = {"image": "films/b.png", "patient_id": "p1", "study_id": "s2", "view": "lateral",
               "split": "test"}  # fmt: skip
    path = write(lateral, row("a", view="PA", **study), prior)
    assert set(COLUMNS) <= set(path.read_text().splitlines()[0].split(","))
    dataset = prepare_folder(path, tmp_path / "out", licence="CC0", size=96, progress=False)
    two, one = dataset.rows
    assert (one.study_id, two.study_id, two.prior_study_id) == ("s1", "s2", "s1")
    assert two.views == ("PA", "lateral")
    assert dataset.image(two).shape == (96, 86)
    assert dict(two.table) == {"crp_mg_per_l": 3.5, "sex": "f", "ldh": None}
    assert (two.split, two.impression, two.indication) == ("test", "Normal.", "Cough")
    assert (two.comparison, two.technique) == ("Last year", "Two views")
    assert two.institution == "north"
    assert dataset.card.licence == "CC0"


def test_all_mistakes_are_shown_at_once(write):
    path = write(
        row("a", view="Pa", split="train"),
        row("e", split="dev"),
        row("b", patient_id="", split=""),
        {"image": "films/notes.txt", "patient_id": "p2", "split": "test"},
        row("c", split="test", findings=""),
    )
    assert mistakes(path) == [
        "line 2: view must be one of PA, AP, lateral, oblique, unknown, got 'Pa'",
        "line 3: there is no file films/e.png",
        "line 3: split must be one of train, validate, test, got 'dev'",
        "line 4: patient_id is blank",
        "line 4: split is blank: give all lines one, or leave the column out",
        "line 5: films/notes.txt is no DICOM, PNG, JPEG or TIFF file",
        "line 5: study notes has neither findings nor impression",
        "line 6: study c has neither findings nor impression",
        "patient p1 lies in the splits dev, test, train: choose one",
    ]


def test_studies_that_contradict_themselves(write):
    path = write(
        row("a", study_id="s1", prior_study_id="s9"),
        row("a", study_id="s1", findings="Effusion.", prior_study_id=""),
        row("b", study_id="s2", patient_id="p2", prior_study_id="s1"),
    )
    assert mistakes(path) == [
        "line 2: the lines of study s1 differ in findings",
        "line 2: study s1 names one film twice",
        "line 2: prior_study_id 's9' is no other study of the CSV",
        "line 4: prior_study_id 's1' is of another patient",
    ]


def test_wrong_columns_and_files(tmp_path, write):
    path = write({"file": "a", "table.": "1"}, columns=["file", "table."])
    assert [mistake[:30] for mistake in mistakes(path)] == [
        "column image is missing",
        "column patient_id is missing",
        "column 'file' is unknown: choo",
        "column 'table.' is unknown: ch",
    ]
    assert mistakes(write(columns=["image", "patient_id"])) == ["has no line below its header"]
    path.write_text("image,patient_id,findings\nfilms/a.png,p1,Clear, and normal\n")
    assert mistakes(path) == ["line 2: has more values than columns (quote texts that hold commas)"]
    path.write_bytes("image,patient_id\nfilms/ä.png,p1\n".encode("latin-1"))
    assert mistakes(path)[0].startswith("cannot be read as a UTF-8 CSV file (")
    assert mistakes(tmp_path / "gone.csv")[0].startswith("cannot be read as a UTF-8 CSV file (")


def test_command(tmp_path, write):
    arguments = ["folder", str(write(row())), str(tmp_path / "out"), "--size", "64"]
    result = CliRunner().invoke(data_app, arguments)
    assert result.exit_code == 0, result.output
    assert "fingerprint" in result.output
