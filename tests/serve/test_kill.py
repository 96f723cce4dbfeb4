"""kill -9 in the middle of uploads: nothing that was accepted is lost, nothing is drafted twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="extra 'hospital'")
pytest.importorskip("huey", reason="extra 'hospital'")

LOAD = Path(__file__).resolve().parents[2] / "benchmarks" / "serve_load.py"


def test_every_accepted_study_is_drafted_exactly_once():
    done = subprocess.run(
        [sys.executable, LOAD, "--studies", "24", "--clients", "6", "--toy"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["in_store"] == found["accepted"] == 24
    assert 8 <= found["accepted_before_kill"] < 24
