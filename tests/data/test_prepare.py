"""Preparing what comes from outside: one film costs one study, and a changed source is noticed."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from plainfilm.cli.data import data_app
from plainfilm.core import DatasetError, OutputError, Provenance
from plainfilm.core.files import locked
from plainfilm.data import Dataset, write_png
from plainfilm.data.sources.folder import prepare_folder


@pytest.fixture
def source(tmp_path, chest):
    """Return a function that writes a CSV of three patients' films; changes by column."""

    def write(name="films.csv", drop=(), **columns):
        rows = []
        for number, patient in enumerate("abc"):
            path = tmp_path / f"{patient}.png"
            if not path.exists():
                PIL.Image.fromarray((chest * (250 - 20 * number)).astype(np.uint8)).save(path)
            row = {"image": path.name, "patient_id": patient, "study_id": f"s{patient}",
                   "findings": "Clear lungs.", "split": "train"}  # fmt: skip
            rows.append(row | {key: values[number] for key, values in columns.items()})
        table = tmp_path / name
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if row["patient_id"] not in drop)
        return table

    return write


def prepared(table, out, **options):
    return prepare_folder(table, out, progress=False, workers=1, **options)


def test_a_film_that_cannot_be_read_costs_one_study(source, tmp_path):
    table = source()
    path = tmp_path / "b.png"
    path.write_bytes(path.read_bytes()[:2000])
    result = CliRunner().invoke(data_app, ["folder", str(table), str(tmp_path / "out")])
    assert result.exit_code == 0
    assert "left out: 1 (a film cannot be read)" in result.output
    assert "study sb: " in result.output
    dataset = Dataset(tmp_path / "out")
    assert [row.study_id for row in dataset.rows] == ["sa", "sc"]
    assert dataset.card.skipped == {"a film cannot be read": 1}
    (line,) = (tmp_path / "out" / "refused.jsonl").read_text().splitlines()
    assert json.loads(line)["study_id"] == "sb"


def test_a_refused_film_is_nobodys_prior(source, tmp_path, chest):
    table = source(patient_id="aac", prior_study_id=["", "sa", ""])
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    rows = prepared(table, tmp_path / "out").rows
    assert [(row.study_id, row.prior_study_id) for row in rows] == [("sb", None), ("sc", None)]


