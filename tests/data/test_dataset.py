"""The dataset directory: whole or not there, resumable, checked when opened."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest

from plainfilm.core import DatasetError, Finding, Observation, Provenance
from plainfilm.data import Dataset, Row
from plainfilm.data.dataset import check_patients
from plainfilm.data.films.own_png import png_bytes
from plainfilm.data.masks import pack_masks, read_masks
from plainfilm.data.prepare import prepare
from plainfilm.data.sources.phantom import prepare_phantom
from plainfilm.data.splits import SPLITS, split_of
from plainfilm.phantom import simulate


def film(number: int = 0) -> bytes:
    return png_bytes((np.arange(64, dtype=np.uint8) + number).reshape(8, 8), simulated=False)


def build(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
    name = f"images/{study_id}.png"
    row = Row(
        study_id=study_id,
        patient_id=study_id.split("-")[0],
        split=split_of(study_id.split("-")[0]),
        images=(name,),
        views=("PA",),
        findings=text,
        table={"age_years": 61.0, "sex": None},
        statements=(Finding(observation=Observation.EDEMA),),
    )
    return row, {name: film(int(study_id.strip("p").split("-")[0]))}


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def make(out: Path, count: int = 12, **changes: object) -> Dataset:
    settings: dict[str, object] = {"kind": "test", "count": count}
    options: dict[str, object] = {"description": "made for a test", "licence": "none"}
    options.update(changes)
    return prepare(
        out,
        {f"p{number}-s": f"Report {number}." for number in range(count)},
        options.pop("build", build),  # type: ignore[arg-type]
        source=options.pop("source", settings),  # type: ignore[arg-type]
        progress=False,
        **options,  # type: ignore[arg-type]
    )


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    dataset = make(tmp_path / "d")
    assert [row.study_id for row in dataset.rows] == [f"p{number}-s" for number in range(12)]
    assert dataset.rows[3] == build("p3-s", "Report 3.")[0]
    study = dataset.study(dataset.rows[3])
    assert study.report is not None
    assert study.report.findings == "Report 3."
    assert study.table == {"age_years": 61.0, "sex": None}
    assert study.images[0].shape == (8, 8)
    assert sum(dataset.card.studies.values()) == 12


def test_a_killed_preparation_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    seen: list[str] = []

    def stops(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
        seen.append(study_id)
        if study_id == "p5-s":
            raise KeyboardInterrupt
        return build(study_id, text)

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "d", build=stops)
    assert not (tmp_path / "d").exists()
    seen.clear()

    def goes_on(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
        seen.append(study_id)
        return build(study_id, text)

    resumed = make(tmp_path / "d", build=goes_on)
    assert seen[0] == "p5-s"
    assert resumed.fingerprint == make(tmp_path / "whole").fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "whole"]


def test_kill_9_while_simulating(tmp_path: Path) -> None:
    """A process that dies at any moment leaves nothing that looks finished."""
    code = (
        "from plainfilm.data.sources.phantom import prepare_phantom; from pathlib import Path; "
        f"prepare_phantom(60, Path({str(tmp_path / 'd')!r}), size=32, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    journal = tmp_path / ".d.part" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while lines(journal) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "d").exists()
    resumed = prepare_phantom(60, tmp_path / "d", size=32, progress=False)
    whole = prepare_phantom(60, tmp_path / "whole", size=32, progress=False)
    assert resumed.fingerprint == whole.fingerprint


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    """Else each killed preparation leaves processes behind that wait for ever."""
    out = tmp_path / "d"
    script = tmp_path / "prepare_many.py"
    script.write_text(
        "from plainfilm.data.sources.phantom import prepare_phantom; from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        f"    prepare_phantom(5000, Path({str(out)!r}), size=32, workers=2, progress=False)\n"
    )
    read, write = os.pipe()  # every process of the preparation holds the end that is written to
    process = subprocess.Popen([sys.executable, str(script)], stderr=write, close_fds=True)
    os.close(write)
    journal = tmp_path / ".d.part" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while lines(journal) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    os.set_blocking(read, False)
    deadline, ended = time.monotonic() + 30, False
    while not ended and time.monotonic() < deadline:
        try:
            ended = os.read(read, 4096) == b""  # the end of the file: nobody is left
        except BlockingIOError:
            time.sleep(0.05)
    os.close(read)
    assert ended, "a worker outlives the killed preparation"
    assert not out.exists()


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    asked = {"size": 32, "views": ("frontal", "lateral"), "priors": 0.5, "progress": False}
    one = prepare_phantom(12, tmp_path / "one", workers=1, **asked)
    two = prepare_phantom(12, tmp_path / "two", workers=2, **asked)
    assert one.fingerprint == two.fingerprint
    assert len(one.rows) > 12


@pytest.mark.parametrize("film_format", ["png", "dicom"])
def test_two_views_and_their_masks(tmp_path: Path, film_format: str) -> None:
    views = ("frontal", "lateral")
    dataset = prepare_phantom(
        2, tmp_path / "d", size=64, views=views, film_format=film_format, progress=False
    )
    for index, row in enumerate(dataset.rows):
        phantom = simulate(0, index, 64, views=views)
        assert row.views == (str(phantom.study.images[0].view), "lateral")
        films = dataset.study(row).images
        for film, made in zip(films, phantom.study.images, strict=True):
            assert film.view is made.view
            assert np.abs(film.pixels - made.pixels).max() < 1 / 255
        for number, known in enumerate((phantom.masks, phantom.lateral_masks)):
            stored = dataset.masks(row, number)
            assert stored.keys() == known.keys()
            assert all(np.array_equal(stored[name], known[name]) for name in known)


@pytest.mark.parametrize("film_format", ["png", "dicom"])
def test_earlier_studies_are_rows_of_the_same_patient(tmp_path: Path, film_format: str) -> None:
    dataset = prepare_phantom(
        24, tmp_path / "d", size=32, priors=0.4, film_format=film_format, progress=False
    )
    rows = {row.study_id: row for row in dataset.rows}
    later = [row for row in dataset.rows if row.prior_study_id]
    assert 4 < len(later) < 16
    assert len(rows) == 24 + len(later) == len(dataset.rows)
    for row in later:
        before = rows[row.prior_study_id or ""]
        assert (before.patient_id, before.split) == (row.patient_id, row.split)
        assert before.prior_study_id is None
        study, earlier = dataset.study(row), dataset.study(before)
        assert study.prior == earlier
        assert earlier.prior is None
        made = simulate(0, int(row.study_id.split("-")[-1]), 32, prior=True)
        assert made.prior is not None
        assert (row.truth, row.statements) == (made.truth, made.findings)
        assert (before.truth, before.statements) == (made.prior.truth, made.prior.findings)
        assert row.comparison == made.study.comparison
        assert np.abs(earlier.images[0].pixels - made.prior.study.images[0].pixels).max() < 1 / 255
        assert dataset.masks(before).keys() == made.prior.masks.keys()
        if film_format == "dicom":
            headers = [pydicom.dcmread(dataset.path / one.images[0]) for one in (row, before)]
            assert {header.PatientID for header in headers} == {row.patient_id}
            assert len({header.StudyInstanceUID for header in headers}) == 2


def test_a_prior_is_another_study_of_the_same_patient() -> None:
    row = build("p1-s", "")[0]
    for prior in ("p1-s", "p2-s", "nobody"):
        with pytest.raises(DatasetError, match=f"prior_study_id '{prior}' is no other study of"):
            check_patients([replace(row, prior_study_id=prior), build("p2-s", "")[0]])


def test_the_phantom_as_a_dataset(tmp_path: Path) -> None:
    dataset = prepare_phantom(20, tmp_path / "d", seed=4, size=64, progress=False)
    row = dataset.rows[0]
    image = dataset.image(row)
    assert image.provenance is Provenance.SIMULATED
    assert image.view == row.views[0]
    assert image.spacing_mm is not None
    assert dataset.card.simulated
    masks = dataset.masks(row)
    assert masks["left lung"].shape == (64, 64)
    assert row.statements
    assert row.truth is not None
    assert row.measures is not None
    assert row.measures["cardiothoracic_ratio"] > 0.3
    assert len({row.institution for row in dataset.rows}) > 2
    assert (dataset.path / str(row.masks)).stat().st_size < 100_000


def test_prepared_twice_is_prepared_once(tmp_path: Path) -> None:
    make(tmp_path / "d")

    def never(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
        raise AssertionError("built again")

    make(tmp_path / "d", build=never)


def test_another_dataset_is_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "d")
    with pytest.raises(DatasetError, match="holds another dataset: choose another directory"):
        make(tmp_path / "d", source={"kind": "other"})


def test_two_unfinished_sources_are_not_mixed(tmp_path: Path) -> None:
    def stops(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "d", build=stops)
    with pytest.raises(DatasetError, match="unfinished preparation of another source"):
        make(tmp_path / "d", source={"kind": "other"})


def test_nothing_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing to prepare"):
        make(tmp_path / "d", count=0)
    assert not list(tmp_path.iterdir())


def test_an_id_that_is_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be a file name"):
        prepare(
            tmp_path / "d", {"../up": "x"}, build, source={}, description="", licence="",
            progress=False,
        )  # fmt: skip


def test_no_directory_no_card_no_manifest_no_film(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset at"):
        Dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"card\.json is missing"):
        Dataset(tmp_path)
    made = make(tmp_path / "d").path
    (made / "images" / "p3-s.png").unlink()
    with pytest.raises(DatasetError, match=r"lacks 1 of its 12 files, images/p3-s\.png"):
        Dataset(made)
    table = pq.read_table(made / "manifest.parquet").drop_columns(["split"])
    pq.write_table(table, made / "manifest.parquet")
    with pytest.raises(DatasetError, match="lacks the columns split"):
        Dataset(made)
    (made / "manifest.parquet").write_text("not a table")
    with pytest.raises(DatasetError, match="cannot read"):
        Dataset(made)


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    def torn(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
        split = "test" if study_id == "p1-s" else "train"
        row = Row(
            study_id=study_id, patient_id="same", split=split, images=("images/a.png",),
            views=("PA",),
        )  # fmt: skip
        return row, {"images/a.png": film()}

    with pytest.raises(DatasetError, match="a patient must lie in one split"):
        make(tmp_path / "d", count=2, build=torn)


def test_an_unknown_split_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'val': choose one of train, validate, test"):
        make(tmp_path / "d").split("val")


def test_splits_are_by_patient_and_about_as_large_as_asked() -> None:
    splits = [split_of(f"patient {number}") for number in range(5000)]
    shares = {split: splits.count(split) / 5000 for split in SPLITS}
    assert shares["train"] == pytest.approx(0.8, abs=0.02)
    assert shares["test"] == pytest.approx(0.1, abs=0.02)
    assert split_of("patient 7") == split_of("patient 7")


def test_the_fingerprint_sees_every_byte(tmp_path: Path) -> None:
    def other(study_id: str, text: str) -> tuple[Row, Mapping[str, bytes]]:
        row, files = build(study_id, text)
        changed = png_bytes(np.zeros((8, 8), dtype=np.uint8), simulated=False)
        return row, dict.fromkeys(files, changed) if study_id == "p3-s" else files

    assert make(tmp_path / "a").fingerprint != make(tmp_path / "b", build=other).fingerprint


def test_masks_round_trip(tmp_path: Path) -> None:
    masks = {"heart": np.eye(5, 7, dtype=bool), "left lung": np.zeros((5, 7), dtype=bool)}
    (tmp_path / "m.npz").write_bytes(pack_masks(masks))
    again = read_masks(tmp_path / "m.npz")
    assert set(again) == set(masks)
    assert all(np.array_equal(again[name], masks[name]) for name in masks)


def test_masks_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DatasetError, match="cannot read the masks"):
        read_masks(tmp_path / "m.npz")


def test_an_empty_directory_is_filled_and_any_other_left_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(make(tmp_path / "empty").rows) == 12
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for name in ("mine", "file"):
        with pytest.raises(DatasetError, match=f"{name} exists and is no dataset: choose another"):
            make(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "mine"]


def test_damaged_masks_are_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    whole = pack_masks({"heart": np.random.default_rng(0).random((32, 32)) > 0.5})
    messages = []
    for place in range(0, len(whole), 7):
        turned = bytearray(whole)
        turned[place] ^= 0x5A
        for content in (whole[:place], bytes(turned)):
            path.write_bytes(content)
            try:
                assert read_masks(path)["heart"].shape == (32, 32)  # a byte that nobody reads
            except DatasetError as error:
                messages.append(str(error))
    assert len(messages) > len(whole) / 7
    assert {message.split(" (")[0] for message in messages} == {f"cannot read the masks in {path}"}


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(DatasetError, match="must have one shape"):
        pack_masks({"a": np.zeros((2, 2), dtype=bool), "b": np.zeros((2, 3), dtype=bool)})


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    card = json.loads((make(tmp_path / "d").path / "card.json").read_text())
    assert card["source"] == {"kind": "test", "count": 12}
    assert len(card["fingerprint"]) == 64
