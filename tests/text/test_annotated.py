"""The reader on the annotated texts: no less than the rates it is meant to reach.

The texts and their scoring are ``benchmarks/reader_annotated.py``'s.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "reader_annotated.py"
GOALS = {"status": 0.97, "side": 0.95, "severity": 0.95, "change": 0.95, "place": 0.95}


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reader_annotated", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = load_script()


@pytest.mark.parametrize("name", [n for n in BENCHMARK.SETS if n.startswith(("sent", "rep"))])
def test_annotated_texts_are_read(name: str) -> None:
    rates = BENCHMARK.score(name, BENCHMARK.load(name))
    assert {kind: rates[kind] for kind in GOALS if rates[kind] < GOALS[kind]} == {}


def test_the_notation() -> None:
    stated, nothing = BENCHMARK.parse(
        "present Pleural Effusion / left small stable at costophrenic angle; absent Edema"
    )
    assert stated == [
        ("Pleural Effusion", "present", "left", "small", "stable", "costophrenic angle"),
        ("Edema", "absent", None, None, None, None),
    ]
    assert not nothing
    assert BENCHMARK.parse("nothing; No Finding") == ([], True)
    assert BENCHMARK.parse("present Edema at base")[0][0].place == "base"
