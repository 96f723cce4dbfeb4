"""report over many studies: a folder of reports that goes on, refusals in every output, formats by
name. The model is a stand-in, so that what is tried is the command."""

import json
import sys
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.core import Finding, Observation, Report
from plainfilm.data.inbox import find_studies


class StandIn:
    """Writes the same report for every study; stops where it is told to."""

    own_maps = None
    model = None

    def __init__(self) -> None:
        self.drafted: list[str] = []
        self.stop_at: str | None = None

    def reports(self, studies, **_):
        for study in studies:
            if study.id == self.stop_at:
                raise KeyboardInterrupt
            self.drafted.append(study.id)
            yield Report(
                findings="No effusion.",
                statements=(Finding(observation=Observation.PLEURAL_EFFUSION, status="absent"),),
                badges=("outside the model's domain: it knows simulated films only",),
                images_read=(0,),
                model="stand-in",
                weights="0" * 64,
            )


@pytest.fixture
def model(monkeypatch) -> StandIn:
    stand_in = StandIn()
    pipeline = types.ModuleType("plainfilm.pipeline")
    pipeline.load_model = lambda *_, **__: stand_in  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plainfilm.pipeline", pipeline)
    command = import_module("plainfilm.cli.report")  # the package has a function of that name
    monkeypatch.setattr(command, "use_threads", lambda *_: None)
    return stand_in


@pytest.fixture
def films(tmp_path) -> Path:
    y, x = np.mgrid[:320, :288] / np.array([320, 288])[:, None, None]
    lungs = sum(np.exp(-(((x - c) / 0.11) ** 2 + ((y - 0.42) / 0.25) ** 2)) for c in (0.3, 0.7))
    grey = np.clip(0.6 - 0.5 * lungs + 0.3 * np.exp(-(((x - 0.5) / 0.07) ** 2)), 0, 1)
    rings = np.sin(np.hypot(x - 0.5, y - 0.5) * 60) / 2 + 0.5
    for name, picture in (("a/one.png", grey), ("a/two.png", grey), ("b/one.png", grey),
                          ("b/rings.png", rings)):  # fmt: skip
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.uint8(255 * picture)).save(path)
    (tmp_path / "films/notes.txt").write_text("notes")
    return tmp_path / "films"


def run(*arguments: object):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_a_folder_of_reports_goes_on_where_it_stopped(model, films, tmp_path) -> None:
    out = tmp_path / "out"
    model.stop_at = "two"
    stopped = run(films, "-o", f"{out}/")
    assert stopped.exit_code == 130
    assert "stopped; 1 studies were done and stay" in stopped.output
    model.stop_at = None
    done = run(films, "-o", f"{out}/")
    assert done.exit_code == 1  # rings.png was refused
    assert model.drafted == ["one", "two", "one"]
    lines = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert [(line["place"], line["status"]) for line in lines] == [
        ("a/one.png", "drafted"),
        ("a/two.png", "drafted"),
        ("b/one.png", "drafted"),
        ("b/rings.png", "refused"),
        ("notes.txt", "skipped"),
    ]
    reports = [json.loads((out / line["report"]).read_text()) for line in lines[:3]]
    assert [report["study"]["id"] for report in reports] == ["one", "two", "one"]
    assert lines[3]["reason"].startswith("rings.png: does not look like a chest film")
    again = run(films, "-o", f"{out}/")
    assert "3 of 4 studies are done already" in again.output
    assert len(model.drafted) == 3


def test_the_outputs_name_says_the_format(model, films, tmp_path) -> None:
    film = films / "a/one.png"
    assert run(film, "-o", tmp_path / "x.json").exit_code == 0
    assert json.loads((tmp_path / "x.json").read_text())["study"]["id"] == "one"
    assert run(films, "-o", tmp_path / "x.jsonl").exit_code == 1
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert ["refused" in line for line in lines] == [False, False, False, True]
    assert str(tmp_path) not in (tmp_path / "x.jsonl").read_text()
    assert run(films, "-o", tmp_path / "all.json").exit_code == 1
    assert len(json.loads((tmp_path / "all.json").read_text())) == 4
    assert "*** OUTSIDE THE MODEL'S DOMAIN" in run(film).output
    assert run(film, "-o", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_a_patient_gets_no_letter_on_a_film_that_the_model_does_not_know(model, films) -> None:
    found = run(films / "a/one.png", "--audience", "patient")
    assert found.exit_code == 1
    assert "no letter for the patient: stand-in does not know this kind of film" in found.output


def test_the_gate_is_passed_by_force_alone(model, films) -> None:
    assert run(films / "b/rings.png").exit_code == 1
    assert run(films / "b/rings.png", "--force").exit_code == 0


def test_nothing_to_draft_is_said(model, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    found = run(tmp_path)
    assert "holds 1 file(s), none of them an image" in str(found.exception)
    assert [one.skipped for one in find_studies([tmp_path])] == ["no image"]