def test_nothing_is_left_where_no_film_can_be_read(source, tmp_path):
    table = source()
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(DatasetError, match=r"none of 3 studies can be made; the first: .*a\.png"):
        prepared(table, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_one_film_of_two_patients_is_kept_once(source, tmp_path):
    table = source(split=["train", "test", "train"])
    picture = PIL.Image.open(tmp_path / "a.png")
    picture.load()
    picture.save(tmp_path / "b.png", compress_level=1, pnginfo=None)  # other bytes, same picture
    dataset = prepared(table, tmp_path / "out")
    assert [row.study_id for row in dataset.rows] == ["sa", "sc"]
    assert dataset.card.skipped == {"its film is another patient's too": 1}
    one = prepared(source(name="one.csv", patient_id="aac"), tmp_path / "same")
    assert len(one.rows) == 3


def test_a_changed_source_is_another_dataset(source, tmp_path, chest):
    table, out = source(), tmp_path / "out"
    first = prepared(table, out)
    assert prepared(table, out).fingerprint == first.fingerprint
    os.utime(tmp_path / "a.png", (1, 1))  # touched, not changed
    assert prepared(table, out).fingerprint == first.fingerprint
    moved = tmp_path / "moved.csv"
    moved.write_bytes(table.read_bytes())
    assert prepared(moved, out).fingerprint == first.fingerprint
    for options in ({"language": "es"}, {"licence": "CC0"}, {"size": 256}):
        with pytest.raises(DatasetError, match="holds another dataset"):
            prepared(table, out, **options)
    changed = "was made from other films or reports than are there now"
    with pytest.raises(DatasetError, match=changed):
        prepared(source(findings=["Oedema.", "Clear.", "Clear."]), out)
    with pytest.raises(DatasetError, match=changed):
        prepared(source(drop="c"), out)
    PIL.Image.fromarray((chest**2 * 255).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=changed):
        prepared(source(), out)


def test_a_corrected_table_goes_on(source, tmp_path, monkeypatch):
    from plainfilm.data.sources import folder

    built, real = [], folder._build

    def build(size, study_id, study):
        if study_id == "sc" and not built[2:]:
            raise KeyboardInterrupt
        built.append(study_id)
        return real(size, study_id, study)

    monkeypatch.setattr(folder, "_build", build)
    with pytest.raises(KeyboardInterrupt):
        prepared(source(), tmp_path / "out")
    with pytest.raises(DatasetError, match="line 2: there is no file"):
        prepared(source(image=["x.png", "b.png", "c.png"]), tmp_path / "out")
    part = tmp_path / ".out.part"
    (part / "images" / ".x-0.png.4711.part").write_bytes(b"half")
    (part / "rows").mkdir()
    with (part / "journal.jsonl").open("ab") as file:
        file.write(b'{"study_id": "sc", "key"')  # cut short by the kill
    dataset = prepared(source(findings=["Oedema.", "Clear lungs.", "Clear."]), tmp_path / "out")
    assert built == ["sa", "sb", "sa", "sc"]  # sb as it was, sa by its new text
    assert [row.findings for row in dataset.rows] == ["Oedema.", "Clear lungs.", "Clear."]
    assert sorted(path.name for path in dataset.path.rglob("*") if path.is_file()) == [
        "card.json", "manifest.parquet", "sa-0.png", "sb-0.png", "sc-0.png",
    ]  # fmt: skip


def test_the_second_of_two_processes_says_so(source, tmp_path):
    part = tmp_path / ".out.part"
    part.mkdir()
    with locked(part) as free:
        assert free
        with pytest.raises(DatasetError, match=r"another process is preparing .*out: wait for it"):
            prepared(source(), tmp_path / "out")
    assert len(prepared(source(), tmp_path / "out").rows) == 3


def test_places_that_cannot_hold_a_dataset(source, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file" / "d", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match="cannot be written"):
            prepared(source(), out)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    assert len(prepared(source(), tmp_path / "link").rows) == 3
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("study_id", ["../x", "a/b", "a\\b", ".x", "a\tb", "x" * 300])
def test_ids_that_are_no_names_are_mistakes_of_the_table(source, tmp_path, study_id):
    with pytest.raises(DatasetError, match=r"line 2: study_id .* cannot be a file name"):
        prepared(source(study_id=[study_id, "sb", "sc"]), tmp_path / "out")
    assert not (tmp_path / ".out.part").exists()


def test_a_text_chunk_of_a_source_makes_no_film_simulated(source, tmp_path, chest):
    write_png(tmp_path / "a.png", (chest * 255).astype(np.uint8), simulated=True)
    dataset = prepared(source(), tmp_path / "out")
    for row in dataset.rows:
        assert dataset.image(row).provenance is Provenance.REAL
    assert not dataset.card.simulated


# ---- datasets that were changed by hand ---------------------------------------------------------
@pytest.fixture
def dataset(source, tmp_path):
    return prepared(source(), tmp_path / "out")


def rewritten(dataset, **columns):
    """Write values into the first row of a manifest, past all checks."""
    table = pq.read_table(dataset.path / "manifest.parquet")
    rows = table.to_pylist()
    rows[0] |= columns
    schema = table.schema
    for name, value in columns.items():
        if isinstance(value, int):
            index = schema.get_field_index(name)
            schema = schema.set(index, pa.field(name, pa.int64()))
            for row in rows:
                row[name] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), dataset.path / "manifest.parquet")


@pytest.mark.parametrize(
    "columns",
    [
        {"images": ["/etc/passwd"]},
        {"images": ["images/../../outside.png"]},
        {"images": ["images/a\0b.png"]},
        {"images": ["images\\a.png"]},
        {"images": [""]},
        {"masks": "../masks.npz"},
        {"images": []},
        {"split": "everything"},
        {"table": "{"},
        {"table": "[" * 100_000},
        {"statements": '[{"observation": "Headache"}]'},
        {"statements": "7"},
        {"study_id": "sb"},
        {"prior_study_id": "sa"},
        {"prior_study_id": "sb"},
        {"measures": 7},
    ],
)
def test_tampered_manifests(dataset, columns):
    rewritten(dataset, **columns)
    with pytest.raises(DatasetError) as caught:
        Dataset(dataset.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"source": 1}', b"\xff\xfe", b"[" * 9999])
def test_tampered_cards(dataset, content):
    (dataset.path / "card.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"cannot read .*card\.json"):
        Dataset(dataset.path)


def test_two_patients_rows_name_one_file(dataset):
    rewritten(dataset, images=["images/sb-0.png"])
    with pytest.raises(DatasetError, match=r"two patients' studies have the file images/sb-0\.png"):
        Dataset(dataset.path)


def test_rows_stay_inside_their_directory(dataset):
    with pytest.raises(DatasetError, match="is no file inside the dataset directory"):
        replace(dataset.rows[0], images=("../a.png",))
    assert replace(dataset.rows[0], images=("images/a..b.png",))


def test_opening_looks_at_no_file(dataset, monkeypatch):
    looked = []
    real = Path.stat

    def stat(self, **options):
        looked.append(self.name)
        return real(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    Dataset(dataset.path)
    assert not [name for name in looked if name.endswith(".png")]
