"""A command whose packages are not installed says which extra brings them, in one line."""

import re
import subprocess
import sys

import pytest

from plainfilm.cli.extras import extra_of, packages_by_extra

WITHOUT = """
import sys
for name in {names!r}:
    sys.modules[name] = None
from plainfilm.cli import main
sys.argv = ["plainfilm", *{argv!r}]
main()
"""


def run(names, *argv):
    script = WITHOUT.format(names=names, argv=[str(part) for part in argv])
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


@pytest.fixture
def both(tmp_path):
    path = tmp_path / "both.csv"
    path.write_text("id,reference,prediction\n1,Small effusion.,Clear lungs.\n")
    return path


@pytest.mark.parametrize(
    ("names", "argv", "package", "extra"),
    [
        (["jinja2"], ["metrics", "errors", "{both}", "--html", "{both}.html"], "jinja2", "pages"),
        (["pyarrow"], ["evaluate", "plainfilm-small", "{both}"], "pyarrow", "data"),
        (["PIL", "torch", "scipy"], ["demo"], "(pillow|torch|scipy)", "(data|model)"),
    ],
)
def test_the_extra_is_named(both, names, argv, package, extra):
    result = run(names, *(part.format(both=both) for part in argv))
    assert result.returncode == 1, result.stderr
    wanted = rf"plainfilm: this needs {package}, .* pip install 'plainfilm\[{extra}\]'"
    assert re.search(wanted, result.stderr), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["score", "{both}"],
        ["metrics", "errors", "{both}"],
        ["compare", "{both}", "{both}"],
        ["metrics", "list"],
    ],
)
def test_scoring_needs_no_extra(both, argv):
    names = ["jinja2", "matplotlib", "torch", "scipy", "PIL", "pyarrow", "pydicom"]
    result = run(names, *(part.format(both=both) for part in argv))
    assert result.returncode == 0, result.stderr


def test_every_extra_is_found():
    found = dict.fromkeys(extra for extra, _ in packages_by_extra())
    assert {"data", "pages", "model"} <= set(found)
    assert extra_of("matplotlib.figure") == ("matplotlib", "pages")
    assert extra_of("PIL") == ("pillow", "data")
    assert extra_of("no_such_module") is None
