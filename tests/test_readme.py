"""The README's code runs, in its order, in an empty folder."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def run(argv: list[str], folder: Path) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commands(block: str) -> list[list[str]]:
    lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in lines]


def test_every_block_of_the_readme_runs(tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    ran = 0
    for language, block in BLOCKS:
        if language == "python":
            output = run([sys.executable, "-c", block], tmp_path)
            assert "Pneumothorax present right" in output
            ran += 1
        for argv in commands(block) if language == "console" else []:
            assert argv[0] == "plainfilm"
            run(
                [sys.executable, "-m", *argv],
                tmp_path,
            )
            ran += 1
    assert ran == 9
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<!doctype html>" in page.lower()


def test_the_readmes_targets_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_of_the_readme_and_docs_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"


@pytest.mark.parametrize("name", ["read", "score", "load_model", "load_study", "labels"])
def test_public_names_are_there(name: str) -> None:
    import plainfilm

    assert callable(getattr(plainfilm, name))
