"""Commands: help that teaches, one line for each mistake, a non-zero exit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from plainfilm.cli import app, main
from plainfilm.cli.demo import real_film
from plainfilm.core import PlainfilmError


def call(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Run the command line in this process; return exit status, output and errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["plainfilm", *argv])
        try:
            main()
            status = 0
        except SystemExit as stopped:
            status = int(stopped.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def film(path: Path) -> Path:
    from plainfilm.phantom import simulate

    pixels = simulate(3, 1, 64).study.images[0].pixels
    PIL.Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(path)
    return path


COMMANDS = ["report", "read", "data", "train", "evaluate", "score", "compare", "demo", "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, command, "--help")
    assert status == 0
    assert "Usage: plainfilm" in out


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "--help")
    assert all(command in out for command in COMMANDS)
    assert app.info.name == "plainfilm"


def test_report_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "report", str(film(tmp_path / "a.png")), "--format", "json")
    assert status == 0
    report = json.loads(out)
    assert {"findings", "impression", "statements", "evidence", "warnings"} <= set(report)
    assert any("simulated films only" in warning for warning in report["warnings"])


def test_one_bad_film_does_not_lose_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.dcm").write_text("Dear colleague,\nthank you for the referral.\n")
    good = film(tmp_path / "good.png")
    page = tmp_path / "page.html"
    status, _, err = call(
        capsys,
        "report",
        str(tmp_path / "notes.dcm"),
        str(good),
        "--format",
        "html",
        "-o",
        str(page),
    )
    assert status == 1
    assert "notes.dcm" in err
    assert "text file" in err
    assert "good.png" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["report", "none.png"], "no such file"),
        (["report", "empty"], "is empty"),
        (["report", "cut.jpg"], "cut.jpg"),
        (["report", "film.png", "--model", "none"], "no model 'none'"),
        (["report", "film.png", "-o", "nowhere/page.html"], "there is no folder nowhere"),
        (["train", "none.yaml"], "no recipe at"),
        (["evaluate", "plainfilm-small", "empty"], "card.json is missing"),
        (["score", "two.txt", "one.txt"], ""),
        (["score", "one.txt", "one.txt", "--metrics", "blue-4"], "bleu-4"),
        (["data", "folder", "none.csv", "out"], "none.csv"),
    ],
)
def test_each_mistake_is_one_line_and_a_non_zero_exit(
    argv: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    film(tmp_path / "film.png")
    PIL.Image.open(tmp_path / "film.png").save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:600])
    (tmp_path / "one.txt").write_text("No effusion.\n")
    (tmp_path / "two.txt").write_text("No effusion.\nClear lungs.\n")
    status, out, err = call(capsys, *argv)
    assert status != 0
    assert len(err.strip().splitlines()) == 1, err
    assert message in err
    assert "Traceback" not in err + out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("missing", "first"),
    [(("scipy", "pyarrow", "PIL", "pydicom"), "pillow"), (("scipy",), "scipy")],
)
def test_the_core_install_is_told_which_extra_brings_the_phantom(
    missing: tuple[str, ...], first: str, tmp_path: Path
) -> None:
    without = (
        "import sys\n"
        f"for name in {missing!r}:\n"
        "    sys.modules[name] = None\n"
        "from plainfilm.cli import main\n"
        "main()\n"
    )
    argv = [sys.executable, "-c", without, "data", "phantom", "2", str(tmp_path / "out")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"plainfilm: this needs {first}, which is not installed: pip install 'plainfilm[data]'\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_demos_real_film_is_real() -> None:
    study = real_film()
    assert study.images[0].provenance == "real"
    assert study.frontal == 0


def test_errors_are_one_tree() -> None:
    import plainfilm.core as core

    errors = [value for name, value in vars(core).items() if name.endswith("Error")]
    assert len(errors) > 7
    assert all(issubclass(error, PlainfilmError) for error in errors)


def test_each_report_is_in_the_output_as_soon_as_it_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from plainfilm.core import Report
    from plainfilm.pipeline import ReportModel

    films = [str(film(tmp_path / f"{name}.png")) for name in "abc"]

    def two_only(_model, studies, **_):
        for number, study in enumerate(studies):
            if number == 2:
                raise KeyboardInterrupt
            yield Report(findings=f"Draft of {study.id}.")

    monkeypatch.setattr(ReportModel, "reports", two_only)
    for kind in ("json", "text", "html"):
        output = tmp_path / f"out.{kind}"
        output.write_text("old")
        status, _, _ = call(capsys, "report", *films, "--format", kind, "-o", str(output))
        assert status != 0
        text = output.read_text()
        assert "Draft of a." in text
        assert "Draft of b." in text
        if kind == "json":
            assert len(json.loads(text)) == 2


def test_output_is_tried_before_any_film_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "draft.txt"
    status, _, err = call(capsys, "report", str(tmp_path / "no.png"), "-o", str(output))
    assert (status, "no.png" in err) == (1, False)
    assert "cannot be written (Not a directory)" in err
    assert err.count("\n") == 1


def test_a_dash_is_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(
        capsys, "report", str(film(tmp_path / "a.png")), "--format", "json", "-o", "-"
    )
    assert (status, json.loads(out)["study"]["id"]) == (0, "a")
    assert not Path("-").exists()


@pytest.mark.parametrize("command", [["evaluate", "plainfilm-small", "data"],
                                     ["train", "recipes/radscribe/tiny.yaml"],
                                     ["demo"]])  # fmt: skip
def test_long_work_tries_its_folder_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "file").write_text("x")
    status, _, err = call(capsys, *command, "-o", str(tmp_path / "file" / "out"))
    assert status == 1
    assert "cannot be written (Not a directory)" in err


def test_two_trainings_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from plainfilm.core.files import locked
    from plainfilm.training.table_plan import recipes_folder

    recipe = recipes_folder() / "radscribe" / "tiny.yaml"
    with locked(tmp_path) as free:
        assert free
        status, _, err = call(capsys, "train", str(recipe), "-o", str(tmp_path))
    assert (status, err.count("\n")) == (1, 1)
    assert "another process is training in" in err


def test_names_and_words_that_are_no_utf_8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    odd = os.fsdecode(b"M\xfcller")
    path = tmp_path / f"{odd}.png"
    path.write_bytes(film(tmp_path / "a.png").read_bytes())
    status, out, err = call(
        capsys, "report", str(path), str(tmp_path / f"{odd}.dcm"), "--format", "json",
        "--indication", odd,
    )  # fmt: skip
    assert status == 1
    assert json.loads(out)[0]["study"]["id"] == "M\\xfcller"
    assert "there is no such file" in err
