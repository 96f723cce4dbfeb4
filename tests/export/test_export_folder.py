"""A folder of reports: written as each is done, and taken up where it stopped."""

import json
from pathlib import Path

import pytest

from plainfilm.core import InputError, Report, Study
from plainfilm.export.folder import INDEX, ReportFolder


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / INDEX).read_text().splitlines()]


def test_each_study_has_a_file_and_a_line(tmp_path, study: Study, report: Report) -> None:
    reports = ReportFolder(tmp_path / "out", "options")
    reports.add("a/film.png", "f1", study, report, "one", ".json")
    reports.add("b/film.png", "f2", study, report, "two", ".json")
    reports.refuse("c.png", "c", ["c.png"], "c.png: is blank")
    reports.skip("notes.txt", "notes", "no image")
    first, second, refused, skipped = lines(tmp_path / "out")  # there before it is closed
    assert [first["report"], second["report"][:8]] == ["study-1.json", "study-1-"]
    assert (tmp_path / "out" / second["report"]).read_text() == "two"
    assert (refused["status"], refused["reason"]) == ("refused", "c.png: is blank")
    assert skipped["status"] == "skipped"
    reports.close(["notes.txt", "b/film.png"])
    assert [line["place"] for line in lines(tmp_path / "out")] == [
        "notes.txt", "b/film.png", "a/film.png", "c.png",
    ]  # fmt: skip


def test_work_goes_on_behind_a_cut_line(tmp_path, study: Study, report: Report) -> None:
    reports = ReportFolder(tmp_path, "options")
    reports.add("a.png", "f1", study, report, "one", ".json")
    reports.add("b.png", "f2", study, report, "two", ".json")
    reports.close()
    index = tmp_path / INDEX
    index.write_bytes(index.read_bytes()[:-20])  # killed while it wrote
    again = ReportFolder(tmp_path, "options")
    assert again.done("a.png", "f1")
    assert not again.done("a.png", "changed")
    assert not again.done("b.png", "f2")
    again.add("b.png", "f2", study, report, "two", ".json")
    again.close()
    assert [line["place"] for line in lines(tmp_path)] == ["a.png", "b.png"]
    other = ReportFolder(tmp_path, "other options")
    assert not other.done("a.png", "f1")
    other.close()
    (tmp_path / "study-1.json").unlink()
    gone = ReportFolder(tmp_path, "options")
    assert not gone.done("a.png", "f1")
    gone.close()


def test_one_process_at_a_time(tmp_path) -> None:
    reports = ReportFolder(tmp_path, "options")
    with pytest.raises(InputError, match="another plainfilm writes into it"):
        ReportFolder(tmp_path, "options")
    reports.close()
    ReportFolder(tmp_path, "options").close()


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a\nb", ".", "index.jsonl", "é" * 400])
def test_a_name_stays_in_the_folder(tmp_path, study: Study, report: Report, name: str) -> None:
    reports = ReportFolder(tmp_path, "options")
    reports.add("p", "f", study.model_copy(update={"id": name}), report, "x", "")
    reports.close()
    (line,) = lines(tmp_path)
    assert (tmp_path / line["report"]).read_text() == "x"
    assert line["report"] != INDEX
    assert "/" not in line["report"]
