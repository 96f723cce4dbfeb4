"""The bridge with workers of our own, and plainfilm's worker with stand-ins for the packages."""

import sys
import textwrap
import zipfile

import pytest

from plainfilm.core import InputError, MetricError, ModelError
from plainfilm.metrics import score
from plainfilm.metrics.external.bridge import WORKER, Bridge, Places, install
from plainfilm.metrics.models import load_models

ECHO = """
import json, sys
print(json.dumps({"metric": "echo", "version": "1", "checkpoint": "none"}), flush=True)
batch = []
for line in sys.stdin:
    if line.strip():
        batch.append(json.loads(line))
        continue
    for item in batch:
        same = item["reference"] == item["prediction"]
        value = None if item["prediction"] == "?" else float(same)
        print(json.dumps({"value": value}))
    sys.stdout.flush()
    batch = []
"""
STAND_INS = {
    "torch.py": """
        class cuda:
            is_available = staticmethod(lambda: False)
    """,
    "radgraph.py": """
        print("loading")
        class RadGraph:
            def __init__(self, model_type):
                print("a line on standard output", model_type)
            def __call__(self, texts):
                return {str(i): {"entities": {"1": {
                    "tokens": text, "label": "Observation::definitely present", "relations": []
                }}} for i, text in enumerate(texts)}
    """,
    "RaTEScore.py": """
        class RaTEScore:
            def __init__(self, use_gpu):
                assert not use_gpu
            def compute_score(self, candidate_list, reference_list):
                return [1 if pair == ("p", "r") else 0.5
                        for pair in zip(candidate_list, reference_list)]
    """,
    "green_score.py": """
        class GREEN:
            def __init__(self, model_name, cpu):
                assert model_name == "StanfordAIMI/GREEN-radllama2-7b" and cpu
            def __call__(self, refs, hyps):
                scores = [None if hyp == "?" else 0.25 for hyp in hyps]
                return 0.0, 0.0, scores, "", None
    """,
}
NAMES = {"radgraph": "radgraph", "ratescore": "RaTEScore", "green": "green_score"}


def echo():
    return Bridge([sys.executable, "-c", ECHO])


def test_values_come_back_in_order():
    bridge = echo()
    items = [{"reference": "a\nü", "prediction": p} for p in ("a\nü", "b", "?")]
    assert bridge.ask(items) == [1.0, 0.0, None]
    assert bridge.ask(items[::-1] * 2) == [None, 0.0, 1.0] * 2
    assert bridge.ask([]) == []
    assert bridge.name == "echo-1,none"


def test_a_score_over_the_bridge():
    found = score(
        ["a", "a", "a", "a", ""], ["a", "b", "?", "a", " "],
        ["green"], models={"green": echo()}, per_report=True,
    )["green"]  # fmt: skip
    assert found.value == pytest.approx(2 / 3)
    assert found.reports[:2] == (1.0, 0.0)
    assert found.undefined == 2
    assert found.signature.checkpoint == "echo-1,none"


def test_a_large_batch_does_not_block():
    items = [{"reference": "x" * 5000, "prediction": "y"}] * 500
    assert echo().ask(items) == [0.0] * 500


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            "raise SystemExit('no model')",
            "ended with status 1 before a line that says .*: no model",
        ),
        ("print('Using device: cpu')", "printed 'Using device: cpu.n', expected a line that says"),
        ("print('{}')", "the worker began with {}, expected metric, version and checkpoint"),
        ("print('[1]')", "printed .1., expected"),
    ],
)
def test_a_worker_that_does_not_start(program, message):
    with pytest.raises(MetricError, match=message):
        Bridge([sys.executable, "-c", program])


def test_a_worker_that_ends_midway():
    header = 'print(\'{"metric": "m", "version": "1", "checkpoint": "c"}\', flush=True); '
    bridge = Bridge([sys.executable, "-c", header + "input(); raise MemoryError('too long')"])
    with pytest.raises(MetricError, match="status 1 before answer 1 of 1: MemoryError: too long"):
        bridge.ask([{"text": "a"}])
    bridge = Bridge([sys.executable, "-c", header + "input(); print('{}')"])
    with pytest.raises(MetricError, match=r"answered \{\}, expected a value"):
        bridge.ask([{"text": "a"}])


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """A folder of stand-ins, with what ``importlib.metadata`` reads of them."""
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    for name in NAMES.values():
        info = tmp_path / f"{name}-7.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 7\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("stand_ins")
def test_the_worker_speaks_for_each_package():
    radgraph, ratescore, green = (Bridge([sys.executable, str(WORKER), name]) for name in NAMES)
    entity = {"tokens": "edema", "label": "Observation::definitely present", "relations": []}
    assert radgraph.ask([{"text": "edema"}] * 2) == [{"1": entity}] * 2
    assert radgraph.name == "radgraph-7,radgraph-xl"
    assert ratescore.ask([{"reference": "r", "prediction": "p"}]) == [1.0]
    assert ratescore.ask([{"reference": "p", "prediction": "r"}]) == [0.5]
    assert ratescore.name == "ratescore-7,RaTE-NER-Deberta,BioLORD-2023-C,long"
    assert green.ask([{"reference": "r", "prediction": p} for p in "p?"]) == [0.25, None]
    assert green.name == "green-7,GREEN-radllama2-7b"


def test_install_makes_an_environment_that_loads_by_name(tmp_path):
    wheel = tmp_path / "radgraph-7-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "radgraph-7.dist-info/"
        archive.writestr("radgraph.py", textwrap.dedent(STAND_INS["radgraph.py"]))
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: radgraph\nVersion: 7\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    folder = tmp_path / "environments/radgraph"
    with pytest.raises(ModelError, match=f"plainfilm metrics install radgraph {folder}"):
        load_models([f"radgraph={folder}"])
    assert install("radgraph", folder, [str(wheel)]) == "radgraph-7,radgraph-xl"
    models = load_models([f"radgraph={folder}"])
    found = score(["edema", "edema"], ["edema", "clear"], ["radgraph-f1-partial"], models=models)
    assert found["radgraph-f1-partial"].value == 0.5
    with pytest.raises(InputError, match="exists already: name a new folder"):
        install("radgraph", folder)


def test_a_failed_installation_leaves_nothing(tmp_path, monkeypatch):
    def without_pip(folder, with_pip):
        places = Places(folder)
        places.python.parent.mkdir(parents=True)
        places.python.symlink_to(sys.executable)

    monkeypatch.setattr("plainfilm.metrics.external.bridge.venv.create", without_pip)
    with pytest.raises(MetricError, match="No module named 'radgraph'"):
        install("radgraph", tmp_path / "new", [])
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="no environment for 'bleu': choose from radgraph"):
        install("bleu", tmp_path / "new")


def test_it_says_how_to_get_what_is_missing():
    with pytest.raises(MetricError, match="plainfilm metrics install radgraph FOLDER makes: give"):
        score(["a"], ["a"], ["radgraph-f1-simple"])
