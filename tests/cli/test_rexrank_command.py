"""``plainfilm rexrank``: everything kept, predictions added, resumed, faults named."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from plainfilm.cli import app
from plainfilm.data.films.own_png import png_bytes


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "one.png").write_bytes(png_bytes(pixels, simulated=True))
    studies = {
        "one": {"image_path": ["one.png"], "frontal_lateral": ["Frontal"], "extra": 1,
                "context": "Age:82.0.Gender:F.Indication: Cough. Comparison: None."},
        "two": {"image_path": ["missing.png"]},
        "three": {"image_path": []},
    }  # fmt: skip
    (tmp_path / "in.json").write_text(json.dumps(studies))
    return [
        "rexrank", "--input_json_file", str(tmp_path / "in.json"),
        "--save_json_file", str(tmp_path / "out.json"),
        "--img_root_dir", str(tmp_path / "films"), "--quiet",
    ]  # fmt: skip


def test_a_test_set_is_answered(asked: list[str], tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 1, ran.output
    assert "missing.png" in ran.output
    assert "'three' has no image_path" in ran.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found) == ["one", "two", "three"]
    assert found["one"]["extra"] == 1
    assert found["one"]["model_prediction"]
    assert found["two"]["model_prediction"] == ""

    found["one"]["model_prediction"] = "Kept."
    (tmp_path / "out.json").write_text(json.dumps(found))
    CliRunner().invoke(app, asked)
    again = json.loads((tmp_path / "out.json").read_text())
    assert again["one"]["model_prediction"] == "Kept."


def test_the_films_folder_must_be_there(asked: list[str], tmp_path: Path) -> None:
    asked[asked.index("--img_root_dir") + 1] = str(tmp_path / "nowhere")
    ran = CliRunner().invoke(app, asked)
    assert "no such folder" in str(ran.exception)
