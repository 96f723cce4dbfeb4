"""The bridge with workers of our own, and plainfilm's worker with stand-ins for the packages."""

import re
import subprocess
import sys
import tarfile
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


def without_pip(folder, with_pip):
    """Make an environment that is this one."""
    places = Places(folder)
    places.python.parent.mkdir(parents=True)
    places.python.symlink_to(sys.executable)


def test_a_failed_installation_keeps_what_it_has_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("plainfilm.metrics.external.bridge.venv.create", without_pip)
    folder = tmp_path / "new"
    with pytest.raises(MetricError, match=r"No module named 'radgraph'.*run the installation aga"):
        install("radgraph", folder, [])
    (folder / "downloaded").touch()
    with pytest.raises(ModelError, match="not complete: go on with: plainfilm metrics install rad"):
        load_models([f"radgraph={folder}"])
    with pytest.raises(MetricError, match="No module named 'radgraph'"):
        install("radgraph", folder, [])
    assert (folder / "downloaded").exists()
    with pytest.raises(InputError, match="exists already: name a new folder"):
        install("green", folder, [])
    with pytest.raises(InputError, match="no environment for 'bleu': choose from radgraph"):
        install("bleu", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="exists already"):
        install("radgraph", tmp_path, [])


def test_pip_is_given_the_build_of_torch(tmp_path, monkeypatch):
    calls = []

    def run(command, **options):
        calls.append(command[command.index("install") + 2 :])
        return subprocess.CompletedProcess(command, 1 if len(calls) == 3 else 0)

    monkeypatch.setattr("plainfilm.metrics.external.bridge.venv.create", without_pip)
    monkeypatch.setattr("plainfilm.metrics.external.bridge.subprocess.run", run)
    with pytest.raises(MetricError, match="the worker could not start"):
        install("ratescore", tmp_path / "a", torch="torch==2.13.0", torch_index="https://cpu")
    assert calls[0] == ["--index-url", "https://cpu", "torch==2.13.0"]
    assert calls[1][:2] == ["RaTEScore==0.6.0", "transformers<5"]
    assert {"medspacy", "pandas<3", "numpy<2", "torch==2.13.0"} <= set(calls[1])
    with pytest.raises(MetricError, match=r"pip could not install .* what was fetched stays"):
        install("radgraph", tmp_path / "b")


HUB = """
def hf_hub_download(repo_id, filename, **options):
    raise OSError("no network\\nat all")
"""
RADGRAPH = """
from huggingface_hub import hf_hub_download
class RadGraph:
    def __init__(self, model_type, model_cache_dir=None):
        if model_cache_dir is None:
            hf_hub_download(repo_id="StanfordAIMI/RRG_scorers", filename="radgraph-xl.tar.gz")
        self.read = open(f"{model_cache_dir}/{model_type}/weights").read()
    def __call__(self, texts):
        return {str(i): {"entities": {"1": {"tokens": self.read, "label": "a", "relations": []}}}
                for i, text in enumerate(texts)}
"""


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An installed environment whose package asks the model hub, which is not there."""
    monkeypatch.setattr("plainfilm.metrics.external.bridge.venv.create", without_pip)
    monkeypatch.setattr(Places, "command", lambda self, metric, *paths: [
        sys.executable, str(WORKER), metric, *("" if p is None else str(p) for p in paths),
    ])  # fmt: skip
    packages = tmp_path / "packages"
    info = packages / "radgraph-7.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: radgraph\nVersion: 7\n")
    (packages / "radgraph.py").write_text(RADGRAPH)
    (packages / "huggingface_hub.py").write_text(HUB)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    return tmp_path / "environment"


def test_a_failure_names_the_file_that_was_wanted(offline):
    wanted = (
        r"could not load radgraph-xl.tar.gz of huggingface.co/StanfordAIMI/RRG_scorers "
        r"\(OSError: no network at all\): download it .* its path as checkpoint"
    )
    with pytest.raises(MetricError, match=wanted) as caught:
        install("radgraph", offline, [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_checkpoint_on_this_machine(offline, tmp_path, form):
    made = tmp_path / "given/radgraph-xl"
    made.mkdir(parents=True)
    (made / "weights").write_text("edema")
    path = made
    if form == "archive":
        path = tmp_path / "radgraph-xl.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(made / "weights", "weights")
    name = install("radgraph", offline, [], checkpoints=[path])
    assert re.fullmatch(r"radgraph-7,radgraph-xl:[0-9a-f]{8}", name)
    models = load_models([f"radgraph={offline},checkpoint={path}"])
    assert models["radgraph"].ask([{"text": "x"}])[0]["1"]["tokens"] == "edema"
    with pytest.raises(ModelError, match=r"no checkpoint of radgraph at .*gone"):
        load_models([f"radgraph={offline},checkpoint={tmp_path / 'gone'}"])


def test_it_says_how_to_get_what_is_missing():
    with pytest.raises(MetricError, match="plainfilm metrics install radgraph FOLDER makes: give"):
        score(["a"], ["a"], ["radgraph-f1-simple"])
